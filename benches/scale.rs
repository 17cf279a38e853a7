//! What thousands of tenants cost PostgreSQL in one database: its catalogs, the memory of its connections, and the time of dumps.
//!
//! Tenants are made as `plumbline tenant create` makes them and stay empty, so that all there is to see is the price of a schema. Then every one
//! of them is asked for its calls through the door, over the lanes of one server, and the connections' own memory is read. Last `pg_dump`
//! writes all of it, and one tenant alone. PostgreSQL flushes nothing here: sizes are right, and times are those of a machine with a good disk.

mod support;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use plumbline::{
    demo::postgres::{Binaries, Options, PrivatePostgres, SUPERUSER},
    foundation::{
        access::{Grant, Permission},
        ids::{OrganizationId, TenantId},
    },
    platform::db::{Connections, Db, NewTenant, Owner, schema_name},
    product::calls::store::{self, CallFilter},
};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use support::{Outcome, rounded, status_kib};

const DATABASE: &str = "postgres";
const LOGIN: &str = "plumbline_app";
const SIZES: [usize; 2] = [1_000, 5_000];
/// A server's own default.
const LANES: usize = 16;
const READERS: usize = 8;
/// Tenants are made by so many connections at once.
const MAKERS: usize = 2;
/// `pg_dump` locks every table at once, and PostgreSQL makes room for them when it starts.
const LOCKS: &str = "alter system set max_locks_per_transaction = 2048";

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(45 * 60), bench())
}

async fn bench() -> Outcome<()> {
    let directory = tempfile::Builder::new().prefix("plumbline-bench-").tempdir()?;
    let at = directory.path().join("postgres");
    let options = Options { durable: false, max_connections: 100 };
    let postgres = PrivatePostgres::start(&at, options.clone()).await?;
    connect(&postgres).await?.batch_execute(LOCKS).await?;
    postgres.stop().await?;
    let postgres = PrivatePostgres::start(&at, options).await?;
    Owner::connect(&postgres.owner_config(DATABASE))
        .await?
        .migrate_platform(&postgres.login_config(LOGIN, DATABASE))
        .await?;

    let client = connect(&postgres).await?;
    let (mut tenants, mut figures) = (vec![], vec![]);
    println!(
        "{:>8} {:>10} {:>12} {:>12} {:>10} {:>12} {:>12} {:>10} {:>10} {:>12} {:>12}",
        "tenants",
        "create, ms",
        "catalog, MiB",
        "database",
        "relations",
        "lanes, MiB",
        "largest",
        "dump, s",
        "MiB",
        "pg_dump, MiB",
        "dump one, s"
    );
    for size in SIZES {
        let started = Instant::now();
        let made = make(&postgres, size - tenants.len()).await?;
        let create_ms = started.elapsed().as_secs_f64() * 1_000.0 / made.len() as f64;
        tenants.extend(made);
        client.batch_execute("vacuum analyze").await?;
        let sizes = Sizes::read(&client).await?;
        let memory = Memory::after_reading(&postgres, &client, &tenants).await?;
        let whole = dump(&postgres, directory.path(), &[]).await?;
        let one = dump(&postgres, directory.path(), &["-n", &schema_name(tenants[size / 2].tenant)]).await?;
        println!(
            "{size:>8} {create_ms:>10.1} {:>12.0} {:>12.0} {:>10} {:>12.0} {:>12.1} {:>10.1} {:>10.1} {:>12.0} {:>12.2}",
            sizes.catalog_mib,
            sizes.database_mib,
            sizes.relations,
            memory.all_mib,
            memory.largest_mib,
            whole.seconds,
            whole.file_mib,
            whole.peak_mib,
            one.seconds
        );
        figures.push(json!({
            "tenants": size,
            "create_ms": rounded(create_ms, 1),
            "catalog_mib": rounded(sizes.catalog_mib, 0),
            "database_mib": rounded(sizes.database_mib, 0),
            "relations": sizes.relations,
            "lanes_mib": rounded(memory.all_mib, 0),
            "largest_backend_mib": rounded(memory.largest_mib, 1),
            "dump_s": rounded(whole.seconds, 1),
            "dump_mib": rounded(whole.file_mib, 1),
            "dump_peak_mib": rounded(whole.peak_mib, 0),
            "dump_one_s": rounded(one.seconds, 2),
        }));
    }
    println!("{}", Value::Array(figures));
    Ok(())
}

