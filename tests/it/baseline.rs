//! The baseline: one script that makes what all migrations make, rendered from the catalogs and held against them.

use std::collections::HashMap;

use plumbline::{
    foundation::ids::{OrganizationId, TenantId},
    platform::db::{Baseline, NewTenant, Owner, TenantMigrations, schema_name},
};
use tokio_postgres::Client;

use crate::support::{self, Database, golden};

/// A tenant's row, and no schema.
pub async fn row(owner: &Owner, slug: &str) -> NewTenant {
    let tenant = NewTenant {
        tenant_id: TenantId::new(),
        slug: slug.to_owned(),
        name: slug.to_owned(),
        issuer: format!("https://issuer.example/{slug}"),
        root_organization_id: OrganizationId::new(),
    };
    owner.insert_tenant_row(&tenant).await.unwrap()
}

/// A tenant whose schema saw every migration, one after the other.
async fn replayed(database: &Database, slug: &str) -> TenantId {
    let mut owner = Owner::connect(&database.owner).await.unwrap();
    let tenant = row(&owner, slug).await.tenant_id;
    database.execute(&format!("create schema {}", schema_name(tenant))).await;
    owner.create_schema(tenant).await.unwrap();
    tenant
}

/// The lines that a schema's fingerprint is made of.
pub async fn catalog(client: &Client, tenant: TenantId) -> String {
    let text = include_str!("../../sql/queries/fleet/fingerprint.sql");
    let row = client.query_one(text, &[&vec![schema_name(tenant)], &true]).await.unwrap();
    row.get("catalog")
}

async fn history(client: &Client, tenant: TenantId) -> Vec<(i32, String, String)> {
    let text =
        format!("select version, name, checksum from {}.refinery_schema_history order by version", schema_name(tenant));
    client.query(&text, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn the_baseline_is_the_sum_of_the_migrations() {
    let database = support::fresh().await;
    let client = database.connect().await;
    let migrated = replayed(&database, "replayed").await;
    golden("sql/baseline/tenant.sql", &rendered(&client, migrated).await);

    let set = TenantMigrations::embedded();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return; // this build carries the one before
    }
    assert_eq!(
        (Baseline::embedded().version, Baseline::embedded().concurrent_version),
        (set.newest(), set.newest_concurrent())
    );
    let mut owner = Owner::connect(&database.owner).await.unwrap();
    let made = row(&owner, "made").await.tenant_id;
    owner.create_schema(made).await.unwrap();
    assert_eq!(catalog(&client, made).await, catalog(&client, migrated).await);
    assert_eq!(history(&client, made).await, history(&client, migrated).await);
    assert_eq!(history(&client, made).await.len(), set.steps_after(0).count());
    for tenant in [made, migrated] {
        let versions = "select schema_version, concurrent_version from platform.tenants where tenant_id = $1";
        let row = client.query_one(versions, &[&tenant]).await.unwrap();
        assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (set.newest(), set.newest_concurrent()));
    }
}

/// What every version's catalog looks like, in a digest each.
#[tokio::test]
async fn every_version_has_its_fingerprint() {
    let database = support::fresh().await;
    let client = database.connect().await;
    let mut owner = Owner::connect(&database.owner).await.unwrap();
    let set = TenantMigrations::embedded();
    let nothing = Baseline { version: 0, concurrent_version: 0, sql: "" };
    let mut lines =
        "# Version, concurrent version, digest of the catalog that they make (tests/it/baseline.rs)\n".to_owned();
    for version in set.steps_after(0).map(|step| step.version) {
        let tenant = row(&owner, &format!("v{version}")).await.tenant_id;
        owner.create_schema_of(tenant, &nothing, &set.up_to(version)).await.unwrap();
        lines.push_str(&format!("{version} 0 {}\n", fingerprint(&client, tenant).await));
        for step in set.concurrent_after(0) {
            // A step may name what later versions make.
            if owner.run_concurrent_step(tenant, step).await.is_err() {
                break;
            }
            lines.push_str(&format!("{version} {} {}\n", step.version, fingerprint(&client, tenant).await));
        }
    }
    golden("sql/baseline/fingerprints.txt", &lines);
}

/// The digest of a schema's catalog.
async fn fingerprint(client: &Client, tenant: TenantId) -> String {
    let text = include_str!("../../sql/queries/fleet/fingerprint.sql");
    client.query_one(text, &[&vec![schema_name(tenant)], &false]).await.unwrap().get("fingerprint")
}

