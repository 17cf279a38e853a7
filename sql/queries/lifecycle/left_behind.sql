-- lifecycle/left_behind: rows about a destroyed tenant that should be gone
select (select count(*) from platform.jobs where tenant_id = $1) as jobs,
       (select count(*) from platform.uploads where tenant_id = $1) as uploads,
       (select count(*) from platform.operations where tenant_id = $1 and operation_id <> $2 and input <> '{}') as operations
