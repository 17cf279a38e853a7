-- evaluations/rescore_changes: the overall scores of a re-score's calls, and whether they passed, before and after
select i.call_id, i.agent_id, a.display_name as agent_name, b.evaluation_id as before_id, n.evaluation_id as after_id,
    (b.overall_score * 100)::integer as before_overall, (n.overall_score * 100)::integer as after_overall,
    b.passed as passed_before, n.passed as passed_after
from tenant.rescore_items i
join tenant.evaluations b on b.evaluation_id = i.before_id and b.organization_id = any ($2)
join tenant.evaluations n on n.evaluation_id = i.after_id and n.status = 'evaluated' and n.organization_id = any ($2)
left join tenant.agents a on a.agent_id = i.agent_id and a.organization_id = any ($2)
where i.rescore_id = $1
  and i.organization_id = any ($2)
order by i.call_id
