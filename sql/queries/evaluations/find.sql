-- evaluations/find: one evaluation with its scores and insights
select
    e.evaluation_id, e.call_id, e.organization_id, e.agent_id, e.status as evaluation_status, e.provider, e.model, e.prompt_builder, e.answers,
    e.prompt_tokens, e.completion_tokens, e.fingerprint, e.parameters, e.quotes, e.quotes_rejected, e.cost_micros, e.plugin_fuel, e.plugin_us, e.scorer, e.scorer_note, (e.overall_score * 100)::integer as overall, e.passed, e.needs_review, e.receipt,
    e.assessed_at, e.evaluated_at, e.revision, e.cause, e.replaces, e.is_current, e.transcript_version,
    v.scorecard_version_id, v.scorecard_id, v.version, v.definition,
    s.keys, s.scores, s.passes, s.notes, i.kinds, i.criteria, i.texts
from tenant.evaluations e
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
where e.evaluation_id = $1
  and e.organization_id = any ($2)
