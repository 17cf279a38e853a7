//! The program's commands, a file each: what they are told, and what they say.

pub mod archive;
pub mod follow;
pub mod life;
pub mod migrate;
pub mod operate;
pub mod operation;
pub mod plugin;
pub mod quotas;
pub mod tenant;
pub mod verify;

use plumbline::{
    app::StartError,
    demo::DemoError,
    foundation::config::{Config, ConfigError},
    platform::{
        archive::ArchiveError,
        db::{DbError, Owner, OwnerError},
        fleet::FleetError,
        lifecycle::LifecycleError,
        tenancy::quotas::{SetError, UnreadableQuotas, UsageError},
    },
    trial::TrialError,
};
use secrecy::{ExposeSecret, SecretString};

/// What ends a command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Life(#[from] LifecycleError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("{0}")]
    Said(String),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    SetQuotas(#[from] SetError),
    #[error(transparent)]
    UnreadableQuotas(#[from] UnreadableQuotas),
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The owner's connection, of DATABASE_OWNER_URL.
pub async fn owner(config: &Config) -> Result<Owner, Failure> {
    Ok(Owner::connect(&connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?).await?)
}

/// The settings of a connection string. `name` is the variable that holds it.
pub fn connection(url: Option<&SecretString>, name: &'static str) -> Result<tokio_postgres::Config, StartError> {
    let url = url.ok_or(StartError::Missing(name))?;
    url.expose_secret().parse().map_err(|_| StartError::ConnectionString(name))
}
