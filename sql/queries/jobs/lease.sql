-- jobs/lease: up to $1 waiting jobs, one of every tenant before a second of any; a tenant's running jobs count as its turns. The jobs of a
-- tenant that is not served (suspended, or with an older schema than $5) are kept
with recursive waiting(tenant_id) as (
    (select tenant_id from platform.jobs where status = 'ready' order by tenant_id limit 1)
    union all
    select (select next.tenant_id from platform.jobs next
            where next.status = 'ready' and next.tenant_id > waiting.tenant_id
            order by next.tenant_id limit 1)
    from waiting where waiting.tenant_id is not null
),
running as (
    select tenant_id, count(*) as jobs from platform.jobs where status = 'leased' group by tenant_id
),
turns as (
    select job.job_id, job.run_at,
           coalesce(running.jobs, 0) + row_number() over (partition by waiting.tenant_id order by job.run_at, job.job_id) as turn
    from waiting
    join platform.tenants tenant on tenant.tenant_id = waiting.tenant_id and tenant.status = 'active' and tenant.schema_version >= $5
    left join running on running.tenant_id = waiting.tenant_id
    cross join lateral (
        select job_id, run_at from platform.jobs
        where tenant_id = waiting.tenant_id and status = 'ready' and run_at <= $2
        order by run_at, job_id
        limit $1
    ) job
    where waiting.tenant_id is not null
),
-- More candidates than asked for, so that two workers that look at once find different jobs.
candidates as (
    select job_id, turn, run_at from turns order by turn, run_at, job_id limit $1 * 4
),
taken as (
    select jobs.job_id from platform.jobs
    join candidates on candidates.job_id = jobs.job_id
    where jobs.status = 'ready'
    order by candidates.turn, candidates.run_at, jobs.job_id
    limit $1
    for update of jobs skip locked
)
update platform.jobs
set status = 'leased', lease_token = $3, leased_until = $4, attempts = attempts + 1
from taken
where jobs.job_id = taken.job_id
returning jobs.job_id, jobs.tenant_id, jobs.organization_id, jobs.root_organization_id, jobs.kind, jobs.payload, jobs.attempts, jobs.max_attempts
