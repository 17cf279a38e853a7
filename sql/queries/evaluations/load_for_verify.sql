-- evaluations/load_for_verify: everything that a receipt was made of, as it was then, and what is stored of the outcome
select e.evaluation_id, e.call_id, e.organization_id, e.status as evaluation_status, e.raw_answer, e.human_answers, e.answers, e.receipt, e.signature,
    e.public_key, (e.overall_score * 100)::integer as overall, e.passed, e.needs_review, e.scorer, e.provider, e.model, e.prompt_digest as asked_digest,
    e.prompt_builder, e.revision, e.cause, e.replaces, e.transcript_version, e.rescore_id, e.parameters, e.quotes, e.quotes_rejected, e.assessed_at,
    case when e.is_current and n.status = 'evaluated' then (n.overall_score * 100)::integer else (e.overall_score * 100)::integer end as shown_overall,
    v.scorecard_version_id, v.scorecard_id, v.version, v.definition, v.digest, v.published_at, v.published_by,
    coalesce(u.metrics, o.metrics) as metrics, coalesce(u.utterances, o.utterances) as utterances, coalesce(u.redaction, o.redaction) as redaction,
    case when u.call_id is not null then u.digest else o.digest end as raw_digest,
    case when u.call_id is not null then u.redacted_digest end as redacted_digest,
    case when u.call_id is not null then u.redaction_digest end as redaction_digest,
    a.sha256 as audio_sha256, a.object_key as audio_object_key,
    s.binding_id as scorer_binding_id, s.settings as scorer_settings, s.failure_policy as scorer_policy,
    sv.digest as scorer_digest, sv.name as scorer_name, sv.version as scorer_version, sv.object_key as scorer_object_key,
    p.binding_id as prompt_binding_id, p.settings as prompt_settings, p.failure_policy as prompt_policy,
    pv.digest as prompt_digest, pv.name as prompt_name, pv.version as prompt_version, pv.object_key as prompt_object_key,
    c.keys, c.scores, c.passes, c.notes, c.verdicts, c.sections, i.kinds, i.criteria, i.texts,
    exists (
        select from tenant.receipt_keys k
        where k.public_key = e.public_key
          and k.receipt_key_id = (e.receipt ->> 'signed_by')::uuid
          and k.organization_id = any ($3)
    ) as key_is_known
from tenant.evaluations e
join tenant.calls n on n.call_id = e.call_id and n.organization_id = any ($2)
join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
left join lateral (
    select t.call_id, t.metrics, t.redaction, t.digest, t.redacted_digest, t.redaction_digest,
        (select jsonb_agg(jsonb_build_object('n', n, 'speaker', speaker, 'start_ms', start_ms, 'end_ms', end_ms, 'text', text,
                                             'redacted_text', redacted_text) order by n)
         from tenant.utterances
         where call_id = e.call_id
           and organization_id = any ($2)) as utterances
    from tenant.transcriptions t
    where t.call_id = e.call_id
      and t.version = e.transcript_version
      and t.completed_at is not null
      and t.organization_id = any ($2)
) u on true
left join tenant.transcript_versions o
    on o.call_id = e.call_id and o.version = e.transcript_version and o.organization_id = any ($2)
left join tenant.audio_files a on a.call_id = e.call_id and a.organization_id = any ($2)
left join tenant.plugin_bindings s
    on s.binding_id = (e.receipt #>> '{scoring,binding_id}')::uuid and s.organization_id = any ($2)
left join tenant.plugin_versions sv on sv.digest = s.digest and sv.organization_id = any ($3)
left join tenant.plugin_bindings p
    on p.binding_id = (e.receipt #>> '{about,prompt_binding_id}')::uuid and p.organization_id = any ($2)
left join tenant.plugin_versions pv on pv.digest = p.digest and pv.organization_id = any ($3)
left join lateral (
    select array_agg(criterion_key) as keys, array_agg((score * 100)::integer) as scores, array_agg(passed) as passes,
        array_agg(note) as notes, array_agg(verdict) as verdicts, array_agg(section_key) as sections
    from tenant.scores
    where evaluation_id = e.evaluation_id
      and organization_id = any ($2)
) c on true
left join lateral (
    select array_agg(kind order by n) as kinds, array_agg(criterion_key order by n) as criteria, array_agg(text order by n) as texts
    from tenant.insights
    where evaluation_id = e.evaluation_id
      and organization_id = any ($2)
) i on true
where e.evaluation_id = $1
  and e.organization_id = any ($2)
