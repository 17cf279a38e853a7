//! The operator's process: takes operations one after the other and does their steps.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{
    model::{Operation, OperationError, OperationStatus, StepStatus},
    procedure::{Procedure, Run, StepEnd, StepError},
    store,
};
use crate::{
    foundation::{
        access::{OperatorGrant, Permission},
        clock::Clock,
        ids::OperationId,
    },
    platform::{
        db::{Db, DbError},
        jobs::delay,
    },
};

/// How often a step is tried before its operation fails.
const MOST_ATTEMPTS: i16 = 6;
/// Beyond that, attempts that left no word: a step that kills its process must not take the others' operations with it for ever.
const MOST_CRASHES: i16 = 2;
/// How long a process may be silent before another takes over.
const LEASE: Duration = Duration::from_secs(30);
/// How often an idle process looks.
const POLL: Duration = Duration::from_millis(500);

/// Does operations.
pub struct Runner {
    db: Arc<Db>,
    clock: Clock,
    concurrency: usize,
    procedures: HashMap<&'static str, Arc<dyn Procedure>>,
}

impl Runner {
    /// For these procedures; `concurrency` operations at once.
    ///
    /// # Panics
    /// When two procedures are of one kind.
    pub fn new(db: Arc<Db>, clock: Clock, concurrency: usize, procedures: Vec<Arc<dyn Procedure>>) -> Self {
        let mut by_kind = HashMap::new();
        for procedure in procedures {
            let kind = procedure.kind();
            assert!(by_kind.insert(kind, procedure).is_none(), "two procedures are called {kind}");
        }
        Self { db, clock, concurrency: concurrency.max(1), procedures: by_kind }
    }

