-- plugins/insert_binding: an organization uses a plugin version from now on
insert into tenant.plugin_bindings
    (binding_id, organization_id, digest, world, mode, canary_share, settings, failure_policy, most_faults, most_drift, least_runs,
     replaces, created_by, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
