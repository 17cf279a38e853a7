-- jobs/retry: a dead job waits again with all its attempts
update platform.jobs
set status = 'ready', attempts = 0, run_at = $2, last_error = null
where job_id = $1
  and organization_id = any ($3)
  and status = 'dead'
