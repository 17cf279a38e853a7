//! What the benches share: a house with one tenant on a private PostgreSQL, medians, and the one JSON line at the end.

#![allow(dead_code, reason = "no bench uses all of it")]

pub mod backend;
pub mod cpu;
pub mod line;
pub mod load;
pub mod many;
pub mod recording;
pub mod relay;
pub mod transactions;

use std::{error::Error, path::Path, time::Duration};

use plumbline::{
    demo::postgres::{Options, PrivatePostgres},
    foundation::{
        access::{Grant, Permission},
        ids::{OrganizationId, TenantId},
    },
    platform::db::{Connections, NewTenant, Owner, schema_name},
};
use tokio_postgres::{Client, Config, NoTls};

/// Whatever goes wrong ends the bench with a word.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const DATABASE: &str = "postgres";
const LOGIN: &str = "plumbline_app";

/// A private PostgreSQL with one tenant, who has one organization beside the root.
pub struct House {
    pub postgres: PrivatePostgres,
    pub tenant: TenantId,
    pub root: OrganizationId,
    pub organization: OrganizationId,
    pub issuer: String,
    pub directory: tempfile::TempDir,
}

impl House {
    /// Starts the server and migrates everything. `issuer` is the tenant's.
    pub async fn open(durable: bool, issuer: &str) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("plumbline-bench-").tempdir()?;
        let options = Options { durable, max_connections: 100 };
        let postgres = PrivatePostgres::start(&directory.path().join("postgres"), options).await?;
        let house = Self {
            postgres,
            tenant: TenantId::new(),
            root: OrganizationId::new(),
            organization: OrganizationId::new(),
            issuer: issuer.to_owned(),
            directory,
        };
        let mut owner = Owner::connect(&house.owner()).await?;
        owner.migrate_platform(&house.login()).await?;
        owner
            .create_tenant(&NewTenant {
                tenant_id: house.tenant,
                slug: "bench".to_owned(),
                name: "Bench".to_owned(),
                issuer: house.issuer.clone(),
                root_organization_id: house.root,
            })
            .await?;
        let text = format!(
            "insert into {}.organizations (organization_id, root_organization_id, slug, name, created_at, updated_at)
             values ($1, $2, 'service', 'Service', now(), now())",
            house.schema()
        );
        house.client().await?.execute(&text, &[&house.organization, &house.root]).await?;
        Ok(house)
    }

    /// Settings of the owner's connection.
    pub fn owner(&self) -> Config {
        self.postgres.owner_config(DATABASE)
    }

    /// Settings of the application's connections.
    pub fn login(&self) -> Config {
        self.postgres.login_config(LOGIN, DATABASE)
    }

    /// Connections like those of `plumbline serve`.
    pub fn connections(&self) -> Connections {
        Connections::to(self.login(), 16)
    }

    /// The same by way of a relay that listens in a directory.
    pub fn behind(&self, relay: &Path) -> Connections {
        let login = self.login();
        let mut config = Config::new();
        config.host_path(relay).port(5432);
        config.user(login.get_user().unwrap_or_default()).dbname(login.get_dbname().unwrap_or_default());
        Connections { config, ..self.connections() }
    }

    /// The tenant's schema.
    pub fn schema(&self) -> String {
        schema_name(self.tenant)
    }

    /// The owner's connection.
    pub async fn client(&self) -> Outcome<Client> {
        let (client, connection) = self.owner().connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Leave to work in the organization.
    #[allow(clippy::disallowed_methods, reason = "a bench has no caller")]
    pub fn grant(&self, permission: Permission) -> Grant {
        Grant::system(self.tenant, self.root, self.organization, "bench", permission)
    }
}

/// The middle one; the mean of the middle two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// A number as reports show it.
pub fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// One number of `/proc/<pid>/status`, in KiB.
pub fn status_kib(pid: u32, name: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|line| line.split_whitespace().next()).ok_or_else(|| format!("no {name} in status"))?;
    Ok(value.parse()?)
}

/// Whether the goal is met, in a word.
pub fn met(reached: bool) -> &'static str {
    if reached { "met" } else { "MISSED" }
}

/// Runs a bench that may not take longer than `limit`.
pub fn run(limit: Duration, bench: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match tokio::time::timeout(limit, bench).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("not done after {} s", limit.as_secs()).into()),
        }
    })
}
