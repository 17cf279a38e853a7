//! Rows of `usage_days` and `usage_totals`, which belong to the root organization, and the limits in `platform.tenants`: one function per
//! query file.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;

use super::model::{Quotas, UnreadableQuotas, Used, Wanted, day_of};
use crate::{
    foundation::ids::{OrganizationId, TenantId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        tenancy::TenantStatus,
    },
    sql,
};

/// What a tenant used on one day (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsageDay {
    /// The day.
    pub day: NaiveDate,
    /// Calls received.
    pub calls: i64,
    /// Milliseconds of recordings.
    pub audio_ms: i64,
    /// Bytes that came into the object store, less those that went.
    pub stored_bytes: i64,
    /// Evaluations that a language model answered.
    pub evaluations: i64,
    /// Tokens that it read.
    pub prompt_tokens: i64,
    /// Tokens that it wrote.
    pub completion_tokens: i64,
}

/// A tenant and its limits.
#[derive(Clone, Debug)]
pub struct Limited {
    /// The organization that tenant-wide rows belong to.
    pub root: OrganizationId,
    /// Where the tenant stands.
    pub status: TenantStatus,
    /// The newest migration that its schema has seen.
    pub schema_version: i32,
    /// What it may use.
    pub quotas: Result<Quotas, UnreadableQuotas>,
    /// The same as it is stored.
    pub stored: Value,
    /// What an edit must name.
    pub revision: i32,
}

/// `false` when the day has no room for a written conversation.
pub(super) async fn count_call(tx: &TenantTx<'_>, quotas: &Quotas, now: DateTime<Utc>) -> Result<bool, DbError> {
    let counted =
        tx.execute(sql!("usage/count_call"), &[&tx.root(), &day_of(now), &quotas.calls_per_day.map(whole)]).await?;
    Ok(counted == 1)
}

/// `false` when the day or the tenant has no room for a recording.
pub(super) async fn count_recording(
    tx: &TenantTx<'_>,
    quotas: &Quotas,
    wanted: &Wanted,
    now: DateTime<Utc>,
) -> Result<Counted, DbError> {
    let row = tx
        .one(
            sql!("usage/count_recording"),
            &[
                &tx.root(),
                &day_of(now),
                &whole(wanted.audio_ms.unwrap_or(0)),
                &whole(wanted.stored_bytes),
                &quotas.calls_per_day.map(whole),
                &quotas.audio_ms().map(whole),
                &quotas.storage_bytes.map(whole),
            ],
        )
        .await?;
    Ok(Counted { day: row.try_get("day")?, tenant: row.try_get("tenant")? })
}

/// `false` when the tenant has no room for a plugin version.
pub(super) async fn count_plugin(
    tx: &TenantTx<'_>,
    quotas: &Quotas,
    wanted: &Wanted,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let counted = tx
        .execute(
            sql!("usage/count_plugin"),
            &[
                &tx.root(),
                &day_of(now),
                &whole(wanted.stored_bytes),
                &quotas.plugins.map(whole),
                &quotas.storage_bytes.map(whole),
            ],
        )
        .await?;
    Ok(counted == 1)
}

/// Adds audio to a day, whatever its limit.
pub(super) async fn count_audio(tx: &TenantTx<'_>, audio_ms: u64, now: DateTime<Utc>) -> Result<(), DbError> {
    tx.execute(sql!("usage/count_audio"), &[&tx.root(), &day_of(now), &whole(audio_ms)]).await?;
    Ok(())
}

/// Adds an evaluation and its tokens to a day.
pub(super) async fn count_evaluation(
    tx: &TenantTx<'_>,
    prompt_tokens: u64,
    completion_tokens: u64,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let tokens = [whole(prompt_tokens), whole(completion_tokens)];
    tx.execute(sql!("usage/count_evaluation"), &[&tx.root(), &day_of(now), &tokens[0], &tokens[1]]).await?;
    Ok(())
}

/// Adds tokens to a day.
pub(super) async fn count_tokens(
    tx: &TenantTx<'_>,
    prompt_tokens: u64,
    completion_tokens: u64,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let tokens = [whole(prompt_tokens), whole(completion_tokens)];
    tx.execute(sql!("usage/count_tokens"), &[&tx.root(), &day_of(now), &tokens[0], &tokens[1]]).await?;
    Ok(())
}

/// Adds an evaluation, its tokens and their price to an organization's day.
pub(super) async fn count_cost(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    (prompt_tokens, completion_tokens): (u64, u64),
    micros: Option<u64>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let tokens = [whole(prompt_tokens), whole(completion_tokens)];
    tx.execute(sql!("usage/count_cost"), &[&organization, &day_of(now), &tokens[0], &tokens[1], &micros.map(whole)])
        .await?;
    Ok(())
}

