-- fleet/status: tenants that are not destroyed, newest first, after a position; $3 those with an older schema than $4 and $5 alone, $6 those
-- whose last migration failed alone
select tenant_id, slug, status, schema_version, concurrent_version, migrated_at, migration_error, created_at
from platform.tenants
where status <> 'destroyed'
  and ($1::timestamptz is null or (created_at, tenant_id) < ($1, $2::uuid))
  and (not $3 or (schema_version, concurrent_version) < ($4, $5))
  and (not $6 or migration_error is not null)
order by created_at desc, tenant_id desc
limit $7
