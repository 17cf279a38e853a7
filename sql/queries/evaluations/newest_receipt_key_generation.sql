-- evaluations/newest_receipt_key_generation: the generation of the key that signs; 0 before the first
select coalesce(max(generation), 0) as generation
from tenant.receipt_keys
where organization_id = $1
