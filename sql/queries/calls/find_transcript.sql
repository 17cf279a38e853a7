-- calls/find_transcript: a call's transcript in one row; with the raw text when it is asked for, or when there is no other
select t.organization_id, t.provider, t.model, t.language, t.digest, t.redacted_digest, t.redaction, t.metrics, t.completed_at,
       t.version, t.corrected_by, t.corrected_at,
       coalesce((select jsonb_agg(jsonb_build_object('n', u.n, 'speaker', u.speaker, 'start_ms', u.start_ms, 'end_ms', u.end_ms,
                                                     'text', case when $3::boolean then u.text else coalesce(u.redacted_text, u.text) end) order by u.n)
                 from tenant.utterances u where u.call_id = t.call_id and u.organization_id = any ($2)), '[]') as utterances,
       exists (select from tenant.utterances u
               where u.call_id = t.call_id and u.organization_id = any ($2) and u.redacted_text is null) as unredacted
from tenant.transcriptions t
where t.call_id = $1
  and t.organization_id = any ($2)
  and t.completed_at is not null
