//! One tenant by pg_dump and back by pg_restore, as docs/OPERATIONS.md describes it.

use std::{ffi::OsStr, path::PathBuf};

use plumbline::{
    demo::postgres::Binaries,
    platform::{
        db::{Owner, TenantMigrations, schema_name},
        fleet::{self, Drift, StatusFilter},
    },
};
use tokio::process::Command;
use tokio_postgres::config::Host;

use crate::{
    baseline::{catalog, row},
    support::{Database, fresh},
};

/// Runs one of PostgreSQL's own programs on a test's database; gives what it printed.
async fn postgres_program(name: &str, database: &Database, arguments: &[&OsStr]) -> String {
    let [Host::Unix(socket)] = database.owner.get_hosts() else { panic!("one socket") };
    let beside = Binaries::find(None).unwrap().directory().join(name);
    let mut command = Command::new(if beside.exists() { beside } else { name.into() });
    command.env("PGHOST", socket).env("PGPORT", database.owner.get_ports()[0].to_string());
    command.env("PGUSER", database.owner.get_user().unwrap()).env("PGDATABASE", database.owner.get_dbname().unwrap());
    let output = command.args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn one_tenant_goes_by_pg_dump_and_comes_back_elsewhere() {
    let (here, elsewhere) = (fresh().await, fresh().await);
    let mut owner = Owner::connect(&here.owner).await.unwrap();
    let (acme, globex) = (row(&owner, "acme").await, row(&owner, "globex").await);
    for tenant in [&acme, &globex] {
        owner.create_tenant(tenant).await.unwrap();
    }
    let schema = schema_name(acme.tenant_id);
    here.execute(&format!(
        "insert into {schema}.users (user_id, organization_id, display_name, created_at, updated_at)
         select gen_random_uuid(), '{}', 'User ' || n, now(), now() from generate_series(1, 100) n",
        acme.root_organization_id
    ))
    .await;

    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join("acme.dump");
    let to = format!("--schema={schema}");
    postgres_program("pg_dump", &here, &["-Fc".as_ref(), to.as_ref(), "-f".as_ref(), file.as_os_str()]).await;
    let line = format!("copy (select * from platform.tenants where tenant_id = '{}') to stdout", acme.tenant_id);
    let line = postgres_program("psql", &here, &["-qAtc".as_ref(), line.as_ref()]).await;
    let row_file = directory.path().join("acme.row");
    std::fs::write(&row_file, line).unwrap();

    let exact = ["--exit-on-error".as_ref(), "--single-transaction".as_ref(), "-d".as_ref()];
    let name = elsewhere.owner.get_dbname().unwrap().to_owned();
    postgres_program("pg_restore", &elsewhere, &[&exact[..], &[name.as_ref(), file.as_os_str()]].concat()).await;
    let copy = format!("\\copy platform.tenants from '{}'", row_file.display());
    postgres_program("psql", &elsewhere, &["-qc".as_ref(), copy.as_ref()]).await;

    let (before, after) = (here.connect().await, elsewhere.connect().await);
    assert_eq!(catalog(&after, acme.tenant_id).await, catalog(&before, acme.tenant_id).await);
    assert_eq!(elsewhere.count(&format!("select count(*) from {schema}.users")).await, 100);
    assert_eq!(elsewhere.count("select count(*) from pg_namespace where nspname like 't\\_%'").await, 1);
    let owner = Owner::connect(&elsewhere.owner).await.unwrap();
    let set = TenantMigrations::embedded();
    let found = fleet::status(&owner, set, StatusFilter::All, None, 10).await.unwrap();
    assert_eq!(
        found.iter().map(|tenant| (tenant.slug.as_str(), tenant.drift)).collect::<Vec<_>>(),
        [("acme", Drift::None)]
    );
    // It is migrated there like any other.
    let set =
        set.clone().with(&format!("V{}__more", set.newest() + 1), "alter table calls add column more text").unwrap();
    let options = fleet::FleetOptions::default();
    let clock = plumbline::foundation::clock::Clock::system();
    let summary = fleet::migrate(&elsewhere.owner, &set, &options, &clock, &|_| ()).await.unwrap();
    assert_eq!((summary.migrated, summary.failed), (1, 0), "{summary:?}");
}
