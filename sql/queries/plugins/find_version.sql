-- plugins/find_version: whether the tenant has a component
select digest from tenant.plugin_versions
where digest = $1
  and organization_id = $2
