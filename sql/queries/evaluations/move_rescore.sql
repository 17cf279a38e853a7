-- evaluations/move_rescore: a re-score has begun or ended; no row when it has ended before
update tenant.rescores
set status = $3, ended_at = $4
where rescore_id = $1
  and organization_id = any ($2)
  and status in ('waiting', 'running')
