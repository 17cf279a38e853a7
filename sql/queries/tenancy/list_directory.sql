-- tenancy/list_directory: every organization of the tenant, asked under its root
select organization_id, slug, status
from tenant.organizations
where root_organization_id = $1
