//! `/api/evaluations` and the analysis of a call: a handler asks for a grant, calls one operation, and answers with a view.

pub mod answering;
mod checks;
pub mod views;

use chrono::NaiveDate;
use poem_openapi::{
    Enum, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
};

use self::{
    answering::{AnswerTaken, CostsView, DayCostView, EvaluationCostView, NewHumanAnswer},
    checks::QuoteChecksView,
    views::{AnalysisView, EvaluationSummaryView, EvaluationView},
};
use super::{
    human::HumanAnswers,
    quote_checks::Period,
    reading::{Evaluations, Filter, Summary},
    spending::Spending,
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{AgentId, CallId, EvaluationId, OrganizationId},
    },
    platform::{
        http::{Cursor, IdempotencyKey, Limit, Listing, Page, Position, Refusal},
        tenancy::quotas::{api::range, day_of},
    },
};

/// Which revisions of the calls' evaluations.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "EvaluationRevisions", rename_all = "snake_case")]
enum Revisions {
    /// The newest of each call.
    Current,
    /// Those that were replaced as well.
    All,
}

#[derive(Tags)]
enum Tag {
    /// Scores of calls, and how they came about.
    Evaluations,
}

/// The operations on evaluations.
pub struct EvaluationsApi {
    /// What they work on.
    pub evaluations: Evaluations,
    /// What people answer.
    pub human: HumanAnswers,
    /// What was spent.
    pub spending: Spending,
}

#[OpenApi(prefix_path = "/api", tag = "Tag::Evaluations")]
impl EvaluationsApi {
    /// List evaluations
    ///
    /// The current evaluation of each call, or all their revisions; newest first. An agent sees those of own calls alone.
    #[oai(path = "/evaluations", method = "get", operation_id = "list_evaluations")]
    #[allow(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list_evaluations(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        agent_id: Query<Option<AgentId>>,
        call_id: Query<Option<CallId>>,
        /// `all` shows evaluations that were replaced as well.
        revisions: Query<Option<Revisions>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<EvaluationSummaryView>>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        let all_revisions = revisions.0 == Some(Revisions::All);
        let filter =
            Filter { organization_id: organization_id.0, agent_id: agent_id.0, call_id: call_id.0, all_revisions };
        let filters = (filter.organization_id, filter.agent_id, filter.call_id, all_revisions);
        let listing = Listing::new("list_evaluations", &filters, limit.0, &cursor.0)?;
        let found = self.evaluations.list(&grant, filter, &listing).await?;
        let position = |summary: &Summary| Position::new(summary.assessed_at, summary.evaluation_id.0);
        Ok(Json(listing.page(found, position, EvaluationSummaryView::from)))
    }

    /// Get an evaluation
    ///
    /// With every criterion, its verdict, and the evidence as it was found in the transcript. 404 also for one that the caller may not see.
    #[oai(path = "/evaluations/:evaluation_id", method = "get", operation_id = "get_evaluation")]
    async fn get_evaluation(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
    ) -> Result<Json<EvaluationView>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        Ok(Json(self.evaluations.get(&grant, evaluation_id.0).await?.into()))
    }

    /// Answer a criterion
    ///
    /// One that waits for a person, or whose answer could not be verified. The answer makes a new revision of the evaluation, which is scored again; the
    /// one before stays. 409 when the criterion does not wait, or the evaluation is not the current revision of a scored call.
    #[oai(path = "/evaluations/:evaluation_id/answers", method = "post", operation_id = "answer_criterion")]
    async fn answer_criterion(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        answer: Json<NewHumanAnswer>,
    ) -> Result<AnswerTaken, Refusal> {
        let grant = caller.may(Permission::AnswerCriteria)?;
        let keyed = key.0.request("answer_criterion").with(&evaluation_id.0).with(&answer.0);
        let taken = self.human.answer(&grant, &keyed, evaluation_id.0, answer.0.checked()?).await?;
        Ok(AnswerTaken::of(evaluation_id.0, taken))
    }

    /// Get the cost of an evaluation
    ///
    /// Tokens and money, and each criterion's share of them.
    #[oai(path = "/evaluations/:evaluation_id/cost", method = "get", operation_id = "get_evaluation_cost")]
    async fn get_evaluation_cost(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
    ) -> Result<Json<EvaluationCostView>, Refusal> {
        let grant = caller.may(Permission::ReadCosts)?;
        let cost = self.spending.of_evaluation(&grant, evaluation_id.0).await?;
        Ok(Json(EvaluationCostView::of(evaluation_id.0, cost)))
    }

    /// List what evaluations cost
    ///
    /// By organization and day (UTC), newest first.
    #[oai(path = "/evaluation-costs", method = "get", operation_id = "list_evaluation_costs")]
    async fn list_evaluation_costs(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        /// The first day; 29 days before the last one when absent.
        from: Query<Option<NaiveDate>>,
        /// The last day, at most 400 days from the first on; today when absent.
        to: Query<Option<NaiveDate>>,
    ) -> Result<Json<CostsView>, Refusal> {
        let grant = caller.may(Permission::ReadCosts)?;
        let (from, to) = range(from.0, to.0, day_of(self.human.clock.now()))?;
        let days = self.spending.by_day(&grant, organization_id.0, (from, to)).await?;
        let days = days.into_iter().map(DayCostView::from).collect();
        Ok(Json(CostsView { currency: self.spending.prices.currency.clone(), from, to, days }))
    }

    /// List how the evidence of the language model holds
    ///
    /// Quotes that were held against transcripts, and how many of them are in none, by organization, scorecard version and period (UTC), newest first.
    /// A share that grows says that the model invents, or that the transcripts are bad. Revisions of an evaluation that stand on the same answer of the
    /// model count once. An agent sees those of own calls alone.
    #[oai(path = "/quote-checks", method = "get", operation_id = "list_quote_checks")]
    async fn list_quote_checks(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        /// The first day; 29 days before the last one when absent.
        from: Query<Option<NaiveDate>>,
        /// The last day, at most 400 days from the first on; today when absent.
        to: Query<Option<NaiveDate>>,
        /// How long a period is; a day when absent.
        period: Query<Option<Period>>,
    ) -> Result<Json<QuoteChecksView>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        let days = range(from.0, to.0, day_of(self.human.clock.now()))?;
        let period = period.0.unwrap_or_default();
        let found = self.evaluations.quote_checks(&grant, organization_id.0, days, period).await?;
        Ok(Json(QuoteChecksView::of(days, found)))
    }

    /// Get the analysis of a call
    ///
    /// How far the call has come, and its newest evaluation once there is one. 404 also for a call that the caller may not see.
    #[oai(path = "/calls/:call_id/analysis", method = "get", operation_id = "get_analysis")]
    async fn get_analysis(&self, caller: Caller, call_id: Path<CallId>) -> Result<Json<AnalysisView>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        Ok(Json(self.evaluations.analysis(&grant, call_id.0).await?.into()))
    }
}
