-- tenancy/find_by_issuer: the tenant whose tokens an issuer signs
select tenant_id, slug, name, status, issuer, root_organization_id, schema_version, quotas
from platform.tenants
where issuer = $1
  and status <> 'destroyed'
