-- evaluations/newest_receipt_key: the key that signs the tenant's receipts
select receipt_key_id, public_key as receipt_public_key, sealed_private_key
from tenant.receipt_keys
where organization_id = $1
order by generation desc
limit 1
