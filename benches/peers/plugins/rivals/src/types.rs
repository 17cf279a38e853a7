//! The shapes of the contract as JSON, with the names that JavaScript gives them: what Extism, QuickJS and a subprocess are given. The aliases are
//! the names that Plumbline gives them.

use serde::{Deserialize, Serialize};

/// A call of the scorer.
#[derive(Serialize, Deserialize)]
pub struct Request {
    pub settings: String,
    pub input: ScoreInput,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoreInput {
    pub call: Call,
    pub utterances: Vec<Utterance>,
    pub metrics: Vec<(String, i64)>,
    pub scorecard: Scorecard,
    pub answers: Vec<Answer>,
    pub seed: u64,
    #[serde(alias = "evaluated_at_ms")]
    pub evaluated_at_ms: i64,
    pub metadata: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub id: String,
    pub channel: String,
    pub language: String,
    #[serde(alias = "started_at_ms")]
    pub started_at_ms: Option<i64>,
    #[serde(alias = "duration_ms")]
    pub duration_ms: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    Agent,
    Customer,
    System,
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Utterance {
    pub n: u32,
    pub speaker: Speaker,
    #[serde(alias = "start_ms")]
    pub start_ms: Option<u64>,
    #[serde(alias = "end_ms")]
    pub end_ms: Option<u64>,
    pub text: String,
}

#[derive(Serialize, Deserialize)]
pub struct Scorecard {
    pub name: String,
    pub version: u32,
    pub sections: Vec<Section>,
}

#[derive(Serialize, Deserialize)]
pub struct Section {
    pub key: String,
    pub name: String,
    pub weight: u32,
    pub criteria: Vec<Criterion>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Criterion {
    pub key: String,
    pub question: String,
    pub guidance: String,
    pub weight: u32,
    #[serde(alias = "auto_fail")]
    pub auto_fail: AutoFail,
    #[serde(alias = "not_applicable")]
    pub not_applicable: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoFail {
    None,
    Section,
    Evaluation,
}

#[derive(Serialize, Deserialize)]
pub struct Answer {
    pub criterion: String,
    pub verdict: Verdict,
    pub confidence: u32,
    pub rationale: String,
    pub evidence: Vec<Evidence>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Yes,
    No,
    #[serde(alias = "not_applicable")]
    NotApplicable,
    Unverified,
}

#[derive(Serialize, Deserialize)]
pub struct Evidence {
    pub utterance: u32,
    pub quote: String,
    pub speaker: Speaker,
}

#[derive(PartialEq, Serialize, Deserialize)]
pub struct ScoreOutput {
    pub criteria: Vec<CriterionScore>,
    pub overall: Option<u32>,
    pub insights: Vec<Insight>,
    pub metadata: Vec<(String, String)>,
}

#[derive(PartialEq, Serialize, Deserialize)]
pub struct CriterionScore {
    pub key: String,
    pub score: Option<u32>,
    pub passed: Option<bool>,
    pub note: Option<String>,
}

#[derive(PartialEq, Serialize, Deserialize)]
pub struct Insight {
    pub kind: InsightKind,
    pub text: String,
    pub criterion: Option<String>,
    pub utterances: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InsightKind {
    Strength,
    Risk,
    Other,
}
