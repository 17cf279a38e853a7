-- plugins/insert_run: a run; a few that are older than $21 go, and a canary whose last runs failed or drifted too much ends ($22 is who ends it)
with expired as (
    delete from tenant.plugin_runs
    where organization_id = $2
      and plugin_run_id in (
        select plugin_run_id from tenant.plugin_runs
        where organization_id = $2
          and ran_at < $21
          -- One transaction at a time: another one goes on without.
          and (select pg_try_advisory_xact_lock(hashtextextended('plumbline.plugin_runs.' || $2::uuid::text, 0)))
        order by ran_at
        limit 4)
), added as (
    insert into tenant.plugin_runs (plugin_run_id, organization_id, digest, binding_id, call_id, evaluation_id, purpose, outcome, message, log,
        log_truncated, fuel, elapsed_us, memory_bytes, overall, counted, passed, counted_passed, output, ran_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
    returning binding_id, purpose, outcome, overall, counted
), found as (
    select b.binding_id, count(*) as runs, count(*) filter (where r.outcome <> 'ok') as faults, avg(abs(r.overall - r.counted)) as drift
    from added a
    join tenant.plugin_bindings b on b.binding_id = a.binding_id and b.organization_id = $2 and b.mode = 'canary' and b.ended_at is null
    cross join lateral (
        select a.outcome, a.overall, a.counted
        union all
        (select outcome, overall, counted
         from tenant.plugin_runs
         where binding_id = b.binding_id
           and organization_id = $2
           and purpose = 'canary'
           -- Neither is the plugin's fault.
           and outcome not in ('host', 'unavailable')
         order by ran_at desc
         limit b.least_runs - 1)
    ) r
    where a.purpose = 'canary'
      and a.outcome not in ('host', 'unavailable')
    group by b.binding_id, b.least_runs
    having count(*) >= b.least_runs
)
update tenant.plugin_bindings b
set ended_at = $20,
    ended_by = $22,
    ended_because = case when f.faults * 10000 > b.most_faults * f.runs then 'faults' else 'drift' end
from found f
where b.binding_id = f.binding_id
  and b.organization_id = $2
  and b.ended_at is null
  and (f.faults * 10000 > b.most_faults * f.runs or f.drift > b.most_drift)
returning b.ended_because, f.runs, f.faults, f.drift::integer as drift
