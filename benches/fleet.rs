//! Making and migrating 200 tenants here and with django-tenants, on the same server in the same run; and a run that finds nothing to do.
//! `script/bench fleet` installs django-tenants into an environment of its own and names it in `PLUMBLINE_DJANGO`.

mod support;

use std::{path::Path, time::Instant};

use futures_util::future::try_join_all;
use plumbline::{
    foundation::{
        clock::Clock,
        ids::{OrganizationId, TenantId},
    },
    platform::{
        db::{NewTenant, Owner, TenantMigrations},
        fleet::{self, Drift, FleetOptions, StatusFilter, Summary},
    },
};
use serde_json::{Value, json};
use support::{House, Outcome, met, rounded};
use tokio::process::Command;

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30 * 60);
/// Connections that make tenants here, and processes that do there.
const WORKERS: usize = 4;
/// Tenants that a run without work looks at.
const FLEET: i64 = 1_000;

fn main() -> Outcome<()> {
    let tenants = std::env::var("PLUMBLINE_BENCH_TENANTS").map_or(Ok(200), |count| count.parse())?;
    support::run(LIMIT, bench(tenants))
}

async fn bench(tenants: usize) -> Outcome<()> {
    let python =
        std::env::var("PLUMBLINE_DJANGO").map_err(|_| "PLUMBLINE_DJANGO names no python; use script/bench fleet")?;
    let house = House::open(true, "https://issuer.example/bench").await?;
    let client = house.client().await?;
    client.batch_execute("create database django").await?;
    let peer = Peer { python, house: &house, directory: house.directory.path().join("django"), tenants };
    std::fs::create_dir(&peer.directory)?;
    std::fs::write(peer.directory.join("shape.json"), shape(&client, &house.schema()).await?.to_string())?;

    let created = create(&house, tenants).await?;
    let created_there = peer.run("create").await?;
    let (ours, theirs) = (counted(&house, "t\\_%").await?, peer.counted().await?);
    println!("one tenant here: {ours}\none tenant there: {theirs}");
    let looked_at = look(&house, tenants).await?;
    let migrated = migrate(&house).await?;
    let migrated_there = peer.run("migrate").await?;
    let noop = nothing_to_do(&house).await?;

    let each = |seconds: f64| seconds * 1_000.0 / tenants as f64;
    let create_ratio = created / created_there;
    let migrate_ms = migrated.seconds * 1_000.0 / migrated.migrated as f64;
    let migrate_ratio = migrate_ms / each(migrated_there);
    println!("make a tenant: {:.1} ms here, {:.1} ms there, {WORKERS} at once", each(created), each(created_there));
    println!("migrate a tenant: {migrate_ms:.2} ms here, {:.1} ms there", each(migrated_there));
    println!("create {}, migrate {}, no work {}", met(create_ratio <= 0.1), met(migrate_ms <= 1.5), met(noop <= 0.2));
    println!(
        "{}",
        json!({
            "create_ratio": rounded(create_ratio, 4),
            "migrate_ms_per_tenant": rounded(migrate_ms, 3),
            "migrate_ratio": rounded(migrate_ratio, 4),
            "noop_check_1000_s": rounded(noop, 4),
            "create_ms_per_tenant": rounded(each(created), 2),
            "django_create_ms_per_tenant": rounded(each(created_there), 2),
            "django_migrate_ms_per_tenant": rounded(each(migrated_there), 2),
            "status_ms_per_tenant": rounded(each(looked_at), 3),
            "tenants": tenants,
        })
    );
    Ok(())
}

