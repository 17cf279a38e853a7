-- evaluations/list_rescores: newest first, after a position, and how far each is
select r.rescore_id, r.organization_id, r.scorecard_version_id, v.scorecard_id, v.version, r.status, r.agent_id, r.received_from,
    r.received_before, r.cancel_requested, r.requested_by, r.created_at, r.ended_at, p.*
from (
    select rescores.*
    from unnest($1::uuid[]) as reached (organization_id)
    cross join lateral (
        select *
        from tenant.rescores one
        where one.organization_id = reached.organization_id
          and (one.created_at, one.rescore_id)
              < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        order by one.created_at desc, one.rescore_id desc
        limit $4
    ) rescores
    order by rescores.created_at desc, rescores.rescore_id desc
    limit $4
) r
join tenant.scorecard_versions v on v.scorecard_version_id = r.scorecard_version_id and v.organization_id = any ($1)
cross join lateral (
    select count(*) as total,
        count(*) filter (where i.status = 'waiting') as waiting,
        count(*) filter (where i.status = 'queued'
            or i.status = 'assessed' and e.status = 'assessed' and e.is_current and c.status <> 'failed') as running,
        count(*) filter (where i.status = 'assessed' and e.status = 'evaluated') as evaluated,
        count(*) filter (where i.status = 'skipped') as skipped,
        count(*) filter (where i.status = 'failed'
            or i.status = 'assessed' and (e.status = 'held' or e.status = 'assessed' and (c.status = 'failed' or not e.is_current))) as failed,
        count(*) filter (where i.status = 'cancelled') as cancelled,
        coalesce(sum(i.asked_criteria), 0)::bigint as asked, coalesce(sum(i.reused_criteria), 0)::bigint as reused
    from tenant.rescore_items i
    join tenant.calls c on c.call_id = i.call_id and c.organization_id = any ($1)
    left join tenant.evaluations e on e.evaluation_id = i.after_id and e.organization_id = any ($1)
    where i.rescore_id = r.rescore_id
      and i.organization_id = any ($1)
) p
order by r.created_at desc, r.rescore_id desc
