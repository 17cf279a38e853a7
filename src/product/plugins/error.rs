//! Why an operation on plugins says no.

use std::io;

use serde_json::Value;

use crate::platform::{
    db::DbError,
    http::{KeyError, Kind, Problem, Refusal, UploadError, etag::stale},
    plugins::{PluginError, SettingsFault},
    tenancy::quotas::QuotaError,
};

/// Why an operation on plugins says no.
#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    /// The tenant has no such version.
    #[error("no such plugin")]
    NoVersion,
    /// The grant does not reach the organization.
    #[error("no such organization")]
    NoOrganization,
    /// There is none, or the grant does not reach it.
    #[error("no such plugin binding")]
    NoBinding,
    /// The upload broke off, or is too large.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The upload could not be put down before it was looked at.
    #[error("an upload could not be put down: {0}")]
    Io(#[from] io::Error),
    /// The component does not become a version.
    #[error("{message}")]
    Refused {
        /// Why, in a sentence.
        message: String,
        /// What its validation found.
        report: Value,
    },
    /// The settings do not fit the plugin.
    #[error("the plugin does not take these settings")]
    InvalidSettings(Vec<SettingsFault>),
    /// A canary needs a share, and nothing else has one.
    #[error("{0}")]
    Share(&'static str),
    /// The binding has ended.
    #[error("the binding has ended already")]
    Ended,
    /// It is the active one.
    #[error("the binding is the active one already")]
    Active,
    /// Somebody bound a plugin of the same world at the same moment.
    #[error("another binding of the organization was made at the same moment; look at what is bound now")]
    Overtaken,
    /// The organization asks for a back-test first.
    #[error(
        "the organization asks for a finished back-test of this version with these settings over at least {wanted} calls; the largest went over {found}"
    )]
    NotBacktested {
        /// Calls that it asks for.
        wanted: i32,
        /// Calls of the largest one.
        found: i32,
    },
    /// Somebody else changed it first.
    #[error("it was changed since it was read")]
    Stale,
    /// The host.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The object store.
    #[error("the object store: {0}")]
    Objects(#[from] object_store::Error),
    /// A quota of the tenant has no room.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<PluginsError> for Refusal {
    fn from(error: PluginsError) -> Self {
        match error {
            PluginsError::NoVersion => Refusal::not_found("plugin"),
            PluginsError::NoOrganization => Refusal::not_found("organization"),
            PluginsError::NoBinding => Refusal::not_found("plugin binding"),
            PluginsError::Upload(error) => error.into(),
            PluginsError::Refused { message, report } => {
                Problem::new(Kind::PluginRefused, message).report(report).into()
            }
            PluginsError::InvalidSettings(faults) => {
                let problem = Problem::new(Kind::InvalidPluginSettings, "the plugin does not take these settings");
                let field = |path: &str| format!("settings{}", path.replace('/', "."));
                faults
                    .into_iter()
                    .fold(problem, |problem, wrong| problem.field(field(&wrong.path), wrong.message))
                    .into()
            }
            PluginsError::Share(why) => Refusal::invalid("canary_share_percent", why),
            PluginsError::Ended | PluginsError::Active | PluginsError::Overtaken => {
                Refusal::new(Kind::IllegalState, error.to_string())
            }
            PluginsError::NotBacktested { .. } => Refusal::new(Kind::BacktestRequired, error.to_string()),
            PluginsError::Stale => stale(),
            PluginsError::Plugin(_) | PluginsError::Objects(_) | PluginsError::Io(_) => Refusal::internal(&error),
            PluginsError::Quota(error) => error.into(),
            PluginsError::Key(error) => error.into(),
            PluginsError::Db(error) => error.into(),
        }
    }
}
