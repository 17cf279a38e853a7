-- evaluations/load_for_assess: everything that a prompt is made of, in one statement
select c.organization_id, c.agent_id, c.status, c.channel, coalesce(t.language, c.language) as language, c.started_at, c.duration_ms,
    t.metrics, t.version as transcript_version, t.corrected_by, a.sha256 as audio_sha256,
    b.evaluation_id as previous_id, b.revision as previous_revision, b.transcript_version as previous_transcript_version,
    b.human_answers as previous_human_answers, d.definition as previous_definition, t.redaction_digest, u.ns, u.speakers, u.starts_ms, u.ends_ms, u.texts, u.unredacted,
    v.scorecard_version_id, v.scorecard_id, v.version, v.definition, v.digest, v.published_at, v.published_by,
    p.binding_id as prompt_binding_id, p.settings as prompt_settings, p.failure_policy as prompt_policy,
    pv.digest as prompt_digest, pv.name as prompt_name, pv.version as prompt_version, pv.object_key as prompt_object_key,
    n.binding_id as beside_binding_id, n.settings as beside_settings, n.failure_policy as beside_policy, n.canary_share as beside_canary_share,
    nv.digest as beside_digest, nv.name as beside_name, nv.version as beside_version, nv.object_key as beside_object_key
from tenant.calls c
left join tenant.transcriptions t on t.call_id = c.call_id and t.organization_id = any ($2)
left join tenant.audio_files a on a.call_id = c.call_id and a.organization_id = any ($2)
left join tenant.evaluations b on b.call_id = c.call_id and b.is_current and b.organization_id = any ($2)
left join tenant.scorecard_versions judged on judged.scorecard_version_id = b.scorecard_version_id and judged.organization_id = any ($2)
left join tenant.scorecard_versions d
    on d.scorecard_version_id = b.scorecard_version_id and b.human_answers <> '[]' and d.organization_id = any ($2)
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
left join lateral (
    select newest.*
    from tenant.scorecards s
    cross join lateral (
        select scorecard_version_id, scorecard_id, version, definition, digest, published_at, published_by,
            coalesce(definition -> 'applies_to', '{}') as applies
        from tenant.scorecard_versions
        where scorecard_id = s.scorecard_id
          and organization_id = any ($2)
        order by version desc
        limit 1
    ) newest
    cross join lateral (
        select coalesce(newest.applies -> 'queues', '[]') as queues, coalesce(newest.applies -> 'channels', '[]') as channels,
            coalesce(newest.applies -> 'directions', '[]') as directions, coalesce(newest.applies -> 'languages', '[]') as languages,
            coalesce((newest.applies -> 'min_duration_ms')::bigint, 0) as min_duration_ms
    ) a
    where s.organization_id = c.organization_id
      and s.organization_id = any ($2)
      and s.retired_at is null
      and (s.scorecard_id = c.scorecard_id
           -- What was judged by a scorecard is judged by its newest version again, whatever else was published since.
           or c.scorecard_id is null and s.scorecard_id = judged.scorecard_id
           or c.scorecard_id is null
              and (a.queues = '[]' or a.queues @> to_jsonb(c.queue))
              and (a.channels = '[]' or a.channels @> to_jsonb(c.channel))
              and (a.directions = '[]' or a.directions @> to_jsonb(c.direction))
              and (a.languages = '[]' or exists (
                  select from jsonb_array_elements_text(a.languages) spoken (language)
                  where starts_with(lower(replace(coalesce(t.language, c.language), '_', '-')) || '-', lower(replace(spoken.language, '_', '-')) || '-')))
              and a.min_duration_ms <= coalesce(c.duration_ms, 0))
    order by coalesce(s.scorecard_id = judged.scorecard_id, false) desc,
        (a.queues <> '[]')::integer + (a.channels <> '[]')::integer + (a.directions <> '[]')::integer + (a.languages <> '[]')::integer
            + (a.min_duration_ms > 0)::integer desc,
        newest.published_at desc, newest.version desc, newest.scorecard_version_id desc
    limit 1
) v on true
left join tenant.plugin_bindings p
    on p.organization_id = c.organization_id and p.world = 'prompt_builder' and p.ended_at is null
    and p.mode = 'active' and p.organization_id = any ($2)
left join tenant.plugin_versions pv on pv.digest = p.digest and pv.organization_id = any ($3)
left join tenant.plugin_bindings n
    on n.organization_id = c.organization_id and n.world = 'prompt_builder' and n.ended_at is null
    and n.mode <> 'active' and n.organization_id = any ($2)
left join tenant.plugin_versions nv on nv.digest = n.digest and nv.organization_id = any ($3)
where c.call_id = $1
  and c.organization_id = any ($2)
