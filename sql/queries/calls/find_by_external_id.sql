-- calls/find_by_external_id: the call that has this name in the organization
select call_id from tenant.calls
where organization_id = $1
  and external_id = $2
