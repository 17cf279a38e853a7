//! Rows of `backtests`, and the calls that they take: one function per query file.

use chrono::{DateTime, Utc};
use postgres_types::ToSql;
use tokio_postgres::{Row, types::Json};

use super::{
    found::Found,
    model::{Backtest, BacktestStatus, Filter, Position, Standing, Version},
    report::Report,
};
use crate::{
    foundation::ids::{AgentId, BacktestId, CallId, OrganizationId, ScorecardVersionId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::Listing,
    },
    product::{evaluations::store::with_root, scorecards::model::ScorecardVersion},
    sql,
};

type Param<'a> = &'a (dyn ToSql + Sync);

/// A version of the tenant's, whether it is bound or not.
///
/// # Errors
/// [`DbError`].
pub(super) async fn find_version(on: &impl InTenant, digest: &str) -> Result<Option<Version>, DbError> {
    let row = on.opt(sql!("backtests/find_version"), &[&digest, &with_root(on)]).await?;
    row.as_ref().map(version).transpose()
}

/// How many calls fit, up to the filter's number.
pub(super) async fn count(on: &impl InTenant, organization: OrganizationId, filter: &Filter) -> Result<i32, DbError> {
    let most = i64::from(filter.most_calls);
    let organizations = on.organizations();
    let [agent, from, before, queue, channel, direction, scorecard, judged_by] = params(filter);
    let params: [Param<'_>; 11] =
        [&organization, &organizations, agent, from, before, queue, channel, direction, scorecard, judged_by, &most];
    let calls: i64 = on.one(sql!("backtests/count"), &params).await?.try_get("calls")?;
    Ok(i32::try_from(calls).unwrap_or(i32::MAX))
}

fn params(filter: &Filter) -> [Param<'_>; 8] {
    [
        &filter.agent_id,
        &filter.received_from,
        &filter.received_before,
        &filter.queue,
        &filter.channel,
        &filter.direction,
        &filter.scorecard_id,
        &filter.scorecard_version_id,
    ]
}

/// The next calls, newest first, at most so many.
pub(super) async fn batch(
    on: &impl InTenant,
    organization: OrganizationId,
    filter: &Filter,
    after: Position,
    most: i64,
) -> Result<Vec<Row>, DbError> {
    let organizations = on.organizations();
    let [agent, from, before, queue, channel, direction, scorecard, judged_by] = params(filter);
    let params: [Param<'_>; 13] = [
        &organization,
        &organizations,
        agent,
        from,
        before,
        queue,
        channel,
        direction,
        scorecard,
        judged_by,
        &after.received_at,
        &after.call_id,
        &most,
    ];
    on.all(sql!("backtests/batch"), &params).await
}

/// What calls are judged by.
pub(super) async fn scorecards(
    on: &impl InTenant,
    organization: OrganizationId,
    ids: &[ScorecardVersionId],
) -> Result<Vec<ScorecardVersion>, DbError> {
    let rows = on.all(sql!("backtests/scorecards"), &[&ids, &on.organizations()]).await?;
    rows.iter().map(|row| crate::product::evaluations::store::scorecard(row, organization)).collect()
}

/// Writes a back-test down; `false` while another one of the organization waits or runs.
pub(super) async fn insert(tx: &TenantTx<'_>, new: &Backtest) -> Result<bool, DbError> {
    let params: [Param<'_>; 9] = [
        &new.backtest_id,
        &new.organization_id,
        &new.digest,
        &new.settings,
        &new.settings_digest,
        &Json(&new.filter),
        &new.calls_total,
        &new.requested_by,
        &new.created_at,
    ];
    Ok(tx.execute(sql!("backtests/insert"), &params).await? == 1)
}

/// One back-test, with its report once it has ended.
///
/// # Errors
/// [`DbError`].
pub(super) async fn find(on: &impl InTenant, id: BacktestId) -> Result<Option<Backtest>, DbError> {
    let Some(row) = on.opt(sql!("backtests/find"), &[&id, &on.organizations()]).await? else { return Ok(None) };
    let report = row.try_get::<_, Option<Json<Report>>>("report")?.map(|Json(report)| report);
    Ok(Some(Backtest { report, ..backtest(&row)? }))
}

/// Where a back-test goes on; `None` when the grant reaches none.
///
/// # Errors
/// [`DbError`].
pub async fn find_standing(on: &impl InTenant, id: BacktestId) -> Result<Option<Standing>, DbError> {
    let params: [Param<'_>; 3] = [&id, &on.organizations(), &with_root(on)];
    let Some(row) = on.opt(sql!("backtests/find_standing"), &params).await? else { return Ok(None) };
    let at: (Option<DateTime<Utc>>, Option<CallId>) = (row.try_get("cursor_at")?, row.try_get("cursor_id")?);
    let found = row.try_get::<_, Option<Json<Found>>>("found")?.map_or_else(Found::default, |Json(found)| found);
    Ok(Some(Standing {
        backtest: backtest(&row)?,
        version: version(&row)?,
        at: at.0.zip(at.1).map(|(received_at, call_id)| Position { received_at, call_id }),
        found,
    }))
}

/// A page of a version's back-tests, newest first.
pub(super) async fn list(
    on: &impl InTenant,
    organizations: &[OrganizationId],
    digest: &str,
    listing: &Listing,
) -> Result<Vec<Backtest>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("backtests/list"), &[&organizations, &digest, &at, &id, &most]).await?;
    rows.iter().map(backtest).collect()
}

