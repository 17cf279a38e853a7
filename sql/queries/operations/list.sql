-- operations/list: operations, newest first, after a position; row security limits a tenant's people to their own tenant's
select operation_id, kind, tenant_id, root_organization_id, status, input, steps, result, error_kind, error_reason, cancel_requested, attempts,
       run_at, lease_token, requested_by, created_at, started_at, ended_at
from platform.operations
where ($1::uuid is null or tenant_id = $1)
  and ($2::text is null or kind = $2)
  and ($3::text is null or status = $3)
  and (created_at, operation_id)
      < (coalesce($4::timestamptz, 'infinity'), coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by created_at desc, operation_id desc
limit $6
