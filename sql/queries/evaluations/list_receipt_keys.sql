-- evaluations/list_receipt_keys: every key that ever signed the tenant's receipts, without their private halves
select receipt_key_id, generation, public_key, created_by, created_at
from tenant.receipt_keys
where organization_id = $1
order by generation desc
