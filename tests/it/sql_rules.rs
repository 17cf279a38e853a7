//! The rules that every table of the platform and of a tenant keeps, read from the catalogs; and for each rule the mistakes that it must find.

use tokio_postgres::Client;

use crate::sql::database;

/// What must give no row, and what must make it give one.
struct Rule {
    name: &'static str,
    /// The first column names the offender.
    offenders: &'static str,
    /// Statements, each of which alone breaks the rule, and the offender that is then found.
    mistakes: &'static [(&'static str, &'static str)],
}

/// A table that keeps all rules, to be spoilt.
const GOOD: &str = "create table tenant.spoilt (spoilt_id uuid primary key, organization_id uuid not null references tenant.organizations);
    alter table tenant.spoilt enable row level security;
    create policy member on tenant.spoilt to plumbline_member
        using (organization_id = any (current_setting('app.organizations')::uuid[]));";

const RULES: &[Rule] = &[
    Rule {
        name: "row level security on every table",
        offenders: "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in ('platform', 'tenant') and c.relkind in ('r', 'p') and c.relname <> 'refinery_schema_history'
              and not c.relrowsecurity",
        mistakes: &[
            ("alter table tenant.spoilt disable row level security", "tenant.spoilt"),
            ("alter table platform.jobs disable row level security", "platform.jobs"),
            ("create table tenant.forgotten (organization_id uuid not null references tenant.organizations)", "tenant.forgotten"),
        ],
    },
    Rule {
        name: "nothing past row level security: no view, no materialized view, no foreign table",
        offenders: "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in ('platform', 'tenant') and c.relkind in ('v', 'm', 'f')",
        mistakes: &[
            ("create view tenant.all_calls as select * from tenant.calls", "tenant.all_calls"),
            ("create materialized view platform.busy as select tenant_id, count(*) from platform.jobs group by 1", "platform.busy"),
        ],
    },
    Rule {
        name: "whoever logs in owns nothing",
        offenders: "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
            where n.nspname in ('platform', 'tenant') and (r.rolname like 'plumbline%' or pg_has_role('plumbline_app', r.oid, 'member'))
            union all
            select nspname::text from pg_namespace n join pg_roles r on r.oid = n.nspowner
            where nspname in ('platform', 'tenant') and (r.rolname like 'plumbline%' or pg_has_role('plumbline_app', r.oid, 'member'))",
        mistakes: &[
            ("alter table tenant.spoilt owner to plumbline_app", "tenant.spoilt"),
            ("alter table tenant.calls owner to plumbline_member", "tenant.calls"),
            ("alter schema tenant owner to plumbline_app", "tenant"),
        ],
    },
    Rule {
        name: "an organization in every tenant's table, and a foreign key to the schema's own",
        offenders: "select c.oid::regclass::text from pg_class c
            where c.relnamespace = 'tenant'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'refinery_schema_history'
              and not exists (
                  select from pg_constraint o join pg_attribute a on a.attrelid = c.oid and a.attnum = o.conkey[1]
                  where o.conrelid = c.oid and o.contype = 'f' and o.confrelid = 'tenant.organizations'::regclass and o.convalidated
                    and array_length(o.conkey, 1) = 1 and a.attnotnull
                    and a.attname = case c.relname when 'organizations' then 'root_organization_id' else 'organization_id' end)",
        mistakes: &[
            ("create table tenant.nobodys (n integer)", "tenant.nobodys"),
            ("create table tenant.loose (organization_id uuid not null)", "tenant.loose"),
            ("alter table tenant.spoilt drop constraint spoilt_organization_id_fkey", "tenant.spoilt"),
            ("alter table tenant.spoilt alter column organization_id drop not null", "tenant.spoilt"),
            (
                "create table tenant.other (organization_id uuid not null, call_id uuid not null references tenant.calls)",
                "tenant.other",
            ),
            ("alter table tenant.spoilt rename column organization_id to owner_id", "tenant.spoilt"),
        ],
    },
    Rule {
        name: "policies have one of the allowed forms",
        offenders: "select schemaname || '.' || tablename || ': ' || policyname || ' ' || coalesce(qual, '') || ' ' || coalesce(with_check, '')
            from pg_policies
            where schemaname in ('platform', 'tenant')
              and not (schemaname = 'platform' and roles in ('{plumbline_platform}', '{plumbline_operator}') and qual = 'true' and with_check is null)
              and exists (
                  select from unnest(array[qual, with_check]) as form
                  where form is not null and form not in (
                      '(organization_id = ANY ((current_setting(''app.organizations''::text))::uuid[]))',
                      '(root_organization_id = ANY ((current_setting(''app.organizations''::text))::uuid[]))',
                      '(agent_id = (current_setting(''app.agent''::text))::uuid)'))",
        mistakes: &[
            ("create policy all_rows on tenant.spoilt to plumbline_member using (true)", "tenant.spoilt: all_rows"),
            ("alter policy member on tenant.spoilt with check (true)", "tenant.spoilt: member"),
            (
                "create policy lenient on tenant.spoilt to plumbline_member
                 using (organization_id = any (current_setting('app.organizations', true)::uuid[]))",
                "tenant.spoilt: lenient",
            ),
            (
                "create policy either on tenant.spoilt to plumbline_member
                 using (organization_id = any (current_setting('app.organizations')::uuid[]) or spoilt_id is null)",
                "tenant.spoilt: either",
            ),
            ("create policy platform on tenant.spoilt to plumbline_platform using (true)", "tenant.spoilt: platform"),
            ("create policy everything on platform.jobs to plumbline_member using (true)", "platform.jobs: everything"),
        ],
    },
    Rule {
        name: "a policy is for scope roles alone",
        offenders: "select schemaname || '.' || tablename || ': ' || policyname from pg_policies where schemaname in ('platform', 'tenant')
              and not roles <@ '{plumbline_member,plumbline_agent,plumbline_directory,plumbline_platform,plumbline_operator}'::name[]",
        mistakes: &[
            (
                "create policy everybody on tenant.spoilt using (organization_id = any (current_setting('app.organizations')::uuid[]))",
                "tenant.spoilt: everybody",
            ),
            (
                "create policy login on tenant.spoilt to plumbline_app
                 using (organization_id = any (current_setting('app.organizations')::uuid[]))",
                "tenant.spoilt: login",
            ),
        ],
    },
    Rule {
        name: "who sees only own calls is limited to them",
        offenders: "select tablename || ': ' || policyname from pg_policies where schemaname = 'tenant' and 'plumbline_agent' = any (roles)
              and qual not like '%agent_id%' and tablename <> 'scorecard_versions'",
        mistakes: &[(
            "create policy agent on tenant.spoilt to plumbline_agent using (organization_id = any (current_setting('app.organizations')::uuid[]))",
            "spoilt: agent",
        )],
    },
    Rule {
        name: "what is immutable is never changed",
        offenders: "select table_schema || '.' || table_name || ': ' || privilege_type || ' to ' || grantee from information_schema.role_table_grants
            where grantee like 'plumbline%' and privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE')
              and (table_schema = 'tenant' and table_name in ('audit_events', 'scorecard_versions', 'plugin_versions', 'audio_files')
                   or table_schema = 'platform' and table_name in ('audit_events', 'certificates'))",
        mistakes: &[
            ("grant update on tenant.audit_events to plumbline_member", "tenant.audit_events: UPDATE"),
            ("grant delete on platform.certificates to plumbline_operator", "platform.certificates: DELETE"),
        ],
    },
    Rule {
        name: "nobody may truncate, refer to or put triggers on a table, and everybody may nothing",
        offenders: "select c.oid::regclass || ': ' || x.privilege_type || ' to ' || coalesce(nullif(x.grantee, 0)::regrole::text, 'public')
            from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join aclexplode(c.relacl) x
            where n.nspname in ('platform', 'tenant') and x.grantee <> c.relowner
              and (x.grantee = 0 or x.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE') or x.is_grantable)
            union all
            select n.nspname || ': ' || x.privilege_type from pg_namespace n cross join aclexplode(n.nspacl) x
            where n.nspname in ('platform', 'tenant') and x.grantee <> n.nspowner and (x.grantee = 0 or x.privilege_type <> 'USAGE')",
        mistakes: &[
            ("grant truncate on tenant.spoilt to plumbline_member", "tenant.spoilt: TRUNCATE"),
            ("grant select on tenant.spoilt to public", "tenant.spoilt: SELECT to public"),
            ("grant create on schema tenant to plumbline_member", "tenant: CREATE"),
        ],
    },
    Rule {
        name: "the login role has no privilege of its own and inherits none",
        offenders: "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in ('platform', 'tenant') and c.relkind in ('r', 'p') and has_table_privilege('plumbline_app', c.oid, 'select, insert, update, delete')
            union all
            select rolname::text from pg_roles where rolname like 'plumbline%' and (rolsuper or rolbypassrls or rolinherit or rolcreaterole or rolcreatedb)
            union all
            select rolname::text from pg_roles where rolname like 'plumbline%' and rolcanlogin and rolname <> 'plumbline_app'",
        mistakes: &[
            ("grant insert on tenant.spoilt to plumbline_app", "tenant.spoilt"),
            ("alter role plumbline_member inherit", "plumbline_member"),
            ("alter role plumbline_app bypassrls", "plumbline_app"),
            ("alter role plumbline_agent login", "plumbline_agent"),
        ],
    },
    Rule {
        name: "what is unique in a tenant tells no organization of another's choice",
        // Unique columns of one organization alone, or of ids that nobody chooses. A slug and a subject are given by the tenant's admins, an
        // object's key is made of ids, and of a plugin's bytes the tenant keeps one copy.
        offenders: "select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indrelid
            where c.relnamespace = 'tenant'::regnamespace and i.indisunique and c.relname <> 'refinery_schema_history'
              and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attnum = any (i.indkey) and a.atttypid = 'uuid'::regtype)
              and i.indexrelid::regclass::text not in
                  ('tenant.organizations_slug', 'tenant.users_subject', 'tenant.audio_files_object_key_key', 'tenant.plugin_versions_pkey')",
        mistakes: &[("create unique index everywhere on tenant.calls (external_id)", "tenant.everywhere")],
    },
    // What follows keeps schemas movable between the nodes of Citus (docs/SCALE.md).
    Rule {
        name: "no subquery in a policy",
        offenders: "select polrelid::regclass || ': ' || polname from pg_policy
            where polqual::text like '%SUBLINK%' or polwithcheck::text like '%SUBLINK%'",
        mistakes: &[
            (
                "create policy nested on tenant.spoilt to plumbline_member
                 using (organization_id in (select organization_id from tenant.organizations))",
                "tenant.spoilt: nested",
            ),
            (
                "create policy nested on tenant.spoilt for insert to plumbline_member with check (exists (select from tenant.calls))",
                "tenant.spoilt: nested",
            ),
        ],
    },
    Rule {
        name: "no foreign key out of the schema",
        offenders: "select o.conrelid::regclass || ': ' || o.conname from pg_constraint o
            join pg_class here on here.oid = o.conrelid join pg_class there on there.oid = o.confrelid
            where o.contype = 'f' and here.relnamespace <> there.relnamespace",
        mistakes: &[
            ("alter table tenant.spoilt add column tenant_id uuid references platform.tenants", "tenant.spoilt: spoilt_tenant_id_fkey"),
            ("alter table platform.jobs add constraint out foreign key (organization_id) references tenant.organizations not valid", "platform.jobs: out"),
        ],
    },
    Rule {
        name: "no trigger and no rule",
        offenders: "select t.tgrelid::regclass || ': ' || t.tgname from pg_trigger t where not t.tgisinternal
            union all
            select r.ev_class::regclass || ': ' || r.rulename from pg_rewrite r join pg_class c on c.oid = r.ev_class
            join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('platform', 'tenant') and r.rulename <> '_RETURN'
            union all
            select evtname::text from pg_event_trigger",
        mistakes: &[
            (
                "create trigger touch before update on tenant.spoilt for each row execute function suppress_redundant_updates_trigger()",
                "tenant.spoilt: touch",
            ),
            ("create rule quiet as on delete to tenant.spoilt do instead nothing", "tenant.spoilt: quiet"),
        ],
    },
    Rule {
        name: "no function of our own, and so no SECURITY DEFINER",
        offenders: "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where n.nspname not in ('pg_catalog', 'information_schema')",
        mistakes: &[
            (
                "create function tenant.mine() returns boolean language sql security definer as 'select true'",
                "tenant.mine()",
            ),
            ("create function public.helper() returns integer language sql as 'select 1'", "helper()"),
        ],
    },
    Rule {
        name: "no set_config, and no setting that outlives a transaction",
        offenders: "select c.oid::regclass || ': default' from pg_attrdef d join pg_class c on c.oid = d.adrelid
            where pg_get_expr(d.adbin, d.adrelid) like '%set_config%'
            union all
            select schemaname || '.' || tablename || ': ' || policyname from pg_policies where coalesce(qual, '') || coalesce(with_check, '') like '%set_config%'
            union all
            select coalesce(r.rolname, 'everybody') || ': ' || s.setconfig::text from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole
            where s.setconfig::text ~ '(search_path|role|app\\.)' and (s.setdatabase = 0 or s.setdatabase = (select oid from pg_database where datname = current_database()))",
        mistakes: &[
            ("alter table tenant.spoilt add column noted text default set_config('app.agent', '', false)", "tenant.spoilt: default"),
            ("alter role plumbline_app set search_path = tenant", "plumbline_app: {search_path=tenant}"),
            (
                "create policy sets on tenant.spoilt to plumbline_member using (set_config('app.agent', '', true) is null)",
                "tenant.spoilt: sets",
            ),
        ],
    },
];

