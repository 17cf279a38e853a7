-- plugins/list_runs: a version's runs, newest first, after a position; with $4 those of one outcome, with $5 those that failed
select plugin_run_id, organization_id, binding_id, call_id, evaluation_id, purpose, outcome, message, log, log_truncated, fuel,
    elapsed_us, memory_bytes, overall, counted, output, ran_at
from tenant.plugin_runs
where organization_id = any ($1)
  and digest = $2
  and ($3::text is null or purpose = $3)
  and ($4::text is null or outcome = $4)
  and (not $5::boolean or outcome <> 'ok')
  and ($6::uuid is null or binding_id = $6)
  and ($7::uuid is null or call_id = $7)
  and (ran_at, plugin_run_id)
      < (coalesce($8::timestamptz, 'infinity'), coalesce($9::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by ran_at desc, plugin_run_id desc
limit $10
