//! `/api/rescores`, and the way to begin one.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
};
use rust_decimal::prelude::ToPrimitive;

use super::{
    Rescores,
    model::{Change, CriterionChange, Estimate, Narrowed, Range, Rescore, RescoreReport, RescoreStatus, Tally},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{AgentId, CallId, EvaluationId, OrganizationId, RescoreId, ScorecardId, ScorecardVersionId},
    },
    platform::{
        http::{Cursor, IdempotencyKey, Limit, Listing, Once, Page, Position, Refusal, is_sane},
        jobs::Wake,
        tenancy::Tenants,
    },
    product::{
        calls::model::{Channel, Direction},
        scorecards::Scorecards,
    },
};

#[derive(Tags)]
enum Tag {
    /// Many calls under another scorecard version.
    #[oai(rename = "Re-scores")]
    Rescores,
}

/// The operations on re-scores.
pub struct RescoresApi {
    /// What they work on.
    pub rescores: Rescores,
    /// Scorecards.
    pub scorecards: Scorecards,
    /// What tenants may use.
    pub tenants: Arc<Tenants>,
    /// Workers are told.
    pub wake: Wake,
}

#[OpenApi(prefix_path = "/api", tag = "Tag::Rescores")]
impl RescoresApi {
    /// Evaluate calls again under a version of a scorecard
    ///
    /// Evaluated calls of the scorecard's organization that are judged by another version: each gets a new revision, the older ones stay. Where a
    /// question is the same, its stored answer is used again and costs nothing. With `dry_run` nothing is written, and the answer is an estimate.
    /// 422 when no call fits.
    #[oai(
        path = "/evaluation-criteria/:scorecard_id/versions/:version/rescore",
        method = "post",
        operation_id = "rescore_calls"
    )]
    async fn rescore_calls(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        version: Path<i32>,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        body: Json<RescoreBody>,
    ) -> Result<Begun, Refusal> {
        let grant = caller.may(Permission::RescoreCalls)?;
        let keyed = key.0.request("rescore_calls").with(&scorecard_id.0).with(&version.0).with(&body.0);
        let version = self.scorecards.version(&grant, scorecard_id.0, version.0).await?;
        let dry_run = body.0.dry_run;
        let range = body.0.range()?;
        if dry_run {
            return Ok(Begun::Estimated(Json(self.rescores.estimate(&grant, &version, &range).await?.into())));
        }
        let quotas = self.tenants.quotas(grant.tenant()).await?;
        let Once { value: made, replayed } = self.rescores.start(&grant, &keyed, &quotas, &version, range).await?;
        self.wake.wake();
        let location = format!("/api/rescores/{}", made.rescore_id);
        Ok(Begun::Accepted(Json(made.into()), location, replayed.then_some(true)))
    }

    /// List re-scores
    ///
    /// Newest first.
    #[oai(path = "/rescores", method = "get", operation_id = "list_rescores")]
    async fn list_rescores(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<RescoreView>>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        let listing = Listing::new("list_rescores", &organization_id.0, limit.0, &cursor.0)?;
        let found = self.rescores.list(&grant, organization_id.0, &listing).await?;
        let position = |one: &Rescore| Position::new(one.created_at, one.rescore_id.0);
        Ok(Json(listing.page(found, position, RescoreView::from)))
    }

    /// Get a re-score
    ///
    /// How far it is, in calls.
    #[oai(path = "/rescores/:rescore_id", method = "get", operation_id = "get_rescore")]
    async fn get_rescore(&self, caller: Caller, rescore_id: Path<RescoreId>) -> Result<Json<RescoreView>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        Ok(Json(self.rescores.get(&grant, rescore_id.0).await?.into()))
    }

    /// Call a re-score off
    ///
    /// Calls that were not begun are left alone; what was evaluated stays. 409 when it has ended.
    #[oai(path = "/rescores/:rescore_id/cancel", method = "post", operation_id = "cancel_rescore")]
    async fn cancel_rescore(&self, caller: Caller, rescore_id: Path<RescoreId>) -> Result<Json<RescoreView>, Refusal> {
        let grant = caller.may(Permission::RescoreCalls)?;
        let cancelled = self.rescores.cancel(&grant, rescore_id.0).await?;
        self.wake.wake();
        Ok(Json(cancelled.into()))
    }

    /// Get what a re-score changed
    ///
    /// Who passed and fails now, and the other way, by agent and by criterion, and the biggest changes. Calls that are not scored yet are left out.
    #[oai(path = "/rescores/:rescore_id/report", method = "get", operation_id = "get_rescore_report")]
    async fn get_rescore_report(
        &self,
        caller: Caller,
        rescore_id: Path<RescoreId>,
    ) -> Result<Json<RescoreReportView>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        Ok(Json(Box::pin(self.rescores.report(&grant, rescore_id.0)).await?.into()))
    }
}

