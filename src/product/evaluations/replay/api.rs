//! `POST /api/plugins/{digest}/test-runs` and `POST /api/evaluations/{evaluation_id}/replays`.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Any};
use serde_json::Value;

use super::{Compared, On, Pasted, Ran, ReplayError, Replays, Tested, Version};
use crate::{
    foundation::{
        access::{Caller, Grant, Permission},
        ids::EvaluationId,
    },
    platform::{
        http::Refusal,
        plugins::{CriterionScore, Insight, InsightKind, Prompt},
        tenancy::Tenants,
    },
    product::{
        calls::{api::NewConversation, redaction::Company},
        plugins::{
            api::{LogLineView, PluginTag},
            model::PluginWorld,
            runs::{Mark, OK},
        },
        scorecards::Side,
    },
};

/// Hundredths in a point, and microseconds in a hundredth of a second.
const HUNDREDTHS: f64 = 100.0;

/// Plugins tried by hand.
pub struct ReplaysApi {
    /// What tries them.
    pub replays: Replays,
    /// Whose conversations are pasted.
    pub tenants: Arc<Tenants>,
}

/// A version with settings, and what it is tried on: a stored call, or a conversation that is pasted with its scorecard and answers.
#[derive(Object)]
#[oai(rename = "NewTestRun", deny_unknown_fields)]
struct NewTestRun {
    /// The plugin's settings; none are `{}`.
    settings: Option<Any<Value>>,
    /// A stored call, with the answers of its newest evaluation.
    call_id: Option<crate::foundation::ids::CallId>,
    /// A conversation that is stored nowhere; it names its scorecard.
    conversation: Option<NewConversation>,
    /// The number of the scorecard's version; the newest when absent.
    #[oai(validator(minimum(value = "1")))]
    version: Option<i32>,
    /// The answers of a pasted conversation by the criteria's keys, each as a language model gives it: `verdict`, `confidence`, `rationale`,
    /// `evidence`, and the member of its type. What is not answered counts as unverified.
    answers: Option<Any<Value>>,
}

/// What an evaluation is replayed by.
#[derive(Object)]
#[oai(rename = "NewReplay", deny_unknown_fields)]
struct NewReplay {
    /// SHA-256 of the version; the scorer that scored when absent.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    digest: Option<String>,
    /// The plugin's settings; those of the receipt when absent and the version is the receipt's, else `{}`.
    settings: Option<Any<Value>>,
}

#[OpenApi(prefix_path = "/api", tag = "PluginTag::Plugins")]
impl ReplaysApi {
    /// Try a plugin
    ///
    /// Runs a version over a stored call or a pasted conversation. No language model is asked, and nothing changes: what stays is one run of the purpose
    /// `test`. Whatever the plugin does wrong is in the answer, with what it logged and took.
    #[oai(path = "/plugins/:digest/test-runs", method = "post", operation_id = "test_plugin")]
    async fn test_plugin(
        &self,
        caller: Caller,
        digest: Path<String>,
        body: Json<NewTestRun>,
    ) -> Result<Json<TestRunView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let (settings, on) = body.0.read()?;
        let version = Version { digest: digest.0, settings };
        let company = self.company(&grant).await?;
        Ok(Json(self.replays.test(&grant, &version, on, &company).await?.into()))
    }

    /// Replay an evaluation
    ///
    /// Runs a version over what a stored evaluation was made of, and says what would differ, criterion by criterion. No language model is asked, and
    /// nothing changes: what stays is one run of the purpose `test`. 409 when the evaluation is not scored, or what it was made of is not there.
    #[oai(path = "/evaluations/:evaluation_id/replays", method = "post", operation_id = "replay_evaluation")]
    async fn replay_evaluation(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
        body: Json<NewReplay>,
    ) -> Result<Json<TestRunView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let NewReplay { digest, settings } = body.0;
        let settings = settings.map(|settings| settings.0);
        Ok(Json(self.replays.replay(&grant, evaluation_id.0, digest, settings).await?.into()))
    }
}

impl ReplaysApi {
    async fn company(&self, grant: &Grant) -> Result<Company, Refusal> {
        let tenant = self.tenants.by_id(grant.tenant()).await?;
        Ok(tenant.map(|tenant| Company::called(&tenant.name)).unwrap_or_default())
    }
}

