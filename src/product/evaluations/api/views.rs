//! Evaluations as the API shows them.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Any};
use serde_json::Value;

use super::super::{
    model::{Answer, EvaluationStatus, Evidence, Insight, InsightKind, Reason, RevisionCause, Speaker, Verdict, Way},
    reading::{Analysis, Evaluation, Summary},
};
use crate::{
    foundation::ids::{AgentId, CallId, EvaluationId, OrganizationId, ScorecardId, ScorecardVersionId},
    platform::plugins::CriterionScore,
    product::scorecards::model::{AnswerKind, AnsweredBy, AutoFail, Criterion},
};

/// From hundredths to 0–100 with two decimals.
fn points(hundredths: u32) -> f64 {
    f64::from(hundredths) / 100.0
}

/// The verdict on a criterion.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "Verdict", rename_all = "snake_case")]
enum VerdictView {
    Yes,
    No,
    NotApplicable,
    Unverified,
    Answered,
    Pending,
}

impl From<Verdict> for VerdictView {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Yes => Self::Yes,
            Verdict::No => Self::No,
            Verdict::NotApplicable => Self::NotApplicable,
            Verdict::Unverified => Self::Unverified,
            Verdict::Answered => Self::Answered,
            Verdict::Pending => Self::Pending,
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "EvidenceSpeaker", rename_all = "snake_case")]
enum SpeakerView {
    Agent,
    Customer,
    System,
    Unknown,
}

impl From<Speaker> for SpeakerView {
    fn from(speaker: Speaker) -> Self {
        match speaker {
            Speaker::Agent => Self::Agent,
            Speaker::Customer => Self::Customer,
            Speaker::System => Self::System,
            Speaker::Unknown => Self::Unknown,
        }
    }
}

/// One evaluation in a list.
#[derive(Object)]
#[oai(rename = "EvaluationSummary")]
pub(super) struct EvaluationSummaryView {
    evaluation_id: EvaluationId,
    call_id: CallId,
    organization_id: OrganizationId,
    #[oai(nullable)]
    agent_id: Option<AgentId>,
    scorecard_version_id: ScorecardVersionId,
    /// Which of the call's evaluations, from 1; the highest is the current one.
    revision: i32,
    /// Why there is this revision.
    cause: RevisionCause,
    /// The revision before.
    #[oai(nullable)]
    replaces: Option<EvaluationId>,
    /// Whether it is the call's current one.
    is_current: bool,
    /// Which version of the transcript it judges, from 1.
    transcript_version: i32,
    status: EvaluationStatus,
    /// Who scored: name and version; null before scoring.
    #[oai(nullable)]
    scorer: Option<String>,
    /// 0 to 100 with two decimals; null before scoring, and when nothing was applicable.
    #[oai(nullable)]
    overall_score: Option<f64>,
    /// Whether the call reached the scorecard's pass mark and nothing failed the evaluation; null before scoring, and without a pass mark.
    #[oai(nullable)]
    passed: Option<bool>,
    /// Whether a person has to look: an answer was left out because its evidence is not in the transcript.
    needs_review: bool,
    /// When the language model's answer was recorded.
    assessed_at: DateTime<Utc>,
    /// When it was scored.
    #[oai(nullable)]
    evaluated_at: Option<DateTime<Utc>>,
}

impl From<Summary> for EvaluationSummaryView {
    fn from(summary: Summary) -> Self {
        Self {
            evaluation_id: summary.evaluation_id,
            call_id: summary.call_id,
            organization_id: summary.organization_id,
            agent_id: summary.agent_id,
            scorecard_version_id: summary.scorecard_version_id,
            revision: summary.revision,
            cause: summary.cause,
            replaces: summary.replaces,
            is_current: summary.is_current,
            transcript_version: summary.transcript_version,
            status: summary.status,
            scorer: summary.scorer,
            overall_score: summary.overall.map(points),
            passed: summary.passed,
            needs_review: summary.needs_review,
            assessed_at: summary.assessed_at,
            evaluated_at: summary.evaluated_at,
        }
    }
}

