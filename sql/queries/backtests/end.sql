-- backtests/end: a back-test has ended, and what came of it; no row when it had before
update tenant.backtests
set status = $3, report = $4, failure = $5, ended_at = $6, found = null
where backtest_id = $1
  and organization_id = any ($2)
  and status in ('waiting', 'running')
