-- lifecycle/move_status: from one status to another; servers notice by the time of the change
update platform.tenants
set status = $3, status_reason = $4, leaves_at = $5, revision = revision + 1, changed_at = clock_timestamp()
where tenant_id = $1
  and status = $2