/// Adds tokens that were paid besides evaluations, and their price, to an organization's day.
pub(super) async fn count_paid(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    (prompt_tokens, completion_tokens): (u64, u64),
    micros: Option<u64>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let tokens = [whole(prompt_tokens), whole(completion_tokens)];
    tx.execute(sql!("usage/count_paid"), &[&organization, &day_of(now), &tokens[0], &tokens[1], &micros.map(whole)])
        .await?;
    Ok(())
}

/// Adds what plugins took to an organization's day.
pub(super) async fn count_plugin_run(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    (fuel, elapsed_us): (u64, u64),
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let run = [whole(fuel), whole(elapsed_us)];
    tx.execute(sql!("usage/count_plugin_run"), &[&organization, &day_of(now), &run[0], &run[1]]).await?;
    Ok(())
}

/// What the day and the tenant have used.
pub(super) async fn find_used(on: &impl InTenant, day: NaiveDate) -> Result<Used, DbError> {
    let row = on.one(sql!("usage/find_used"), &[&on.root(), &day]).await?;
    Ok(Used {
        calls: count(&row, "calls")?,
        audio_ms: count(&row, "audio_ms")?,
        stored_bytes: count(&row, "stored_bytes")?,
        plugins: count(&row, "plugins")?,
    })
}

/// The days of a range that have anything, newest first.
pub(super) async fn list_days(on: &impl InTenant, from: NaiveDate, to: NaiveDate) -> Result<Vec<UsageDay>, DbError> {
    let rows = on.all(sql!("usage/list_days"), &[&on.root(), &from, &to]).await?;
    rows.iter()
        .map(|row| {
            Ok(UsageDay {
                day: row.try_get("day")?,
                calls: row.try_get("calls")?,
                audio_ms: row.try_get("audio_ms")?,
                stored_bytes: row.try_get("stored_bytes")?,
                evaluations: row.try_get("evaluations")?,
                prompt_tokens: row.try_get("prompt_tokens")?,
                completion_tokens: row.try_get("completion_tokens")?,
            })
        })
        .collect()
}

/// How many jobs of the tenant wait or run; beyond `at_most` nobody counts on. `on` is the platform's: a member sees some organizations alone.
pub(super) async fn waiting_jobs(on: &impl Statements, tenant: TenantId, at_most: u64) -> Result<u64, DbError> {
    count(&on.one(sql!("usage/waiting_jobs"), &[&tenant, &whole(at_most)]).await?, "jobs")
}

/// A tenant and its limits; `on` is the platform's or an operator's.
///
/// # Errors
/// [`DbError`].
pub async fn find_limited(on: &impl Statements, tenant: TenantId) -> Result<Option<Limited>, DbError> {
    let Some(row) = on.opt(sql!("usage/find_quotas"), &[&tenant]).await? else { return Ok(None) };
    let stored: Value = row.try_get("quotas")?;
    Ok(Some(Limited {
        root: row.try_get("root_organization_id")?,
        status: row.try_get::<_, &str>("status")?.parse().unwrap_or(TenantStatus::Suspended),
        schema_version: row.try_get("schema_version")?,
        quotas: read(&stored),
        stored,
        revision: row.try_get("revision")?,
    }))
}

/// The tenant of a slug; a destroyed one has none. `on` is the platform's or an operator's.
///
/// # Errors
/// [`DbError`].
pub async fn find_id_by_slug(on: &impl Statements, slug: &str) -> Result<Option<TenantId>, DbError> {
    let row = on.opt(sql!("usage/find_id_by_slug"), &[&slug]).await?;
    Ok(row.map(|row| row.try_get("tenant_id")).transpose()?)
}

/// The new revision; none when somebody else was faster.
pub(super) async fn update(
    on: &impl Statements,
    tenant: TenantId,
    revision: i32,
    quotas: &Value,
) -> Result<Option<i32>, DbError> {
    let row = on.opt(sql!("usage/update_quotas"), &[&tenant, &revision, quotas]).await?;
    Ok(row.map(|row| row.try_get("revision")).transpose()?)
}

/// Stored limits as they are meant.
pub fn read(stored: &Value) -> Result<Quotas, UnreadableQuotas> {
    // An array would be read as well, field by field.
    if !stored.is_object() {
        return Err(UnreadableQuotas);
    }
    Quotas::deserialize(stored).map_err(|_| UnreadableQuotas)
}

/// PostgreSQL's whole numbers end earlier than ours; no count comes near that end.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(row: &Row, column: &str) -> Result<u64, DbError> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
}

/// What had room for a recording. The day is asked first.
pub(super) struct Counted {
    /// The day had.
    pub(super) day: bool,
    /// The tenant had, too: all is counted.
    pub(super) tenant: bool,
}
