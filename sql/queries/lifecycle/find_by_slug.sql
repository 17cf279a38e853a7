-- lifecycle/find_by_slug: the tenant that has the slug now
select tenant_id, slug, name, status, status_reason, issuer, root_organization_id, schema_version, revision, legal_hold, leaves_at,
       destroyed_at, created_at
from platform.tenants
where slug = $1
  and status <> 'destroyed'
