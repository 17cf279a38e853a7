-- lifecycle/find_taken: who has the slug or the issuer
select tenant_id, slug = $1 as has_slug
from platform.tenants
where status <> 'destroyed'
  and (slug = $1 or issuer = $2)
order by slug = $1 desc
limit 1
