//! Quotas: what a tenant may use; and its use, counted in the transaction that uses it. docs/QUOTAS.md says what each means.
//!
//! Uses are counted last in a transaction, so that the day's row, which all of a tenant's uploads share, is locked for its commit alone.

pub mod api;
mod model;
mod store;

use chrono::{DateTime, NaiveDate, Utc};

use self::{model::minutes, store::Counted};
pub use self::{
    model::{Exceeded, QuotaName, Quotas, UnreadableQuotas, Used, Wanted, day_of},
    store::{Limited, UsageDay, find_id_by_slug, find_limited, read},
};
use super::{TenantStatus, Tenants};
use crate::{
    foundation::{
        access::{Grant, OperatorGrant, Permission},
        ids::{OrganizationId, TenantId},
    },
    platform::{
        audit::{PlatformEvent, audit_platform},
        db::{Db, DbError, InTenant, PlatformTx, TenantTx, newest_tenant_version},
        http::{Kind, Problem, Refusal},
    },
};

/// The most that one call adds to a day: 31 years of audio.
const MOST_COUNTED: u64 = 1_000_000_000_000;

/// Why something is not taken.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// A quota has no room.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// Nobody knows the limits.
    #[error(transparent)]
    Unreadable(#[from] UnreadableQuotas),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Exceeded> for Refusal {
    fn from(exceeded: Exceeded) -> Self {
        let kind = match exceeded.quota {
            QuotaName::CallsPerDay | QuotaName::AudioMinutesPerDay => Kind::DailyQuotaExceeded,
            QuotaName::StorageBytes | QuotaName::Plugins => Kind::QuotaExceeded,
            QuotaName::WaitingJobs => Kind::TooManyWaitingJobs,
        };
        let problem = Problem::new(kind, exceeded.to_string());
        match exceeded.retry_after_s {
            Some(seconds) => problem.retry_after(seconds).into(),
            None => problem.into(),
        }
    }
}

impl From<QuotaError> for Refusal {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Exceeded(exceeded) => exceeded.into(),
            QuotaError::Unreadable(error) => Refusal::internal(&error),
            QuotaError::Db(error) => error.into(),
        }
    }
}

impl Tenants {
    /// A tenant's limits, as cached as the tenant is.
    ///
    /// # Errors
    /// [`QuotaError::Unreadable`] also for a tenant that is gone: without limits nothing is taken.
    pub async fn quotas(&self, tenant_id: TenantId) -> Result<Quotas, QuotaError> {
        let tenant = self.by_id(tenant_id).await?.ok_or(UnreadableQuotas)?;
        Ok(tenant.quotas?)
    }
}

/// Why quotas are not set.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// There is no such tenant.
    #[error("no such tenant")]
    NotFound,
    /// What is destroyed uses nothing.
    #[error("the tenant's data is destroyed")]
    Destroyed,
    /// Somebody changed the tenant meanwhile.
    #[error("the tenant was changed since it was read")]
    Stale,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Who sets quotas, as audit events name it.
pub struct By<'a> {
    /// An operator, or the command line.
    pub actor: &'a str,
    /// The request that is being answered.
    pub request_id: Option<String>,
}

/// Sets all limits of a tenant, whatever they were, on an operator's transaction; returns the tenant's new revision. `expected` is the revision
/// that is edited; none is whatever is there.
///
/// # Errors
/// [`SetError`].
pub async fn set(
    tx: &PlatformTx<'_>,
    by: By<'_>,
    tenant_id: TenantId,
    quotas: &Quotas,
    expected: Option<i32>,
    now: DateTime<Utc>,
) -> Result<i32, SetError> {
    let limited = find_limited(tx, tenant_id).await?.ok_or(SetError::NotFound)?;
    if limited.status == TenantStatus::Destroyed {
        return Err(SetError::Destroyed);
    }
    let new = serde_json::to_value(quotas).map_err(|source| DbError::Stored { what: "quotas", source })?;
    let revision = expected.unwrap_or(limited.revision);
    let revision = store::update(tx, tenant_id, revision, &new).await?.ok_or(SetError::Stale)?;
    let event = PlatformEvent {
        actor: by.actor,
        action: "tenant.quotas_set",
        subject_kind: "tenant",
        subject_id: Some(tenant_id.0),
        tenant_id: Some(tenant_id),
        request_id: by.request_id,
        details: serde_json::json!({ "old": limited.stored, "new": new }),
        now,
    };
    audit_platform(tx, &event).await?;
    Ok(revision)
}

