-- isolation/policies: every policy of a schema, as PostgreSQL writes it down
select tablename::text as table_name, policyname::text as name, roles::text[] as roles, permissive::text as kind, qual, with_check
from pg_policies
where schemaname = $1::text
order by 1, 2
