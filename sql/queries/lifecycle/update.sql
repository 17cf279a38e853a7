-- lifecycle/update: name and issuer, by compare-and-set of the revision
update platform.tenants
set name = $3, issuer = $4, revision = revision + 1, changed_at = clock_timestamp()
where tenant_id = $1
  and revision = $2