/// Which calls are evaluated again.
#[derive(Object)]
#[oai(rename = "NewRescore", deny_unknown_fields)]
struct RescoreBody {
    /// Calls of this agent alone.
    agent_id: Option<AgentId>,
    /// Calls received then or later.
    received_from: Option<DateTime<Utc>>,
    /// Calls received before.
    received_before: Option<DateTime<Utc>>,
    /// Calls of this queue.
    queue: Option<String>,
    /// `phone`, `chat` or `email`.
    channel: Option<String>,
    /// `inbound` or `outbound`.
    direction: Option<String>,
    /// The beginning of the language's tag: `en` is also `en-GB`.
    language: Option<String>,
    /// Calls that are judged by a version of this scorecard now.
    scorecard_id: Option<ScorecardId>,
    /// Calls whose overall score is that or more: 0 to 100.
    score_from: Option<f64>,
    /// Calls whose overall score is less.
    score_below: Option<f64>,
    /// Only estimate what it would take.
    #[oai(default)]
    dry_run: bool,
}

/// Bytes of a queue, a channel and the like.
const LONGEST_WORD: usize = 400;

impl RescoreBody {
    fn range(self) -> Result<Range, Refusal> {
        for (name, time) in [("received_from", self.received_from), ("received_before", self.received_before)] {
            if time.is_some_and(|time| !is_sane(&time)) {
                return Err(Refusal::invalid(name, "must be from 1900 to 9999"));
            }
        }
        for (name, text) in [
            ("queue", &self.queue),
            ("channel", &self.channel),
            ("direction", &self.direction),
            ("language", &self.language),
        ] {
            if text.as_ref().is_some_and(|text| text.contains('\0') || text.len() > LONGEST_WORD) {
                return Err(Refusal::invalid(name, "may not hold a NUL character, nor more than 400 bytes"));
            }
        }
        // What no call can have would fit none, and look like an answer.
        if self.channel.as_ref().is_some_and(|channel| channel.parse::<Channel>().is_err()) {
            return Err(Refusal::invalid("channel", "must be phone, chat or email"));
        }
        if self.direction.as_ref().is_some_and(|direction| direction.parse::<Direction>().is_err()) {
            return Err(Refusal::invalid("direction", "must be inbound or outbound"));
        }
        let score = |name, score: Option<f64>| match score {
            Some(score) if !(0.0..=100.0).contains(&score) => Err(Refusal::invalid(name, "must be from 0 to 100")),
            // Within 0..=10000 by the check above.
            score => Ok(score.map(|score| (score * 100.0).round() as i32)),
        };
        let narrowed = Narrowed {
            score_from: score("score_from", self.score_from)?,
            score_below: score("score_below", self.score_below)?,
            queue: self.queue,
            channel: self.channel,
            direction: self.direction,
            language: self.language,
            scorecard_id: self.scorecard_id,
        };
        let Self { agent_id, received_from, received_before, .. } = self;
        Ok(Range { agent_id, received_from, received_before, narrowed })
    }
}