    /// Works until `stop`; steps at work then stop at their next good place and are left to the next process.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.concurrency));
        let running = TaskTracker::new();
        while !stop.is_cancelled() {
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
            };
            match self.lease(None).await {
                Ok(Some(operation)) => {
                    let (runner, stop) = (self.clone(), stop.clone());
                    running.spawn(async move {
                        runner.work(operation, stop).await;
                        drop(slot);
                    });
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "operations could not be looked at"),
            }
            drop(slot);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(POLL) => {}
            }
        }
        running.close();
        running.wait().await;
    }

    /// Does every operation whose time has come, and returns when none is left: for tests, which own the clock.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn drain(&self) -> Result<usize, DbError> {
        let mut done = 0;
        while let Some(operation) = self.lease(None).await? {
            self.work(operation, CancellationToken::new()).await;
            done += 1;
        }
        Ok(done)
    }

    /// Does one operation in this process, as far as its time has come: for the command line. `None` when there is no such operation or
    /// another process is at work on it.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn run_one(&self, id: OperationId, stop: &CancellationToken) -> Result<Option<Operation>, DbError> {
        let Some(operation) = self.lease(Some(id)).await? else {
            return Ok(None);
        };
        let grant = self.work(operation, stop.clone()).await;
        store::find(&self.db.operator_alone(&grant), id).await
    }

    async fn lease(&self, only: Option<OperationId>) -> Result<Option<Operation>, DbError> {
        let now = self.clock.now();
        let kinds: Vec<&str> = self.procedures.keys().copied().collect();
        let leased = store::lease(&self.db.operator_alone(&runner()), only, &kinds, now, now + lease_time()).await;
        match leased {
            // Two processes took two operations of one tenant at the same moment; one of them looks again.
            Err(error) if error.unique_violation() == Some("operations_at_work") => Ok(None),
            other => other,
        }
    }

    /// Returns the grant under which it worked.
    async fn work(&self, operation: Operation, stop: CancellationToken) -> OperatorGrant {
        let grant = of_operation(operation.operation_id);
        let Some(procedure) = self.procedures.get(operation.kind.as_str()).cloned() else {
            return grant; // kinds that nobody here knows are not leased
        };
        let span = tracing::info_span!(
            "operation", kind = %operation.kind, operation_id = %operation.operation_id, tenant_id = ?operation.tenant_id.map(|id| id.0)
        );
        let called_off = CancellationToken::new();
        if operation.cancel_requested {
            called_off.cancel();
        }
        let run = Run {
            db: self.db.clone(),
            clock: self.clock.clone(),
            grant: grant.clone(),
            stop,
            called_off,
            stoppable: AtomicBool::new(true),
            operation: Mutex::new(operation),
            recorded: Mutex::new(Instant::now()),
        };
        let work = async {
            let outcome = tokio::select! {
                outcome = Box::pin(self.steps(procedure.as_ref(), &run)) => outcome,
                () = self.keep_alive(&run) => Err(StepError::Left),
            };
            let ended = tokio::select! {
                ended = Box::pin(self.end(procedure.as_ref(), &run, outcome)) => ended,
                () = self.keep_alive(&run) => Err(StepError::Left),
            };
            if let Err(error) = ended {
                tracing::warn!(%error, "an operation's end could not be recorded; its lease will run out");
            }
        };
        Box::pin(work.instrument(span)).await;
        grant
    }

    /// All steps that are left; the time until which to wait, if one has to.
    async fn steps(&self, procedure: &dyn Procedure, run: &Run) -> Result<Option<StepEnd>, StepError> {
        loop {
            let operation = run.operation().await;
            let Some(at) = operation.next_step() else {
                return Ok(None);
            };
            let name = operation.steps[at].name.clone();
            let stoppable = procedure.can_be_called_off(&name);
            run.stoppable.store(stoppable, Ordering::Relaxed);
            run.check()?;
            if stoppable && operation.attempts > MOST_ATTEMPTS + MOST_CRASHES {
                return Err(StepError::permanent(
                    "crashed",
                    format!("the step {name} ended its process again and again"),
                ));
            }
            run.begin(at).await?;
            // A panic is a bug in one step, and must not cost the process.
            let end = AssertUnwindSafe(procedure.step(&name, run)).catch_unwind().await.unwrap_or_else(|_| {
                Err(StepError::permanent("panic", format!("the step {name} panicked; see the log")))
            })?;
            match end {
                StepEnd::Done(note) => {
                    run.operation.lock().await.done(at, note, self.clock.now());
                    run.record().await?;
                    tracing::info!(step = %name, "step done");
                }
                wait @ StepEnd::Wait { .. } => return Ok(Some(wait)),
            }
        }
    }

    /// Extends the claim; ends when it was lost.
    async fn keep_alive(&self, run: &Run) {
        let mut beat = tokio::time::interval(LEASE / 6);
        beat.tick().await;
        loop {
            beat.tick().await;
            let operation = run.operation().await;
            let until = self.clock.now() + lease_time();
            match store::extend(&self.db.operator_alone(&run.grant), &operation, until).await {
                Ok(Some(true)) => run.called_off.cancel(),
                Ok(Some(false)) => {}
                Ok(None) => return tracing::warn!("the claim on the operation was lost"),
                Err(error) => tracing::warn!(%error, "the claim on an operation could not be extended"),
            }
        }
    }

    async fn end(
        &self,
        procedure: &dyn Procedure,
        run: &Run,
        outcome: Result<Option<StepEnd>, StepError>,
    ) -> Result<(), StepError> {
        let outcome = match outcome {
            Err(StepError::Cancelled) => {
                let taken_back = AssertUnwindSafe(procedure.call_off(run)).catch_unwind().await;
                match taken_back
                    .unwrap_or_else(|_| Err(StepError::permanent("panic", "calling off panicked; see the log")))
                {
                    Ok(()) => Err(StepError::Cancelled),
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        let action = {
            let mut operation = run.operation.lock().await;
            let only_forwards = !run.stoppable.load(Ordering::Relaxed);
            ended(&mut operation, outcome, only_forwards, self.clock.now())
        };
        let operation = run.operation().await;
        let grant = &run.grant;
        self.db
            .operator(grant, "operations.end", async |tx| {
                if !store::save(tx, &operation).await? {
                    return Err(StepError::Left);
                }
                if let Some(action) = action {
                    store::audit(tx, grant.actor(), action, &operation, None, self.clock.now()).await?;
                }
                Ok(())
            })
            .await
    }
}

/// Moves the operation to where the outcome leads; the audit event, if it has come to an end. What cannot be called off any more is tried until
/// it is done.
fn ended(
    operation: &mut Operation,
    outcome: Result<Option<StepEnd>, StepError>,
    only_forwards: bool,
    now: chrono::DateTime<chrono::Utc>,
) -> Option<&'static str> {
    let at = operation.next_step();
    let mut step_is = |status, note: Option<String>| {
        if let Some(step) = at.map(|at| &mut operation.steps[at]) {
            step.status = status;
            step.note = note.or(step.note.take());
        }
    };
    let (status, action) = match outcome {
        Ok(None) => (OperationStatus::Succeeded, Some("operation.succeeded")),
        Ok(Some(StepEnd::Wait { until, reason })) => {
            step_is(StepStatus::Waiting, Some(reason));
            (operation.run_at, operation.attempts) = (until, 0);
            (OperationStatus::Waiting, None)
        }
        Ok(Some(StepEnd::Done(_))) | Err(StepError::Left) => {
            step_is(StepStatus::Waiting, None);
            (operation.run_at, operation.attempts) = (now, operation.attempts.saturating_sub(1));
            (OperationStatus::Waiting, None)
        }
        Err(StepError::Cancelled) => {
            step_is(StepStatus::Waiting, None);
            (OperationStatus::Cancelled, Some("operation.cancelled"))
        }
        Err(StepError::Temporary(reason)) if only_forwards || operation.attempts < MOST_ATTEMPTS => {
            tracing::warn!(%reason, "a step waits and is tried again");
            step_is(StepStatus::Waiting, Some(shortened(reason)));
            let wait = delay(operation.attempts, rand::random(), None);
            operation.run_at = now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
            (OperationStatus::Waiting, None)
        }
        Err(error) => {
            let kind = match &error {
                StepError::Permanent { kind, .. } => kind,
                _ => "temporary",
            };
            let reason = shortened(error.to_string());
            tracing::warn!(kind, %reason, "an operation failed");
            step_is(StepStatus::Failed, Some(reason.clone()));
            operation.error = Some(OperationError { kind: kind.to_owned(), reason });
            (OperationStatus::Failed, Some("operation.failed"))
        }
    };
    operation.status = status;
    operation.ended_at =
        matches!(status, OperationStatus::Succeeded | OperationStatus::Failed | OperationStatus::Cancelled)
            .then_some(now);
    action
}

/// As long as the column takes.
fn shortened(text: String) -> String {
    text.chars().take(1_900).collect()
}

fn lease_time() -> TimeDelta {
    TimeDelta::from_std(LEASE).unwrap_or(TimeDelta::MAX)
}

#[allow(clippy::disallowed_methods, reason = "the operator's process has the owner's credential already")]
fn runner() -> OperatorGrant {
    OperatorGrant::system("operator", Permission::ManageTenants)
}

#[allow(clippy::disallowed_methods, reason = "the operator's process has the owner's credential already")]
fn of_operation(id: OperationId) -> OperatorGrant {
    OperatorGrant::system(&format!("operation:{id}"), Permission::ManageTenants)
}
