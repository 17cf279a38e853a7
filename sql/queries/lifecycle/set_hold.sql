-- lifecycle/set_hold: a legal hold begins, changes or ends; too late once destruction has begun, too early before there is anything to hold
update platform.tenants
set legal_hold = $2, revision = revision + 1, changed_at = clock_timestamp()
where tenant_id = $1
  and status not in ('destroyed', 'provisioning')
  and (status <> 'leaving' or leaves_at is not null)
