-- http/keep_answer: what to answer when the idempotency key comes again
update tenant.idempotency_keys
set status = 201, body = $5
where organization_id = $1
  and actor = $2
  and operation = $3
  and key = $4
