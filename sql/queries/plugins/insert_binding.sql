-- plugins/insert_binding: an organization uses a plugin version from now on
insert into tenant.plugin_bindings (binding_id, organization_id, digest, world, settings, failure_policy, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
