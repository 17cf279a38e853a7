-- operations/save: where an operation stands, by whoever is at work on it
update platform.operations
set status = $3, steps = $4, result = $5, error_kind = $6, error_reason = $7, attempts = $8, run_at = $9, ended_at = $10,
    lease_token = case when $3::text = 'running' then lease_token end,
    leased_until = case when $3::text = 'running' then leased_until end
where operation_id = $1
  and lease_token = $2
