-- jobs/reclaim: jobs whose holder fell silent wait again, or are dead when that was their last attempt
update platform.jobs
set status = case when attempts >= max_attempts then 'dead' else 'ready' end,
    run_at = $1,
    last_error = 'the worker that held the job fell silent',
    lease_token = null,
    leased_until = null
where status = 'leased'
  and leased_until < $1
returning job_id, tenant_id, organization_id, root_organization_id, kind, payload, status
