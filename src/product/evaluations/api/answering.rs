//! People's answers and costs as the API takes and shows them.

use chrono::NaiveDate;
use poem_openapi::{ApiResponse, Enum, Object, payload::Json};

use super::super::{
    answer::{MAX_QUOTE, MAX_QUOTES, MAX_RATIONALE, MAX_TEXT},
    human::{HumanAnswerError, NewAnswer},
    model::{Given, Verdict},
    spending::{DayCost, EvaluationCost, Share},
};
use crate::{
    foundation::ids::{EvaluationId, OrganizationId},
    platform::http::Once,
};

/// Millionths of a unit of money.
const MILLIONTHS: f64 = 1e6;

/// What a person answers.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "HumanVerdict", rename_all = "snake_case")]
enum HumanVerdict {
    /// Of yes-or-no questions.
    Yes,
    /// Of yes-or-no questions.
    No,
    /// Where the criterion allows it.
    NotApplicable,
    /// Of all other questions: the answer itself is in the member of its type.
    Answered,
}

/// A person's answer to one criterion.
#[derive(Object)]
#[oai(rename = "NewHumanAnswer", deny_unknown_fields)]
pub(super) struct NewHumanAnswer {
    /// The criterion's key.
    criterion: String,
    /// What is answered.
    verdict: HumanVerdict,
    /// Keys of choices, of single and multiple choice.
    #[oai(default)]
    choices: Vec<String>,
    /// The number.
    number: Option<i64>,
    /// The words: up to 4,000 characters.
    text: Option<String>,
    /// Why: 1 to 4,000 characters.
    rationale: String,
    /// Words of the transcript that show it, up to 20 quotes of 2,000 characters; each must be there.
    #[oai(default)]
    quotes: Vec<String>,
}

impl NewHumanAnswer {
    /// The answer, held to its bounds.
    pub(super) fn checked(self) -> Result<NewAnswer, HumanAnswerError> {
        let fits = |field, text: &str, least: usize, most: usize| {
            let length = text.chars().count();
            let wrong = match () {
                () if text.contains('\0') => "must not contain a NUL character".to_owned(),
                () if length < least || text.trim().is_empty() && least > 0 => "must not be empty".to_owned(),
                () if length > most => format!("has {length} characters; at most {most} are allowed"),
                () => return Ok(()),
            };
            Err(HumanAnswerError::Invalid { field, reason: wrong })
        };
        fits("rationale", &self.rationale, 1, MAX_RATIONALE)?;
        fits("text", self.text.as_deref().unwrap_or_default(), 0, MAX_TEXT)?;
        if self.quotes.len() > MAX_QUOTES {
            let reason = format!("are {}; at most {MAX_QUOTES} are allowed", self.quotes.len());
            return Err(HumanAnswerError::Invalid { field: "quotes", reason });
        }
        self.quotes.iter().try_for_each(|quote| fits("quotes", quote, 1, MAX_QUOTE))?;
        Ok(NewAnswer {
            criterion: self.criterion,
            said: match self.verdict {
                HumanVerdict::Yes => Verdict::Yes,
                HumanVerdict::No => Verdict::No,
                HumanVerdict::NotApplicable => Verdict::NotApplicable,
                HumanVerdict::Answered => Verdict::Answered,
            },
            given: Given { choices: self.choices, number: self.number, text: self.text },
            rationale: self.rationale,
            quotes: self.quotes,
        })
    }
}

/// The revision that an answer has made.
#[derive(Object)]
#[oai(rename = "HumanAnswerTaken")]
pub(super) struct HumanAnswerTaken {
    /// The evaluation's new revision, which is being scored.
    evaluation_id: EvaluationId,
    /// The revision that was answered.
    replaces: EvaluationId,
}

/// What came of an answer.
#[derive(ApiResponse)]
pub(super) enum AnswerTaken {
    /// It is taken; or it had been, by the same request under the same idempotency key.
    #[oai(status = 200)]
    Taken(
        Json<HumanAnswerTaken>,
        /// `true` when the answer repeats that of an earlier request.
        #[oai(header = "Idempotency-Replayed")]
        Option<bool>,
    ),
}

impl AnswerTaken {
    pub(super) fn of(replaces: EvaluationId, taken: Once<EvaluationId>) -> Self {
        let Once { value: evaluation_id, replayed } = taken;
        Self::Taken(Json(HumanAnswerTaken { evaluation_id, replaces }), replayed.then_some(true))
    }
}

