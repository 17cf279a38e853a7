-- evaluations/rescore_criteria: for each criterion, how many of a re-score's calls met it before and after
select s.criterion_key, count(*) as calls,
    count(*) filter (where s.was and not s.is) as pass_to_fail,
    count(*) filter (where not s.was and s.is) as fail_to_pass,
    count(*) filter (where s.was is null and s.is is not null) as counts_now,
    count(*) filter (where s.was is not null and s.is is null) as counts_no_more
from (
    select coalesce(n.criterion_key, b.criterion_key) as criterion_key, b.passed as was, n.passed as is
    from (
        select scores.evaluation_id, scores.criterion_key, scores.passed, i.call_id
        from tenant.rescore_items i
        join tenant.evaluations e on e.evaluation_id = i.after_id and e.status = 'evaluated' and e.organization_id = any ($2)
        join tenant.scores on scores.evaluation_id = i.after_id and scores.organization_id = any ($2)
        where i.rescore_id = $1
          and i.organization_id = any ($2)
    ) n
    full join (
        select scores.evaluation_id, scores.criterion_key, scores.passed, i.call_id
        from tenant.rescore_items i
        join tenant.evaluations e on e.evaluation_id = i.after_id and e.status = 'evaluated' and e.organization_id = any ($2)
        join tenant.scores on scores.evaluation_id = i.before_id and scores.organization_id = any ($2)
        where i.rescore_id = $1
          and i.organization_id = any ($2)
    ) b on b.call_id = n.call_id and b.criterion_key = n.criterion_key
) s
group by s.criterion_key
order by s.criterion_key
