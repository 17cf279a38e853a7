//! `/api/jobs`: what waits, and what has died and can be brought back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
    payload::Json,
};

use super::{
    Wake,
    queue::{self, QueuedJob},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        clock::Clock,
        ids::{JobId, OrganizationId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError},
        http::{Cursor, Kind, Limit, Listing, Page, Position, Refusal},
    },
    words,
};

#[derive(Tags)]
enum Tag {
    /// Queued work: what waits, and what has died.
    Jobs,
}

words! {
    /// How a job stands.
    pub enum JobStatus {
        /// It waits for its time or for a worker.
        Ready = "ready",
        /// A worker has it.
        Leased = "leased",
        /// No attempt is left.
        Dead = "dead",
    }
}

/// The operations on jobs.
pub struct JobsApi {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// Workers are told.
    pub wake: Wake,
}

enum JobRefused {
    NotFound,
    NotDead,
    Db(DbError),
}

impl From<DbError> for JobRefused {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<JobRefused> for Refusal {
    fn from(refused: JobRefused) -> Self {
        match refused {
            JobRefused::NotFound => Refusal::not_found("job"),
            JobRefused::NotDead => Refusal::new(Kind::IllegalState, "only a dead job can be retried"),
            JobRefused::Db(error) => error.into(),
        }
    }
}

#[OpenApi(prefix_path = "/api/jobs", tag = "Tag::Jobs")]
impl JobsApi {
    /// List jobs
    ///
    /// Those of the caller's organizations in one state, newest first. A finished job is gone.
    #[oai(path = "/", method = "get", operation_id = "list_jobs")]
    async fn list_jobs(
        &self,
        caller: Caller,
        /// `dead` when absent.
        status: Query<Option<JobStatus>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<JobView>>, Refusal> {
        let grant = caller.may(Permission::ReadJobs)?;
        let status = status.0.unwrap_or(JobStatus::Dead);
        let listing = Listing::new("list_jobs", &status, limit.0, &cursor.0)?;
        let after = listing.after().map(|after| (after.at, JobId(after.id)));
        let jobs = queue::list(&self.db.alone(&grant), status.as_str(), after, listing.fetch()).await?;
        Ok(Json(listing.page(jobs, |job| Position::new(job.created_at, job.job_id.0), JobView::from)))
    }

    /// Retry a dead job
    ///
    /// It waits again, with all its attempts.
    #[oai(path = "/:job_id/retry", method = "post", operation_id = "retry_job")]
    async fn retry_job(&self, caller: Caller, job_id: Path<JobId>) -> Result<Json<JobView>, Refusal> {
        let grant = caller.may(Permission::RetryJobs)?;
        let job_id = job_id.0;
        let job = self
            .db
            .tenant(&grant, "jobs.retry", async |tx| {
                let job = queue::find(tx, job_id).await?.ok_or(JobRefused::NotFound)?;
                if !queue::retry(tx, job_id, self.clock.now()).await? {
                    return Err(JobRefused::NotDead);
                }
                let details = serde_json::json!({ "kind": job.kind });
                audit(tx, "job.retried", "job", Some(job_id.0), job.organization_id, details).await?;
                queue::find(tx, job_id).await?.ok_or(JobRefused::NotFound)
            })
            .await?;
        self.wake.wake();
        Ok(Json(job.into()))
    }
}

/// Queued work as the API shows it.
#[derive(Debug, Object)]
#[oai(rename = "Job")]
struct JobView {
    /// Its id.
    job_id: JobId,
    /// Whose it is.
    organization_id: OrganizationId,
    /// What is to be done.
    kind: String,
    /// With what: ids alone.
    payload: serde_json::Value,
    /// How it stands.
    status: Option<JobStatus>,
    /// Attempts so far.
    attempts: i16,
    /// Attempts that there are.
    max_attempts: i16,
    /// When it may run.
    run_at: DateTime<Utc>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// When it was enqueued.
    created_at: DateTime<Utc>,
}

impl From<QueuedJob> for JobView {
    fn from(job: QueuedJob) -> Self {
        Self {
            job_id: job.job_id,
            organization_id: job.organization_id,
            kind: job.kind,
            payload: job.payload,
            status: job.status.parse().ok(),
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            run_at: job.run_at,
            last_error: job.last_error,
            created_at: job.created_at,
        }
    }
}
