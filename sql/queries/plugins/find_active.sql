-- plugins/find_active: what an organization uses in a world now; no row where that is the built-in one
select b.binding_id, b.organization_id, b.digest, v.name, v.version, b.world, b.mode, b.canary_share, b.settings, b.failure_policy,
    b.most_faults, b.most_drift, b.least_runs, b.replaces, b.created_at, b.created_by, b.ended_at, b.ended_by, b.ended_because
from tenant.plugin_bindings b
join tenant.plugin_versions v on v.digest = b.digest and v.organization_id = any ($4)
where b.organization_id = $1
  and b.organization_id = any ($2)
  and b.world = $3
  and b.mode = 'active'
  and b.ended_at is null
