-- tenancy/list_organizations: those that the grant reaches, newest first, after a position
select organization_id, slug, name, status, revision, created_at, updated_at
from tenant.organizations
where organization_id = any ($1)
  and (created_at, organization_id)
      < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by created_at desc, organization_id desc
limit $4
