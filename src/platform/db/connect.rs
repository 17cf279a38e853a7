//! How connections are made: TLS, and what the lanes are made of.

use std::{num::NonZeroUsize, str::FromStr, sync::Arc, time::Duration};

use rustls_platform_verifier::ConfigVerifierExt;
use tokio_postgres::{Client, Config, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Lanes, OwnerError,
    connection::{Connection, Types},
};

/// The usual bound of prepared statements: 20 to 50 MiB of a backend's memory (docs/BENCHMARKS.md).
const STATEMENTS: NonZeroUsize = NonZeroUsize::new(512).expect("it is not zero");

/// Where the application's connections go, and how many there are.
#[derive(Clone, Debug)]
pub struct Connections {
    /// The login role's connection; it owns nothing and inherits nothing.
    pub config: Config,
    /// Lanes of one connection each.
    pub lanes: usize,
    /// How many lanes a tenant calls its own.
    pub spread: usize,
    /// How long a tenant waits for one of its own before it takes any.
    pub patience: Duration,
    /// How long a checkout may wait.
    pub wait: Duration,
    /// How many statements a connection keeps prepared.
    pub statements: NonZeroUsize,
    /// When a connection prepares a statement: 1 at first sight, 2 when it comes again.
    pub sights: u32,
}

impl Connections {
    /// From a connection string: `postgresql://…` or `host=… user=…`.
    ///
    /// # Errors
    /// When the string is malformed.
    pub fn parse(url: &str, lanes: usize) -> Result<Self, tokio_postgres::Error> {
        Ok(Self::to(Config::from_str(url)?, lanes))
    }

    /// With the usual spread and wait.
    pub fn to(config: Config, lanes: usize) -> Self {
        Self {
            config,
            lanes,
            spread: 4,
            patience: Duration::from_millis(5),
            wait: Duration::from_secs(5),
            statements: STATEMENTS,
            sights: 2,
        }
    }

    /// The lanes. Connections are opened when they are first needed.
    ///
    /// # Errors
    /// When the machine's certificates cannot be read.
    pub fn open(&self) -> Result<Lanes, OwnerError> {
        let mut config = self.config.clone();
        config.application_name("plumbline");
        let connector =
            Connector { config, tls: tls()?, types: Arc::default(), statements: self.statements, sights: self.sights };
        Ok(Lanes::new(connector, self.lanes.max(1), self.spread, self.patience, self.wait))
    }
}

/// Makes the connections of the lanes.
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    types: Arc<Types>,
    statements: NonZeroUsize,
    sights: u32,
}

impl Connector {
    pub(super) async fn connect(&self) -> Result<Connection, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %error, "a connection to PostgreSQL broke");
            }
        });
        Ok(Connection::new(client, task.abort_handle(), self.types.clone(), self.statements, self.sights))
    }
}

/// rustls with the machine's own certificates. Whether TLS is used is the connection string's `sslmode`.
pub(super) fn tls() -> Result<MakeRustlsConnect, OwnerError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let _ = rustls::crypto::CryptoProvider::install_default((*provider).clone()); // the first one stays
    let config = rustls::ClientConfig::with_platform_verifier().map_err(OwnerError::Tls)?;
    Ok(MakeRustlsConnect::new(config))
}

/// One connection outside the lanes, for migrations and provisioning.
pub(super) async fn single(config: &Config) -> Result<Client, OwnerError> {
    let mut config = config.clone();
    config.application_name("plumbline-owner");
    if config.get_ssl_mode() == SslMode::Disable || config.get_hosts().iter().all(is_unix) {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let (client, connection) = config.connect(tls()?).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn is_unix(host: &tokio_postgres::config::Host) -> bool {
    matches!(host, tokio_postgres::config::Host::Unix(_))
}

/// Refuses a login role that the walls would not hold: a superuser, one that bypasses row security, or one that owns tables or
/// inherits the scope roles.
///
/// # Errors
/// [`OwnerError::TooPowerful`] with what is wrong; [`OwnerError::NotMigrated`] when there is no platform schema;
/// [`OwnerError::Postgres`] when PostgreSQL cannot be reached.
pub async fn check_least_privilege(config: &Config) -> Result<(), OwnerError> {
    let client = single(config).await?;
    let row = client
        .query_one(
            "select r.rolsuper or r.rolbypassrls as mighty,
                    exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                            where pg_has_role(r.oid, c.relowner, 'usage')
                              and (n.nspname = 'platform' or n.nspname like 't\\_%')) as owns,
                    has_schema_privilege(to_regnamespace('platform'), 'usage') as sees
             from pg_roles r where r.rolname = current_user",
            &[],
        )
        .await?;
    let problem = if row.get("mighty") {
        "is a superuser or bypasses row security"
    } else if row.get("owns") {
        "owns Plumbline's tables or may act as their owner"
    } else {
        match row.get("sees") {
            None => return Err(OwnerError::NotMigrated),
            Some(true) => "inherits a scope role (create it NOINHERIT)",
            Some(false) => return Ok(()),
        }
    };
    Err(OwnerError::TooPowerful(problem))
}
