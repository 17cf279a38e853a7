//! What an operation does: a procedure of idempotent steps, and what a step is given to work with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    model::{Operation, StepStatus},
    store,
};
use crate::{
    foundation::{access::OperatorGrant, clock::Clock, ids::OperationId},
    platform::db::{Db, DbError, OwnerError},
};

/// Progress is recorded no more often than this.
const RECORDED_EVERY: Duration = Duration::from_millis(300);

/// How a step came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepEnd {
    /// Done; the note says what it made or found.
    Done(Option<String>),
    /// Not before then: the step is begun again at that time.
    Wait {
        /// When.
        until: DateTime<Utc>,
        /// Why, for people.
        reason: String,
    },
}

/// Why a step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Trying again may help; it is tried again by itself a few times.
    #[error("{0}")]
    Temporary(String),
    /// Trying again will not help until a person changed something.
    #[error("{reason}")]
    Permanent {
        /// Stable name of the cause, as problems name theirs.
        kind: &'static str,
        /// What happened, for people; without personal data.
        reason: String,
    },
    /// Somebody wants the operation called off, and the step has stopped at a place where that is possible.
    #[error("called off")]
    Cancelled,
    /// Somebody else is at work on the operation by now, or this process is told to stop: what was recorded stands.
    #[error("the operation is left to another process")]
    Left,
}

impl StepError {
    /// Trying again will not help.
    pub fn permanent(kind: &'static str, reason: impl Into<String>) -> Self {
        Self::Permanent { kind, reason: reason.into() }
    }
}

impl From<DbError> for StepError {
    fn from(error: DbError) -> Self {
        if error.is_temporary() {
            Self::Temporary(error.to_string())
        } else {
            Self::Permanent { kind: "database", reason: error.to_string() }
        }
    }
}

impl From<OwnerError> for StepError {
    fn from(error: OwnerError) -> Self {
        if error.is_temporary() {
            Self::Temporary(error.to_string())
        } else {
            Self::Permanent { kind: "database", reason: error.to_string() }
        }
    }
}

/// What one kind of operation does.
#[async_trait::async_trait]
pub trait Procedure: Send + Sync {
    /// The kind: a verb and a noun, such as `provision_tenant`.
    fn kind(&self) -> &'static str;

    /// Its steps, in order. A released procedure keeps the names of its steps: operations under way have them stored.
    fn steps(&self) -> &'static [&'static str];

    /// Does one step. It may have been begun before, wholly or in part, and must then come to the same end.
    ///
    /// # Errors
    /// [`StepError`].
    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError>;

    /// Takes back what the steps have made, because the operation was called off. Idempotent too.
    ///
    /// # Errors
    /// [`StepError`]; the operation fails then and says what is left.
    async fn call_off(&self, run: &Run) -> Result<(), StepError> {
        let _ = run;
        Ok(())
    }

    /// Whether the operation can be called off before or in this step. What is half destroyed can only be finished.
    fn can_be_called_off(&self, step: &str) -> bool {
        let _ = step;
        true
    }
}

/// One claim on an operation: what its steps read, and where they record what they do.
pub struct Run {
    pub(super) db: Arc<Db>,
    pub(super) clock: Clock,
    pub(super) grant: OperatorGrant,
    pub(super) stop: CancellationToken,
    /// Somebody wants it called off; noticed by the heartbeat and when progress is recorded.
    pub(super) called_off: CancellationToken,
    /// Whether the step at work may be called off.
    pub(super) stoppable: AtomicBool,
    pub(super) operation: Mutex<Operation>,
    pub(super) recorded: Mutex<Instant>,
}

impl Run {
    /// The operation's id.
    pub async fn operation_id(&self) -> OperationId {
        self.operation.lock().await.operation_id
    }

    /// The operation as it stands.
    pub async fn operation(&self) -> Operation {
        self.operation.lock().await.clone()
    }

    /// What was asked for.
    ///
    /// # Errors
    /// [`StepError::Permanent`] when it was stored in another shape.
    pub async fn input<T: DeserializeOwned>(&self) -> Result<T, StepError> {
        let input = self.operation.lock().await.input();
        input.map_err(|error| StepError::permanent("input", format!("what was asked for cannot be read: {error}")))
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The door to data, for the platform's own tables.
    pub fn db(&self) -> &Arc<Db> {
        &self.db
    }

    /// Leave for the operation's own work.
    pub fn grant(&self) -> &OperatorGrant {
        &self.grant
    }

    /// What an earlier step has kept under a name.
    ///
    /// # Errors
    /// [`StepError::Permanent`] when it has another shape.
    pub async fn kept<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StepError> {
        let value = self.operation.lock().await.result.get(name).cloned();
        let read = value.map(serde_json::from_value).transpose();
        read.map_err(|error| StepError::permanent("result", format!("{name} cannot be read: {error}")))
    }

    /// Keeps something for later steps, and for people: it is part of the operation's result. Recorded at once.
    ///
    /// # Errors
    /// [`StepError::Left`] when the claim was lost; what PostgreSQL refused.
    pub async fn keep(&self, name: &str, value: impl Serialize) -> Result<(), StepError> {
        let value =
            serde_json::to_value(value).map_err(|error| StepError::permanent("result", format!("{name}: {error}")))?;
        self.operation.lock().await.result.insert(name.to_owned(), value);
        self.record().await
    }

    /// Says how much of the step is done, in its own unit; recorded now and then. A good place to stop at when the operation was called off.
    ///
    /// # Errors
    /// [`StepError::Cancelled`], [`StepError::Left`]; what PostgreSQL refused.
    pub async fn progress(&self, done: u64, total: Option<u64>) -> Result<(), StepError> {
        {
            let mut operation = self.operation.lock().await;
            if let Some(at) = operation.next_step() {
                let step = &mut operation.steps[at];
                (step.done, step.total) = (done, total);
            }
        }
        let mut recorded = self.recorded.lock().await;
        if recorded.elapsed() >= RECORDED_EVERY {
            *recorded = Instant::now();
            drop(recorded);
            self.record().await?;
        }
        self.check()
    }

    /// Stops the step when the operation was called off or this process must end.
    ///
    /// # Errors
    /// [`StepError::Cancelled`], [`StepError::Left`].
    pub fn check(&self) -> Result<(), StepError> {
        if self.stop.is_cancelled() {
            Err(StepError::Left)
        } else if self.called_off.is_cancelled() && self.stoppable.load(Ordering::Relaxed) {
            Err(StepError::Cancelled)
        } else {
            Ok(())
        }
    }

    pub(super) async fn record(&self) -> Result<(), StepError> {
        let operation = self.operation().await;
        let saved = store::save(&self.db.operator_alone(&self.grant), &operation).await?;
        if saved { Ok(()) } else { Err(StepError::Left) }
    }

    /// The step at work, begun.
    pub(super) async fn begin(&self, at: usize) -> Result<String, StepError> {
        let name = {
            let mut operation = self.operation.lock().await;
            let now = self.clock.now();
            let step = &mut operation.steps[at];
            step.status = StepStatus::Running;
            step.started_at = Some(now);
            step.note = None;
            step.name.clone()
        };
        self.record().await?;
        Ok(name)
    }

    /// A value of the operation's input, for messages.
    pub async fn asked(&self, name: &str) -> Option<Value> {
        self.operation.lock().await.input.get(name).cloned()
    }
}