/// What came of asking for a re-score.
#[derive(ApiResponse)]
enum Begun {
    /// What it would take; nothing was begun.
    #[oai(status = 200)]
    Estimated(Json<EstimateView>),
    /// It is begun; or it had been, by the same request under the same idempotency key.
    #[oai(status = 202)]
    Accepted(
        Json<RescoreView>,
        /// Where to look how far it is.
        #[oai(header = "Location")]
        String,
        /// `true` when the answer repeats that of an earlier request.
        #[oai(header = "Idempotency-Replayed")]
        Option<bool>,
    ),
}

/// What a re-score would take.
#[derive(Object)]
#[oai(rename = "RescoreEstimate")]
struct EstimateView {
    /// Calls that fit.
    calls: i64,
    /// Calls about which nothing is asked: they cost nothing.
    calls_without_questions: i64,
    /// Questions to the language model, in all calls.
    asked: i64,
    /// Questions whose stored answer is used again.
    reused: i64,
    /// Tokens of the questions, by what the same calls took before.
    prompt_tokens: i64,
    /// Tokens of the answers, in the same way.
    completion_tokens: i64,
    /// What the tokens cost; null without a price table.
    #[oai(nullable)]
    cost: Option<f64>,
}

impl From<Estimate> for EstimateView {
    fn from(estimate: Estimate) -> Self {
        let Estimate { calls, calls_without_questions, asked, reused, prompt_tokens, completion_tokens, money } =
            estimate;
        let cost = money.and_then(|money| money.to_f64());
        Self { calls, calls_without_questions, asked, reused, prompt_tokens, completion_tokens, cost }
    }
}

/// A re-score as the API shows it.
#[derive(Object)]
#[oai(rename = "Rescore")]
struct RescoreView {
    rescore_id: RescoreId,
    organization_id: OrganizationId,
    scorecard_id: ScorecardId,
    scorecard_version_id: ScorecardVersionId,
    /// Number of the version that is applied.
    version: i32,
    #[oai(nullable)]
    agent_id: Option<AgentId>,
    #[oai(nullable)]
    received_from: Option<DateTime<Utc>>,
    #[oai(nullable)]
    received_before: Option<DateTime<Utc>>,
    status: RescoreStatus,
    cancel_requested: bool,
    progress: ProgressView,
    requested_by: String,
    created_at: DateTime<Utc>,
    #[oai(nullable)]
    ended_at: Option<DateTime<Utc>>,
}

/// How far a re-score is, in calls.
#[derive(Object)]
#[oai(rename = "RescoreProgress")]
struct ProgressView {
    total: i64,
    /// Not begun.
    waiting: i64,
    /// Being assessed or scored.
    running: i64,
    /// With a new, scored revision.
    evaluated: i64,
    /// Left alone, because they were just being worked on.
    skipped: i64,
    /// Without a new score.
    failed: i64,
    /// Left alone, because it was called off.
    cancelled: i64,
    /// Questions that the language model was asked so far.
    asked: i64,
    /// Questions whose stored answer was used again so far.
    reused: i64,
}

impl From<Rescore> for RescoreView {
    fn from(rescore: Rescore) -> Self {
        let progress = rescore.progress;
        Self {
            rescore_id: rescore.rescore_id,
            organization_id: rescore.organization_id,
            scorecard_id: rescore.scorecard_id,
            scorecard_version_id: rescore.scorecard_version_id,
            version: rescore.version,
            agent_id: rescore.range.agent_id,
            received_from: rescore.range.received_from,
            received_before: rescore.range.received_before,
            status: rescore.status,
            cancel_requested: rescore.cancel_requested,
            progress: ProgressView {
                total: progress.total,
                waiting: progress.waiting,
                running: progress.running,
                evaluated: progress.evaluated,
                skipped: progress.skipped,
                failed: progress.failed,
                cancelled: progress.cancelled,
                asked: progress.asked,
                reused: progress.reused,
            },
            requested_by: rescore.requested_by,
            created_at: rescore.created_at,
            ended_at: rescore.ended_at,
        }
    }
}

