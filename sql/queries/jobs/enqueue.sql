-- jobs/enqueue: one job on the caller's transaction; a waiting or dead twin with the same key takes its place, a leased one keeps it
insert into platform.jobs
    (job_id, tenant_id, organization_id, root_organization_id, kind, payload, dedup_key, max_attempts, run_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (organization_id, kind, dedup_key) where dedup_key is not null
do update set status = 'ready', payload = excluded.payload, run_at = least(jobs.run_at, excluded.run_at), attempts = 0, last_error = null
    where jobs.status <> 'leased'
