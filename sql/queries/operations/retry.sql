-- operations/retry: a failed operation goes on at the step that failed
update platform.operations
set status = 'waiting', error_kind = null, error_reason = null, ended_at = null, attempts = 0, run_at = $2, cancel_requested = false
where operation_id = $1
  and status = 'failed'
