-- evaluations/pace_rescore: whether calls of a re-score wait, and how many are queued
select r.organization_id, r.cancel_requested,
    exists (select from tenant.rescore_items i
            where i.rescore_id = r.rescore_id and i.status = 'waiting' and i.organization_id = any ($2)) as waits,
    (select count(*) from tenant.rescore_items i
     where i.rescore_id = r.rescore_id and i.status = 'queued' and i.organization_id = any ($2)) as queued
from tenant.rescores r
where r.rescore_id = $1
  and r.organization_id = any ($2)
