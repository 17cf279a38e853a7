//! The SQL as it stands in its files: every query prepared, and the schemas as they are. The rules that they keep: sql_rules.rs, sql_texts.rs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plumbline::{
    foundation::ids::{OrganizationId, TenantId},
    platform::db::{NewTenant, Owner, schema_name},
};
use tokio_postgres::Client;

use crate::support::{self, golden};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a directory with an ending, sorted.
pub fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut left) = (vec![], vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A database whose one tenant's schema is called `tenant`.
pub async fn database() -> Client {
    let database = support::fresh().await;
    let tenant = NewTenant {
        tenant_id: TenantId::new(),
        slug: "acme".to_owned(),
        name: "Acme".to_owned(),
        issuer: "https://issuer.example/acme".to_owned(),
        root_organization_id: OrganizationId::new(),
    };
    Owner::connect(&database.owner).await.unwrap().create_tenant(&tenant).await.unwrap();
    database.execute(&format!("alter schema {} rename to tenant", schema_name(tenant.tenant_id))).await;
    database.connect().await
}

#[tokio::test]
async fn every_query_can_be_prepared_and_has_its_golden_signature() {
    let client = database().await;
    let directory = root().join("sql/queries");
    let mut signatures = String::new();
    for file in files(&directory, "sql") {
        let name = file.strip_prefix(&directory).unwrap().with_extension("");
        let name = name.to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("-- {name}:")), "{name} does not begin with its name: {first}");
        let statement = client.prepare(&text).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let kinds: Vec<_> = statement.params().iter().map(|kind| shown(kind.name())).collect();
        let columns: Vec<_> = statement
            .columns()
            .iter()
            .map(|column| format!("{} {}", column.name(), shown(column.type_().name())))
            .collect();
        signatures.push_str(&format!("{name}({}) -> {}\n", kinds.join(", "), columns.join(", ")));
    }
    golden("tests/golden/queries.txt", &signatures);
}

/// `_uuid` is what PostgreSQL calls an array inside.
fn shown(kind: &str) -> String {
    kind.strip_prefix('_').map_or_else(|| kind.to_owned(), |element| format!("{element}[]"))
}

#[test]
fn every_query_file_is_used_and_no_statement_hides_in_the_code() {
    let sources: String =
        files(&root().join("src"), "rs").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let directory = root().join("sql/queries");
    for file in files(&directory, "sql") {
        let name = file.strip_prefix(&directory).unwrap().with_extension("");
        let name = name.to_str().unwrap();
        assert!(sources.contains(&format!("sql!(\"{name}\")")), "nothing uses {name}");
    }
}

/// A schema as the catalogs have it, in one form for every version of PostgreSQL.
async fn dumped(client: &Client, schema: &str) -> String {
    let lines = client
        .query(
            "with tables as (
                 select c.oid, c.relname as name, c.relrowsecurity as secured, c.relacl as acl
                 from pg_class c where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p')
                   and c.relname <> 'refinery_schema_history'
             ), lines as (
                 select name, 0 as part, 0 as n, '-- table ' || name || case when secured then ', row level security' else '' end as line
                 from tables
                 union all
                 select name, 1, a.attnum, '    ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                     || case when a.attnotnull then ' not null' else '' end
                     || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
                 from tables join pg_attribute a on a.attrelid = oid and a.attnum > 0 and not a.attisdropped
                 left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                 union all
                 select name, 2, 0, '    constraint ' || o.conname || ' ' || pg_get_constraintdef(o.oid)
                 from tables join pg_constraint o on o.conrelid = tables.oid and o.contype <> 'n'
                 union all
                 select name, 3, 0, '    ' || pg_get_indexdef(i.indexrelid)
                 from tables join pg_index i on i.indrelid = tables.oid
                 where not exists (select from pg_constraint where conindid = i.indexrelid)
                 union all
                 select name, 4, 0, '    policy ' || p.policyname || ' for ' || lower(p.cmd) || ' to ' || array_to_string(p.roles, ', ')
                     || coalesce(' using ' || p.qual, '') || coalesce(' with check ' || p.with_check, '')
                 from tables join pg_policies p on p.schemaname = $1 and p.tablename = name
                 union all
                 select name, 5, 0, '    grant ' || lower(string_agg(x.privilege_type, ', ' order by x.privilege_type)) || ' to '
                     || x.grantee::regrole
                 from tables cross join aclexplode(acl) x
                 where x.grantee <> (select relowner from pg_class where pg_class.oid = tables.oid)
                 group by name, x.grantee
             )
             select line from lines order by name, part, n, line",
            &[&schema],
        )
        .await
        .unwrap();
    let lines: Vec<String> =
        lines.iter().map(|row| row.get::<_, String>(0).replace(&format!("{schema}."), "")).collect();
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn the_schemas_are_as_their_golden_dumps() {
    let client = database().await;
    for schema in ["platform", "tenant"] {
        let dump = format!(
            "-- The schema `{schema}` as its migrations leave it: read from the catalogs by tests/it/sql.rs, for people to read in a review.\n\n{}",
            dumped(&client, schema).await
        );
        golden(&format!("sql/schema/{schema}.sql"), &dump);
    }
}
