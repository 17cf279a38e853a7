-- operations/extend: a sign of life of whoever is at work
update platform.operations
set leased_until = $3
where operation_id = $1
  and lease_token = $2
returning cancel_requested
