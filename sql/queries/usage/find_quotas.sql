-- usage/find_quotas: a tenant's limits, and how the tenant stands
select root_organization_id, status, schema_version, quotas, revision
from platform.tenants
where tenant_id = $1
