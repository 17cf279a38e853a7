-- plugins/most_backtested: the most calls that a finished back-test of a version and its settings went over
select coalesce(max(calls_done), 0) as calls
from tenant.backtests
where organization_id = $1
  and digest = $2
  and settings_digest = $3
  and status = 'succeeded'
