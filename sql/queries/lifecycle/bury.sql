-- lifecycle/bury: what is left is the name, and the certificate
update platform.tenants
set status = 'destroyed', status_reason = null, leaves_at = null, destroyed_at = $2, quotas = '{}', migration_error = null,
    revision = revision + 1, changed_at = clock_timestamp()
where tenant_id = $1
  and status = 'leaving'