/// A scorecard version applied to a call.
#[derive(Object)]
#[oai(rename = "Evaluation")]
pub(super) struct EvaluationView {
    evaluation_id: EvaluationId,
    call_id: CallId,
    organization_id: OrganizationId,
    #[oai(nullable)]
    agent_id: Option<AgentId>,
    scorecard_id: ScorecardId,
    scorecard_version_id: ScorecardVersionId,
    /// Name of the scorecard version.
    scorecard_name: String,
    /// Number of the scorecard version.
    scorecard_version: i32,
    /// Which of the call's evaluations, from 1; the highest is the current one.
    revision: i32,
    /// Why there is this revision.
    cause: RevisionCause,
    /// The revision before.
    #[oai(nullable)]
    replaces: Option<EvaluationId>,
    /// Whether it is the call's current one.
    is_current: bool,
    /// Which version of the transcript it judges, from 1.
    transcript_version: i32,
    status: EvaluationStatus,
    /// 0 to 100 with two decimals; null before scoring, and when nothing was applicable.
    #[oai(nullable)]
    overall_score: Option<f64>,
    /// Whether the call reached the pass mark and nothing failed the evaluation; null before scoring, and without a pass mark.
    #[oai(nullable)]
    passed: Option<bool>,
    /// The overall score from which a call passes: 0 to 100; null when the scorecard version has none.
    #[oai(nullable)]
    pass_mark: Option<u32>,
    /// Whether a person has to look: an answer was left out because its evidence is not in the transcript.
    needs_review: bool,
    /// The scorecard's sections, in order.
    sections: Vec<SectionView>,
    /// What follows from the answers.
    insights: Vec<InsightView>,
    /// Who scored: name and version; null before scoring.
    #[oai(nullable)]
    scorer: Option<String>,
    /// Why another scorer than the organization's own scored, or why the evaluation is held.
    #[oai(nullable)]
    scorer_note: Option<String>,
    /// Who asked the language model: name and version of the prompt builder.
    prompt_builder: String,
    /// The provider of the language model.
    provider: String,
    /// The model that answered.
    model: String,
    prompt_tokens: i64,
    completion_tokens: i64,
    /// The provider's name for the configuration that answered; null where it gives none.
    #[oai(nullable)]
    model_fingerprint: Option<String>,
    /// What besides the question decided the model's answer: the model asked, temperature, seed, most tokens.
    parameters: Any<Value>,
    /// Quotes that the language model gave.
    quotes: i64,
    /// Those of them that are not in the transcript.
    quotes_rejected: i64,
    /// Digests of everything that went into the score, from which it can be computed again.
    receipt: Any<Value>,
    /// When the language model's answer was recorded.
    assessed_at: DateTime<Utc>,
    /// When it was scored.
    #[oai(nullable)]
    evaluated_at: Option<DateTime<Utc>>,
}

/// A section of an evaluation.
#[derive(Object)]
#[oai(rename = "EvaluationSection")]
struct SectionView {
    key: String,
    name: String,
    weight: u32,
    /// 0 to 100 with two decimals; null where nothing was applicable.
    #[oai(nullable)]
    score: Option<f64>,
    criteria: Vec<CriterionView>,
}

/// A criterion of an evaluation.
#[derive(Object)]
#[oai(rename = "EvaluationCriterion")]
pub struct CriterionView {
    key: String,
    question: String,
    weight: u32,
    auto_fail: AutoFail,
    /// The sort of answer.
    answer_type: AnswerKind,
    /// Who answered, or will.
    answered_by: AnsweredBy,
    /// What counts: `unverified` when the evidence of the answer is not in the transcript.
    verdict: VerdictView,
    /// What was said, before its evidence was checked and conditions were looked at.
    claimed_verdict: VerdictView,
    /// Why the criterion does not count; null when it does.
    #[oai(nullable)]
    reason: Option<Reason>,
    /// The evaluation in which a person gave the answer, when it was carried over from an earlier one.
    #[oai(nullable)]
    carried_from: Option<EvaluationId>,
    /// Keys of the choices.
    choices: Vec<String>,
    /// The number.
    #[oai(nullable)]
    number: Option<i64>,
    /// The words.
    #[oai(nullable)]
    text: Option<String>,
    /// What the answer is worth: a percentage, or points; null when it does not count.
    #[oai(nullable)]
    worth: Option<i32>,
    /// How sure the language model is: 0 to 1.
    confidence: f64,
    /// Why, in the language model's words.
    rationale: String,
    /// Every quote of the language model, found in the transcript or rejected.
    evidence: Vec<EvidenceView>,
    /// 0 to 100; null where the criterion does not count, and before scoring.
    #[oai(nullable)]
    score: Option<f64>,
    /// Null where the criterion does not count, and before scoring.
    #[oai(nullable)]
    passed: Option<bool>,
    /// A word of the scorer.
    #[oai(nullable)]
    note: Option<String>,
}

