-- calls/replace_transcript: the transcript as it is is kept as a version, and its head becomes the next one; no row when it is no longer that
-- version. A digest tells that a person corrected it; without one it waits to be recognised anew
with found as (
    select call_id, organization_id, agent_id, version, provider, model, language, digest, metrics, redaction, corrected_by, corrected_at, completed_at
    from tenant.transcriptions
    where call_id = $1
      and version = $2
      and completed_at is not null
      and organization_id = any ($3)
    for update
), kept as (
    insert into tenant.transcript_versions
        (call_id, version, organization_id, agent_id, provider, model, language, digest, metrics, redaction, utterances, corrected_by, corrected_at,
         completed_at, replaced_by, replaced_at)
    select found.call_id, found.version, found.organization_id, found.agent_id, found.provider, found.model, found.language, found.digest,
        found.metrics, found.redaction,
        coalesce((select jsonb_agg(jsonb_build_object('n', u.n, 'speaker', u.speaker, 'start_ms', u.start_ms, 'end_ms', u.end_ms,
                                                      'text', u.text, 'redacted_text', u.redacted_text) order by u.n)
                  from tenant.utterances u where u.call_id = found.call_id and u.organization_id = any ($3)), '[]'),
        found.corrected_by, found.corrected_at, found.completed_at, $4, $5
    from found
)
update tenant.transcriptions t
set version = t.version + 1,
    digest = $6, metrics = $7, redacted_digest = $8, redaction = $9, redaction_digest = $10,
    corrected_by = case when $6::text is not null then $4 end,
    corrected_at = case when $6::text is not null then $5::timestamptz end,
    submitted_at = case when $6::text is not null then t.submitted_at else $5 end,
    completed_at = case when $6::text is not null then t.completed_at end,
    reference = null, webhook_secret = null
from found
where t.call_id = found.call_id
  and t.organization_id = any ($3)
