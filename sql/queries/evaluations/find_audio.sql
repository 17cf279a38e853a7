-- evaluations/find_audio: who recognised an evaluation's call, and how long it is; no row for a written conversation
select t.provider, c.duration_ms
from tenant.evaluations e
join tenant.calls c on c.call_id = e.call_id and c.organization_id = any ($2)
join tenant.audio_files a on a.call_id = e.call_id and a.organization_id = any ($2)
join tenant.transcriptions t on t.call_id = e.call_id and t.organization_id = any ($2)
where e.evaluation_id = $1
  and e.organization_id = any ($2)
