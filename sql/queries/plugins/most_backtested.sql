-- plugins/most_backtested: the most calls that a version scored without a fault under its settings in one finished back-test
select coalesce(max(calls_scored), 0) as calls
from tenant.backtests
where organization_id = $1
  and digest = $2
  and settings_digest = $3
  and status = 'succeeded'
