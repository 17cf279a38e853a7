//! PostgreSQL is killed in the middle of a run over the fleet: every tenant is done or untouched, and the next run finishes.

use std::{path::Path, pin::pin, time::Duration};

use plumbline::{
    demo::postgres::{Options, PrivatePostgres},
    foundation::clock::Clock,
    platform::{
        db::{Owner, TenantMigrations},
        fleet::{self, FleetOptions, Summary},
    },
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::support::Database;

const TENANTS: usize = 16;

fn slow() -> TenantMigrations {
    let embedded = TenantMigrations::embedded();
    let sql = "alter table calls add column more text; create index calls_more on calls (more); select pg_sleep(0.03);";
    embedded.clone().with(&format!("V{}__more", embedded.newest() + 1), sql).unwrap()
}

async fn start(directory: &Path) -> (PrivatePostgres, Database) {
    let postgres = PrivatePostgres::start(directory, Options { durable: true, max_connections: 50 }).await.unwrap();
    let database = Database {
        owner: postgres.owner_config("postgres"),
        login: postgres.login_config("plumbline_app", "postgres"),
    };
    (postgres, database)
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

async fn run(database: &Database, attempts: u32) -> Summary {
    let options = FleetOptions { workers: 2, attempts, ..FleetOptions::default() };
    fleet::migrate(&database.owner, &slow(), &options, &Clock::system(), &|_| ()).await.unwrap()
}

/// Tenants that have the index, and those whose row says otherwise than their schema.
async fn counted(database: &Database) -> (i64, i64) {
    let newest = TenantMigrations::embedded().newest();
    let has = "exists (select from pg_indexes where indexname = 'calls_more'
                       and schemaname = 't_' || replace(tenant_id::text, '-', ''))";
    (
        database.count(&format!("select count(*) from platform.tenants where {has}")).await,
        database
            .count(&format!("select count(*) from platform.tenants where {has} <> (schema_version > {newest})"))
            .await,
    )
}

/// The process of a backend that is migrating a tenant, as soon as there is one.
async fn under_way(client: &Client) -> i32 {
    let backend =
        "select pid from pg_stat_activity where application_name = 'plumbline-owner' and query like 'begin;%' limit 1";
    loop {
        if let Some(found) = client.query_opt(backend, &[]).await.unwrap() {
            return found.get(0);
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// What the run says in whose middle something died.
async fn died_in(run: impl Future<Output = Summary>, dying: impl Future<Output = ()>) -> Summary {
    let mut run = pin!(run);
    tokio::select! {
        () = dying => run.await,
        summary = &mut run => panic!("the run ended before anything died: {summary:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgresql_leaves_nothing_half_made() {
    let directory = tempfile::Builder::new().prefix("plumbline-crash-").tempdir_in("/tmp").unwrap();
    let (postgres, database) = start(directory.path()).await;
    Owner::connect(&database.owner).await.unwrap().migrate_platform(&database.login).await.unwrap();
    crate::fleet::tenants(&database, TENANTS).await;

    // A backend dies, and the server restarts itself: the run goes on when it answers again.
    let client = database.connect().await;
    let dying = async { kill(under_way(&client).await) };
    let summary = died_in(run(&database, 10), dying).await;
    assert!(summary.is_success(), "{summary:?}");
    assert_eq!(counted(&database).await, (i64::try_from(TENANTS).unwrap(), 0));

    // The whole server dies and does not come back: the run says so and ends.
    database
        .execute(&format!(
            "do $$ declare schema text; begin
                 for schema in select 't_' || replace(tenant_id::text, '-', '') from platform.tenants loop
                     execute format('alter table %I.calls drop column more', schema);
                     execute format('delete from %I.refinery_schema_history where version > {0}', schema);
                 end loop;
                 update platform.tenants set schema_version = {0};
             end $$",
            TenantMigrations::embedded().newest()
        ))
        .await;
    let pid = std::fs::read_to_string(directory.path().join("data/postmaster.pid")).unwrap();
    let server: i32 = pid.lines().next().unwrap().parse().unwrap();
    let client = database.connect().await;
    let dying = async {
        under_way(&client).await;
        let backends = "select array_agg(pid) from pg_stat_activity where backend_type = 'client backend'";
        let backends: Vec<i32> = client.query_one(backends, &[]).await.unwrap().get(0);
        kill(server);
        for backend in backends {
            let _ = kill_process(Pid::from_raw(backend).unwrap(), Signal::KILL);
        }
    };
    let summary = died_in(run(&database, 3), dying).await;
    assert!(summary.failed > 0 && !summary.is_success(), "{summary:?}");

    let _ = postgres.stop().await; // it was killed: there is nothing to stop
    let (postgres, database) = start(directory.path()).await;
    let (done, disagreeing) = counted(&database).await;
    assert!(disagreeing == 0 && done < i64::try_from(TENANTS).unwrap(), "{done} {disagreeing}");
    let summary = run(&database, 3).await;
    assert!(summary.is_success() && summary.migrated > 0, "{summary:?}");
    assert_eq!(counted(&database).await, (i64::try_from(TENANTS).unwrap(), 0));
    postgres.stop().await.unwrap();
}
