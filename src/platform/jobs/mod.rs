//! Work that outlives a request: queued in PostgreSQL on the transaction of whoever wants it, leased by workers, fair between tenants.

pub mod api;
mod backoff;
mod queue;
mod worker;

use std::{sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

pub use self::{
    backoff::delay,
    queue::{Lease, QueuedJob, bury, enqueue, finish, pull_forward},
    worker::{Worker, WorkerSettings},
};
use crate::platform::{db::DbError, providers::ProviderError};

/// A kind of queued work. The value is what is stored.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name in the table.
    const KIND: &'static str;

    /// After so many failed attempts the job is dead.
    const MAX_ATTEMPTS: i16 = 8;

    /// At most one job of the kind exists with this key in an organization.
    fn dedup_key(&self) -> Option<String>;
}

/// Why an attempt did not finish its job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Nothing is wrong, it is only too early; costs no attempt.
    #[error("waits: {reason}")]
    NotYet {
        /// What is waited for.
        reason: &'static str,
        /// How long.
        after: Duration,
    },
    /// Trying again may help.
    #[error("{reason}")]
    Temporary {
        /// What happened, without personal data.
        reason: String,
        /// The least time to wait, when the other side named one.
        retry_after: Option<Duration>,
    },
    /// Trying again will not help until a person changed something.
    #[error("{reason}")]
    Permanent {
        /// Stable name of the cause.
        kind: &'static str,
        /// What happened, without personal data.
        reason: String,
    },
    /// As [`JobError::Permanent`], but what happened may quote the call: only inside the tenant are the words shown.
    #[error("{kind}")]
    Confidential {
        /// Stable name of the cause.
        kind: &'static str,
        /// What happened.
        words: String,
    },
    /// Another worker holds the job now, or the call was moved by somebody else: what this attempt did is rolled back.
    #[error("the lease was lost")]
    LeaseLost,
}

impl JobError {
    /// Stable name of the cause, for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotYet { .. } => "not_yet",
            Self::Temporary { .. } => "temporary",
            Self::Permanent { kind, .. } | Self::Confidential { kind, .. } => kind,
            Self::LeaseLost => "lease_lost",
        }
    }
}

impl From<DbError> for JobError {
    fn from(error: DbError) -> Self {
        if error.is_temporary() {
            JobError::Temporary { reason: error.to_string(), retry_after: None }
        } else {
            JobError::Permanent { kind: "database", reason: error.to_string() }
        }
    }
}

impl From<ProviderError> for JobError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Temporary { retry_after, .. } => {
                JobError::Temporary { reason: error.to_string(), retry_after }
            }
            ProviderError::Permanent { kind, .. } => {
                JobError::Permanent { kind: kind.code(), reason: error.to_string() }
            }
        }
    }
}

/// Runs one kind of job.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// The kind that it runs.
    fn kind(&self) -> &'static str;

    /// One attempt. It finishes the job in the transaction that records its result ([`finish`]).
    async fn run(&self, lease: &Lease) -> Result<(), JobError>;

    /// Called once when no attempt is left: counts the job among the dead ([`bury`]), and in the same transaction makes the failure visible
    /// where people look.
    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError>;
}

/// Wakes the workers of this process when a job has been enqueued; other processes find it at their next look.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// There may be work.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    async fn woken(&self) {
        self.0.notified().await;
    }
}
