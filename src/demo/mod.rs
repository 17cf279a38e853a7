//! The demo: two tenants, their conversations, and what demo and tests share: a private PostgreSQL, a development issuer, provider stand-ins.

mod client;
pub mod content;
pub mod issuer;
pub mod postgres;
mod providers;
mod report;
mod run;
pub mod setup;
mod speech;
pub mod standins;

use std::path::PathBuf;

pub use self::{client::ApiClient, report::Report, run::run};
use self::{issuer::IssuerError, postgres::PostgresError};
use crate::{
    app::StartError, foundation::config::ConfigError, platform::db::OwnerError, product::plugins::binding::BindError,
};

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Where the private PostgreSQL, the recordings and the issuer's keys live.
    pub directory: PathBuf,
    /// End after the report.
    pub exit: bool,
    /// Write the report as JSON here.
    pub json: Option<PathBuf>,
    /// The port of the API; another free one is taken when it is in use.
    pub port: u16,
}

/// Why the demo cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The private PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// Roles, schemas, migrations.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The application.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The development issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The example plugin.
    #[error("binding the example plugin: {0}")]
    Bind(#[from] BindError),
    /// The API cannot be reached.
    #[error("the API: {0}")]
    Http(#[from] reqwest::Error),
    /// The API refused what the demo asked.
    #[error("{path} answered {status}: {problem}")]
    Refused {
        /// Which path.
        path: String,
        /// With which status.
        status: reqwest::StatusCode,
        /// The problem.
        problem: String,
    },
    /// The API answered something else than the demo expects.
    #[error("the API's answer is not as expected: {0}")]
    Unexpected(&'static str),
    /// A tenant was not made.
    #[error("making a tenant: {0}")]
    Provisioning(String),
    /// The shipped content.
    #[error("the demo's content: {0}")]
    Content(#[from] serde_json::Error),
    /// The machine.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The database's settings.
    #[error("{0}")]
    Database(String),
}
