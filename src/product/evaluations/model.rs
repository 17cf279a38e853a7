//! What an evaluation is made of: answers, checked evidence, findings. No I/O.

use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

pub use crate::platform::plugins::{CallFacts, Given, Identity, Speaker, Utterance, Verdict};
use crate::{foundation::ids::EvaluationId, platform::plugins, product::scorecards::model::AnsweredBy, words};

words! {
    /// Why there is a revision of a call's evaluation.
    pub enum RevisionCause {
        /// The call's first evaluation.
        First = "first",
        /// Another scorecard version was applied.
        Rescore = "rescore",
        /// A person answered what only people answer.
        HumanAnswers = "human_answers",
        /// The transcript was corrected.
        TranscriptCorrection = "transcript_correction",
        /// Somebody wanted a stage to run again.
        Rerun = "rerun",
    }
}

/// How far an evaluation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum EvaluationStatus {
    /// The language model has answered, and its evidence is checked.
    Assessed,
    /// The bound scorer failed, and its organization wants nothing else to score.
    Held,
    /// Scored.
    Evaluated,
}

impl EvaluationStatus {
    /// The word of tables and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assessed => "assessed",
            Self::Held => "held",
            Self::Evaluated => "evaluated",
        }
    }

    /// The status of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Assessed, Self::Held, Self::Evaluated].into_iter().find(|status| status.as_str() == word)
    }
}

/// The word of tables and API for a speaker.
pub fn speaker_word(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Agent => "agent",
        Speaker::Customer => "customer",
        Speaker::System => "system",
        Speaker::Unknown => "unknown",
    }
}

/// The speaker of that word; whoever is not known is [`Speaker::Unknown`].
pub fn speaker_of(word: &str) -> Speaker {
    match word {
        "agent" => Speaker::Agent,
        "customer" => Speaker::Customer,
        "system" => Speaker::System,
        _ => Speaker::Unknown,
    }
}

/// The word of tables and API for a verdict.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "yes",
        Verdict::No => "no",
        Verdict::NotApplicable => "not_applicable",
        Verdict::Unverified => "unverified",
        Verdict::Answered => "answered",
        Verdict::Pending => "pending",
    }
}

/// What the model says of one criterion, before anything of it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// The criterion.
    pub criterion: String,
    /// Yes, no, or not applicable; of other types what [`AnswerType::judge`](crate::product::scorecards::model::AnswerType::judge) makes of what is given.
    pub verdict: Verdict,
    /// What is answered besides yes and no.
    pub given: Given,
    /// How sure the model is, in hundredths of a percent: 0..=10000.
    pub confidence: u32,
    /// Why.
    pub rationale: String,
    /// What it claims to quote.
    pub quotes: Vec<Quote>,
}

/// Words that the model claims to have read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Where it claims to have read them: a hint.
    pub utterance: i64,
    /// The words.
    pub quote: String,
}

/// An answer whose evidence was held against the transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The criterion.
    pub criterion: String,
    /// What the model said.
    pub claimed: Verdict,
    /// What counts: the claim, or [`Verdict::Unverified`] when its evidence is not in the transcript.
    pub verdict: Verdict,
    /// What is answered besides yes and no.
    #[serde(default, skip_serializing_if = "Given::is_nothing")]
    pub given: Given,
    /// What that is worth by the scorecard: a percentage, or points. None leaves the denominator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<i32>,
    /// Who answered.
    #[serde(default)]
    pub answered_by: AnsweredBy,
    /// Why it does not count, when it does not; why a person has to look at it, when it does ([`Reason::AutoFailUnquoted`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The evaluation in which a person gave it, when that was an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<EvaluationId>,
    /// How sure the model is, in hundredths of a percent: 0..=10000.
    pub confidence: u32,
    /// Why, in the model's words.
    pub rationale: String,
    /// Every quote of the model, found or not.
    pub evidence: Vec<Evidence>,
}

