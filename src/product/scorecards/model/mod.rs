//! The scorecard: sections of weighted criteria. What makes a definition valid, and what makes two of them the same. No I/O.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::{
    foundation::{
        digest,
        ids::{OrganizationId, ScorecardId, ScorecardVersionId},
    },
    platform::plugins,
};

mod answers;
mod definition;
mod rule;

pub use answers::{AnswerKind, AnswerType, Choice, Judged, Range};
pub use definition::{AnsweredBy, AppliesTo, AutoFail, Condition, Criterion, Definition, Scoring, Section, Tag};
pub use rule::{Choose, MetricRule, Near, PhraseRule, Rule, RuleAnswers, RuleGroup, RuleSpeaker, Within};

/// Most sections of a scorecard.
pub const MAX_SECTIONS: usize = 100;
/// Most criteria of a scorecard, in all sections together.
pub const MAX_CRITERIA: usize = 200;
/// The largest weight of a section or a criterion; the smallest is 1.
pub const MAX_WEIGHT: u32 = 1_000;
const KEY_LENGTH: usize = 64;
const NAME_LENGTH: usize = 200;
const QUESTION_LENGTH: usize = 1_000;
const TEXT_LENGTH: usize = 4_000;
/// Further mistakes are not listed.
const MAX_VIOLATIONS: usize = 50;

/// One mistake in a definition, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "ScorecardViolation")]
pub struct Violation {
    /// The place, for example `sections[0].criteria[2].weight`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Definition {
    /// Holds the definition against the rules of its type.
    ///
    /// # Errors
    /// Every mistake (the first 50), with the path of the field.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        let mut found = Violations::default();
        found.text("name", &self.name, 1, NAME_LENGTH);
        found.text("description", &self.description, 0, TEXT_LENGTH);
        found.count("sections", "sections", self.sections.len(), MAX_SECTIONS);
        let criteria = self.criteria().count();
        if criteria > MAX_CRITERIA {
            found.add("sections", format!("has {criteria} criteria in all; at most {MAX_CRITERIA} are allowed"));
        }
        let (mut sections, mut keys) = (HashSet::new(), HashSet::new());
        for (s, section) in self.sections.iter().enumerate() {
            let at = format!("sections[{s}]");
            found.key(&at, &section.key, &mut sections);
            found.text(&format!("{at}.name"), &section.name, 1, NAME_LENGTH);
            found.weight(&at, section.weight);
            found.count(&format!("{at}.criteria"), "criteria", section.criteria.len(), MAX_CRITERIA);
            for (c, criterion) in section.criteria.iter().enumerate() {
                let at = format!("{at}.criteria[{c}]");
                found.key(&at, &criterion.key, &mut keys);
                found.text(&format!("{at}.question"), &criterion.question, 1, QUESTION_LENGTH);
                found.text(&format!("{at}.guidance"), &criterion.guidance, 0, TEXT_LENGTH);
                found.weight(&at, criterion.weight);
            }
        }
        if found.0.is_empty() { Ok(()) } else { Err(found.0) }
    }

    /// SHA-256 of the canonical JSON: equal for equal definitions, however they were spelled.
    pub fn digest(&self) -> String {
        digest::of_json(self)
    }

    /// All criteria, in order, whatever their section.
    pub fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        self.sections.iter().flat_map(|section| &section.criteria)
    }

    /// The definition as scorers and prompt builders see it; `version` is the published version's number.
    pub fn for_plugins(&self, version: u32) -> plugins::Scorecard {
        let sections = self.sections.iter().map(|section| plugins::Section {
            key: section.key.clone(),
            name: section.name.clone(),
            weight: section.weight,
            criteria: section.criteria.iter().map(|criterion| criterion.for_plugins(self.scoring)).collect(),
        });
        let points = self.scoring == Scoring::Points;
        plugins::Scorecard { name: self.name.clone(), version, points, sections: sections.collect() }
    }
}

impl Criterion {
    fn for_plugins(&self, scoring: Scoring) -> plugins::Criterion {
        plugins::Criterion {
            key: self.key.clone(),
            question: self.question.clone(),
            guidance: self.guidance.clone(),
            weight: match scoring {
                Scoring::Weights => self.weight,
                Scoring::Points => self.answer.most().unsigned_abs(),
            },
            auto_fail: match self.auto_fail {
                AutoFail::None => plugins::AutoFail::None,
                AutoFail::Section => plugins::AutoFail::Section,
                AutoFail::Evaluation => plugins::AutoFail::Evaluation,
            },
            not_applicable: self.not_applicable,
        }
    }
}

#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, field: &str, message: String) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation { field: field.to_owned(), message });
        }
    }

    fn text(&mut self, field: &str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length > most {
            self.add(field, format!("has {length} characters; at most {most} are allowed"));
        } else if least > 0 && text.trim().is_empty() {
            self.add(field, "must not be empty".to_owned());
        } else if text.contains('\0') {
            self.add(field, "must not contain a NUL character".to_owned());
        }
    }

    fn count(&mut self, field: &str, what: &str, count: usize, most: usize) {
        if count == 0 {
            self.add(field, format!("needs at least one of its {what}"));
        } else if count > most {
            self.add(field, format!("has {count} {what}; at most {most} are allowed"));
        }
    }

    fn weight(&mut self, at: &str, weight: u32) {
        if !(1..=MAX_WEIGHT).contains(&weight) {
            self.add(&format!("{at}.weight"), format!("must be 1 to {MAX_WEIGHT}"));
        }
    }

    fn key<'a>(&mut self, at: &str, key: &'a str, seen: &mut HashSet<&'a str>) {
        let field = format!("{at}.key");
        let proper = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if key.is_empty() || key.len() > KEY_LENGTH || !key.chars().all(proper) {
            self.add(&field, format!("must be 1 to {KEY_LENGTH} of a-z, 0-9 and _"));
        } else if !seen.insert(key) {
            self.add(&field, "is used twice".to_owned());
        }
    }
}

/// An organization's evaluation criteria, through all their versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Its id.
    pub scorecard_id: ScorecardId,
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// The newest definition's name, the draft's if there is one.
    pub name: String,
    /// The next version while it is being written.
    pub draft: Option<Definition>,
    /// Number of the newest published version.
    pub published_version: Option<i32>,
    /// Counts the changes; the ETag.
    pub revision: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One published version: never changed, so that an evaluation keeps what it was judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorecardVersion {
    /// Its id.
    pub scorecard_version_id: ScorecardVersionId,
    /// The scorecard.
    pub scorecard_id: ScorecardId,
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// Counts from 1.
    pub version: i32,
    /// What it asks.
    pub definition: Definition,
    /// [`Definition::digest`].
    pub digest: String,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// Who published it, as audit events name it.
    pub published_by: String,
}

impl ScorecardVersion {
    /// The version as scorers and prompt builders see it.
    pub fn for_plugins(&self) -> plugins::Scorecard {
        self.definition.for_plugins(self.version.unsigned_abs())
    }
}

#[cfg(test)]
mod tests;
