-- http/find_key: what was answered under an idempotency key
select request_digest, body
from tenant.idempotency_keys
where organization_id = $1
  and actor = $2
  and operation = $3
  and key = $4
