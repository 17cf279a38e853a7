-- fleet/fingerprint: a digest of each schema's catalog, and on demand the lines that it is made of
with schemas as (
    select oid, nspname, nspowner, nspacl, quote_ident(nspname) || '.' as prefix
    from pg_namespace
    where nspname = any ($1)
), relations as (
    select s.oid as schema, s.prefix, c.oid, c.relname as name, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
           c.relpersistence, c.reloptions
    from schemas s join pg_class c on c.relnamespace = s.oid
    where c.relkind not in ('i', 'I')
), lines as (
    select oid as schema, 'schema owner: ' || case when nspowner = (select nspowner from pg_namespace where nspname = 'platform')
        then 'as platform' else nspowner::regrole::text end as line
    from schemas
    union all
    select oid, 'schema grant ' || case grantee when 0 then 'public' else grantee::regrole::text end || ' '
        || string_agg(privilege_type || case when is_grantable then '*' else '' end, ' ' order by privilege_type)
    from schemas cross join aclexplode(nspacl) where grantee <> nspowner group by oid, grantee
    union all
    select r.schema, 'relation ' || name || ' ' || relkind::text || ' ' || relpersistence::text
        || ' row security ' || relrowsecurity::text || ' forced ' || relforcerowsecurity::text
        || case when relowner = s.nspowner then '' else ' owner ' || relowner::regrole::text end
        || coalesce(' with ' || array_to_string(reloptions, ' '), '')
    from relations r join schemas s on s.oid = r.schema
    union all
    select schema, 'grant on ' || name || ' to ' || case grantee when 0 then 'public' else grantee::regrole::text end || ' '
        || string_agg(privilege_type || case when is_grantable then '*' else '' end, ' ' order by privilege_type)
    from relations cross join aclexplode(relacl) where grantee <> relowner group by schema, name, grantee
    union all
    select schema, 'column ' || name || ' ' || row_number() over (partition by a.attrelid order by a.attnum) || ' ' || a.attname || ' '
        || format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
        || case when a.attidentity <> '' then ' identity ' || a.attidentity::text else '' end
        || case when a.attgenerated <> '' then ' generated' else '' end
        || case when a.attcollation not in (0, 100) then ' collate ' || a.attcollation::regcollation::text else '' end
        || coalesce(' default ' || replace(pg_get_expr(d.adbin, d.adrelid), prefix, ''), '')
        || coalesce(' grants ' || replace(a.attacl::text, relowner::regrole::text, 'owner'), '')
    from relations join pg_attribute a on a.attrelid = oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum
    union all
    select schema, 'constraint ' || name || ' ' || o.conname || ' ' || replace(pg_get_constraintdef(o.oid), prefix, '')
    from relations join pg_constraint o on o.conrelid = relations.oid and o.contype <> 'n'
    union all
    select schema, 'index ' || replace(pg_get_indexdef(i.indexrelid), prefix, '')
        || case when i.indisvalid then '' else ' INVALID' end || case when i.indisreplident then ' replica identity' else '' end
    from relations join pg_index i on i.indrelid = relations.oid
    union all
    select schema, 'policy ' || name || ' ' || p.polname || ' for ' || p.polcmd::text || case when p.polpermissive then '' else ' restrictive' end
        || ' to ' || (select string_agg(case role when 0 then 'public' else role::regrole::text end, ' ' order by role::regrole::text)
                      from unnest(p.polroles) as role)
        || coalesce(' using ' || replace(pg_get_expr(p.polqual, p.polrelid), prefix, ''), '')
        || coalesce(' with check ' || replace(pg_get_expr(p.polwithcheck, p.polrelid), prefix, ''), '')
    from relations join pg_policy p on p.polrelid = relations.oid
    union all
    select schema, 'trigger ' || name || ' ' || case when t.tgisinternal then 'of a constraint ' || t.tgenabled::text
        else t.tgenabled::text || ' ' || replace(pg_get_triggerdef(t.oid), prefix, '') end
    from relations join pg_trigger t on t.tgrelid = relations.oid and (not t.tgisinternal or t.tgenabled <> 'O')
    union all
    select schema, 'rule ' || name || ' ' || replace(pg_get_ruledef(w.oid), prefix, '')
    from relations join pg_rewrite w on w.ev_class = relations.oid
    union all
    select s.oid, 'function ' || replace(p.oid::regprocedure::text, s.prefix, '') || ' ' || p.prosecdef::text || ' '
        || md5(p.prosrc) || coalesce(' ' || array_to_string(p.proconfig, ' '), '')
    from schemas s join pg_proc p on p.pronamespace = s.oid
    union all
    select s.oid, 'type ' || t.typname || ' ' || t.typtype::text
    from schemas s join pg_type t on t.typnamespace = s.oid
    where t.typtype in ('d', 'e', 'r') or (t.typtype = 'c' and exists (select from pg_class where oid = t.typrelid and relkind = 'c'))
)
select s.nspname::text as schema,
       encode(sha256(convert_to(string_agg(line, E'\n' order by line collate "C"), 'UTF8')), 'hex') as fingerprint,
       case when $2 then string_agg(line, E'\n' order by line collate "C") end as catalog
from schemas s join lines l on l.schema = s.oid
group by s.nspname
