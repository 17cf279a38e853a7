-- operations/find: one operation; row security limits a tenant's people to their own tenant's
select operation_id, kind, tenant_id, root_organization_id, status, input, steps, result, error_kind, error_reason, cancel_requested, attempts,
       run_at, lease_token, requested_by, created_at, started_at, ended_at
from platform.operations
where operation_id = $1
