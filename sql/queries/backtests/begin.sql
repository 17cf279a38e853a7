-- backtests/begin: a back-test runs; no row when it has ended
update tenant.backtests
set status = 'running', started_at = coalesce(started_at, $3)
where backtest_id = $1
  and organization_id = any ($2)
  and status in ('waiting', 'running')
