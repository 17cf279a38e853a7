-- operations/insert: a long request, waiting; one of a kind may be open about a tenant
insert into platform.operations
    (operation_id, kind, tenant_id, root_organization_id, input, steps, run_at, requested_by, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
