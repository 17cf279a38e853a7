//! Workers: lease, run, and put back what failed.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{
    Handler, JobError, Wake,
    backoff::delay,
    queue::{self, Lease, Postponement},
};
use crate::{
    foundation::clock::Clock,
    platform::db::{Db, DbError},
};

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// Jobs that run at once.
    pub concurrency: usize,
    /// How long a claim lasts without a sign of life.
    pub lease: Duration,
    /// How long an idle worker waits before it looks again.
    pub poll: Duration,
    /// How long running jobs may take to end when the worker is told to stop.
    pub drain: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            lease: Duration::from_secs(60),
            poll: Duration::from_millis(500),
            drain: Duration::from_secs(30),
        }
    }
}

/// Runs jobs until it is told to stop.
pub struct Worker {
    db: Arc<Db>,
    clock: Clock,
    wake: Wake,
    settings: WorkerSettings,
    handlers: HashMap<&'static str, Arc<dyn Handler>>,
}

impl Worker {
    /// A worker for these kinds of jobs.
    ///
    /// # Panics
    /// When two handlers name one kind.
    pub fn new(
        db: Arc<Db>,
        clock: Clock,
        wake: Wake,
        settings: WorkerSettings,
        handlers: Vec<Arc<dyn Handler>>,
    ) -> Self {
        let mut by_kind = HashMap::new();
        for handler in handlers {
            let kind = handler.kind();
            assert!(by_kind.insert(kind, handler).is_none(), "job kind {kind} is registered twice");
        }
        Self { db, clock, wake, settings, handlers: by_kind }
    }

