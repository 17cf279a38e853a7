//! `/api/plugins/{digest}/backtests`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::{Json, PlainText},
};
use serde_json::{Value, json};

use super::{
    Backtests, NewBacktest,
    model::{Backtest, BacktestStatus, Filter},
    report::Report,
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{BacktestId, OrganizationId},
    },
    platform::{
        http::{Cursor, IdempotencyKey, Limit, Listing, Once, Page, Position, Refusal, is_sane},
        jobs::Wake,
        tenancy::Tenants,
    },
};

#[derive(Tags)]
enum Tag {
    /// Plugin versions over stored evaluations.
    #[oai(rename = "Back-tests")]
    Backtests,
}

/// The operations on back-tests.
pub struct BacktestsApi {
    /// What they work on.
    pub backtests: Backtests,
    /// What tenants may use.
    pub tenants: Arc<Tenants>,
    /// Workers are told.
    pub wake: Wake,
}

#[OpenApi(prefix_path = "/api/plugins", tag = "Tag::Backtests")]
impl BacktestsApi {
    /// Back-test a scorer
    ///
    /// A version, bound or not, scores evaluated calls of an organization from their stored answers: nothing is asked, paid or changed. What would
    /// be otherwise is in the report. With `dry_run` nothing is written, and the answer is how many calls fit. 422 when none does, when the plugin
    /// refuses the settings, and for prompt builders; 409 while another back-test of the organization waits or runs.
    #[oai(path = "/:digest/backtests", method = "post", operation_id = "start_backtest")]
    async fn start_backtest(
        &self,
        caller: Caller,
        digest: Path<String>,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        body: Json<BacktestBody>,
    ) -> Result<Begun, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let keyed = key.0.request("start_backtest").with(&digest.0).with(&body.0);
        let dry_run = body.0.dry_run;
        let new = body.0.checked(digest.0)?;
        if dry_run {
            let calls = self.backtests.estimate(&grant, &new).await?;
            return Ok(Begun::Estimated(Json(BacktestEstimate { calls })));
        }
        let quotas = self.tenants.quotas(grant.tenant()).await?;
        let Once { value: made, replayed } = self.backtests.start(&grant, &keyed, &quotas, new).await?;
        self.wake.wake();
        let location = format!("/api/plugins/{}/backtests/{}", made.digest, made.backtest_id);
        Ok(Begun::Accepted(Json(made.into()), location, replayed.then_some(true)))
    }

    /// List back-tests of a version
    ///
    /// Newest first, without their reports.
    #[oai(path = "/:digest/backtests", method = "get", operation_id = "list_backtests")]
    async fn list_backtests(
        &self,
        caller: Caller,
        digest: Path<String>,
        organization_id: Query<Option<OrganizationId>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<BacktestView>>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        let listing = Listing::new("list_backtests", &(&digest.0, organization_id.0), limit.0, &cursor.0)?;
        let found = self.backtests.list(&grant, &digest.0, organization_id.0, &listing).await?;
        let position = |one: &Backtest| Position::new(one.created_at, one.backtest_id.0);
        Ok(Json(listing.page(found, position, BacktestView::from)))
    }

    /// Get a back-test
    ///
    /// How far it is, and its report once it has ended.
    #[oai(path = "/:digest/backtests/:backtest_id", method = "get", operation_id = "get_backtest")]
    async fn get_backtest(
        &self,
        caller: Caller,
        digest: Path<String>,
        backtest_id: Path<BacktestId>,
    ) -> Result<Json<BacktestView>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        Ok(Json(self.backtests.get(&grant, &digest.0, backtest_id.0).await?.into()))
    }

    /// Call a back-test off
    ///
    /// It stops within seconds; what was found until then is its report. 409 when it has ended.
    #[oai(path = "/:digest/backtests/:backtest_id/cancel", method = "post", operation_id = "cancel_backtest")]
    async fn cancel_backtest(
        &self,
        caller: Caller,
        digest: Path<String>,
        backtest_id: Path<BacktestId>,
    ) -> Result<Json<BacktestView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let cancelled = self.backtests.cancel(&grant, &digest.0, backtest_id.0).await?;
        self.wake.wake();
        Ok(Json(cancelled.into()))
    }

    /// Get the plot of a back-test
    ///
    /// The distribution of the scores that count now and of the version's, as a picture (SVG). 409 before there is a report.
    #[oai(path = "/:digest/backtests/:backtest_id/plot.svg", method = "get", operation_id = "get_backtest_plot")]
    async fn get_backtest_plot(
        &self,
        caller: Caller,
        digest: Path<String>,
        backtest_id: Path<BacktestId>,
    ) -> Result<Plot, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        Ok(Plot::Svg(PlainText(self.backtests.plot(&grant, &digest.0, backtest_id.0).await?)))
    }
}

