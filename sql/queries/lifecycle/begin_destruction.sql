-- lifecycle/begin_destruction: from here on there is no way back; nothing while a legal hold is on
update platform.tenants
set leaves_at = null, revision = revision + 1, changed_at = clock_timestamp()
where tenant_id = $1
  and status = 'leaving'
  and legal_hold is null
