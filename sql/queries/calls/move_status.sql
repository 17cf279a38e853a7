-- calls/move_status: compare-and-set; no row means that somebody else moved the call first
update tenant.calls
set status = $3,
    failed_stage = null, failure_kind = null, failure_reason = null
where call_id = $1
  and status = $2
  and organization_id = any ($4)
