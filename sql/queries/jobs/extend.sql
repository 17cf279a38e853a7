-- jobs/extend: the holders of these leases are alive
update platform.jobs
set leased_until = $2
where lease_token = $1
  and status = 'leased'