/// The script: tables in an order that their foreign keys allow, then indexes, policies and grants, then refinery's history.
async fn rendered(client: &Client, tenant: TenantId) -> String {
    let schema = schema_name(tenant);
    let set = TenantMigrations::embedded();
    let mut out = format!(
        "-- The schema of a tenant at once, as its migrations leave it. Rendered from the catalogs by tests/it/baseline.rs:\n\
         --     UPDATE_GOLDEN=1 cargo test --locked --test it -- baseline::\n\
         -- version: {}\n-- concurrent version: {}\n\n",
        set.newest(),
        set.newest_concurrent()
    );
    for table in ordered(tables(client, &schema).await) {
        out.push_str(&format!("create table {} (\n    {}\n);\n", table.name, table.parts.join(",\n    ")));
    }
    for row in client.query(include_str!("fixtures/baseline.sql"), &[&schema]).await.unwrap() {
        out.push_str(row.get::<_, &str>("statement"));
        out.push_str(";\n");
    }
    for (version, name, checksum) in history(client, tenant).await {
        out.push_str(&format!(
            "insert into refinery_schema_history (version, name, applied_on, checksum)\n    values ({version}, '{name}', {}, '{checksum}');\n",
            "to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        ));
    }
    out
}

struct Table {
    name: String,
    parts: Vec<String>,
    needs: Vec<String>,
}

async fn tables(client: &Client, schema: &str) -> Vec<Table> {
    let rows = client
        .query(
            "select c.relname as name,
                    (select array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                            || case when a.attnotnull then ' not null' else '' end
                            || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') order by a.attnum)
                     from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
                    (select array_agg('constraint ' || o.conname || ' '
                            || replace(pg_get_constraintdef(o.oid), $1 || '.', '') order by o.contype = 'f', o.conname)
                     from pg_constraint o where o.conrelid = c.oid and o.contype <> 'n') as constraints,
                    (select coalesce(array_agg(o.confrelid::regclass::text), '{}') from pg_constraint o
                     where o.conrelid = c.oid and o.contype = 'f' and o.confrelid <> c.oid) as needs
             from pg_class c where c.relnamespace = $1::text::regnamespace and c.relkind = 'r' order by c.relname",
            &[&schema],
        )
        .await
        .unwrap();
    let table = |row: &tokio_postgres::Row| Table {
        name: row.get("name"),
        parts: [row.get::<_, Vec<String>>("columns"), row.get("constraints")].concat(),
        needs: row.get::<_, Vec<String>>("needs").iter().map(|name| name.replace(&format!("{schema}."), "")).collect(),
    };
    rows.iter().map(table).collect()
}

/// Each behind those that it needs; otherwise by name.
fn ordered(mut tables: Vec<Table>) -> Vec<Table> {
    let mut done: Vec<Table> = vec![];
    let mut known: HashMap<String, ()> = HashMap::new();
    while !tables.is_empty() {
        let ready = tables.iter().position(|table| table.needs.iter().all(|name| known.contains_key(name)));
        let table = tables.remove(ready.expect("no two tables need each other"));
        known.insert(table.name.clone(), ());
        done.push(table);
    }
    done
}

#[tokio::test]
async fn an_older_baseline_is_finished_by_migrations() {
    let database = support::fresh().await;
    let client = database.connect().await;
    let embedded = TenantMigrations::embedded();
    let set = embedded
        .clone()
        .with(&format!("V{}__more", embedded.newest() + 1), "alter table calls add column more text;")
        .unwrap()
        .with_concurrent(
            &format!("V{}__more", embedded.newest_concurrent() + 1),
            "create index concurrently if not exists calls_more on calls (more);",
        )
        .unwrap();
    let mut owner = Owner::connect(&database.owner).await.unwrap();
    let made = row(&owner, "made").await.tenant_id;
    owner.create_schema_of(made, Baseline::embedded(), &set).await.unwrap();
    assert_eq!(history(&client, made).await.len(), set.steps_after(0).count());
    let lines = catalog(&client, made).await;
    assert!(lines.contains(" more text") && lines.contains("CREATE INDEX calls_more"), "{lines}");
    owner.create_schema_of(made, Baseline::embedded(), &set).await.expect("the second time it is there");
    assert_eq!(catalog(&client, made).await, lines);
}

#[tokio::test]
async fn no_schema_is_made_without_its_tenant() {
    let database = support::fresh().await;
    let mut owner = Owner::connect(&database.owner).await.unwrap();
    let nobody = TenantId::new();
    let error = owner.create_schema(nobody).await.unwrap_err().to_string();
    assert!(error.contains("no such tenant"), "{error}");
    let schemas = format!("select count(*) from pg_namespace where nspname = '{}'", schema_name(nobody));
    assert_eq!(database.count(&schemas).await, 0);
}
