-- plugins/find_version: a component that the tenant has ($2 is its root), and whether an organization of $3 uses it
select v.digest, v.name, v.version, v.world, v.summary, v.size_bytes, v.object_key, v.settings_schema, v.manifest, v.report,
    v.uploaded_by, v.created_at,
    exists (
        select from tenant.plugin_bindings b
        where b.digest = v.digest
          and b.organization_id = any ($3)
          and b.ended_at is null
    ) as is_bound
from tenant.plugin_versions v
where v.digest = $1
  and v.organization_id = $2
