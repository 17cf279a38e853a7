-- backtests/request_cancel: a back-test is to stop; no row when it has ended
update tenant.backtests
set cancel_requested = true
where backtest_id = $1
  and organization_id = any ($2)
  and status in ('waiting', 'running')