/// A quote, and where the server found it in the transcript.
#[derive(Object)]
#[oai(rename = "Evidence")]
struct EvidenceView {
    /// The words as the language model quoted them.
    quote: String,
    /// Whether the words are in the transcript; if not, the quote is rejected and has no place.
    verified: bool,
    /// How they were found: character by character, by their words, or within a bounded edit distance; null when they were not.
    #[oai(nullable, rename = "match")]
    way: Option<Way>,
    /// The words as the transcript has them.
    #[oai(nullable)]
    words: Option<String>,
    /// Position of the utterance, from 1.
    #[oai(nullable)]
    utterance: Option<u32>,
    /// Who says them.
    #[oai(nullable)]
    speaker: Option<SpeakerView>,
    /// First character of the words in the utterance, from 0.
    #[oai(nullable)]
    start_char: Option<u32>,
    /// The character after the last one.
    #[oai(nullable)]
    end_char: Option<u32>,
    /// Begin of the utterance in milliseconds from the start of the call; null for written conversations.
    #[oai(nullable)]
    start_ms: Option<u64>,
    /// End of the utterance.
    #[oai(nullable)]
    end_ms: Option<u64>,
}

impl From<&Evidence> for EvidenceView {
    fn from(evidence: &Evidence) -> Self {
        let place = evidence.found.as_ref();
        Self {
            quote: evidence.quote.clone(),
            verified: place.is_some(),
            way: place.map(|place| place.way),
            words: place.map(|place| place.words.clone()),
            utterance: place.map(|place| place.utterance),
            speaker: place.map(|place| place.speaker.into()),
            start_char: place.map(|place| place.start_char),
            end_char: place.map(|place| place.end_char),
            start_ms: place.and_then(|place| place.start_ms),
            end_ms: place.and_then(|place| place.end_ms),
        }
    }
}

/// A derived finding.
#[derive(Object)]
#[oai(rename = "Insight")]
struct InsightView {
    kind: InsightKind,
    /// The criterion that it belongs to.
    #[oai(nullable)]
    criterion: Option<String>,
    text: String,
}

impl From<Insight> for InsightView {
    fn from(Insight { kind, criterion, text }: Insight) -> Self {
        Self { kind, criterion, text }
    }
}

impl From<Evaluation> for EvaluationView {
    fn from(evaluation: Evaluation) -> Self {
        let sections = sections(&evaluation);
        let EvaluationSummaryView {
            evaluation_id,
            call_id,
            organization_id,
            agent_id,
            scorecard_version_id,
            revision,
            cause,
            replaces,
            is_current,
            transcript_version,
            status,
            scorer,
            overall_score,
            passed,
            needs_review,
            assessed_at,
            evaluated_at,
        } = evaluation.summary.into();
        Self {
            evaluation_id,
            call_id,
            organization_id,
            agent_id,
            scorecard_id: evaluation.scorecard_id,
            scorecard_version_id,
            scorecard_name: evaluation.definition.name,
            scorecard_version: evaluation.version,
            revision,
            cause,
            replaces,
            is_current,
            transcript_version,
            status,
            overall_score,
            passed,
            pass_mark: evaluation.definition.pass_mark,
            needs_review,
            sections,
            insights: evaluation.insights.into_iter().map(InsightView::from).collect(),
            scorer,
            scorer_note: evaluation.scorer_note,
            prompt_builder: evaluation.prompt_builder,
            provider: evaluation.provider,
            model: evaluation.model,
            prompt_tokens: evaluation.prompt_tokens,
            completion_tokens: evaluation.completion_tokens,
            model_fingerprint: evaluation.fingerprint,
            parameters: Any(evaluation.parameters),
            quotes: evaluation.quotes,
            quotes_rejected: evaluation.quotes_rejected,
            receipt: Any(serde_json::to_value(&evaluation.receipt).unwrap_or_default()),
            assessed_at,
            evaluated_at,
        }
    }
}

