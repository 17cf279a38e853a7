-- evaluations/queue_rescore_items: the next few calls of a re-score
update tenant.rescore_items
set status = 'queued'
where rescore_id = $1
  and organization_id = any ($2)
  and call_id in (
      select call_id from tenant.rescore_items
      where rescore_id = $1
        and organization_id = any ($2)
        and status = 'waiting'
      order by call_id
      limit $3
  )
returning call_id
