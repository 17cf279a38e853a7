-- evaluations/insert_receipt_key: the next key; no row when somebody else made it first
insert into tenant.receipt_keys (receipt_key_id, organization_id, generation, public_key, sealed_private_key, created_by, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (organization_id, generation) do nothing
