-- evaluations/cancel_rescore_items: the calls of a re-score that were not begun are left alone
update tenant.rescore_items
set status = 'cancelled'
where rescore_id = $1
  and organization_id = any ($2)
  and status = 'waiting'
