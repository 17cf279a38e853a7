//! What goes into a plugin and what comes out, in plain Rust: no word of WebAssembly here, so the product's built-in scorer
//! speaks the same language. `wit/v1` carries the same shapes over the sandbox's border (`abi/v1`).

use serde::{Deserialize, Serialize};

/// The highest score there is: 100.00, in hundredths.
pub const FULL_SCORE: u32 = 10_000;

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// A short name, for example `monologue_deduction`.
    pub name: String,
    /// The author's version, for example `1.4.0`.
    pub version: String,
    /// One or two sentences for the person who binds it.
    pub summary: String,
    /// A JSON Schema of the settings, if the author gives one.
    pub settings_schema: Option<String>,
    /// Whatever later versions of the contract want to say without changing its shape.
    pub metadata: Vec<(String, String)>,
}

/// Everything a score may depend on, besides the settings. Equal input and settings give an equal score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreInput {
    /// The conversation as a whole.
    pub call: CallFacts,
    /// The transcript, in order.
    pub utterances: Vec<Utterance>,
    /// Conversation metrics: key (which names its unit, as in `longest_silence_ms`) and value.
    pub metrics: Vec<(String, i64)>,
    /// The published scorecard version that is applied.
    pub scorecard: Scorecard,
    /// The answers, at most one per criterion. A criterion without an answer counts as unverified.
    pub answers: Vec<Answer>,
    /// The only randomness there is.
    pub seed: u64,
    /// The only clock there is: milliseconds since 1970.
    pub evaluated_at_ms: i64,
    /// Room to grow: key and value.
    pub metadata: Vec<(String, String)>,
}

/// Everything a prompt may depend on, besides the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptInput {
    /// The conversation as a whole.
    pub call: CallFacts,
    /// The transcript, in order.
    pub utterances: Vec<Utterance>,
    /// The published scorecard version whose criteria are asked.
    pub scorecard: Scorecard,
    /// The only randomness there is.
    pub seed: u64,
    /// The only clock there is: milliseconds since 1970.
    pub evaluated_at_ms: i64,
    /// Room to grow: key and value; also what the organization says about itself.
    pub metadata: Vec<(String, String)>,
}

/// The conversation as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFacts {
    /// The call's id.
    pub id: String,
    /// `phone`, `chat`, `email`, or a later one.
    pub channel: String,
    /// BCP 47, for example `en`.
    pub language: String,
    /// When the conversation began, in milliseconds since 1970.
    pub started_at_ms: Option<i64>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person heard for the company.
    Agent,
    /// The person who was served.
    Customer,
    /// A recording or a machine.
    System,
    /// Not told apart.
    Unknown,
}

/// One speaker turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utterance {
    /// Its position in the transcript, from 1.
    pub n: u32,
    /// Who speaks.
    pub speaker: Speaker,
    /// Begin, in milliseconds from the start of the call.
    pub start_ms: Option<u64>,
    /// End, in milliseconds from the start of the call.
    pub end_ms: Option<u64>,
    /// What is said.
    pub text: String,
}

/// A published scorecard version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Its name.
    pub name: String,
    /// The number of the version, from 1.
    pub version: u32,
    /// Whether answers are worth points; otherwise percentages that are weighed. With points, a criterion's weight is the most it can be worth.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub points: bool,
    /// Its sections, in order.
    pub sections: Vec<Section>,
}

impl Scorecard {
    /// All criteria, in order, whatever their section.
    pub fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        self.sections.iter().flat_map(|section| &section.criteria)
    }
}

/// A group of criteria.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Unique in the scorecard.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its share among the sections.
    pub weight: u32,
    /// Its criteria, in order.
    pub criteria: Vec<Criterion>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// Unique in the scorecard.
    pub key: String,
    /// The question.
    pub question: String,
    /// How to judge it.
    pub guidance: String,
    /// Its share in the section.
    pub weight: u32,
    /// What its failure fails.
    pub auto_fail: AutoFail,
    /// Whether "not applicable" is an allowed answer.
    pub not_applicable: bool,
}

/// What the failure of a criterion fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoFail {
    /// Nothing but itself.
    None,
    /// Its section, which becomes 0.
    Section,
    /// The evaluation, which becomes 0.
    Evaluation,
}

/// The verdict on a criterion, with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The criterion.
    pub criterion: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What it is worth by the scorecard: a percentage, or points. None leaves the denominator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<i32>,
    /// What was answered besides yes and no.
    #[serde(default, skip_serializing_if = "Given::is_nothing")]
    pub given: Given,
    /// How sure the judge is, in hundredths of a percent: 0..=10000.
    pub confidence: u32,
    /// Why.
    pub rationale: String,
    /// Quotes that the server found in the transcript.
    pub evidence: Vec<Evidence>,
}

/// What was answered to a criterion whose answer is not yes or no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Keys of the choices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// The words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Given {
    /// Whether there is nothing beside the verdict.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The verdict on a criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Fulfilled; of other answers than yes and no: not one that fails.
    Yes,
    /// Not fulfilled: no, or an answer that fails.
    No,
    /// Leaves the denominator.
    NotApplicable,
    /// Its evidence is not in the transcript: leaves the denominator too.
    Unverified,
    /// Answered, and never scored.
    Answered,
    /// Nobody has answered yet: a person or a plugin will. Leaves the denominator.
    Pending,
}

/// A quoted utterance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The position of the utterance.
    pub utterance: u32,
    /// Its words, verbatim.
    pub quote: String,
    /// Who said them.
    pub speaker: Speaker,
}

/// What a scorer finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreOutput {
    /// At most one for each criterion of the scorecard.
    pub criteria: Vec<CriterionScore>,
    /// The overall score in hundredths, 0..=10000. None if nothing was applicable.
    pub overall: Option<u32>,
    /// What stands out.
    pub insights: Vec<Insight>,
    /// Room to grow: key and value.
    pub metadata: Vec<(String, String)>,
}

/// The score of one criterion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionScore {
    /// The criterion.
    pub key: String,
    /// In hundredths, 0..=10000. None where it left the denominator.
    pub score: Option<u32>,
    /// None where it left the denominator.
    pub passed: Option<bool>,
    /// A word to the reader.
    pub note: Option<String>,
}

/// A derived finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insight {
    /// What sort of finding.
    pub kind: InsightKind,
    /// The finding, in a sentence.
    pub text: String,
    /// The criterion it belongs to.
    pub criterion: Option<String>,
    /// The positions of the utterances that show it.
    pub utterances: Vec<u32>,
}

/// What sort of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InsightKind {
    /// Something done well.
    Strength,
    /// Something that endangers customer or company.
    Risk,
    /// Anything else.
    Other,
}

/// What the language model is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The instructions.
    pub system: String,
    /// The material.
    pub user: String,
    /// How long an answer the builder expects, in tokens: a hint.
    pub max_output_tokens: Option<u32>,
}

/// Which code computed something: what a receipt says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name it gives itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, in lower-case hexadecimal. None for code that is part of the product.
    pub sha256: Option<String>,
    /// The contract it was called through, for example `plumbline:plugin@1.0.0`.
    pub wit: Option<String>,
    /// The engine that ran it, for example `wasmtime 48.0.8`.
    pub engine: Option<String>,
}