    /// Works until `stop`, then lets running jobs end within the drain time; what does not end is left to its lease.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.settings.concurrency));
        let running = TaskTracker::new();
        let reclaiming = tokio::spawn(self.clone().reclaim_silent(stop.clone()));
        while !stop.is_cancelled() {
            let free = tokio::select! {
                () = stop.cancelled() => break,
                permit = slots.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
            };
            let mut permits = vec![free];
            while let Ok(more) = slots.clone().try_acquire_owned() {
                permits.push(more);
            }
            let leases = match self.lease(permits.len()).await {
                Ok(leases) => leases,
                Err(error) => {
                    tracing::warn!(error = %error, "jobs could not be leased");
                    vec![]
                }
            };
            if leases.is_empty() {
                drop(permits);
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = self.wake.woken() => {}
                    () = tokio::time::sleep(self.settings.poll) => {}
                }
                continue;
            }
            self.start(leases, permits, &running);
        }
        running.close();
        if tokio::time::timeout(self.settings.drain, running.wait()).await.is_err() {
            tracing::warn!(
                jobs = running.len(),
                "jobs still ran when the worker had to stop; their leases will run out"
            );
        }
        reclaiming.abort();
    }

    /// Runs every job that is due and returns when none is left: for tests, which own the clock.
    ///
    /// # Errors
    /// When jobs cannot be leased.
    pub async fn drain(self: &Arc<Self>) -> Result<(), DbError> {
        loop {
            let leases = self.lease(self.settings.concurrency).await?;
            if leases.is_empty() {
                return Ok(());
            }
            futures_util::future::join_all(leases.iter().map(|lease| self.attempt(lease))).await;
        }
    }

    /// How many jobs wait or run.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn waiting(&self) -> Result<i64, DbError> {
        queue::waiting(&self.db.platform_alone()).await
    }

    async fn lease(&self, at_most: usize) -> Result<Vec<Lease>, DbError> {
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let for_how_long = TimeDelta::from_std(self.settings.lease).unwrap_or(TimeDelta::MAX);
        queue::lease(&self.db.platform_alone(), at_most, self.clock.now(), for_how_long).await
    }

    /// Starts leased jobs, and a heartbeat that lasts as long as any of them.
    fn start(self: &Arc<Self>, leases: Vec<Lease>, permits: Vec<OwnedSemaphorePermit>, running: &TaskTracker) {
        let token = leases[0].token;
        let alive = CancellationToken::new();
        let batch = TaskTracker::new();
        for (lease, permit) in leases.into_iter().zip(permits) {
            let worker = self.clone();
            let task = async move {
                worker.attempt(&lease).await;
                drop(permit);
            };
            running.spawn(batch.track_future(task));
        }
        batch.close();
        let worker = self.clone();
        let ended = alive.clone();
        tokio::spawn(async move {
            batch.wait().await;
            ended.cancel();
        });
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(worker.settings.lease / 3);
            beat.tick().await;
            loop {
                tokio::select! {
                    () = alive.cancelled() => return,
                    _ = beat.tick() => worker.extend(token).await,
                }
            }
        });
    }

    async fn extend(&self, token: crate::foundation::ids::LeaseToken) {
        let until = self.clock.now() + TimeDelta::from_std(self.settings.lease).unwrap_or(TimeDelta::MAX);
        let extended = queue::extend(&self.db.platform_alone(), token, until).await;
        if let Err(error) = extended {
            tracing::warn!(error = %error, "leases could not be extended");
        }
    }

    async fn attempt(&self, lease: &Lease) {
        let span = tracing::info_span!(
            "job", kind = %lease.kind, job_id = %lease.job_id, tenant_id = %lease.tenant, attempt = lease.attempt
        );
        async {
            let outcome = match self.handlers.get(lease.kind.as_str()) {
                // A panic is a bug in one stage, and must cost neither the worker nor the job.
                Some(handler) => AssertUnwindSafe(handler.run(lease)).catch_unwind().await.unwrap_or_else(|_| {
                    Err(JobError::Permanent { kind: "panic", reason: "the stage panicked; see the log".to_owned() })
                }),
                None => Err(JobError::Permanent { kind: "unknown_job", reason: "no such kind of job".to_owned() }),
            };
            match outcome {
                Ok(()) => {
                    tracing::debug!("job finished");
                    self.wake.wake();
                }
                Err(error) => self.put_back(lease, &error).await,
            }
        }
        .instrument(span)
        .await;
    }

    async fn put_back(&self, lease: &Lease, error: &JobError) {
        let now = self.clock.now();
        let last = lease.attempt >= lease.max_attempts;
        let (dead, wait, attempts) = match error {
            JobError::LeaseLost => return tracing::info!("the lease was lost; another attempt counts"),
            JobError::NotYet { after, .. } => (false, *after, lease.attempt - 1),
            JobError::Temporary { retry_after, .. } => {
                (last, delay(lease.attempt, rand::random(), *retry_after), lease.attempt)
            }
            JobError::Permanent { .. } | JobError::Confidential { .. } => (true, Duration::ZERO, lease.attempt),
        };
        if dead {
            tracing::warn!(error = error.code(), "job gave up");
            if let Some(handler) = self.handlers.get(lease.kind.as_str()) {
                // When that fails, the lease runs out and the job is tried again: dead without a sign on its call, nobody would find it.
                return self.give_up(handler.as_ref(), lease, error).await;
            }
        } else {
            tracing::debug!(
                error = error.code(),
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "job waits"
            );
        }
        let run_at = now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
        let to = Postponement { dead, run_at, reason: error.to_string(), attempts };
        let done = queue::postpone(&self.db.platform_alone(), lease, &to).await;
        if let Err(error) = done {
            tracing::warn!(error = %error, "a job could not be put back; its lease will run out");
        }
    }

    /// Lets the job's own handler count it among the dead.
    async fn give_up(&self, handler: &dyn Handler, lease: &Lease, error: &JobError) {
        if let Err(error) = handler.gave_up(lease, error).await {
            tracing::error!(error = %error, "a dead job could not be made visible on its call");
        }
    }

    /// Jobs whose worker was killed wait again.
    async fn reclaim_silent(self: Arc<Self>, stop: CancellationToken) {
        let mut look = tokio::time::interval(self.settings.lease / 4);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            if let Err(error) = self.reclaim().await {
                tracing::warn!(error = %error, "silent jobs could not be reclaimed");
            }
        }
    }

    /// Takes back the jobs whose lease has run out.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn reclaim(&self) -> Result<(), DbError> {
        let dead = queue::reclaim(&self.db.platform_alone(), self.clock.now()).await?;
        for lease in dead {
            let error = JobError::Temporary { reason: "the worker fell silent".to_owned(), retry_after: None };
            if let Some(handler) = self.handlers.get(lease.kind.as_str()) {
                self.give_up(handler.as_ref(), &lease, &error).await;
            }
        }
        Ok(())
    }
}
