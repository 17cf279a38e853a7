-- plugins/insert_version: a component by its digest; the same bytes are the same version
insert into tenant.plugin_versions (digest, organization_id, name, version, world, size_bytes, object_key, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (digest) do nothing
