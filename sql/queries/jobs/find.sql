-- jobs/find: one job of the caller's organizations
select job_id, organization_id, kind, payload, status, attempts, max_attempts, run_at, last_error, created_at
from platform.jobs
where job_id = $1
  and organization_id = any ($2)
