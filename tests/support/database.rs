//! One PostgreSQL for the whole test binary, and a database of its own for each test.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use plumbline::{
    demo::postgres::{Options, PrivatePostgres},
    platform::db::Owner,
};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, Config, NoTls};

/// The application's login role.
const LOGIN: &str = "plumbline_app";
const TEMPLATE: &str = "plumbline_template";

/// The directory goes when this process goes, however it ends: `sh` waits for our end of the pipe to close, then for the server.
const CLEANER: &str = r#"
cat > /dev/null
tries=0
while [ -e "$1"/*/postmaster.pid ] && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
exec rm -rf "$1"
"#;

static CLUSTER: OnceCell<PrivatePostgres> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A database that belongs to one test.
#[derive(Clone, Debug)]
pub struct Database {
    /// Connects as the one who owns everything.
    pub owner: Config,
    /// Connects as the application.
    pub login: Config,
}

impl Database {
    /// A connection of the owner's, past every wall.
    pub async fn connect(&self) -> Client {
        connect(&self.owner).await
    }

    /// Runs a statement as the owner.
    pub async fn execute(&self, statement: &str) {
        self.connect().await.batch_execute(statement).await.unwrap();
    }

    /// The number that a query of the owner's gives.
    pub async fn count(&self, query: &str) -> i64 {
        self.connect().await.query_one(query, &[]).await.unwrap().get(0)
    }
}

/// A database whose platform schema is migrated.
pub async fn fresh() -> Database {
    let cluster = cluster().await;
    create(cluster, &format!("template {TEMPLATE}")).await
}

/// An empty database.
pub async fn unmigrated() -> Database {
    create(cluster().await, "").await
}

async fn create(cluster: &PrivatePostgres, how: &str) -> Database {
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let client = connect(&cluster.owner_config("postgres")).await;
    client.batch_execute(&format!("create database {name} {how}")).await.unwrap();
    Database { owner: cluster.owner_config(&name), login: cluster.login_config(LOGIN, &name) }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn cluster() -> &'static PrivatePostgres {
    CLUSTER.get_or_init(start).await
}

async fn start() -> PrivatePostgres {
    let directory = tempfile::Builder::new().prefix("plumbline-it-").tempdir_in("/tmp").unwrap().keep();
    clean_up_after_us(&directory);
    let postgres = PrivatePostgres::start(&directory, Options::for_tests()).await.unwrap();
    connect(&postgres.owner_config("postgres"))
        .await
        .batch_execute(&format!("create database {TEMPLATE}"))
        .await
        .unwrap();
    let mut owner = Owner::connect(&postgres.owner_config(TEMPLATE)).await.unwrap();
    owner.migrate_platform(&postgres.login_config(LOGIN, TEMPLATE)).await.unwrap();
    drop(owner);
    // A template may have no connections, and that of the owner closes in its own time.
    let client = connect(&postgres.owner_config("postgres")).await;
    let open = "select count(*) from pg_stat_activity where datname = $1";
    while client.query_one(open, &[&TEMPLATE]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    postgres
}

#[allow(clippy::zombie_processes, reason = "it waits for us, not we for it")]
fn clean_up_after_us(directory: &Path) {
    let mut cleaner = Command::new("/bin/sh");
    cleaner.args(["-c", CLEANER, "clean-up"]).arg(directory).stdin(Stdio::piped());
    let mut child = cleaner.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::mem::forget(child.stdin.take()); // open for as long as this process lives
}
