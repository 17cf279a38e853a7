-- usage/update_quotas: compare-and-set by revision; no row means that somebody else was faster
update platform.tenants
set quotas = $3, changed_at = clock_timestamp(), revision = revision + 1
where tenant_id = $1
  and revision = $2
  and status <> 'destroyed'
returning revision
