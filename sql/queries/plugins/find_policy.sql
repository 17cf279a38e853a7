-- plugins/find_policy: what an organization asks of a version before it may score
select backtest_calls, revision, updated_by, updated_at
from tenant.plugin_policies
where organization_id = $1
  and organization_id = any ($2)
