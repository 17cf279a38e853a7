-- evaluations/end_rescore_item: what came of one call; no row when that is told already
update tenant.rescore_items
set status = $4, after_id = $5, reason = $6, asked_criteria = $7, reused_criteria = $8
where rescore_id = $1
  and call_id = $2
  and organization_id = any ($3)
  and status = 'queued'
