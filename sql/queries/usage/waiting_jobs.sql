-- usage/waiting_jobs: jobs of a tenant that wait or run, counted up to $2 of each
select (select count(*) from (select from platform.jobs where tenant_id = $1 and status = 'ready' limit $2) ready)
     + (select count(*) from (select from platform.jobs where tenant_id = $1 and status = 'leased' limit $2) leased) as jobs
