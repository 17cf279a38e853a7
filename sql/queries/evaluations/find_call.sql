-- evaluations/find_call: the call of an evaluation
select call_id
from tenant.evaluations
where evaluation_id = $1
  and organization_id = any ($2)
