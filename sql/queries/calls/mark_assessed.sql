-- calls/mark_assessed: compare-and-set to assessed
update tenant.calls
set status = 'assessed',
    failed_stage = null, failure_kind = null, failure_reason = null
where call_id = $1
  and (status = 'transcribed' or (status = 'failed' and failed_stage = 'assess'))
  and organization_id = any ($2)
