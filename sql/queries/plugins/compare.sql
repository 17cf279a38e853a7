-- plugins/compare: what a binding's runs came to beside what they are held against
with r as materialized (
    select call_id, evaluation_id, outcome, overall, counted, passed, counted_passed, ran_at
    from tenant.plugin_runs
    where binding_id = $1
      and organization_id = any ($2)
      and purpose <> 'test'
)
select b.mode, b.ended_because, s.runs, s.first_run_at, s.last_run_at, s.faults, s.compared, s.mean_difference, s.mean_distance, s.passes_now, s.fails_now,
    (select coalesce(jsonb_agg(jsonb_build_object('kind', k.outcome, 'runs', k.runs) order by k.runs desc, k.outcome), '[]')
     from (select outcome, count(*) as runs from r where outcome <> 'ok' group by outcome) k) as faults_by_kind,
    (select coalesce(jsonb_agg(jsonb_build_object('call_id', l.call_id, 'evaluation_id', l.evaluation_id, 'overall', l.overall, 'counted', l.counted)
                               order by abs(l.overall - l.counted) desc, l.ran_at desc), '[]')
     from (select * from r
           where overall <> counted
             and call_id is not null
           order by abs(overall - counted) desc, ran_at desc
           limit 20) l) as largest
from tenant.plugin_bindings b
cross join (
    select count(*) as runs, min(ran_at) as first_run_at, max(ran_at) as last_run_at, count(*) filter (where outcome <> 'ok') as faults,
        count(*) filter (where overall is not null and counted is not null) as compared,
        avg(overall - counted)::double precision as mean_difference, avg(abs(overall - counted))::double precision as mean_distance,
        count(*) filter (where passed and not counted_passed) as passes_now, count(*) filter (where counted_passed and not passed) as fails_now
    from r
) s
where b.binding_id = $1
  and b.organization_id = any ($2)
