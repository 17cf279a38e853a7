-- calls/insert_transcription: a transcript's head; a re-run replaces it
insert into tenant.transcriptions
    (call_id, organization_id, agent_id, provider, reference, webhook_secret, model, language, digest, metrics, submitted_at, completed_at,
     redacted_digest, redaction, redaction_digest)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict (call_id) do update
set provider = excluded.provider, reference = excluded.reference, webhook_secret = excluded.webhook_secret, model = excluded.model,
    language = excluded.language, digest = excluded.digest, metrics = excluded.metrics, submitted_at = excluded.submitted_at,
    completed_at = excluded.completed_at, redacted_digest = excluded.redacted_digest, redaction = excluded.redaction,
    redaction_digest = excluded.redaction_digest
