-- lifecycle/find: one tenant
select tenant_id, slug, name, status, status_reason, issuer, root_organization_id, schema_version, revision, legal_hold, leaves_at,
       destroyed_at, created_at
from platform.tenants
where tenant_id = $1
