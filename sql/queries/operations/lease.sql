-- operations/lease: the next operation whose time has come, or that nobody is at work on any more; one at a time about a tenant
with next as (
    select operation_id as id from platform.operations candidate
    where ((status = 'waiting' and run_at <= $1) or (status = 'running' and leased_until < $1))
      and ($4::uuid is null or operation_id = $4)
      and kind = any ($5::text[])
      and not exists (
          select from platform.operations other
          where other.tenant_id = candidate.tenant_id and other.status = 'running'
            and other.operation_id <> candidate.operation_id)
    order by run_at, operation_id
    limit 1
    for update skip locked
)
update platform.operations
set status = 'running', lease_token = $2, leased_until = $3, attempts = attempts + 1, started_at = coalesce(started_at, $1)
from next
where operation_id = next.id
returning operation_id, kind, tenant_id, root_organization_id, status, input, steps, result, error_kind, error_reason, cancel_requested, attempts,
       run_at, lease_token, requested_by, created_at, started_at, ended_at
