-- operations/request_cancel: somebody wants it called off; a waiting one is called off as soon as anybody looks
update platform.operations
set cancel_requested = true, run_at = least(run_at, $2)
where operation_id = $1
  and status in ('waiting', 'running')
