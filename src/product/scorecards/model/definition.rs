//! What a QA manager writes: sections of criteria, how each is answered, by whom, and what each answer is worth. No I/O.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::{
    answers::AnswerType,
    rule::{RuleAnswers, is_default},
};

/// What a scorecard asks and how much each answer counts.
///
/// Valid: 1 to 100 sections, 1 to 200 criteria in all, weights 1 to 1000, keys of `a-z`, `0-9` and `_` that are unique (criterion keys
/// in the whole scorecard).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ScorecardDefinition", deny_unknown_fields)]
pub struct Definition {
    /// What people call it: 1 to 200 characters, unique in the organization.
    pub name: String,
    /// What it is for: up to 4,000 characters.
    #[serde(default)]
    #[oai(default)]
    pub description: String,
    /// What the answers add up to.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub scoring: Scoring,
    /// The overall score from which a call passes: 0 to 100. Without it nobody passes or fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub pass_mark: Option<u32>,
    /// Answers of the language model below this confidence wait for a person, in percent: 0 to 100.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub least_confidence: u32,
    /// The calls that it is for. Every list that is empty means all.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub applies_to: AppliesTo,
    /// Its groups of criteria, in order.
    pub sections: Vec<Section>,
}

/// What the answers of a scorecard add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "ScorecardScoring", rename_all = "snake_case")]
pub enum Scoring {
    /// Shares: each criterion is worth a percentage, weighed in its section, and each section is weighed in the whole.
    #[default]
    Weights,
    /// Points: what was earned over what could have been earned by the applicable criteria. Weights are not looked at.
    Points,
}

/// The calls that a scorecard is for. A call is judged by the newest published scorecard of its organization that fits it; of several that
/// fit, by the one with the most conditions, then by the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ScorecardAppliesTo", deny_unknown_fields)]
pub struct AppliesTo {
    /// Names of queues.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub queues: Vec<String>,
    /// `phone`, `chat`, `email`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub channels: Vec<String>,
    /// `inbound`, `outbound`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub directions: Vec<String>,
    /// Languages (BCP 47): `en` also fits `en-GB`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub languages: Vec<String>,
    /// Calls that are at least so long, in milliseconds. A call of unknown length fits when this is 0.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub min_duration_ms: u64,
}

/// A group of criteria.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ScorecardSection", deny_unknown_fields)]
pub struct Section {
    /// Its stable key: 1 to 64 of `a-z`, `0-9`, `_`, unique in the scorecard.
    pub key: String,
    /// What people call it: 1 to 200 characters.
    pub name: String,
    /// Its share among the sections: 1 to 1000.
    #[serde(default = "one")]
    #[oai(default = "one")]
    pub weight: u32,
    /// Its criteria, in order.
    pub criteria: Vec<Criterion>,
}

/// One question about the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ScorecardCriterion", deny_unknown_fields)]
pub struct Criterion {
    /// Its stable key: 1 to 64 of `a-z`, `0-9`, `_`, unique in the whole scorecard.
    pub key: String,
    /// The question: 1 to 1,000 characters.
    pub question: String,
    /// How to judge it: up to 4,000 characters.
    #[serde(default)]
    #[oai(default)]
    pub guidance: String,
    /// Its share in the section: 1 to 1000. With points it is not looked at.
    #[serde(default = "one")]
    #[oai(default = "one")]
    pub weight: u32,
    /// What can be answered, and what each answer is worth.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub answer: AnswerType,
    /// Who answers.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub answered_by: AnsweredBy,
    /// The rules that answer, if rules do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleAnswers>,
    /// What a failing answer fails besides the criterion itself.
    #[serde(default)]
    #[oai(default)]
    pub auto_fail: AutoFail,
    /// Whether "not applicable" is an allowed answer.
    #[serde(default)]
    #[oai(default)]
    pub not_applicable: bool,
    /// It is asked only when another criterion is answered so; otherwise it is not applicable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub shown_when: Option<Condition>,
    /// Whose interest it serves.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub tags: Vec<Tag>,
}

impl Criterion {
    /// The words that a condition may ask for.
    pub fn possible_words(&self) -> Vec<&str> {
        let mut words = self.answer.possible_words();
        let left_out = self.not_applicable || self.rule.as_ref().is_some_and(|rule| rule.applies_when.is_some());
        if left_out && self.answer.is_scored() {
            words.push("not_applicable");
        }
        words
    }
}

/// Who answers a criterion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// The language model, with evidence that the server finds in the transcript.
    #[default]
    LanguageModel,
    /// A rule over phrases and conversation metrics: exact, free, and explained by what it matched.
    Rule,
    /// The organization's scorer plugin.
    Plugin,
    /// A person.
    Human,
}

/// Whose interest a criterion serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "CriterionTag", rename_all = "snake_case")]
pub enum Tag {
    /// The company's.
    Business,
    /// The customer's.
    Customer,
    /// The law's.
    Compliance,
}

/// Asks for another criterion's answer. That criterion comes earlier in the scorecard, so that no two wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "CriterionCondition", deny_unknown_fields)]
pub struct Condition {
    /// The other criterion's key.
    pub criterion: String,
    /// It is fulfilled by any of these answers: `yes`, `no`, `not_applicable`, a choice's key, or a range's key.
    pub answered: Vec<String>,
}

/// What the failure of a criterion fails besides itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AutoFail {
    /// Nothing.
    #[default]
    None,
    /// Its section, which becomes 0.
    Section,
    /// The evaluation, whose overall score becomes 0.
    Evaluation,
}

fn one() -> u32 {
    1
}
