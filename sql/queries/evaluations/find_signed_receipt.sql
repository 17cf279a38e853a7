-- evaluations/find_signed_receipt: an evaluation's receipt with its signature
select receipt, signature, public_key
from tenant.evaluations
where evaluation_id = $1
  and organization_id = any ($2)
