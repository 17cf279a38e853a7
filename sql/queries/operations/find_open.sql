-- operations/find_open: the open operation of a kind about a tenant
select operation_id
from platform.operations
where tenant_id = $1
  and kind = $2
  and status in ('waiting', 'running')
