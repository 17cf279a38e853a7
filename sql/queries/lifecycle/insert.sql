-- lifecycle/insert: a tenant to be made; nothing when another one has the slug or the issuer
insert into platform.tenants (tenant_id, slug, name, status, issuer, root_organization_id, created_at, changed_at)
values ($1, $2, $3, 'provisioning', $4, $5, $6, clock_timestamp())
on conflict do nothing
