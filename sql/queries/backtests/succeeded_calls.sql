-- backtests/succeeded_calls: the most calls of an organization that a version scored under these settings in one finished back-test; null without one
select max(calls_scored) as calls
from tenant.backtests
where digest = $1
  and settings_digest = $2
  and organization_id = $3
  and organization_id = any ($4)
  and status = 'succeeded'
