-- plugins/insert_version: a component by its digest; the same bytes are the same version
insert into tenant.plugin_versions
    (digest, organization_id, name, version, world, summary, size_bytes, object_key, settings_schema, manifest, report, uploaded_by, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (digest) do nothing
