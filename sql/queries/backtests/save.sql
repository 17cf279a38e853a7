-- backtests/save: what was found until a call, and whether it is to stop; no row when it has ended, or somebody else went on from where this one did
update tenant.backtests
set calls_done = $4, calls_scored = $5, cursor_at = $6, cursor_id = $7, found = $8
where backtest_id = $1
  and organization_id = any ($2)
  and status = 'running'
  and calls_done = $3
returning cancel_requested
