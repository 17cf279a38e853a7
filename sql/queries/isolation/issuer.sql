-- isolation/issuer: whether another tenant has this one's issuer, slug or root organization
select own.issuer, own.schema_version, own.concurrent_version,
       exists (select from platform.tenants o where o.issuer = own.issuer and o.tenant_id <> own.tenant_id and o.status <> 'destroyed') as same_issuer,
       exists (select from platform.tenants o where o.slug = own.slug and o.tenant_id <> own.tenant_id and o.status <> 'destroyed') as same_slug,
       exists (select from platform.tenants o where o.root_organization_id = own.root_organization_id and o.tenant_id <> own.tenant_id and o.status <> 'destroyed') as same_root
from platform.tenants own
where own.tenant_id = $1
