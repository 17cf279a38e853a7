-- evaluations/load_for_score: a call's newest evaluation and everything that its score is made of, in one statement
select c.organization_id, c.agent_id, c.status, c.channel, coalesce(t.language, c.language) as language, c.started_at, c.duration_ms,
    t.metrics, t.version as transcript_version, t.corrected_by, a.sha256 as audio_sha256, t.redaction_digest, u.ns, u.speakers, u.starts_ms, u.ends_ms, u.texts, u.unredacted,
    e.evaluation_id, e.status as evaluation_status, e.raw_answer, e.human_answers, e.answers, e.receipt, e.assessed_at,
    v.scorecard_version_id, v.scorecard_id, v.version, v.definition, v.digest, v.published_at, v.published_by,
    s.binding_id as scorer_binding_id, s.settings as scorer_settings, s.failure_policy as scorer_policy,
    sv.digest as scorer_digest, sv.name as scorer_name, sv.version as scorer_version, sv.object_key as scorer_object_key,
    b.binding_id as beside_binding_id, b.settings as beside_settings, b.failure_policy as beside_policy, b.canary_share as beside_canary_share,
    bv.digest as beside_digest, bv.name as beside_name, bv.version as beside_version, bv.object_key as beside_object_key,
    k.receipt_key_id, k.public_key as receipt_public_key, k.sealed_private_key
from tenant.calls c
join lateral (
    select evaluation_id, scorecard_version_id, status, raw_answer, human_answers, answers, receipt, assessed_at
    from tenant.evaluations
    where call_id = c.call_id
      and is_current
      and organization_id = any ($2)
) e on true
join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
left join tenant.transcriptions t on t.call_id = c.call_id and t.organization_id = any ($2)
left join tenant.audio_files a on a.call_id = c.call_id and a.organization_id = any ($2)
left join lateral (
    select receipt_key_id, public_key, sealed_private_key
    from tenant.receipt_keys
    where organization_id = any ($3)
    order by generation desc
    limit 1
) k on true
left join lateral (
    select array_agg(n) as ns, array_agg(speaker) as speakers, array_agg(start_ms) as starts_ms, array_agg(end_ms) as ends_ms,
        array_agg(coalesce(redacted_text, text)) as texts, bool_or(redacted_text is null) as unredacted
    from (
        select n, speaker, start_ms, end_ms, text, redacted_text
        from tenant.utterances
        where call_id = c.call_id
          and organization_id = any ($2)
        order by n
    ) ordered
) u on true
left join tenant.plugin_bindings s
    on s.organization_id = c.organization_id and s.world = 'scorer' and s.ended_at is null
    and s.mode = 'active' and s.organization_id = any ($2)
left join tenant.plugin_versions sv on sv.digest = s.digest and sv.organization_id = any ($3)
left join tenant.plugin_bindings b
    on b.organization_id = c.organization_id and b.world = 'scorer' and b.ended_at is null
    and b.mode <> 'active' and b.organization_id = any ($2)
left join tenant.plugin_versions bv on bv.digest = b.digest and bv.organization_id = any ($3)
where c.call_id = $1
  and c.organization_id = any ($2)
