-- backtests/find_version: a plugin version of the tenant, whether it is bound or not
select digest, name, version, world, object_key
from tenant.plugin_versions
where digest = $1
  and organization_id = any ($2)
