-- evaluations/request_rescore_cancel: a re-score is to stop; no row when it has ended
update tenant.rescores
set cancel_requested = true
where rescore_id = $1
  and organization_id = any ($2)
  and status in ('waiting', 'running')
