-- fleet/note_failure: why a tenant's migration failed
update platform.tenants set migration_error = left($2, 2000) where tenant_id = $1
