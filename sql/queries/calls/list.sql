-- calls/list: a page of calls, newest first, each organization by its own index
select call.*
from unnest($1::uuid[]) as organization (id)
cross join lateral (
    select call_id, organization_id, agent_id, scorecard_id, external_id, channel, queue, direction, language, status, failed_stage, failure_kind, failure_reason,
       duration_ms, started_at, received_at, transcribed_at, evaluated_at, overall_score
    from tenant.calls
    where organization_id = organization.id
      and ($2::uuid is null or agent_id = $2)
      and ($3::text is null or status = $3)
      and ($4::text is null or channel = $4)
      and ($5::timestamptz is null or received_at >= $5)
      and ($6::timestamptz is null or received_at < $6)
      and ($7::timestamptz is null or (received_at, call_id) < ($7, $8))
    order by received_at desc, call_id desc
    limit $9
) call
order by call.received_at desc, call.call_id desc
limit $9
