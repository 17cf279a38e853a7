-- lifecycle/list: tenants, newest first, after a position
select tenant_id, slug, name, status, status_reason, issuer, root_organization_id, schema_version, revision, legal_hold, leaves_at,
       destroyed_at, created_at
from platform.tenants
where ($1::text is null or status = $1)
  and ($2::text is null or starts_with(slug, $2))
  and (created_at, tenant_id)
      < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by created_at desc, tenant_id desc
limit $5
