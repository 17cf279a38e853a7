-- lifecycle/scrub_operations: what was asked for may name people
update platform.operations
set input = '{}'
where tenant_id = $1
  and operation_id <> $2
  and input <> '{}'
