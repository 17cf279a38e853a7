-- jobs/postpone: back to waiting, or to the dead when there is no attempt left; no row means that the lease was lost
update platform.jobs
set status = $3,
    run_at = $4,
    last_error = $5,
    attempts = $6,
    lease_token = null,
    leased_until = null
where job_id = $1
  and lease_token = $2
