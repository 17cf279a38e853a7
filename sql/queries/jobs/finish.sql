-- jobs/finish: a finished job goes; no row means that the lease was lost
delete from platform.jobs
where job_id = $1
  and lease_token = $2
