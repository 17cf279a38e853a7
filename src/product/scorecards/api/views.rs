//! Scorecards as the API takes and shows them.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Any};
use serde_json::Value;

use super::super::model::{
    Change, ChangeKind, Definition, Finding, Scorecard, ScorecardVersion, Severity, Subject, Template,
};
use super::super::review::Review;
use crate::foundation::ids::{OrganizationId, ScorecardId, ScorecardVersionId};

/// How far a scorecard has come.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum ScorecardStatus {
    /// It was never published.
    Draft,
    /// Calls are judged by its newest version.
    Active,
    /// No call is judged by it any more.
    Retired,
}

/// A scorecard to be made from a template.
#[derive(Object)]
#[oai(rename = "ScorecardFromTemplate", deny_unknown_fields)]
pub(super) struct ScorecardFromTemplateBody {
    /// The organization whose calls it is for.
    pub organization_id: OrganizationId,
    /// The template's key, as `list_scorecard_templates` gives it.
    pub template: String,
    /// What people call it; the template's own name when absent.
    pub name: Option<String>,
}

/// The templates.
#[derive(Object)]
#[oai(rename = "ScorecardTemplates")]
pub(super) struct TemplateList {
    items: Vec<TemplateView>,
}

/// A scorecard to begin with.
#[derive(Object)]
#[oai(rename = "ScorecardTemplate")]
struct TemplateView {
    /// Its stable key.
    key: String,
    /// What it asks, with name and description.
    definition: Definition,
}

impl TemplateList {
    pub fn all() -> Self {
        let view = |Template { key, definition }| TemplateView { key, definition };
        Self { items: Template::all().into_iter().map(view).collect() }
    }
}

/// What does not make sense in a definition.
#[derive(Object)]
pub(super) struct LintReport {
    /// Whether it can be published: nothing is an error.
    publishable: bool,
    /// Errors first.
    findings: Vec<Finding>,
    /// What the language model was asked; absent where it was not to be asked.
    #[oai(skip_serializing_if_is_none)]
    questions: Option<QuestionReviewView>,
}

/// What a language model's look at the questions came to.
#[derive(Object)]
#[oai(rename = "QuestionReview")]
struct QuestionReviewView {
    /// Questions that it judged: those that it or a person answers.
    judged: u64,
    /// Questions that it did not judge though it should have; a finding says why.
    not_judged: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// What that cost; null where the model has no price.
    #[oai(nullable)]
    cost: Option<f64>,
    /// The cost's currency.
    currency: String,
}

impl LintReport {
    /// With what the language model says of the questions.
    pub fn reviewed(mut findings: Vec<Finding>, review: Review, currency: String) -> Self {
        findings.extend(review.findings);
        let questions = QuestionReviewView {
            judged: review.judged as u64,
            not_judged: review.not_judged as u64,
            prompt_tokens: review.prompt_tokens,
            completion_tokens: review.completion_tokens,
            cost: review.micros.map(|micros| micros as f64 / 1e6),
            currency,
        };
        Self { questions: Some(questions), ..findings.into() }
    }
}

impl From<Vec<Finding>> for LintReport {
    fn from(findings: Vec<Finding>) -> Self {
        Self {
            publishable: findings.iter().all(|finding| finding.severity != Severity::Error),
            findings,
            questions: None,
        }
    }
}

/// What is different between two definitions.
#[derive(Object)]
#[oai(rename = "ScorecardDifference")]
pub(super) struct DifferenceView {
    /// The whole first, then sections and criteria in the order of the newer definition, and last what is gone.
    changes: Vec<ChangeView>,
}

/// One difference.
#[derive(Object)]
#[oai(rename = "ScorecardChange")]
struct ChangeView {
    kind: ChangeKind,
    subject: Subject,
    /// The key of the section or criterion; null of the scorecard as a whole.
    #[oai(nullable)]
    key: Option<String>,
    /// What differs; of something new or gone all that it has.
    fields: Vec<ChangedFieldView>,
}

/// A field with its two values.
#[derive(Object)]
#[oai(rename = "ScorecardChangedField")]
struct ChangedFieldView {
    /// Its path, for example `answer.choices[polite].score`.
    field: String,
    /// What it was; null where it was not there.
    #[oai(nullable)]
    from: Option<Any<Value>>,
    /// What it is; null where it is not there.
    #[oai(nullable)]
    to: Option<Any<Value>>,
}

impl From<Vec<Change>> for DifferenceView {
    fn from(changes: Vec<Change>) -> Self {
        let view = |Change { kind, subject, key, fields }: Change| ChangeView {
            kind,
            subject,
            key,
            fields: fields
                .into_iter()
                .map(|field| ChangedFieldView { field: field.field, from: field.from.map(Any), to: field.to.map(Any) })
                .collect(),
        };
        Self { changes: changes.into_iter().map(view).collect() }
    }
}

/// A scorecard to be made.
#[derive(Object)]
#[oai(rename = "NewScorecard", deny_unknown_fields)]
pub(super) struct NewScorecardBody {
    /// The organization whose calls it is for.
    pub organization_id: OrganizationId,
    /// Its first draft.
    pub definition: Definition,
}

/// A scorecard as the API shows it.
#[derive(Object)]
#[oai(rename = "Scorecard")]
pub(super) struct ScorecardView {
    scorecard_id: ScorecardId,
    /// The organization whose calls it is for.
    organization_id: OrganizationId,
    /// What people call it.
    name: String,
    /// The next version while it is being written; null when all is published.
    #[oai(nullable)]
    draft: Option<Definition>,
    /// Number of the newest published version; null before the first.
    #[oai(nullable)]
    published_version: Option<i32>,
    /// How far it has come.
    status: ScorecardStatus,
    /// When it was retired; null while it is not.
    #[oai(nullable)]
    retired_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Scorecard> for ScorecardView {
    fn from(scorecard: Scorecard) -> Self {
        let Scorecard {
            scorecard_id,
            organization_id,
            name,
            draft,
            published_version,
            retired_at,
            revision: _,
            created_at,
            updated_at,
        } = scorecard;
        let status = match (retired_at, published_version) {
            (Some(_), _) => ScorecardStatus::Retired,
            (None, Some(_)) => ScorecardStatus::Active,
            (None, None) => ScorecardStatus::Draft,
        };
        Self {
            scorecard_id,
            organization_id,
            name,
            draft,
            published_version,
            status,
            retired_at,
            created_at,
            updated_at,
        }
    }
}

/// A published version of a scorecard as the API shows it.
#[derive(Object)]
#[oai(rename = "ScorecardVersion")]
pub(super) struct ScorecardVersionView {
    scorecard_version_id: ScorecardVersionId,
    scorecard_id: ScorecardId,
    /// The organization whose calls it is for.
    organization_id: OrganizationId,
    /// Counts from 1.
    version: i32,
    /// What it asks.
    definition: Definition,
    /// SHA-256 of the definition's canonical JSON, as receipts carry it.
    digest: String,
    published_at: DateTime<Utc>,
    /// Who published it.
    published_by: String,
}

impl From<ScorecardVersion> for ScorecardVersionView {
    fn from(version: ScorecardVersion) -> Self {
        let ScorecardVersion {
            scorecard_version_id,
            scorecard_id,
            organization_id,
            version,
            definition,
            digest,
            published_at,
            published_by,
        } = version;
        Self {
            scorecard_version_id,
            scorecard_id,
            organization_id,
            version,
            definition,
            digest,
            published_at,
            published_by,
        }
    }
}