async fn connect(postgres: &PrivatePostgres) -> Outcome<Client> {
    let (client, connection) = postgres.owner_config(DATABASE).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[derive(Clone, Copy)]
struct Made {
    tenant: TenantId,
    root: OrganizationId,
}

async fn make(postgres: &PrivatePostgres, count: usize) -> Outcome<Vec<Made>> {
    let makers = (0..MAKERS).map(|maker| {
        let config = postgres.owner_config(DATABASE);
        tokio::spawn(async move {
            let mut owner = Owner::connect(&config).await?;
            let mut made = vec![];
            for _ in (maker..count).step_by(MAKERS) {
                let (tenant, root) = (TenantId::new(), OrganizationId::new());
                let name = format!("t{}", tenant.0.simple());
                let issuer = format!("https://issuer.invalid/{name}");
                owner
                    .create_tenant(&NewTenant {
                        tenant_id: tenant,
                        slug: name.clone(),
                        name,
                        issuer,
                        root_organization_id: root,
                    })
                    .await?;
                made.push(Made { tenant, root });
            }
            Outcome::Ok(made)
        })
    });
    let mut all = vec![];
    for maker in makers.collect::<Vec<_>>() {
        all.extend(maker.await??);
    }
    Ok(all)
}

struct Sizes {
    catalog_mib: f64,
    database_mib: f64,
    relations: i64,
}

impl Sizes {
    async fn read(client: &Client) -> Outcome<Self> {
        let row = client
            .query_one(
                "select sum(pg_total_relation_size(oid))::float8 / 1048576 as catalog,
                        pg_database_size(current_database())::float8 / 1048576 as whole,
                        (select count(*) from pg_class) as relations
                 from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r'",
                &[],
            )
            .await?;
        Ok(Self { catalog_mib: row.get("catalog"), database_mib: row.get("whole"), relations: row.get("relations") })
    }
}

/// What the connections of one server hold for themselves, beside what all share.
struct Memory {
    all_mib: f64,
    largest_mib: f64,
}

impl Memory {
    /// After a page of every tenant's calls was read, in no order.
    async fn after_reading(postgres: &PrivatePostgres, client: &Client, tenants: &[Made]) -> Outcome<Self> {
        let connections = Connections::to(postgres.login_config(LOGIN, DATABASE), LANES);
        let (db, tenants) = (Arc::new(Db::new(connections.open()?)), Arc::new(tenants.to_vec()));
        let readers = (0..READERS).map(|reader| {
            let (db, tenants) = (db.clone(), tenants.clone());
            tokio::spawn(async move {
                // Ids sort by time; a stride that shares no factor with the count visits every tenant and no neighbours.
                for turn in (reader..tenants.len()).step_by(READERS) {
                    let Made { tenant, root } = tenants[turn * 7_919 % tenants.len()];
                    #[allow(clippy::disallowed_methods, reason = "a bench has no caller")]
                    let grant = Grant::system(tenant, root, root, "bench", Permission::ReadCalls);
                    store::list(&db.alone(&grant), &CallFilter::default(), None, 50).await?;
                }
                Outcome::Ok(())
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await??;
        }
        let text = "select pid from pg_stat_activity where usename = $1";
        let mut own = vec![];
        for row in client.query(text, &[&LOGIN]).await? {
            own.push(status_kib(u32::try_from(row.get::<_, i32>("pid"))?, "RssAnon")? as f64 / 1024.0);
        }
        Ok(Self { all_mib: own.iter().sum(), largest_mib: own.iter().copied().fold(0.0, f64::max) })
    }
}

struct Dump {
    seconds: f64,
    file_mib: f64,
    peak_mib: f64,
}

/// `pg_dump` in its own compressed form, to a file; its memory is looked at as it runs.
async fn dump(postgres: &PrivatePostgres, directory: &Path, what: &[&str]) -> Outcome<Dump> {
    let file = directory.join("dump");
    let beside = Binaries::find(None)?.directory().join("pg_dump");
    let binary: PathBuf = if beside.exists() { beside } else { "pg_dump".into() };
    let mut command = Command::new(binary);
    command.args(["-Fc", "-U", SUPERUSER, "-h"]).arg(postgres.socket_directory()).arg("-f").arg(&file);
    command.args(what).arg(DATABASE).stderr(Stdio::inherit());
    let started = Instant::now();
    let mut process = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let mut peak_kib = 0;
    let status = loop {
        if let Some(pid) = process.id() {
            peak_kib = status_kib(pid, "VmHWM").unwrap_or(0).max(peak_kib);
        }
        match tokio::time::timeout(Duration::from_millis(100), process.wait()).await {
            Ok(status) => break status?,
            Err(_) => continue,
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err("pg_dump failed".into());
    }
    let file_mib = std::fs::metadata(&file)?.len() as f64 / 1_048_576.0;
    std::fs::remove_file(&file)?;
    Ok(Dump { seconds, file_mib, peak_mib: peak_kib as f64 / 1024.0 })
}
