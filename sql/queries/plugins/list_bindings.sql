-- plugins/list_bindings: the organizations' uses of plugins, also those that have ended, newest first, after a position
select b.binding_id, b.organization_id, b.digest, v.name, v.version, b.world, b.mode, b.canary_share, b.settings, b.failure_policy,
    b.most_faults, b.most_drift, b.least_runs, b.replaces, b.created_at, b.created_by, b.ended_at, b.ended_by, b.ended_because
from tenant.plugin_bindings b
join tenant.plugin_versions v on v.digest = b.digest and v.organization_id = any ($9)
where b.organization_id = any ($1)
  and ($2::text is null or b.world = $2)
  and ($3::text is null or b.mode = $3)
  and ($4::text is null or b.digest = $4)
  and (not $5::boolean or b.ended_at is null)
  and (b.created_at, b.binding_id)
      < (coalesce($6::timestamptz, 'infinity'), coalesce($7::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by b.created_at desc, b.binding_id desc
limit $8