impl NewTestRun {
    fn read(self) -> Result<(Value, On), ReplayError> {
        let nothing = || Value::Object(serde_json::Map::new());
        let invalid = |field, reason: &str| ReplayError::Invalid { field, reason: reason.to_owned() };
        let settings = self.settings.map_or_else(nothing, |settings| settings.0);
        match (self.call_id, self.conversation) {
            (Some(_), Some(_)) => Err(invalid("conversation", "is given beside call_id: name one of both")),
            (None, None) => Err(invalid("call_id", "or a conversation is needed")),
            (Some(_), None) if self.answers.is_some() || self.version.is_some() => {
                Err(invalid("call_id", "has its scorecard version and answers already"))
            }
            (Some(call_id), None) => Ok((settings, On::Call(call_id))),
            (None, Some(conversation)) => {
                let (details, utterances) = conversation.parts();
                let scorecard =
                    details.scorecard_id.ok_or_else(|| invalid("conversation.scorecard_id", "is needed here"))?;
                let answers = self.answers.map_or_else(nothing, |answers| answers.0);
                let side = self.version.map_or(Side::Newest, Side::Version);
                Ok((settings, On::Pasted(Box::new(Pasted { details, utterances, scorecard, side, answers }))))
            }
        }
    }
}

/// What came of trying a plugin.
#[derive(Object)]
#[oai(rename = "PluginTestRun")]
struct TestRunView {
    /// SHA-256 of the version that ran; null for the built-in scorer.
    #[oai(nullable)]
    digest: Option<String>,
    /// Its name.
    #[oai(nullable)]
    name: Option<String>,
    /// Its author's version.
    #[oai(nullable)]
    version: Option<String>,
    /// What it is for.
    #[oai(nullable)]
    world: Option<PluginWorld>,
    /// `ok`, or a stable word for what went wrong.
    outcome: String,
    /// What went wrong, in words; null when nothing did.
    #[oai(nullable)]
    message: Option<String>,
    /// What it logged, as far as that is kept.
    log: Vec<LogLineView>,
    /// Messages that were cut or not kept.
    log_truncated: u32,
    /// Instructions that it ran, as the engine counts them.
    fuel: u64,
    /// Microseconds that it took.
    elapsed_us: u64,
    /// The most memory that it held, in bytes.
    memory_bytes: u64,
    /// The overall score, 0 to 100; null when nothing was scored.
    #[oai(nullable)]
    overall_score: Option<f64>,
    /// Whether the call passes by it; null without a pass mark.
    #[oai(nullable)]
    passed: Option<bool>,
    /// The overall score of the built-in scorer.
    #[oai(nullable)]
    built_in_overall_score: Option<f64>,
    /// The overall score that counts; null when nothing is scored.
    #[oai(nullable)]
    counted_overall_score: Option<f64>,
    /// Whether the call passes by that.
    #[oai(nullable)]
    counted_passed: Option<bool>,
    /// The overall score less the one that counts.
    #[oai(nullable)]
    difference: Option<f64>,
    /// Whether every score, or every word of the prompt, is what was recorded; null when nothing was.
    #[oai(nullable)]
    same: Option<bool>,
    /// The criteria, in the scorecard's order; empty for a prompt builder.
    criteria: Vec<CriterionView>,
    /// What it found.
    insights: Vec<InsightView>,
    /// What else it said.
    metadata: Vec<MetadataView>,
    /// What it would ask: one prompt, or one for each part of a long conversation. Nobody was asked.
    prompts: Vec<PromptView>,
}

/// One criterion as a plugin scored it, and as others did. Scores are 0 to 100, and null where the criterion left the denominator.
#[derive(Object)]
#[oai(rename = "PluginTestCriterion")]
struct CriterionView {
    /// The criterion's key.
    criterion: String,
    #[oai(nullable)]
    score: Option<f64>,
    #[oai(nullable)]
    passed: Option<bool>,
    /// What the plugin says of it.
    #[oai(nullable)]
    note: Option<String>,
    /// What the built-in scorer gives.
    #[oai(nullable)]
    built_in_score: Option<f64>,
    /// What counts.
    #[oai(nullable)]
    counted_score: Option<f64>,
    /// Whether it passed by what counts.
    #[oai(nullable)]
    counted_passed: Option<bool>,
    /// Whether score or verdict differ from what counts; null where nothing counts, and where the plugin failed.
    #[oai(nullable)]
    differs: Option<bool>,
}

