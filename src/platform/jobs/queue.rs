//! Rows of `platform.jobs`: one function per query file.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio_postgres::Row;

use super::{Job, JobError};
use crate::{
    foundation::ids::{JobId, LeaseToken, OrganizationId, TenantId},
    platform::db::{DbError, InTenant, Statements, TenantTx, newest_tenant_version},
    sql,
};

/// A timed claim on one job.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The job.
    pub job_id: JobId,
    /// Proof of the claim.
    pub token: LeaseToken,
    /// In whose tenant the job works.
    pub tenant: TenantId,
    /// The tenant's root organization.
    pub root: OrganizationId,
    /// The organization that the job works for.
    pub organization: OrganizationId,
    /// The job's kind.
    pub kind: String,
    /// The stored job.
    pub payload: Value,
    /// Which attempt this is, from 1.
    pub attempt: i16,
    /// The last attempt there is.
    pub max_attempts: i16,
}

impl Lease {
    /// Whether this is a claim. A job that died because its worker fell silent comes as a lease without one: no attempt of it runs.
    fn is_claim(&self) -> bool {
        self.attempt > 0
    }

    /// The job itself.
    ///
    /// # Errors
    /// [`JobError::Permanent`] when the row holds another shape.
    pub fn job<J: Job>(&self) -> Result<J, JobError> {
        serde_json::from_value(self.payload.clone()).map_err(|_| JobError::Permanent {
            kind: "payload",
            reason: format!("the stored {} cannot be read", J::KIND),
        })
    }
}

/// A job as people see it.
#[derive(Clone, Debug)]
pub struct QueuedJob {
    /// Its id.
    pub job_id: JobId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its kind.
    pub kind: String,
    /// The stored job.
    pub payload: Value,
    /// `ready`, `leased` or `dead`.
    pub status: String,
    /// Attempts so far.
    pub attempts: i16,
    /// Attempts that there are.
    pub max_attempts: i16,
    /// When it may run.
    pub run_at: DateTime<Utc>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
}

/// Queues a job on the caller's transaction: it exists when that commits. `false` when its twin is just running, which then keeps its place.
///
/// # Errors
/// [`DbError`], also when the organization is not the caller's.
pub async fn enqueue<J: Job>(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    job: &J,
    now: DateTime<Utc>,
    run_at: DateTime<Utc>,
) -> Result<bool, DbError> {
    let payload = serde_json::to_value(job).map_err(|source| DbError::Stored { what: J::KIND, source })?;
    let queued = tx
        .execute(
            sql!("jobs/enqueue"),
            &[
                &JobId::new(),
                &tx.tenant(),
                &organization,
                &tx.root(),
                &J::KIND,
                &payload,
                &job.dedup_key(),
                &J::MAX_ATTEMPTS,
                &run_at,
                &now,
            ],
        )
        .await?;
    Ok(queued == 1)
}

/// Ends a job on the transaction that records its result.
///
/// # Errors
/// [`JobError::LeaseLost`] when another worker holds it by now: the transaction must not commit.
pub async fn finish(tx: &TenantTx<'_>, lease: &Lease) -> Result<(), JobError> {
    match tx.execute(sql!("jobs/finish"), &[&lease.job_id, &lease.token]).await? {
        1 => Ok(()),
        _ => Err(JobError::LeaseLost),
    }
}

/// Counts a job among the dead, on the transaction that makes its failure visible. `false` when the lease was lost: the job is left to its
/// new holder, and the failure of this attempt concerns nobody any more. A job that died of its worker's silence is among the dead already.
///
/// # Errors
/// [`DbError`].
pub async fn bury(tx: &TenantTx<'_>, lease: &Lease, error: &JobError, now: DateTime<Utc>) -> Result<bool, DbError> {
    if !lease.is_claim() {
        return Ok(true);
    }
    let to = Postponement { dead: true, run_at: now, reason: error.to_string(), attempts: lease.attempt };
    postpone(tx, lease, &to).await
}

/// Lets a waiting job run now. `false` when there is none.
///
/// # Errors
/// [`DbError`].
pub async fn pull_forward<J: Job>(on: &impl InTenant, job: &J, now: DateTime<Utc>) -> Result<bool, DbError> {
    let pulled =
        on.execute(sql!("jobs/pull_forward"), &[&J::KIND, &job.dedup_key(), &now, &on.organizations()]).await?;
    Ok(pulled > 0)
}