/// Seconds for all of them, whole: row, schema, root organization, active.
async fn create(house: &House, tenants: usize) -> Outcome<f64> {
    let started = Instant::now();
    let worker = async |worker: usize| -> Outcome<()> {
        let mut owner = Owner::connect(&house.owner()).await?;
        for n in (worker..tenants).step_by(WORKERS) {
            let new = NewTenant {
                tenant_id: TenantId::new(),
                slug: format!("tenant-{n}"),
                name: format!("Tenant {n}"),
                issuer: format!("https://issuer.example/{n}"),
                root_organization_id: OrganizationId::new(),
            };
            owner.create_tenant(&new).await?;
        }
        Ok(())
    };
    try_join_all((0..WORKERS).map(worker)).await?;
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds for versions, drift and errors of all of them; none has drifted.
async fn look(house: &House, tenants: usize) -> Outcome<f64> {
    let owner = Owner::connect(&house.owner()).await?;
    let started = Instant::now();
    let found = fleet::status(&owner, TenantMigrations::embedded(), StatusFilter::All, None, usize::MAX).await?;
    let seconds = started.elapsed().as_secs_f64();
    let whole = found.len() > tenants && found.iter().all(|tenant| tenant.drift == Drift::None);
    if whole { Ok(seconds) } else { Err(format!("{} tenants, or one has drifted", found.len()).into()) }
}

/// A column and an index, in every tenant.
async fn migrate(house: &House) -> Outcome<Summary> {
    let embedded = TenantMigrations::embedded();
    let sql = "alter table calls add column more text;\ncreate index calls_more on calls (more);";
    let set = embedded.clone().with(&format!("V{}__more", embedded.newest() + 1), sql)?;
    let summary = fleet::migrate(&house.owner(), &set, &FleetOptions::default(), &Clock::system(), &|_| ()).await?;
    if summary.is_success() { Ok(summary) } else { Err(format!("{summary:?}").into()) }
}

/// Seconds of a run over 1,000 tenants that are current: rows alone, because the question touches no schema.
async fn nothing_to_do(house: &House) -> Outcome<f64> {
    let set = TenantMigrations::embedded();
    let client = house.client().await?;
    let rows = "insert into platform.tenants (tenant_id, slug, name, issuer, root_organization_id)
         select gen_random_uuid(), 'row-' || n, 'Row', 'https://issuer.example/row/' || n, gen_random_uuid()
         from generate_series(1, $1 - (select count(*) from platform.tenants)) n";
    client.execute(rows, &[&FLEET]).await?;
    client
        .execute(
            "update platform.tenants set schema_version = $1, concurrent_version = $2",
            &[&set.newest(), &set.newest_concurrent()],
        )
        .await?;
    let started = Instant::now();
    let summary = fleet::migrate(&house.owner(), set, &FleetOptions::default(), &Clock::system(), &|_| ()).await?;
    let seconds = started.elapsed().as_secs_f64();
    if summary.current >= 1_000 && summary.migrated == 0 { Ok(seconds) } else { Err(format!("{summary:?}").into()) }
}

/// django-tenants on the same server, in a database of its own.
struct Peer<'a> {
    python: String,
    house: &'a House,
    directory: std::path::PathBuf,
    tenants: usize,
}

impl Peer<'_> {
    async fn run(&self, what: &str) -> Outcome<f64> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/fleet_peer.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(what).arg(&self.directory).arg(self.house.postgres.socket_directory());
        command.arg(self.tenants.to_string()).arg(WORKERS.to_string()).kill_on_drop(true);
        let output = command.output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        last.and_then(|last| last["seconds"].as_f64())
            .ok_or_else(|| format!("django-tenants failed: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
    }

    async fn counted(&self) -> Outcome<String> {
        let (client, connection) = self.house.postgres.owner_config("django").connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        count(&client, "d\\_%").await
    }
}

async fn counted(house: &House, like: &str) -> Outcome<String> {
    count(&house.client().await?, like).await
}

/// What is in one of the schemas.
async fn count(client: &tokio_postgres::Client, like: &str) -> Outcome<String> {
    let row = client
        .query_one(
            "select count(*) filter (where c.relkind = 'r') as tables, count(*) filter (where c.relkind = 'i') as indexes,
                    (select count(*) from pg_attribute a join pg_class t on t.oid = a.attrelid and t.relkind = 'r'
                     where t.relnamespace = n.oid and a.attnum > 0) as columns,
                    (select count(*) from pg_constraint o where o.connamespace = n.oid and o.contype = 'f') as keys
             from pg_namespace n join pg_class c on c.relnamespace = n.oid
             where n.nspname like $1 group by n.oid order by n.oid desc limit 1",
            &[&like],
        )
        .await?;
    let number = |name: &str| row.get::<_, i64>(name);
    Ok(format!(
        "{} tables, {} columns, {} indexes, {} foreign keys",
        number("tables"),
        number("columns"),
        number("indexes"),
        number("keys")
    ))
}

/// Tables, columns and indexes of a tenant, for the peer to have the same. The history table is refinery's; Django has its own.
async fn shape(client: &tokio_postgres::Client, schema: &str) -> Outcome<Value> {
    let row = client
        .query_one(
            "select json_agg(json_build_object(
                 'name', c.relname,
                 'primary_key', (select json_agg(a.attname order by array_position(o.conkey, a.attnum))
                     from pg_constraint o join pg_attribute a on a.attrelid = o.conrelid and a.attnum = any (o.conkey)
                     where o.conrelid = c.oid and o.contype = 'p'),
                 'columns', (select json_agg(json_build_object(
                         'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
                         'references', (select f.relname from pg_constraint o join pg_class f on f.oid = o.confrelid
                             where o.conrelid = c.oid and o.contype = 'f' and o.conkey = array[a.attnum])) order by a.attnum)
                     from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
                 'indexes', (select coalesce(json_agg(json_build_object(
                         'name', x.relname, 'unique', i.indisunique,
                         'columns', (select json_agg(a.attname order by array_position(i.indkey::smallint[], a.attnum))
                             from pg_attribute a where a.attrelid = c.oid and a.attnum = any (i.indkey)))), '[]')
                     from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = c.oid and not i.indisprimary))
                 order by c.relname)::text
             from pg_class c where c.relnamespace = $1::text::regnamespace and c.relkind = 'r'
               and c.relname <> 'refinery_schema_history'",
            &[&schema],
        )
        .await?;
    Ok(serde_json::from_str(row.get(0))?)
}
