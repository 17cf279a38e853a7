-- calls/newest: the first page of calls, newest first, each organization by its own index
select call.*
from unnest($1::uuid[]) as organization (id)
cross join lateral (
    select call_id, organization_id, agent_id, scorecard_id, external_id, channel, queue, direction, language, status, failed_stage, failure_kind, failure_reason,
       duration_ms, started_at, received_at, transcribed_at, evaluated_at, overall_score
    from tenant.calls
    where organization_id = organization.id
    order by received_at desc, call_id desc
    limit $2
) call
order by call.received_at desc, call.call_id desc
limit $2
