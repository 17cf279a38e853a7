-- evaluations/load_for_verify: everything that a receipt was made of, as it was then, and what is stored of the outcome
select e.evaluation_id, e.call_id, e.organization_id, e.status as evaluation_status, e.raw_answer, e.human_answers, e.answers, e.receipt, e.signature,
    e.public_key, (e.overall_score * 100)::integer as overall,
    v.scorecard_version_id, v.scorecard_id, v.version, v.definition, v.digest, v.published_at, v.published_by,
    case when t.version = e.transcript_version and t.completed_at is not null then t.metrics else o.metrics end as metrics,
    case when t.version = e.transcript_version and t.completed_at is not null then u.utterances else w.utterances end as utterances,
    a.sha256 as audio_sha256, a.object_key as audio_object_key,
    s.binding_id as scorer_binding_id, s.settings as scorer_settings, s.failure_policy as scorer_policy,
    sv.digest as scorer_digest, sv.name as scorer_name, sv.version as scorer_version, sv.object_key as scorer_object_key,
    p.binding_id as prompt_binding_id, p.settings as prompt_settings, p.failure_policy as prompt_policy,
    pv.digest as prompt_digest, pv.name as prompt_name, pv.version as prompt_version, pv.object_key as prompt_object_key,
    c.keys, c.scores, c.passes, c.notes,
    exists (
        select from tenant.receipt_keys k
        where k.public_key = e.public_key
          and k.receipt_key_id = (e.receipt ->> 'signed_by')::uuid
          and k.organization_id = any ($3)
    ) as key_is_known
from tenant.evaluations e
join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
left join tenant.transcriptions t on t.call_id = e.call_id and t.organization_id = any ($2)
left join tenant.transcript_versions o
    on o.call_id = e.call_id and o.version = e.transcript_version and o.organization_id = any ($2)
left join tenant.audio_files a on a.call_id = e.call_id and a.organization_id = any ($2)
left join lateral (
    select jsonb_agg(jsonb_build_object('n', n, 'speaker', speaker, 'start_ms', start_ms, 'end_ms', end_ms,
                                        'text', coalesce(redacted_text, text)) order by n)
        as utterances
    from tenant.utterances
    where call_id = e.call_id
      and organization_id = any ($2)
) u on true
left join lateral (
    select jsonb_agg(jsonb_build_object('n', said -> 'n', 'speaker', said -> 'speaker', 'start_ms', said -> 'start_ms', 'end_ms', said -> 'end_ms',
                                        'text', coalesce(said ->> 'redacted_text', said ->> 'text')) order by (said -> 'n')::integer) as utterances
    from jsonb_array_elements(o.utterances) said
) w on true
left join tenant.plugin_bindings s
    on s.binding_id = (e.receipt #>> '{scoring,binding_id}')::uuid and s.organization_id = any ($2)
left join tenant.plugin_versions sv on sv.digest = s.digest and sv.organization_id = any ($3)
left join tenant.plugin_bindings p
    on p.binding_id = (e.receipt #>> '{about,prompt_binding_id}')::uuid and p.organization_id = any ($2)
left join tenant.plugin_versions pv on pv.digest = p.digest and pv.organization_id = any ($3)
left join lateral (
    select array_agg(criterion_key) as keys, array_agg((score * 100)::integer) as scores, array_agg(passed) as passes,
        array_agg(note) as notes
    from tenant.scores
    where evaluation_id = e.evaluation_id
      and organization_id = any ($2)
) c on true
where e.evaluation_id = $1
  and e.organization_id = any ($2)
