//! What can be answered to a criterion, and what each answer is worth. No I/O.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::rule::is_default;
use crate::platform::plugins::{Given, Verdict};

/// What can be answered to a criterion.
///
/// Worth: under [`Scoring::Weights`](super::Scoring) a percentage from −100 to 100, under points a number of points from −1000 to 1000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "CriterionAnswer", deny_unknown_fields)]
pub struct AnswerType {
    /// The sort of answer.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: AnswerKind,
    /// What "yes" is worth, of `yes_no`.
    #[serde(default = "full", skip_serializing_if = "is_full")]
    #[oai(default = "full", skip_serializing_if = "is_full")]
    pub yes: i32,
    /// What "no" is worth, of `yes_no`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub no: i32,
    /// What can be chosen, of `single_choice` (one of them) and `multiple_choice` (any number; worth the sum, bounded to −100 to 100 under weights).
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub choices: Vec<Choice>,
    /// What numbers are worth, of `number`; the first that holds the number counts, and a number in none of them is worth 0. None at all: unscored.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub ranges: Vec<Range>,
    /// What the number counts, of `number`: `s`, `items`, …; up to 40 characters.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub unit: String,
}

impl Default for AnswerType {
    fn default() -> Self {
        Self { kind: AnswerKind::YesNo, yes: full(), no: 0, choices: vec![], ranges: vec![], unit: String::new() }
    }
}

/// The sort of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum AnswerKind {
    /// Yes or no.
    #[default]
    YesNo,
    /// One of its choices.
    SingleChoice,
    /// Any of its choices, or none.
    MultipleChoice,
    /// A whole number, worth what its range says.
    Number,
    /// Words, never scored.
    Text,
}

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "CriterionChoice", deny_unknown_fields)]
pub struct Choice {
    /// Its stable key: 1 to 64 of `a-z`, `0-9`, `_`, unique in the criterion.
    pub key: String,
    /// What people read: 1 to 200 characters.
    pub label: String,
    /// When to choose it: up to 4,000 characters.
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub guidance: String,
    /// What it is worth.
    pub score: i32,
    /// Whether who is answered so has failed the criterion (and what its auto-fail names).
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub fails: bool,
}

/// Numbers that are worth the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "CriterionRange", deny_unknown_fields)]
pub struct Range {
    /// Its stable key: 1 to 64 of `a-z`, `0-9`, `_`, unique in the criterion.
    pub key: String,
    /// The smallest number; none: however small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The largest number, itself within; none: however large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// What it is worth.
    pub score: i32,
    /// Whether such a number fails the criterion (and what its auto-fail names).
    #[serde(default, skip_serializing_if = "is_default")]
    #[oai(default, skip_serializing_if = "is_default")]
    pub fails: bool,
}

impl Range {
    /// Whether the number is within.
    pub fn holds(&self, number: i64) -> bool {
        self.from.is_none_or(|from| number >= from) && self.to.is_none_or(|to| number <= to)
    }
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Yes, no, not applicable, or answered.
    pub verdict: Verdict,
    /// What it is worth; none leaves the denominator.
    pub worth: Option<i32>,
}

impl AnswerType {
    /// The most that an answer can be worth: never below 0.
    pub fn most(&self) -> i32 {
        let most = match self.kind {
            AnswerKind::YesNo => self.yes.max(self.no),
            AnswerKind::SingleChoice => self.choices.iter().map(|choice| choice.score).max().unwrap_or(0),
            AnswerKind::MultipleChoice => {
                self.choices.iter().fold(0, |sum: i32, choice| sum.saturating_add(choice.score.max(0)))
            }
            AnswerKind::Number => self.ranges.iter().map(|range| range.score).max().unwrap_or(0),
            AnswerKind::Text => 0,
        };
        most.max(0)
    }

    /// The least that an answer can be worth: never above 0 for those that may choose nothing or name a number in no range.
    pub fn least(&self) -> i32 {
        match self.kind {
            AnswerKind::YesNo => self.yes.min(self.no),
            AnswerKind::SingleChoice => self.choices.iter().map(|choice| choice.score).min().unwrap_or(0),
            AnswerKind::MultipleChoice => {
                self.choices.iter().fold(0, |sum: i32, choice| sum.saturating_add(choice.score.min(0)))
            }
            AnswerKind::Number => self.ranges.iter().map(|range| range.score).min().unwrap_or(0).min(0),
            AnswerKind::Text => 0,
        }
    }

