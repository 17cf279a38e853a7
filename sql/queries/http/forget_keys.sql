-- http/forget_keys: a few expired idempotency keys go whenever one comes
delete from tenant.idempotency_keys
where (organization_id, actor, operation, key) in (
    select organization_id, actor, operation, key from tenant.idempotency_keys
    where organization_id = $1
      and created_at < $2
    order by created_at
    limit 20
    for update skip locked
)
