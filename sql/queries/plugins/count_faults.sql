-- plugins/count_faults: of a version's runs those that failed, by purpose and kind
select purpose, outcome, count(*) as runs
from tenant.plugin_runs
where organization_id = any ($1)
  and digest = $2
  and ($3::uuid is null or binding_id = $3)
  and ran_at >= $4
  and ran_at < $5
  and outcome <> 'ok'
group by purpose, outcome
order by runs desc, purpose, outcome
