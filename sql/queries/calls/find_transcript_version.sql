-- calls/find_transcript_version: a transcript that was replaced, as it was said
select organization_id, provider, model, language, digest, metrics, completed_at, version, corrected_by, corrected_at, utterances, redaction, null::text as redacted_digest, true as unredacted
from tenant.transcript_versions
where call_id = $1
  and version = $2
  and organization_id = any ($3)
