-- calls/note_transcription: the work that runs at the recogniser; no row when the transcript is there already
insert into tenant.transcriptions (call_id, organization_id, agent_id, provider, reference, webhook_secret, submitted_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (call_id) do update
set provider = excluded.provider, reference = excluded.reference, webhook_secret = excluded.webhook_secret, submitted_at = excluded.submitted_at
    where transcriptions.completed_at is null