/// The names of agents.
pub(super) async fn agents(on: &impl InTenant, ids: &[AgentId]) -> Result<Vec<(AgentId, String)>, DbError> {
    let rows = on.all(sql!("backtests/agents"), &[&ids, &on.organizations()]).await?;
    rows.iter().map(|row| Ok((row.try_get("agent_id")?, row.try_get("display_name")?))).collect()
}

/// Asks a back-test to stop; `false` when it has ended.
pub(super) async fn request_cancel(tx: &TenantTx<'_>, id: BacktestId) -> Result<bool, DbError> {
    Ok(tx.execute(sql!("backtests/request_cancel"), &[&id, &tx.organizations()]).await? == 1)
}

/// Begins, or goes on; `false` when it has ended.
///
/// # Errors
/// [`DbError`].
pub async fn begin(on: &impl InTenant, id: BacktestId, now: DateTime<Utc>) -> Result<bool, DbError> {
    Ok(on.execute(sql!("backtests/begin"), &[&id, &on.organizations(), &now]).await? == 1)
}

/// Keeps what was found; says whether it is to stop, or `None` when it has ended, or somebody else went on from where `done_before` was.
pub(super) async fn save(tx: &TenantTx<'_>, standing: &Standing, done_before: i32) -> Result<Option<bool>, DbError> {
    let backtest = &standing.backtest;
    let params: [Param<'_>; 8] = [
        &backtest.backtest_id,
        &tx.organizations(),
        &done_before,
        &backtest.calls_done,
        &backtest.calls_scored,
        &standing.at.map(|at| at.received_at),
        &standing.at.map(|at| at.call_id),
        &Json(&standing.found),
    ];
    let row = tx.opt(sql!("backtests/save"), &params).await?;
    row.map(|row| Ok(row.try_get("cancel_requested")?)).transpose()
}

/// Ends a back-test; `false` when it has ended before.
///
/// # Errors
/// [`DbError`].
pub async fn end(
    tx: &TenantTx<'_>,
    id: BacktestId,
    status: BacktestStatus,
    report: Option<&Report>,
    failure: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let failure: Option<String> =
        failure.map(|words| words.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).take(2_000).collect());
    let params: [Param<'_>; 6] = [&id, &tx.organizations(), &status, &report.map(Json), &failure, &now];
    Ok(tx.execute(sql!("backtests/end"), &params).await? == 1)
}

fn version(row: &Row) -> Result<Version, DbError> {
    Ok(Version {
        digest: row.try_get("digest")?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        world: row.try_get("world")?,
        object_key: row.try_get("object_key")?,
    })
}

fn backtest(row: &Row) -> Result<Backtest, DbError> {
    Ok(Backtest {
        backtest_id: row.try_get("backtest_id")?,
        organization_id: row.try_get("organization_id")?,
        digest: row.try_get("digest")?,
        settings: row.try_get("settings")?,
        settings_digest: row.try_get("settings_digest")?,
        filter: row.try_get::<_, Json<Filter>>("filter")?.0,
        status: row.try_get("status")?,
        cancel_requested: row.try_get("cancel_requested")?,
        calls_total: row.try_get("calls_total")?,
        calls_done: row.try_get("calls_done")?,
        calls_scored: row.try_get("calls_scored")?,
        failure: row.try_get("failure")?,
        requested_by: row.try_get("requested_by")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
        report: None,
    })
}
