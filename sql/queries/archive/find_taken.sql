-- archive/find_taken: a tenant that has the root organization, the slug or the issuer; destroyed ones have nothing
select coalesce(root_organization_id = $1, false) as lives
from platform.tenants
where (root_organization_id = $1 or slug = $2 or issuer = $3)
  and status <> 'destroyed'
order by lives desc
limit 1
