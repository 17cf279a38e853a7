//! Rules that answer criteria: phrases with their surroundings, and conversation metrics with thresholds. No I/O.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

/// How rules answer a criterion. For `yes_no` give `yes_when`; for choices `choose`; for `number` `number_from`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub struct RuleAnswers {
    /// The criterion applies only when this holds; otherwise the answer is "not applicable" (which the criterion then allows).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub applies_when: Option<Rule>,
    /// "Yes" when it holds, otherwise "no".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub yes_when: Option<Rule>,
    /// The first that holds is chosen (of `multiple_choice`: each that holds). When none holds, a single choice stays unanswered.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub choose: Vec<Choose>,
    /// The conversation metric whose value is the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub number_from: Option<String>,
}

/// A choice, and when it is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "RuleChoice", deny_unknown_fields)]
pub struct Choose {
    /// The choice's key.
    pub choice: String,
    /// When it is chosen.
    pub when: Rule,
}

/// Something that holds of a conversation or does not, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Words that are said.
    Phrase(PhraseRule),
    /// A conversation metric within bounds.
    Metric(MetricRule),
    /// All of several rules.
    All(RuleGroup),
    /// Any of several rules.
    Any(RuleGroup),
    /// None of several rules.
    None(RuleGroup),
}

/// Holds when any of the phrases is said where and by whom it is asked for. Words are compared without case, accents and punctuation; `*` stands
/// for up to three words. Personal data is redacted: `[name]` stands for any name, and so do `[phone]`, `[card]`, `[address]`, `[email]`, `[iban]`,
/// `[date_of_birth]`, `[number]`, `[ip]` and `[url]` for theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub struct PhraseRule {
    /// 1 to 200 phrases of 1 to 200 characters.
    pub any_of: Vec<String>,
    /// Who says it; anyone if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<RuleSpeaker>,
    /// Which part of the conversation is searched; all of it if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Phrases that must be said close by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub near: Option<Near>,
    /// How often it must be said; 1 if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
}

/// Who is listened to by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum RuleSpeaker {
    /// The agent.
    Agent,
    /// The customer.
    Customer,
}

/// A part of a conversation. Of several bounds all count. A conversation without times knows turns alone: bounds in seconds then never hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "RuleWithin", deny_unknown_fields)]
pub struct Within {
    /// The first so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub first_seconds: Option<u32>,
    /// The last so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub last_seconds: Option<u32>,
    /// The first so many turns of the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub first_turns: Option<u32>,
    /// The last so many turns of the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub last_turns: Option<u32>,
}

/// What must be said close to a phrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "RuleNear", deny_unknown_fields)]
pub struct Near {
    /// 1 to 200 phrases; one of them is enough.
    pub any_of: Vec<String>,
    /// Within so many words of the same turn. Give this or `turns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub words: Option<u32>,
    /// Within so many turns before or after, whoever speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
}

/// Holds when the metric is known and within its bounds. An unknown metric holds of nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub struct MetricRule {
    /// The conversation metric's key, which names its unit, as in `longest_silence_ms`.
    pub metric: String,
    /// The smallest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    /// The largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<i64>,
}

/// Several rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub struct RuleGroup {
    /// 1 to 20 rules; groups within groups are at most 4 deep.
    pub rules: Vec<Rule>,
}

/// Whether nothing was said, so that nothing is written either.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
