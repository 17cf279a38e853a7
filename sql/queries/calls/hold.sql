-- calls/hold: a call in one status, which nobody moves before the transaction ends
select call_id from tenant.calls
where call_id = $1
  and status = $2
  and organization_id = any ($3)
for update
