-- jobs/pull_forward: a waiting job runs now
update platform.jobs
set run_at = $3
where organization_id = any ($4)
  and kind = $1
  and dedup_key = $2
  and status = 'ready'
  and run_at > $3
