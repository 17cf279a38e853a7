-- plugins/count_days: a version's runs day by day (UTC), oldest first
select (ran_at at time zone 'UTC')::date as day, count(*) as runs, count(*) filter (where outcome <> 'ok') as faults,
    percentile_disc(0.95) within group (order by elapsed_us) as elapsed_us
from tenant.plugin_runs
where organization_id = any ($1)
  and digest = $2
  and ($3::uuid is null or binding_id = $3)
  and ran_at >= $4
  and ran_at < $5
group by day
order by day
