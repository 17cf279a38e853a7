-- plugins/find_component: a version of the tenant's, and where its bytes lie ($2 are the organizations with the root)
select digest, name, version, world, object_key
from tenant.plugin_versions
where digest = $1
  and organization_id = any ($2)
