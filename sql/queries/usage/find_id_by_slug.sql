-- usage/find_id_by_slug: the tenant of a slug; a destroyed one has none
select tenant_id from platform.tenants
where slug = $1
  and status <> 'destroyed'
