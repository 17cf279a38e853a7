-- evaluations/find_rescore_item: a call of a re-score, the version that it is to be judged by, and the evaluation that it has
select i.status as item_status, r.cancel_requested, r.organization_id,
    v.scorecard_version_id, v.scorecard_id, v.version, v.definition, v.digest, v.published_at, v.published_by,
    e.evaluation_id as current_id, e.status as current_status, e.transcript_version, e.raw_answer, e.human_answers, e.receipt, o.definition as current_definition
from tenant.rescore_items i
join tenant.rescores r on r.rescore_id = i.rescore_id and r.organization_id = any ($3)
join tenant.scorecard_versions v on v.scorecard_version_id = r.scorecard_version_id and v.organization_id = any ($3)
left join tenant.evaluations e on e.call_id = i.call_id and e.is_current and e.organization_id = any ($3)
left join tenant.scorecard_versions o on o.scorecard_version_id = e.scorecard_version_id and o.organization_id = any ($3)
where i.rescore_id = $1
  and i.call_id = $2
  and i.organization_id = any ($3)