/// What a tenant used on some days, and uses now.
#[derive(Clone, Debug)]
pub struct Usage {
    /// The days of the range that have anything, newest first.
    pub days: Vec<UsageDay>,
    /// What is used now.
    used: Used,
    /// Jobs that wait or run.
    waiting_jobs: u64,
}

impl Usage {
    /// How much of a quota is used now, in its unit; minutes are rounded up.
    pub fn of(&self, quota: QuotaName) -> u64 {
        match quota {
            QuotaName::CallsPerDay => self.used.calls,
            QuotaName::AudioMinutesPerDay => minutes(self.used.audio_ms),
            QuotaName::StorageBytes => self.used.stored_bytes,
            QuotaName::Plugins => self.used.plugins,
            QuotaName::WaitingJobs => self.waiting_jobs,
        }
    }
}

/// Why usage cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Its schema is being made or brought to this version.
    #[error("the tenant is being prepared")]
    NotReady,
    /// There is nothing any more.
    #[error("the tenant's data is destroyed")]
    Destroyed,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What a tenant used from one day to another, and uses at `now`. The grant is the tenant's; whoever runs Plumbline brings [`from_outside`].
///
/// # Errors
/// [`UsageError`].
pub async fn usage(
    db: &Db,
    grant: &Grant,
    limited: &Limited,
    (from, to): (NaiveDate, NaiveDate),
    now: DateTime<Utc>,
) -> Result<Usage, UsageError> {
    match limited.status {
        TenantStatus::Destroyed => return Err(UsageError::Destroyed),
        TenantStatus::Provisioning => return Err(UsageError::NotReady),
        _ if limited.schema_version < newest_tenant_version() => return Err(UsageError::NotReady),
        _ => {}
    }
    let (days, used) = db
        .tenant(grant, "usage.read", async |tx| {
            tokio::try_join!(store::list_days(tx, from, to), store::find_used(tx, day_of(now)))
        })
        .await?;
    let waiting_jobs = store::waiting_jobs(&db.platform_alone(), grant.tenant(), u64::MAX).await?;
    Ok(Usage { days, used, waiting_jobs })
}

/// Leave to read a tenant's usage from outside, for whoever may know it: for the root organization alone, to whom the numbers belong and no
/// conversation of another organization.
#[allow(clippy::disallowed_methods, reason = "operators read numbers, by the statements of this room alone")]
pub fn from_outside(_: &OperatorGrant, tenant_id: TenantId, limited: &Limited) -> Grant {
    Grant::system(tenant_id, limited.root, limited.root, "usage", Permission::ReadTenant)
}

/// Refuses early what would be refused in the end: before anything is streamed or stored. Nothing is counted, and nobody is held up.
///
/// # Errors
/// [`QuotaError`].
pub async fn foresee(
    on: &impl InTenant,
    quotas: &Quotas,
    wanted: &Wanted,
    now: DateTime<Utc>,
) -> Result<(), QuotaError> {
    if *quotas == Quotas::default() {
        return Ok(());
    }
    let used = store::find_used(on, day_of(now)).await?;
    quotas.refuse(&used, wanted, now).map_or(Ok(()), |exceeded| Err(exceeded.into()))
}

/// Refuses work that would be queued while as many jobs of the tenant wait as may. Those who ask at the same time are let in together.
/// Asks only where there is such a limit, and on a connection of its own: not inside a transaction.
///
/// # Errors
/// [`QuotaError`].
pub async fn room_for_a_job(db: &Db, tenant: TenantId, quotas: &Quotas) -> Result<(), QuotaError> {
    let Some(limit) = quotas.waiting_jobs else { return Ok(()) };
    let waiting = store::waiting_jobs(&db.platform_alone(), tenant, limit.saturating_add(1)).await?;
    quotas.refuse_job(waiting).map_or(Ok(()), |exceeded| Err(exceeded.into()))
}

/// Counts a written conversation on its day, if there is room: exact, however many arrive at once.
///
/// # Errors
/// [`QuotaError`]; the transaction must not commit then.
pub async fn count_call(tx: &TenantTx<'_>, quotas: &Quotas, now: DateTime<Utc>) -> Result<(), QuotaError> {
    let counted = store::count_call(tx, quotas, now).await?;
    if counted { Ok(()) } else { Err(why(tx, quotas, &Wanted::WRITTEN, now).await) }
}

