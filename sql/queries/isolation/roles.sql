-- isolation/roles: the login role and the roles that it may take
select rolname::text as name, rolname = session_user as is_login,
       rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication as mighty,
       rolinherit as inherits, rolcanlogin as logs_in
from pg_roles
where rolname = session_user
   or (pg_has_role(session_user, oid, 'member') and rolname <> session_user)
order by 1
