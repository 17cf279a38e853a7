-- http/claim_key: takes an idempotency key, or takes an expired one over; no row when somebody has it. Waits while another transaction holds it
insert into tenant.idempotency_keys (organization_id, actor, operation, key, request_digest, created_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (organization_id, actor, operation, key) do update
    set request_digest = excluded.request_digest, status = null, headers = null, body = null, created_at = excluded.created_at
    where idempotency_keys.created_at < $7
returning key
