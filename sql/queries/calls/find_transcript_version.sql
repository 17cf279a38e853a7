-- calls/find_transcript_version: a transcript that was replaced, as it was stored; with the raw text when it is asked for, or when there is no other
select t.organization_id, t.provider, t.model, t.language, t.digest, null::text as redacted_digest, t.redaction, t.metrics, t.completed_at,
       t.version, t.corrected_by, t.corrected_at,
       (select coalesce(jsonb_agg(jsonb_build_object('n', said -> 'n', 'speaker', said -> 'speaker', 'start_ms', said -> 'start_ms', 'end_ms', said -> 'end_ms',
                                                     'text', case when $4::boolean then said -> 'text' else coalesce(nullif(said -> 'redacted_text', 'null'), said -> 'text') end)
                                  order by (said -> 'n')::integer), '[]')
        from jsonb_array_elements(t.utterances) said) as utterances,
       (select coalesce(jsonb_agg(said -> 'redacted_text' order by (said -> 'n')::integer), '[]') from jsonb_array_elements(t.utterances) said) as redacted_texts,
       exists (select from jsonb_array_elements(t.utterances) said where said ->> 'redacted_text' is null) as unredacted
from tenant.transcript_versions t
where t.call_id = $1
  and t.version = $2
  and t.organization_id = any ($3)
