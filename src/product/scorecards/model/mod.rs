//! The scorecard: sections of weighted criteria. What makes a definition valid, and what makes two of them the same. No I/O.

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
mod diff;
mod lint;
mod once;
mod rule;
mod rule_json;
mod template;
mod validate;
mod yaml;

pub use answers::{AnswerKind, AnswerType, Choice, Judged, Range};
pub use definition::{AnsweredBy, AppliesTo, AutoFail, Condition, Criterion, Definition, Scoring, Section, Tag};
pub use diff::{Change, ChangeKind, ChangedField, Subject, diff};
pub use lint::{Finding, LintCode, Severity, lint, lint_for};
pub use once::keys_are_unique;
pub use rule::{Choose, MetricRule, Near, PhraseRule, Rule, RuleAnswers, RuleGroup, RuleSpeaker, Within};
pub use template::Template;
pub use yaml::{Unreadable, from_document, from_yaml, to_yaml};

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
    /// When it was retired; no call is judged by it since.
    #[serde(default)]
    pub retired_at: Option<DateTime<Utc>>,
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
