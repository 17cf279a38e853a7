//! `POST /api/evaluation-criteria/{scorecard_id}/versions/{version}/try`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use poem_openapi::{Object, OpenApi, Tags, param::Path, payload::Json};

use super::{Judged, MOST_CALLS, Means, Report, Tried, Tryouts};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{CallId, ScorecardId},
    },
    platform::http::Refusal,
    product::{
        evaluations::api::{
            answering::{CriterionCostView, money, ms},
            views::CriterionView,
        },
        scorecards::{Side, model::MAX_CRITERIA},
    },
};

#[derive(Tags)]
enum Tag {
    /// What calls are judged by.
    #[oai(rename = "Evaluation criteria")]
    EvaluationCriteria,
}

/// Trying criteria on past calls.
pub struct TryoutsApi {
    tryouts: Tryouts,
}

impl TryoutsApi {
    /// By the same means as the stages; a request waits no longer than `patience`.
    pub fn new(means: Arc<Means>, patience: Duration) -> Self {
        Self { tryouts: Tryouts::new(means, patience) }
    }
}

#[OpenApi(prefix_path = "/api/evaluation-criteria", tag = "Tag::EvaluationCriteria")]
impl TryoutsApi {
    /// Try criteria on past calls
    ///
    /// Before a draft is published, or any version: the criteria are answered for the calls as an evaluation would, by rules and by the language
    /// model, and shown with their evidence. Nothing is evaluated and no score changes. What the language model answered is paid once: the same
    /// request again, and publishing what was tried, cost nothing for it. A request waits 45 seconds if nothing else is configured; a call that
    /// was not answered by then says `not_yet`, and the same request goes on.
    #[oai(path = "/:scorecard_id/versions/:version/try", method = "post", operation_id = "try_criteria")]
    async fn try_criteria(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        /// A version's number, `newest` or `draft`.
        version: Path<String>,
        body: Json<TryBody>,
    ) -> Result<Json<TriedView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let side: Side = version.0.parse().map_err(|why| Refusal::invalid("version", why))?;
        let TryBody { calls, criteria } = body.0.checked()?;
        let report = self.tryouts.run(&grant, scorecard_id.0, side, criteria, &calls).await?;
        let currency = self.tryouts.means.prices.currency.clone();
        Ok(Json(TriedView::of(report, side, currency)))
    }
}

/// What is tried on what.
#[derive(Object)]
#[oai(rename = "TryCriteria", deny_unknown_fields)]
struct TryBody {
    /// Calls of the scorecard's organization: 1 to 20, each once.
    calls: Vec<CallId>,
    /// Keys of criteria; all of the version when absent. Those that their conditions name are tried with them.
    criteria: Option<Vec<String>>,
}

impl TryBody {
    fn checked(self) -> Result<Self, Refusal> {
        if self.calls.is_empty() || self.calls.len() > MOST_CALLS {
            return Err(Refusal::invalid("calls", format!("must be 1 to {MOST_CALLS} calls")));
        }
        let mut seen = HashSet::new();
        if let Some(n) = self.calls.iter().position(|call| !seen.insert(*call)) {
            return Err(Refusal::invalid(format!("calls[{n}]"), "is named twice"));
        }
        if let Some(criteria) = &self.criteria
            && (criteria.is_empty() || criteria.len() > MAX_CRITERIA)
        {
            return Err(Refusal::invalid("criteria", format!("must be 1 to {MAX_CRITERIA} keys, or absent")));
        }
        Ok(self)
    }
}

/// What criteria came to on some calls.
#[derive(Object)]
#[oai(rename = "TriedCriteria")]
struct TriedView {
    scorecard_id: ScorecardId,
    /// The version's number; null for the draft.
    #[oai(nullable)]
    version: Option<i32>,
    /// SHA-256 of the definition that was tried.
    definition_digest: String,
    /// The currency of all costs here.
    currency: String,
    /// The calls, as they were named.
    calls: Vec<TriedCallView>,
    /// What was paid for this request: answers that were paid before are not in it.
    paid: PaidView,
}