/// What a re-score changed.
#[derive(Object)]
#[oai(rename = "RescoreReport")]
struct RescoreReportView {
    /// All calls together.
    all: TallyView,
    /// By agent, those with the most calls that changed sides first.
    agents: Vec<AgentChangeView>,
    /// By criterion.
    criteria: Vec<CriterionChangeView>,
    /// Calls that passed and fail now, or the other way: the first 100.
    sides_changed: Vec<ChangeView>,
    /// The calls whose score changed most: the first 100.
    biggest_changes: Vec<ChangeView>,
}

impl From<RescoreReport> for RescoreReportView {
    fn from(report: RescoreReport) -> Self {
        let agents = report.agents.into_iter().map(|(agent_id, display_name, tally)| AgentChangeView {
            agent_id,
            display_name,
            tally: tally.into(),
        });
        Self {
            all: report.all.into(),
            agents: agents.collect(),
            criteria: report.criteria.into_iter().map(CriterionChangeView::from).collect(),
            sides_changed: report.sides_changed.into_iter().map(ChangeView::from).collect(),
            biggest_changes: report.biggest.into_iter().map(ChangeView::from).collect(),
        }
    }
}

/// What a number of calls come to.
#[derive(Object)]
#[oai(rename = "RescoreTally")]
struct TallyView {
    /// Calls that were scored again.
    calls: u64,
    /// Calls whose score is another.
    changed: u64,
    /// Calls that passed and fail now.
    pass_to_fail: u64,
    /// Calls that failed and pass now.
    fail_to_pass: u64,
    /// By how much a score changed in the mean.
    mean_change: f64,
}

impl From<Tally> for TallyView {
    fn from(tally: Tally) -> Self {
        let mean_change = signed(tally.mean());
        let Tally { calls, changed, pass_to_fail, fail_to_pass, sum: _ } = tally;
        Self { calls, changed, pass_to_fail, fail_to_pass, mean_change }
    }
}

/// What changed for one agent.
#[derive(Object)]
#[oai(rename = "RescoredAgent")]
struct AgentChangeView {
    /// Null for calls of nobody known.
    #[oai(nullable)]
    agent_id: Option<AgentId>,
    #[oai(nullable)]
    display_name: Option<String>,
    tally: TallyView,
}

/// What changed for one criterion.
#[derive(Object)]
#[oai(rename = "RescoredCriterion")]
struct CriterionChangeView {
    key: String,
    /// Calls that have it, before or now.
    calls: i64,
    /// Met before, and not now.
    pass_to_fail: i64,
    /// Not met before, and now.
    fail_to_pass: i64,
    /// Did not count before, or is new, and counts now.
    counts_now: i64,
    /// Counted before, and not now.
    counts_no_more: i64,
}

impl From<CriterionChange> for CriterionChangeView {
    fn from(change: CriterionChange) -> Self {
        let CriterionChange { key, calls, pass_to_fail, fail_to_pass, counts_now, counts_no_more } = change;
        Self { key, calls, pass_to_fail, fail_to_pass, counts_now, counts_no_more }
    }
}

/// One call before and after.
#[derive(Object)]
#[oai(rename = "RescoredCall")]
struct ChangeView {
    call_id: CallId,
    #[oai(nullable)]
    agent_id: Option<AgentId>,
    before_evaluation_id: EvaluationId,
    after_evaluation_id: EvaluationId,
    /// 0 to 100.
    #[oai(nullable)]
    before: Option<f64>,
    #[oai(nullable)]
    after: Option<f64>,
    /// Null without a pass mark.
    #[oai(nullable)]
    passed_before: Option<bool>,
    #[oai(nullable)]
    passed_after: Option<bool>,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        let points = |hundredths: u32| f64::from(hundredths) / 100.0;
        Self {
            call_id: change.call_id,
            agent_id: change.agent_id,
            before_evaluation_id: change.before_id,
            after_evaluation_id: change.after_id,
            before: change.before.map(points),
            after: change.after.map(points),
            passed_before: change.passed_before,
            passed_after: change.passed_after,
        }
    }
}

/// From hundredths to points.
fn signed(hundredths: i64) -> f64 {
    hundredths as f64 / 100.0
}
