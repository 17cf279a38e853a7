-- isolation/tables: every table of a schema and the walls that it has; session_user is the login role, whatever role the transaction took
select c.relname::text as name, c.relrowsecurity as secured, pg_get_userbyid(c.relowner)::text as owner,
       pg_has_role(session_user, c.relowner, 'member') as owned_by_login,
       has_table_privilege(session_user, c.oid, 'select, insert, update, delete') as open_to_login,
       (select count(*) from pg_policy p where p.polrelid = c.oid) as policies,
       exists (
           select from pg_constraint o
           join pg_class there on there.oid = o.confrelid and there.relname = 'organizations' and there.relnamespace = c.relnamespace
           join pg_attribute a on a.attrelid = c.oid and a.attnum = o.conkey[1] and a.attnotnull
           where o.conrelid = c.oid and o.contype = 'f'
             and a.attname = case c.relname when 'organizations' then 'root_organization_id' else 'organization_id' end
       ) as anchored,
       array(
           select o.conname::text from pg_constraint o join pg_class there on there.oid = o.confrelid
           where o.conrelid = c.oid and o.contype = 'f' and there.relnamespace <> c.relnamespace
           order by 1
       ) as leaving
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::text
  and c.relkind in ('r', 'p')
  and c.relname <> 'refinery_schema_history'
order by 1