/// What is tested on which calls.
#[derive(Object)]
#[oai(rename = "NewBacktest", deny_unknown_fields)]
struct BacktestBody {
    /// Whose evaluations.
    organization_id: OrganizationId,
    /// The settings under which it scores; none is `{}`.
    #[oai(default = "no_settings")]
    settings: Value,
    /// Which calls; all of them, the newest 25,000, when absent.
    #[oai(default)]
    filter: Filter,
    /// Only say how many calls fit.
    #[oai(default)]
    dry_run: bool,
}

fn no_settings() -> Value {
    json!({})
}

/// Bytes of a queue's name.
const LONGEST_QUEUE: usize = 400;

impl BacktestBody {
    fn checked(self, digest: String) -> Result<NewBacktest, Refusal> {
        let Self { organization_id, settings, filter, .. } = self;
        for (name, time) in
            [("filter.received_from", filter.received_from), ("filter.received_before", filter.received_before)]
        {
            if time.is_some_and(|time| !is_sane(&time)) {
                return Err(Refusal::invalid(name, "must be from 1900 to 9999"));
            }
        }
        if filter.queue.as_ref().is_some_and(|queue| queue.contains('\0') || queue.len() > LONGEST_QUEUE) {
            return Err(Refusal::invalid("filter.queue", "may not hold a NUL character, nor more than 400 bytes"));
        }
        if settings.to_string().contains("\\u0000") {
            return Err(Refusal::invalid("settings", "may not hold a NUL character"));
        }
        Ok(NewBacktest { digest, organization_id, settings, filter })
    }
}

/// What came of asking for a back-test.
#[derive(ApiResponse)]
#[allow(clippy::large_enum_variant, reason = "made once and sent")]
enum Begun {
    /// How many calls fit; nothing was begun.
    #[oai(status = 200)]
    Estimated(Json<BacktestEstimate>),
    /// It is begun; or it had been, by the same request under the same idempotency key.
    #[oai(status = 202)]
    Accepted(
        Json<BacktestView>,
        /// Where to look how far it is.
        #[oai(header = "Location")]
        String,
        /// `true` when the answer repeats that of an earlier request.
        #[oai(header = "Idempotency-Replayed")]
        Option<bool>,
    ),
}

/// A picture.
#[derive(ApiResponse)]
enum Plot {
    /// Bars of both sides, with a title and a description in words.
    #[oai(status = 200, content_type = "image/svg+xml")]
    Svg(PlainText<String>),
}

/// What a back-test would take.
#[derive(Object)]
struct BacktestEstimate {
    /// Calls that fit, up to the filter's number. They cost nothing but the server's time.
    calls: i32,
}

/// A back-test as the API shows it.
#[derive(Object)]
#[oai(rename = "Backtest")]
struct BacktestView {
    backtest_id: BacktestId,
    organization_id: OrganizationId,
    /// SHA-256 of the plugin version.
    digest: String,
    settings: Value,
    /// SHA-256 of the settings' canonical JSON.
    settings_digest: String,
    filter: Filter,
    status: BacktestStatus,
    cancel_requested: bool,
    /// Calls that fitted when it was asked for.
    calls_total: i32,
    /// Calls that were looked at.
    calls_done: i32,
    /// Calls that the version scored without a fault.
    calls_scored: i32,
    /// Why it failed.
    #[oai(nullable)]
    failure: Option<String>,
    requested_by: String,
    created_at: DateTime<Utc>,
    #[oai(nullable)]
    started_at: Option<DateTime<Utc>>,
    #[oai(nullable)]
    ended_at: Option<DateTime<Utc>>,
    /// What came of it; null before it has ended, and in lists.
    #[oai(nullable)]
    report: Option<Report>,
}

impl From<Backtest> for BacktestView {
    fn from(backtest: Backtest) -> Self {
        Self {
            backtest_id: backtest.backtest_id,
            organization_id: backtest.organization_id,
            digest: backtest.digest,
            settings: backtest.settings,
            settings_digest: backtest.settings_digest,
            filter: backtest.filter,
            status: backtest.status,
            cancel_requested: backtest.cancel_requested,
            calls_total: backtest.calls_total,
            calls_done: backtest.calls_done,
            calls_scored: backtest.calls_scored,
            failure: backtest.failure,
            requested_by: backtest.requested_by,
            created_at: backtest.created_at,
            started_at: backtest.started_at,
            ended_at: backtest.ended_at,
            report: backtest.report,
        }
    }
}
