-- tenancy/find_by_id: one tenant
select tenant_id, slug, name, status, issuer, root_organization_id, schema_version, quotas
from platform.tenants
where tenant_id = $1
