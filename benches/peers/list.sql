select call_id::text, organization_id::text, agent_id::text, scorecard_id::text, external_id, channel, language, status,
       failed_stage, failure_kind, failure_reason, duration_ms, started_at, received_at, transcribed_at, evaluated_at,
       overall_score::float8
from unnest($1::uuid[]) as organization (id)
cross join lateral (
    select *
    from calls
    where organization_id = organization.id
    order by received_at desc, call_id desc
    limit $2
) call
order by call.received_at desc, call.call_id desc
limit $2
