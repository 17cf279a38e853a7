-- plugins/statistics: what a version's runs took, altogether and by purpose; the first row, without a purpose, is always there
select purpose, count(*) as runs, count(*) filter (where outcome <> 'ok') as faults,
    percentile_disc(array[0.5, 0.95, 0.99, 1]) within group (order by fuel) as fuel,
    percentile_disc(array[0.5, 0.95, 0.99, 1]) within group (order by elapsed_us) as elapsed_us,
    percentile_disc(array[0.5, 0.95, 0.99, 1]) within group (order by memory_bytes) as memory_bytes
from tenant.plugin_runs
where organization_id = any ($1)
  and digest = $2
  and ($3::uuid is null or binding_id = $3)
  and ran_at >= $4
  and ran_at < $5
group by grouping sets ((), (purpose))
order by purpose nulls first