    /// What an answer is worth. `said` is yes, no, not applicable, or anything for the other types, whose answer is what is given.
    ///
    /// # Errors
    /// A word on what is wrong: the answer is not of this type.
    pub fn judge(&self, said: Verdict, given: &Given) -> Result<Judged, &'static str> {
        if said == Verdict::NotApplicable {
            return Ok(Judged { verdict: said, worth: None });
        }
        let judged = |fails: bool, worth: i32| Judged {
            verdict: if fails { Verdict::No } else { Verdict::Yes },
            worth: Some(worth),
        };
        match self.kind {
            AnswerKind::YesNo => match said {
                Verdict::Yes => Ok(judged(false, self.yes)),
                Verdict::No => Ok(judged(true, self.no)),
                _ => Err("is neither yes nor no"),
            },
            AnswerKind::SingleChoice | AnswerKind::MultipleChoice => {
                let chosen = self.chosen(given)?;
                let worth = chosen.iter().fold(0, |sum: i32, choice| sum.saturating_add(choice.score));
                Ok(judged(chosen.iter().any(|choice| choice.fails), worth))
            }
            AnswerKind::Number => {
                let number = given.number.ok_or("has no number")?;
                if self.ranges.is_empty() {
                    return Ok(Judged { verdict: Verdict::Answered, worth: None });
                }
                let range = self.ranges.iter().find(|range| range.holds(number));
                Ok(range.map_or_else(|| judged(false, 0), |range| judged(range.fails, range.score)))
            }
            AnswerKind::Text => match &given.text {
                Some(_) => Ok(Judged { verdict: Verdict::Answered, worth: None }),
                None => Err("has no text"),
            },
        }
    }

    /// The words by which a condition knows an answer: yes, no, keys of choices, the key of the number's range.
    pub fn words<'a>(&'a self, verdict: Verdict, given: &'a Given) -> Vec<&'a str> {
        match (verdict, self.kind) {
            (Verdict::NotApplicable, _) => vec!["not_applicable"],
            (Verdict::Yes, AnswerKind::YesNo) => vec!["yes"],
            (Verdict::No, AnswerKind::YesNo) => vec!["no"],
            (Verdict::Yes | Verdict::No, AnswerKind::SingleChoice | AnswerKind::MultipleChoice) => {
                given.choices.iter().map(String::as_str).collect()
            }
            (Verdict::Yes | Verdict::No, AnswerKind::Number) => {
                let range = self.ranges.iter().find(|range| given.number.is_some_and(|number| range.holds(number)));
                range.map(|range| range.key.as_str()).into_iter().collect()
            }
            _ => vec![],
        }
    }

    /// Every word that an answer can be known by, besides "not applicable".
    pub fn possible_words(&self) -> Vec<&str> {
        match self.kind {
            AnswerKind::YesNo => vec!["yes", "no"],
            AnswerKind::SingleChoice | AnswerKind::MultipleChoice => {
                self.choices.iter().map(|choice| choice.key.as_str()).collect()
            }
            AnswerKind::Number => self.ranges.iter().map(|range| range.key.as_str()).collect(),
            AnswerKind::Text => vec![],
        }
    }

    /// The words of the answers that fail the criterion.
    pub fn failing_words(&self) -> Vec<&str> {
        match self.kind {
            AnswerKind::YesNo => vec!["no"],
            AnswerKind::SingleChoice | AnswerKind::MultipleChoice => {
                self.choices.iter().filter(|choice| choice.fails).map(|choice| choice.key.as_str()).collect()
            }
            AnswerKind::Number => {
                self.ranges.iter().filter(|range| range.fails).map(|range| range.key.as_str()).collect()
            }
            AnswerKind::Text => vec![],
        }
    }

    fn chosen(&self, given: &Given) -> Result<Vec<&Choice>, &'static str> {
        let mut chosen: Vec<&Choice> = vec![];
        for key in &given.choices {
            let choice = self.choices.iter().find(|choice| choice.key == *key).ok_or("is none of the choices")?;
            if chosen.iter().any(|other| other.key == choice.key) {
                return Err("has a choice twice");
            }
            chosen.push(choice);
        }
        match self.kind {
            AnswerKind::SingleChoice if chosen.len() != 1 => Err("is not exactly one choice"),
            _ => Ok(chosen),
        }
    }

    /// Whether an answer of this type counts at all.
    pub fn is_scored(&self) -> bool {
        match self.kind {
            AnswerKind::YesNo | AnswerKind::SingleChoice | AnswerKind::MultipleChoice => true,
            AnswerKind::Number => !self.ranges.is_empty(),
            AnswerKind::Text => false,
        }
    }
}

/// What "yes" is worth when nothing is said: everything, under weights.
const fn full() -> i32 {
    100
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_full(worth: &i32) -> bool {
    *worth == full()
}
