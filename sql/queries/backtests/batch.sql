-- backtests/batch: the next calls of a back-test, newest first, and everything that their scores were made of, with the score that counts now
with page as (
    select c.call_id, c.organization_id, c.agent_id, c.queue, c.status, c.channel, c.language, c.started_at, c.duration_ms, c.received_at,
        e.evaluation_id, e.scorecard_version_id, e.human_answers, e.answers, e.assessed_at, e.passed, e.overall_score,
        e.transcript_version as judged_version,
        -- Answers of the plugin's own are given anew, and then all of them are read again from what the language model said.
        case when jsonb_path_exists(v.definition, '$.sections[*].criteria[*] ? (@.answered_by == "plugin")') then e.raw_answer end as raw_answer
    from tenant.calls c
    join tenant.evaluations e
        on e.call_id = c.call_id and e.is_current and e.status = 'evaluated' and e.organization_id = any ($2)
    join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
    where c.organization_id = $1
      and c.organization_id = any ($2)
      and c.status = 'evaluated'
      and ($3::uuid is null or c.agent_id = $3)
      and ($4::timestamptz is null or c.received_at >= $4)
      and ($5::timestamptz is null or c.received_at < $5)
      and ($6::text is null or c.queue = $6)
      and ($7::text is null or c.channel = $7)
      and ($8::text is null or c.direction = $8)
      and ($9::uuid is null or v.scorecard_id = $9)
      and ($10::uuid is null or v.scorecard_version_id = $10)
      and (c.received_at, c.call_id) < ($11, $12)
    order by c.received_at desc, c.call_id desc
    limit $13
)
select p.call_id, p.organization_id, p.agent_id, p.queue, p.status, p.channel, coalesce(t.language, p.language) as language, p.started_at,
    p.duration_ms, p.received_at, t.metrics, t.version as transcript_version, t.corrected_by, null::text as audio_sha256, t.redaction_digest,
    u.ns, u.speakers, u.starts_ms, u.ends_ms, u.texts, u.unredacted, p.evaluation_id, p.scorecard_version_id, p.human_answers, p.answers,
    p.raw_answer, p.assessed_at, p.judged_version, p.passed, (p.overall_score * 100)::integer as overall, s.keys, s.scores, s.passes
from page p
left join tenant.transcriptions t on t.call_id = p.call_id and t.organization_id = any ($2)
left join lateral (
    select array_agg(n) as ns, array_agg(speaker) as speakers, array_agg(start_ms) as starts_ms, array_agg(end_ms) as ends_ms,
        array_agg(coalesce(redacted_text, text)) as texts, bool_or(redacted_text is null) as unredacted
    from (
        select n, speaker, start_ms, end_ms, text, redacted_text
        from tenant.utterances
        where call_id = p.call_id
          and organization_id = any ($2)
        order by n
    ) ordered
) u on true
left join lateral (
    select array_agg(criterion_key) as keys, array_agg((score * 100)::integer) as scores, array_agg(passed) as passes
    from tenant.scores
    where evaluation_id = p.evaluation_id
      and organization_id = any ($2)
) s on true
order by p.received_at desc, p.call_id desc
