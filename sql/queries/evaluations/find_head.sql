-- evaluations/find_head: which evaluation a call has now, and which version of its transcript
select e.evaluation_id, coalesce(t.version, 1) as transcript_version
from tenant.calls c
left join tenant.evaluations e on e.call_id = c.call_id and e.is_current and e.organization_id = any ($2)
left join tenant.transcriptions t on t.call_id = c.call_id and t.organization_id = any ($2)
where c.call_id = $1
  and c.organization_id = any ($2)
