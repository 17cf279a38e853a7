-- evaluations/estimate_rescore: the calls that a re-score would take, by the version that they are judged by now, and what asking about them
-- took before
select v.definition, count(*) as calls,
    count(*) filter (where e.transcript_version is distinct from t.version) as outdated,
    coalesce(sum(p.prompt_tokens), 0)::bigint as prompt_tokens, coalesce(sum(p.completion_tokens), 0)::bigint as completion_tokens
from tenant.calls c
join tenant.evaluations e
    on e.call_id = c.call_id and e.is_current and e.status = 'evaluated' and e.scorecard_version_id <> $3 and e.organization_id = any ($2)
join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
left join tenant.transcriptions t on t.call_id = c.call_id and t.organization_id = any ($2)
left join lateral (
    select max(prompt_tokens) as prompt_tokens, max(completion_tokens) as completion_tokens
    from tenant.evaluations
    where call_id = c.call_id
      and organization_id = any ($2)
) p on true
where c.organization_id = $1
  and c.organization_id = any ($2)
  and c.status = 'evaluated'
  and ($4::uuid is null or c.agent_id = $4)
  and ($5::timestamptz is null or c.received_at >= $5)
  and ($6::timestamptz is null or c.received_at < $6)
  and ($7::text is null or c.queue = $7)
  and ($8::text is null or c.channel = $8)
  and ($9::text is null or c.direction = $9)
  and ($10::text is null or starts_with(lower(replace(c.language, '_', '-')) || '-', lower(replace($10, '_', '-')) || '-'))
  and ($11::uuid is null or v.scorecard_id = $11)
  and ($12::integer is null or e.overall_score * 100 >= $12)
  and ($13::integer is null or e.overall_score * 100 < $13)
group by v.scorecard_version_id
order by v.scorecard_version_id