/// Counts a recording, its audio as far as known, and its bytes, if there is room for all: exact, however many arrive at once.
///
/// # Errors
/// [`QuotaError`]; the transaction must not commit then.
pub async fn count_recording(
    tx: &TenantTx<'_>,
    quotas: &Quotas,
    duration_ms: Option<i64>,
    size_bytes: i64,
    now: DateTime<Utc>,
) -> Result<(), QuotaError> {
    let audio_ms = Some(counted(unsigned(duration_ms.unwrap_or(0))));
    let wanted = Wanted { calls: 1, audio_ms, stored_bytes: unsigned(size_bytes), plugins: 0 };

    match store::count_recording(tx, quotas, &wanted, now).await? {
        Counted { tenant: true, .. } => Ok(()),
        // The day was counted before the tenant had no room: seen from here, this recording is on it already.
        Counted { day: true, .. } => {
            let only_stored = Wanted { stored_bytes: wanted.stored_bytes, ..Wanted::default() };
            Err(why(tx, quotas, &only_stored, now).await)
        }
        Counted { .. } => Err(why(tx, quotas, &wanted, now).await),
    }
}

/// Counts a plugin version and its bytes, if there is room.
///
/// # Errors
/// [`QuotaError`]; the transaction must not commit then.
pub async fn count_plugin(
    tx: &TenantTx<'_>,
    quotas: &Quotas,
    size_bytes: i64,
    now: DateTime<Utc>,
) -> Result<(), QuotaError> {
    let wanted = Wanted { stored_bytes: unsigned(size_bytes), plugins: 1, ..Wanted::default() };
    let counted = store::count_plugin(tx, quotas, &wanted, now).await?;
    if counted { Ok(()) } else { Err(why(tx, quotas, &wanted, now).await) }
}

/// Counts audio whose length only its transcript told, on the day of the transcript. It was taken before, so no limit refuses it.
///
/// # Errors
/// [`DbError`].
pub async fn count_audio(tx: &TenantTx<'_>, duration_ms: i64, now: DateTime<Utc>) -> Result<(), DbError> {
    store::count_audio(tx, counted(unsigned(duration_ms)), now).await
}

/// Counts an evaluation and the tokens that it took. Nothing limits them.
///
/// # Errors
/// [`DbError`].
pub async fn count_evaluation(
    tx: &TenantTx<'_>,
    prompt_tokens: u64,
    completion_tokens: u64,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    store::count_evaluation(tx, counted(prompt_tokens), counted(completion_tokens), now).await
}

/// Counts tokens that were paid for an answer of which nothing could be used.
///
/// # Errors
/// [`DbError`].
pub async fn count_tokens(
    tx: &TenantTx<'_>,
    prompt_tokens: u64,
    completion_tokens: u64,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    store::count_tokens(tx, counted(prompt_tokens), counted(completion_tokens), now).await
}

/// Counts what an organization's evaluation cost: tokens that were paid for it, and their price in millionths where there is one.
///
/// # Errors
/// [`DbError`].
pub async fn count_cost(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    tokens: (u64, u64),
    micros: Option<u64>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    store::count_cost(tx, organization, (counted(tokens.0), counted(tokens.1)), micros.map(counted), now).await
}

/// Counts what an organization paid a language model besides evaluations: in the tenant's tokens of the day and in the organization's costs.
/// Nothing limits it.
///
/// # Errors
/// [`DbError`].
pub async fn count_paid(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    tokens: (u64, u64),
    micros: Option<u64>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let tokens = (counted(tokens.0), counted(tokens.1));
    store::count_paid(tx, organization, tokens, micros.map(counted), now).await?;
    store::count_tokens(tx, tokens.0, tokens.1, now).await
}

/// Counts what an organization's plugins took: fuel, and microseconds. Nothing limits it.
///
/// # Errors
/// [`DbError`].
pub async fn count_plugin_run(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    (fuel, elapsed_us): (u64, u64),
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    if (fuel, elapsed_us) == (0, 0) {
        return Ok(());
    }
    store::count_plugin_run(tx, organization, (counted(fuel), counted(elapsed_us)), now).await
}

/// Which quota a statement refused. It has locked the rows that it looked at, so they are as it saw them.
async fn why(tx: &TenantTx<'_>, quotas: &Quotas, wanted: &Wanted, now: DateTime<Utc>) -> QuotaError {
    match store::find_used(tx, day_of(now)).await {
        Ok(used) => match quotas.refuse(&used, wanted, now) {
            Some(exceeded) => exceeded.into(),
            None => DbError::NoRow("usage/count").into(),
        },
        Err(error) => error.into(),
    }
}

/// What a header or a provider claims, in bounds: a lie must not overflow the day.
fn counted(claimed: u64) -> u64 {
    claimed.min(MOST_COUNTED)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
