-- isolation/grants: who may do what on the tables of a schema, beside their owner
select coalesce(r.rolname, 'public')::text as grantee, x.privilege_type::text as privilege, array_agg(c.relname::text order by c.relname) as tables
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join aclexplode(c.relacl) x
left join pg_roles r on r.oid = x.grantee
where n.nspname = $1::text
  and c.relkind in ('r', 'p', 'v', 'm')
  and x.grantee <> c.relowner
group by 1, 2
order by 1, 2
