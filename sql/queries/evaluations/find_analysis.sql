-- evaluations/find_analysis: a call, how far it has come, and its newest evaluation with scores and insights
select c.call_id as analysed_call_id, c.status as call_status, c.channel, c.failed_stage, c.failure_kind, c.failure_reason,
    c.received_at, t.submitted_at, c.transcribed_at,
    e.evaluation_id, e.call_id, e.organization_id, e.agent_id, e.status as evaluation_status, e.provider, e.model, e.prompt_builder, e.answers,
    e.prompt_tokens, e.completion_tokens, e.fingerprint, e.parameters, e.quotes, e.quotes_rejected, e.cost_micros, e.plugin_fuel, e.plugin_us, e.scorer, e.scorer_note, (e.overall_score * 100)::integer as overall, e.passed, e.needs_review, e.receipt,
    e.assessed_at, e.evaluated_at, e.revision, e.cause, e.replaces, e.is_current, e.transcript_version,
    v.scorecard_version_id, v.scorecard_id, v.version, v.definition,
    s.keys, s.scores, s.passes, s.notes, i.kinds, i.criteria, i.texts
from tenant.calls c
left join tenant.transcriptions t on t.call_id = c.call_id and t.organization_id = any ($2)
left join lateral (
    select *
    from tenant.evaluations
    where call_id = c.call_id
      and is_current
      and organization_id = any ($2)
) e on true
left join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
left join lateral (
    select array_agg(criterion_key) as keys, array_agg((score * 100)::integer) as scores, array_agg(passed) as passes,
        array_agg(note) as notes
    from tenant.scores
    where evaluation_id = e.evaluation_id
      and organization_id = any ($2)
) s on true
left join lateral (
    select array_agg(kind order by n) as kinds, array_agg(criterion_key order by n) as criteria, array_agg(text order by n) as texts
    from tenant.insights
    where evaluation_id = e.evaluation_id
      and organization_id = any ($2)
) i on true
where c.call_id = $1
  and c.organization_id = any ($2)
