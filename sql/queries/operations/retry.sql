-- operations/retry: a failed operation goes on at the step that failed; one that was being called off, with its calling off
update platform.operations
set status = 'waiting', error_kind = null, error_reason = null, ended_at = null, attempts = 0, run_at = $2
where operation_id = $1
  and status = 'failed'
