-- operations/call_off_failed: what a failed operation has made is taken back as soon as anybody looks
update platform.operations
set status = 'waiting', cancel_requested = true, error_kind = null, error_reason = null, ended_at = null, attempts = 0, run_at = $2
where operation_id = $1
  and status = 'failed'
