-- lifecycle/find_keyed: the operation that a request with this idempotency key began
select operation_id, tenant_id, input ->> 'request_digest' as request_digest
from platform.operations
where kind = $1
  and requested_by = $2
  and input ->> 'idempotency_key' = $3
  and created_at > $4
order by created_at desc
limit 1