async fn offenders(client: &Client, rule: &Rule) -> Vec<String> {
    let rows = client.query(rule.offenders, &[]).await.unwrap_or_else(|error| panic!("{}: {error:?}", rule.name));
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn every_table_keeps_the_rules() {
    let client = database().await;
    let tables = "select count(*) from pg_tables where schemaname in ('platform', 'tenant')";
    let count: i64 = client.query_one(tables, &[]).await.unwrap().get(0);
    assert!(count >= 24, "the tables are looked at: {count}");
    for rule in RULES {
        let found = offenders(&client, rule).await;
        assert!(found.is_empty(), "{}: {found:?}", rule.name);
    }
}

#[tokio::test]
async fn every_rule_finds_its_mistakes_and_only_those() {
    let client = database().await;
    for rule in RULES {
        assert!(!rule.mistakes.is_empty(), "{} is proved by nothing", rule.name);
        for (mistake, offender) in rule.mistakes {
            client.batch_execute(&format!("begin; {GOOD}")).await.unwrap();
            let before = offenders(&client, rule).await;
            assert!(before.is_empty(), "{}: a good table is refused: {before:?}", rule.name);
            client.batch_execute(mistake).await.unwrap_or_else(|error| panic!("{mistake}: {error:?}"));
            let found = offenders(&client, rule).await;
            assert!(found.iter().any(|found| found.starts_with(offender)), "{}: {mistake}: {found:?}", rule.name);
            client.batch_execute("rollback").await.unwrap();
        }
    }
}
