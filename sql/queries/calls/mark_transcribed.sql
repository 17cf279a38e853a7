-- calls/mark_transcribed: compare-and-set to transcribed
update tenant.calls
set status = 'transcribed', transcribed_at = $2, duration_ms = coalesce($3, duration_ms), language = coalesce(language, $4),
    failed_stage = null, failure_kind = null, failure_reason = null
where call_id = $1
  and (status = 'received' or (status = 'failed' and failed_stage = 'transcribe'))
  and organization_id = any ($5)
