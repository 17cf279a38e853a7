-- lifecycle/close_operations: what else waits to be done about a tenant that goes
update platform.operations
set status = 'cancelled', cancel_requested = true, ended_at = $3
where tenant_id = $1
  and operation_id <> $2
  and status = 'waiting'