/// Why an answer does not count, or why a person has to look at one that does. Every answer that leaves the denominator has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "AnswerReason", rename_all = "snake_case")]
pub enum Reason {
    /// Whoever answered says that it does not apply.
    NotApplicable,
    /// The criterion's condition is not fulfilled.
    NotShown,
    /// The quoted evidence is not in the transcript.
    EvidenceRejected,
    /// The answer came without the evidence that it needs.
    NoEvidence,
    /// The language model was less sure than the scorecard asks for.
    LowConfidence,
    /// The model's answer broke the schema, also after it was asked to mend it.
    UnusableAnswer,
    /// The call was asked about in parts, and what one part shows contradicts another.
    PartsDisagree,
    /// No rule chose an answer.
    NoRuleHolds,
    /// The conversation has no such metric.
    MetricUnknown,
    /// The rule's phrases are in the conversation too often to be looked at.
    TooManyMatches,
    /// The answer fails its section or the evaluation and no quote of the language model shows it. It counts, and a person has to look.
    AutoFailUnquoted,
    /// A person will answer.
    AwaitsPerson,
    /// A plugin will answer, and none has scored: none is bound, or it failed and the built-in scorer took its place.
    AwaitsPlugin,
    /// The scorer plugin gave no answer: a person may.
    NoPluginAnswer,
    /// A person answered the question in other words than it has now: a person has to answer again.
    QuestionChanged,
    /// A person answered before the transcript was changed: a person has to answer again.
    TranscriptChanged,
    /// The answer is never scored.
    Unscored,
}

/// A quote, and where the server found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The words as the model quoted them.
    pub quote: String,
    /// Where they are in the transcript; none when they are nowhere: the quote is rejected.
    pub found: Option<Place>,
}

/// How the words of a quote were found in the transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "EvidenceMatch", rename_all = "snake_case")]
pub enum Way {
    /// Character by character.
    Exact,
    /// The same words, spelled, cased or punctuated otherwise.
    #[default]
    Normalised,
    /// The same words, but for a letter in a long one.
    Close,
}

/// A place in the transcript, found by the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The utterance's position, from 1.
    pub utterance: u32,
    /// Who speaks.
    pub speaker: Speaker,
    /// The first character of the words in the utterance's text, from 0.
    pub start_char: u32,
    /// The character after the last one.
    pub end_char: u32,
    /// The words as the transcript has them.
    pub words: String,
    /// How they were found.
    #[serde(default)]
    pub way: Way,
    /// When the utterance begins, in milliseconds from the start of the call.
    pub start_ms: Option<u64>,
    /// When it ends.
    pub end_ms: Option<u64>,
}

impl Answer {
    /// The answer as scorers see it: verified evidence alone, in the transcript's words.
    pub fn for_plugins(&self) -> plugins::Answer {
        let evidence = self.evidence.iter().filter_map(|evidence| {
            let place = evidence.found.as_ref()?;
            Some(plugins::Evidence { utterance: place.utterance, quote: place.words.clone(), speaker: place.speaker })
        });
        plugins::Answer {
            criterion: self.criterion.clone(),
            verdict: self.verdict,
            worth: self.worth,
            given: self.given.clone(),
            confidence: self.confidence,
            rationale: self.rationale.clone(),
            evidence: evidence.collect(),
        }
    }
}

/// What sort of finding an insight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum InsightKind {
    /// Something done well.
    Strength,
    /// Something that endangers customer or company.
    Risk,
    /// A criterion that was not met.
    FailedCriterion,
    /// An answer that does not count, because its evidence is not in the transcript.
    UnverifiedEvidence,
    /// Anything else that a scorer has to say.
    Note,
}

impl InsightKind {
    /// The word of tables and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strength => "strength",
            Self::Risk => "risk",
            Self::FailedCriterion => "failed_criterion",
            Self::UnverifiedEvidence => "unverified_evidence",
            Self::Note => "note",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Strength, Self::Risk, Self::FailedCriterion, Self::UnverifiedEvidence, Self::Note]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A derived finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insight {
    /// What sort of finding.
    pub kind: InsightKind,
    /// The criterion that it belongs to.
    pub criterion: Option<String>,
    /// The finding, in a sentence or two.
    pub text: String,
}
