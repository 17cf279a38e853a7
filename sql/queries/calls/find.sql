-- calls/find: one call that the caller may see
select call_id, organization_id, agent_id, scorecard_id, external_id, channel, queue, direction, language, status, failed_stage, failure_kind, failure_reason,
       duration_ms, started_at, received_at, transcribed_at, evaluated_at, overall_score
from tenant.calls
where call_id = $1
  and organization_id = any ($2)