/// Jobs of the caller's organizations in one state, newest first; `after` is the last one of the page before.
///
/// # Errors
/// [`DbError`].
pub(super) async fn list(
    on: &impl InTenant,
    status: &str,
    after: Option<(DateTime<Utc>, JobId)>,
    limit: i64,
) -> Result<Vec<QueuedJob>, DbError> {
    let (at, id) = after.unzip();
    let rows = on.all(sql!("jobs/list"), &[&on.organizations(), &status, &at, &id, &limit]).await?;
    rows.iter().map(queued).collect()
}

/// One job of the caller's organizations.
///
/// # Errors
/// [`DbError`].
pub(super) async fn find(on: &impl InTenant, job_id: JobId) -> Result<Option<QueuedJob>, DbError> {
    let row = on.opt(sql!("jobs/find"), &[&job_id, &on.organizations()]).await?;
    row.as_ref().map(queued).transpose()
}

/// Lets a dead job wait again. `false` when it was not dead.
///
/// # Errors
/// [`DbError`].
pub(super) async fn retry(tx: &TenantTx<'_>, job_id: JobId, now: DateTime<Utc>) -> Result<bool, DbError> {
    Ok(tx.execute(sql!("jobs/retry"), &[&job_id, &now, &tx.organizations()]).await? == 1)
}

pub(super) async fn lease(
    on: &impl Statements,
    at_most: i64,
    now: DateTime<Utc>,
    for_how_long: TimeDelta,
) -> Result<Vec<Lease>, DbError> {
    let token = LeaseToken::new();
    let rows =
        on.all(sql!("jobs/lease"), &[&at_most, &now, &token, &(now + for_how_long), &newest_tenant_version()]).await?;
    Ok(readable(rows.iter().map(|row| {
        let lease = claimed(row, token)?;
        Ok(Lease { attempt: row.try_get("attempts")?, max_attempts: row.try_get("max_attempts")?, ..lease })
    })))
}

/// One row that cannot be read must not cost the others of its batch, which may be other tenants'; its lease runs out until it is dead.
fn readable(leases: impl Iterator<Item = Result<Lease, DbError>>) -> Vec<Lease> {
    leases
        .filter_map(|lease| lease.inspect_err(|error| tracing::error!(%error, "a job's row cannot be read")).ok())
        .collect()
}

fn claimed(row: &Row, token: LeaseToken) -> Result<Lease, DbError> {
    Ok(Lease {
        job_id: row.try_get("job_id")?,
        token,
        tenant: row.try_get("tenant_id")?,
        root: row.try_get("root_organization_id")?,
        organization: row.try_get("organization_id")?,
        kind: row.try_get("kind")?,
        payload: row.try_get("payload")?,
        attempt: 0,
        max_attempts: 0,
    })
}

/// What becomes of a job whose attempt did not finish it.
pub(super) struct Postponement {
    pub dead: bool,
    pub run_at: DateTime<Utc>,
    pub reason: String,
    pub attempts: i16,
}

pub(super) async fn postpone(on: &impl Statements, lease: &Lease, to: &Postponement) -> Result<bool, DbError> {
    let status = if to.dead { "dead" } else { "ready" };
    let reason: String = to.reason.chars().take(2_000).collect();
    let changed = on
        .execute(sql!("jobs/postpone"), &[&lease.job_id, &lease.token, &status, &to.run_at, &reason, &to.attempts])
        .await?;
    Ok(changed == 1)
}

pub(super) async fn extend(on: &impl Statements, token: LeaseToken, until: DateTime<Utc>) -> Result<(), DbError> {
    on.execute(sql!("jobs/extend"), &[&token, &until]).await?;
    Ok(())
}

/// Jobs whose holder fell silent; those that had no attempt left are dead and come back as leases without a claim.
pub(super) async fn reclaim(on: &impl Statements, now: DateTime<Utc>) -> Result<Vec<Lease>, DbError> {
    let rows = on.all(sql!("jobs/reclaim"), &[&now]).await?;
    let dead = rows.iter().filter(|row| row.get::<_, &str>("status") == "dead");
    Ok(readable(dead.map(|row| claimed(row, LeaseToken::new()))))
}

pub(super) async fn waiting(on: &impl Statements) -> Result<i64, DbError> {
    Ok(on.one(sql!("jobs/waiting"), &[]).await?.try_get("jobs")?)
}

fn queued(row: &Row) -> Result<QueuedJob, DbError> {
    Ok(QueuedJob {
        job_id: row.try_get("job_id")?,
        organization_id: row.try_get("organization_id")?,
        kind: row.try_get("kind")?,
        payload: row.try_get("payload")?,
        status: row.try_get("status")?,
        attempts: row.try_get("attempts")?,
        max_attempts: row.try_get("max_attempts")?,
        run_at: row.try_get("run_at")?,
        last_error: row.try_get("last_error")?,
        created_at: row.try_get("created_at")?,
    })
}