/// What an evaluation cost.
#[derive(Object)]
#[oai(rename = "EvaluationCost")]
pub(super) struct EvaluationCostView {
    evaluation_id: EvaluationId,
    /// The currency of all costs here.
    currency: String,
    /// The language model that answered; `none` when none was asked.
    model: String,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// What the language model cost, by the price when it was asked; null where it had no price.
    #[oai(nullable)]
    cost: Option<f64>,
    /// Instructions that the plugins of the evaluation ran, as their engine counts them; 0 without plugins.
    plugin_fuel: u64,
    /// Milliseconds that they took.
    plugin_ms: f64,
    /// The speech recognition of the call; null for a written conversation.
    #[oai(nullable)]
    audio: Option<AudioCostView>,
    /// Each criterion's share of what the language model cost, by the characters of its question and its answer; what rules, plugins and people answer
    /// has none of that. Plugins run once for all criteria, which have equal shares of it. The shares add up to the whole.
    criteria: Vec<CriterionCostView>,
}

/// What the speech recognition of a call cost.
#[derive(Object)]
#[oai(rename = "AudioCost")]
struct AudioCostView {
    provider: String,
    duration_ms: u64,
    /// By today's price; null where there is none.
    #[oai(nullable)]
    cost: Option<f64>,
}

/// A criterion's share of a cost.
#[derive(Object)]
#[oai(rename = "CriterionCost")]
pub struct CriterionCostView {
    criterion: String,
    prompt_tokens: u64,
    completion_tokens: u64,
    #[oai(nullable)]
    cost: Option<f64>,
    plugin_fuel: u64,
    plugin_ms: f64,
}

/// Microseconds as milliseconds.
pub fn ms(elapsed_us: u64) -> f64 {
    elapsed_us as f64 / 1e3
}

/// Millionths as money.
pub fn money(micros: u64) -> f64 {
    micros as f64 / MILLIONTHS
}

impl EvaluationCostView {
    pub(super) fn of(evaluation_id: EvaluationId, cost: EvaluationCost) -> Self {
        Self {
            evaluation_id,
            currency: cost.currency,
            model: cost.model,
            prompt_tokens: cost.prompt_tokens,
            completion_tokens: cost.completion_tokens,
            cost: cost.micros.map(money),
            plugin_fuel: cost.plugin.fuel,
            plugin_ms: ms(cost.plugin.elapsed_us),
            audio: cost.audio.map(|audio| AudioCostView {
                provider: audio.provider,
                duration_ms: audio.duration_ms,
                cost: audio.micros.map(money),
            }),
            criteria: cost.criteria.into_iter().map(CriterionCostView::from).collect(),
        }
    }
}

impl From<Share> for CriterionCostView {
    fn from(share: Share) -> Self {
        Self {
            criterion: share.criterion,
            prompt_tokens: share.prompt_tokens,
            completion_tokens: share.completion_tokens,
            cost: share.micros.map(money),
            plugin_fuel: share.plugin.fuel,
            plugin_ms: ms(share.plugin.elapsed_us),
        }
    }
}

/// What organizations spent.
#[derive(Object)]
#[oai(rename = "Costs")]
pub(super) struct CostsView {
    /// The currency of all costs here.
    pub(super) currency: String,
    /// The first day.
    pub(super) from: NaiveDate,
    /// The last day.
    pub(super) to: NaiveDate,
    /// Days on which anything was evaluated, newest first.
    pub(super) days: Vec<DayCostView>,
}

/// What an organization spent on one day (UTC).
#[derive(Object)]
#[oai(rename = "DayCost")]
pub(super) struct DayCostView {
    organization_id: OrganizationId,
    day: NaiveDate,
    evaluations: i64,
    /// Tokens that were paid; answers that were used again cost nothing.
    prompt_tokens: i64,
    completion_tokens: i64,
    cost: f64,
    /// Evaluations that are not in the cost, because their model had no price.
    unpriced: i64,
    /// Instructions that plugins ran, as their engine counts them.
    plugin_fuel: u64,
    /// Milliseconds that they took.
    plugin_ms: f64,
}

impl From<DayCost> for DayCostView {
    fn from(day: DayCost) -> Self {
        Self {
            organization_id: day.organization_id,
            day: day.day,
            evaluations: day.evaluations,
            prompt_tokens: day.prompt_tokens,
            completion_tokens: day.completion_tokens,
            cost: day.micros as f64 / MILLIONTHS,
            unpriced: day.unpriced,
            plugin_fuel: day.plugin.fuel,
            plugin_ms: ms(day.plugin.elapsed_us),
        }
    }
}
