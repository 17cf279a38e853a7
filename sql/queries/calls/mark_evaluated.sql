-- calls/mark_evaluated: compare-and-set to evaluated
update tenant.calls
set status = 'evaluated', evaluated_at = $2, overall_score = $3,
    failed_stage = null, failure_kind = null, failure_reason = null
where call_id = $1
  and (status = 'assessed' or (status = 'failed' and failed_stage = 'score'))
  and organization_id = any ($4)
