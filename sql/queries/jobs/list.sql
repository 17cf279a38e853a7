-- jobs/list: jobs of the caller's organizations in one state, newest first
select job_id, organization_id, kind, payload, status, attempts, max_attempts, run_at, last_error, created_at
from platform.jobs
where organization_id = any ($1)
  and status = $2
  and ($3::timestamptz is null or (created_at, job_id) < ($3, $4))
order by created_at desc, job_id desc
limit $5
