-- archive/find_tenant: one tenant, as operators see it
select root_organization_id, status
from platform.tenants
where tenant_id = $1
