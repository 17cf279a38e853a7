-- calls/find_transcript: a call's transcript in one row
select t.provider, t.model, t.language, t.digest, t.metrics, t.completed_at, t.version, t.corrected_by, t.corrected_at,
       coalesce((select jsonb_agg(jsonb_build_object('n', u.n, 'speaker', u.speaker, 'start_ms', u.start_ms, 'end_ms', u.end_ms, 'text', u.text) order by u.n)
                 from tenant.utterances u where u.call_id = t.call_id and u.organization_id = any ($2)), '[]') as utterances
from tenant.transcriptions t
where t.call_id = $1
  and t.organization_id = any ($2)
  and t.completed_at is not null
