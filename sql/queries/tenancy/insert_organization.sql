-- tenancy/insert_organization: made, and not yet in reach of whoever made it, so nothing is returned
insert into tenant.organizations
    (organization_id, root_organization_id, slug, name, created_at, updated_at)
values ($1, $2, $3, $4, $5, $5)