/// Something that a plugin found.
#[derive(Object)]
#[oai(rename = "PluginInsight")]
struct InsightView {
    /// `strength`, `risk` or `other`.
    kind: String,
    text: String,
    /// The key of the criterion it belongs to.
    #[oai(nullable)]
    criterion: Option<String>,
    /// The positions of the utterances that show it.
    utterances: Vec<u32>,
}

/// A word that a plugin says beside its scores.
#[derive(Object)]
#[oai(rename = "PluginMetadata")]
struct MetadataView {
    key: String,
    value: String,
}

/// What a language model would be asked.
#[derive(Object)]
#[oai(rename = "PluginPrompt")]
struct PromptView {
    system: String,
    user: String,
    /// A hint: how long an answer is expected.
    #[oai(nullable)]
    max_output_tokens: Option<u32>,
}

fn points(hundredths: Option<u32>) -> Option<f64> {
    hundredths.map(|hundredths| f64::from(hundredths) / HUNDREDTHS)
}

impl From<Tested> for TestRunView {
    fn from(tested: Tested) -> Self {
        let Tested { ran, ended, trace, mark, built_in, counted, criteria, insights, metadata, prompts, same } = tested;
        let Mark { overall, passed } = mark;
        let counted_overall = counted.and_then(|counted| counted.overall);
        let both = overall.zip(counted_overall);
        let is_ok = ended.outcome == OK;
        let (digest, name, version, world) = match ran {
            Some(Ran { digest, name, version, world }) => (Some(digest), Some(name), Some(version), Some(world.into())),
            None => (None, None, None, None),
        };
        Self {
            digest,
            name,
            version,
            world,
            outcome: ended.outcome.to_owned(),
            message: ended.message,
            log: trace.log.messages.into_iter().map(LogLineView::from).collect(),
            log_truncated: trace.log.truncated,
            fuel: trace.used.fuel,
            elapsed_us: trace.used.elapsed_us,
            memory_bytes: trace.memory_bytes as u64,
            overall_score: points(overall),
            passed,
            built_in_overall_score: points(built_in.overall),
            counted_overall_score: points(counted_overall),
            counted_passed: counted.and_then(|counted| counted.passed),
            difference: both.map(|(overall, counted)| (f64::from(overall) - f64::from(counted)) / HUNDREDTHS),
            same,
            criteria: criteria.into_iter().map(|one| CriterionView::of(one, is_ok && counted.is_some())).collect(),
            insights: insights.into_iter().map(InsightView::from).collect(),
            metadata: metadata.into_iter().map(|(key, value)| MetadataView { key, value }).collect(),
            prompts: prompts.into_iter().map(PromptView::from).collect(),
        }
    }
}

impl CriterionView {
    fn of(compared: Compared, is_comparable: bool) -> Self {
        let Compared { key, score, built_in, counted } = compared;
        let told = |score: &Option<CriterionScore>| score.as_ref().map(|score| (score.score, score.passed));
        let hundredths = |score: &Option<CriterionScore>| points(score.as_ref().and_then(|score| score.score));
        let passed = |score: &Option<CriterionScore>| score.as_ref().and_then(|score| score.passed);
        Self {
            criterion: key,
            differs: is_comparable.then(|| told(&score) != told(&counted)),
            score: hundredths(&score),
            passed: passed(&score),
            built_in_score: hundredths(&built_in),
            counted_score: hundredths(&counted),
            counted_passed: passed(&counted),
            note: score.and_then(|score| score.note),
        }
    }
}

impl From<Insight> for InsightView {
    fn from(insight: Insight) -> Self {
        let Insight { kind, text, criterion, utterances } = insight;
        let kind = match kind {
            InsightKind::Strength => "strength",
            InsightKind::Risk => "risk",
            InsightKind::Other => "other",
        };
        Self { kind: kind.to_owned(), text, criterion, utterances }
    }
}

impl From<Prompt> for PromptView {
    fn from(prompt: Prompt) -> Self {
        let Prompt { system, user, max_output_tokens } = prompt;
        Self { system, user, max_output_tokens }
    }
}
