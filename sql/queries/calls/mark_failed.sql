-- calls/mark_failed: a stage gave up; a call that has come further meanwhile is left alone
update tenant.calls
set status = 'failed', failed_stage = $2, failure_kind = $3, failure_reason = $4
where call_id = $1
  and status = $5
  and organization_id = any ($6)