fn sections(evaluation: &Evaluation) -> Vec<SectionView> {
    let answers = evaluation.answers_by_criterion();
    let scored = evaluation.section_scores();
    let sections = evaluation.definition.sections.iter().zip(scored).map(|(section, score)| SectionView {
        key: section.key.clone(),
        name: section.name.clone(),
        weight: section.weight,
        score: score.map(points),
        criteria: section
            .criteria
            .iter()
            .filter_map(|criterion| {
                let score = evaluation.scores.iter().find(|score| score.key == criterion.key);
                answers.get(criterion.key.as_str()).map(|answer| view(criterion, answer, score))
            })
            .collect(),
    });
    sections.collect()
}

impl CriterionView {
    /// A criterion with its answer, which nobody has scored.
    pub fn unscored(criterion: &Criterion, answer: &Answer) -> Self {
        view(criterion, answer, None)
    }
}

fn view(criterion: &Criterion, answer: &Answer, score: Option<&CriterionScore>) -> CriterionView {
    CriterionView {
        key: criterion.key.clone(),
        question: criterion.question.clone(),
        weight: criterion.weight,
        auto_fail: criterion.auto_fail,
        answer_type: criterion.answer.kind,
        answered_by: answer.answered_by,
        verdict: answer.verdict.into(),
        claimed_verdict: answer.claimed.into(),
        reason: answer.reason,
        carried_from: answer.carried_from,
        choices: answer.given.choices.clone(),
        number: answer.given.number,
        text: answer.given.text.clone(),
        worth: answer.worth,
        confidence: f64::from(answer.confidence) / 10_000.0,
        rationale: answer.rationale.clone(),
        evidence: answer.evidence.iter().map(EvidenceView::from).collect(),
        score: score.and_then(|score| score.score).map(points),
        passed: score.and_then(|score| score.passed),
        note: score.and_then(|score| score.note.clone()),
    }
}

/// How far a call has come, and its newest evaluation.
#[derive(Object)]
#[oai(rename = "Analysis")]
pub(super) struct AnalysisView {
    call_id: CallId,
    /// `received`, `transcribed`, `assessed`, `evaluated` or `failed`.
    call_status: String,
    /// `phone`, `chat` or `email`.
    channel: String,
    /// The stage that failed; null unless the call is `failed`.
    #[oai(nullable)]
    failed_stage: Option<String>,
    /// A stable word for what went wrong.
    #[oai(nullable)]
    failure_kind: Option<String>,
    /// What went wrong.
    #[oai(nullable)]
    failure_reason: Option<String>,
    /// When each stage was done.
    timestamps: TimestampsView,
    /// The newest evaluation; null before the language model has answered.
    #[oai(nullable)]
    evaluation: Option<EvaluationView>,
}

/// When each stage of a call was done; null before.
#[derive(Object)]
#[oai(rename = "AnalysisTimestamps")]
struct TimestampsView {
    received_at: DateTime<Utc>,
    #[oai(nullable)]
    transcription_submitted_at: Option<DateTime<Utc>>,
    #[oai(nullable)]
    transcribed_at: Option<DateTime<Utc>>,
    #[oai(nullable)]
    assessed_at: Option<DateTime<Utc>>,
    #[oai(nullable)]
    evaluated_at: Option<DateTime<Utc>>,
}

impl From<Analysis> for AnalysisView {
    fn from(analysis: Analysis) -> Self {
        let newest = analysis.evaluation.as_ref().map(|evaluation| &evaluation.summary);
        Self {
            timestamps: TimestampsView {
                received_at: analysis.received_at,
                transcription_submitted_at: analysis.transcription_submitted_at,
                transcribed_at: analysis.transcribed_at,
                assessed_at: newest.map(|newest| newest.assessed_at),
                evaluated_at: newest.and_then(|newest| newest.evaluated_at),
            },
            call_id: analysis.call_id,
            call_status: analysis.call_status,
            channel: analysis.channel,
            failed_stage: analysis.failed_stage,
            failure_kind: analysis.failure_kind,
            failure_reason: analysis.failure_reason,
            evaluation: analysis.evaluation.map(EvaluationView::from),
        }
    }
}
