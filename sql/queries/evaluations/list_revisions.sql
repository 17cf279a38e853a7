-- evaluations/list_revisions: those that were replaced as well, newest first, after a position; each organization's index gives its first few, so that nothing is sorted but those
select found.*
from unnest($1::uuid[]) as reached (organization_id)
cross join lateral (
    select e.evaluation_id, e.call_id, e.organization_id, e.agent_id, e.scorecard_version_id, e.status, e.scorer,
        (e.overall_score * 100)::integer as overall, e.passed, e.needs_review, e.assessed_at, e.evaluated_at,
        e.revision, e.cause, e.replaces, e.is_current, e.transcript_version
    from tenant.evaluations e
    where e.organization_id = reached.organization_id
      and ($2::uuid is null or e.agent_id = $2)
      and ($3::uuid is null or e.call_id = $3)
      and (e.assessed_at, e.evaluation_id)
          < (coalesce($4::timestamptz, 'infinity'), coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    order by e.assessed_at desc, e.evaluation_id desc
    limit $6
) as found
order by assessed_at desc, evaluation_id desc
limit $6
