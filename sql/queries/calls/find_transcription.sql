-- calls/find_transcription: the running work at the recogniser
select provider, reference, webhook_secret, submitted_at
from tenant.transcriptions
where call_id = $1
  and organization_id = any ($2)
  and completed_at is null
