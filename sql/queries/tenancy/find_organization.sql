-- tenancy/find_organization: one organization that the grant reaches
select organization_id, slug, name, status, revision, created_at, updated_at
from tenant.organizations
where organization_id = $1
  and organization_id = any ($2)
