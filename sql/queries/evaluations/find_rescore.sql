-- evaluations/find_rescore: a re-score, and how far it is
select r.rescore_id, r.organization_id, r.scorecard_version_id, v.scorecard_id, v.version, r.status, r.agent_id, r.received_from,
    r.received_before, r.cancel_requested, r.requested_by, r.created_at, r.ended_at, p.*
from tenant.rescores r
join tenant.scorecard_versions v on v.scorecard_version_id = r.scorecard_version_id and v.organization_id = any ($2)
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
    join tenant.calls c on c.call_id = i.call_id and c.organization_id = any ($2)
    left join tenant.evaluations e on e.evaluation_id = i.after_id and e.organization_id = any ($2)
    where i.rescore_id = r.rescore_id
      and i.organization_id = any ($2)
) p
where r.rescore_id = $1
  and r.organization_id = any ($2)
