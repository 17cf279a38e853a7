-- fleet/find_slugs: which of these slugs are tenants'
select slug from platform.tenants where slug = any ($1) and status <> 'destroyed'
