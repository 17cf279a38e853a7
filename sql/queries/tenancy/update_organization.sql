-- tenancy/update_organization: compare-and-set by revision; no row means that somebody else was faster
update tenant.organizations
set name = $4, status = $5, updated_at = $6, revision = revision + 1
where organization_id = $1
  and organization_id = any ($2)
  and revision = $3