/// Tokens, and their price.
#[derive(Object)]
#[oai(rename = "Paid")]
struct PaidView {
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Null where the model has no price.
    #[oai(nullable)]
    cost: Option<f64>,
}

/// What criteria came to on a call.
#[derive(Object)]
#[oai(rename = "TriedCall")]
struct TriedCallView {
    call_id: CallId,
    /// A stable word for why there are no answers, such as `no_transcript` or `not_yet`; null when there are.
    #[oai(nullable)]
    failure_kind: Option<String>,
    /// The same in words.
    #[oai(nullable)]
    failure_reason: Option<String>,
    /// Who was asked; `none` when rules answered everything, null without answers.
    #[oai(nullable)]
    provider: Option<String>,
    /// The model that answered.
    #[oai(nullable)]
    model: Option<String>,
    /// The criteria that were tried, in the scorecard's order.
    criteria: Vec<TriedCriterionView>,
    /// Tokens of the questions, whenever they were paid.
    prompt_tokens: u64,
    /// Tokens of the answers.
    completion_tokens: u64,
    /// What the language model cost; null where it has no price.
    #[oai(nullable)]
    cost: Option<f64>,
    /// Instructions that a prompt builder ran, as its engine counts them.
    plugin_fuel: u64,
    /// Milliseconds that it took.
    plugin_ms: f64,
    /// Quotes that the language model gave.
    quotes: u64,
    /// Those of them that are not in the transcript.
    quotes_rejected: u64,
}

/// A criterion that was tried.
#[derive(Object)]
#[oai(rename = "TriedCriterion")]
struct TriedCriterionView {
    /// As an evaluation would show it, without a score.
    answer: CriterionView,
    /// Its share of the call's cost.
    cost: CriterionCostView,
}

impl TriedView {
    fn of(report: Report, side: Side, currency: String) -> Self {
        let mut paid = PaidView { prompt_tokens: 0, completion_tokens: 0, cost: Some(0.0) };
        let mut micros = Some(0u64);
        for judged in report.calls.iter().filter_map(|tried| tried.outcome.as_ref().ok()) {
            paid.prompt_tokens += judged.paid.prompt_tokens;
            paid.completion_tokens += judged.paid.completion_tokens;
            micros = micros.zip(judged.paid.micros).map(|(sum, more)| sum.saturating_add(more));
        }
        paid.cost = micros.map(money);
        Self {
            scorecard_id: report.version.scorecard_id,
            version: (side != Side::Draft).then_some(report.version.version),
            definition_digest: report.version.digest,
            currency,
            calls: report.calls.into_iter().map(TriedCallView::from).collect(),
            paid,
        }
    }
}

impl From<Tried> for TriedCallView {
    fn from(tried: Tried) -> Self {
        let nothing = Self {
            call_id: tried.call_id,
            failure_kind: None,
            failure_reason: None,
            provider: None,
            model: None,
            criteria: vec![],
            prompt_tokens: 0,
            completion_tokens: 0,
            cost: None,
            plugin_fuel: 0,
            plugin_ms: 0.0,
            quotes: 0,
            quotes_rejected: 0,
        };
        match tried.outcome {
            Err(why) => Self { failure_kind: Some(why.kind.to_owned()), failure_reason: Some(why.reason), ..nothing },
            Ok(judged) => nothing.with(judged),
        }
    }
}

impl TriedCallView {
    fn with(self, judged: Judged) -> Self {
        let criteria = judged.answers.into_iter().map(|(criterion, answer, share)| TriedCriterionView {
            answer: CriterionView::unscored(&criterion, &answer),
            cost: share.into(),
        });
        Self {
            provider: Some(judged.provider.to_owned()),
            model: Some(judged.model),
            criteria: criteria.collect(),
            prompt_tokens: judged.cost.prompt_tokens,
            completion_tokens: judged.cost.completion_tokens,
            cost: judged.cost.micros.map(money),
            plugin_fuel: judged.plugin.fuel,
            plugin_ms: ms(judged.plugin.elapsed_us),
            quotes: judged.quotes.0 as u64,
            quotes_rejected: judged.quotes.1 as u64,
            ..self
        }
    }
}
