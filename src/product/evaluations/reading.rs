//! Evaluations as they are read: whole, in lists, and as the analysis of a call.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::{Row, types::Json};

use super::{
    arithmetic,
    model::{Answer, EvaluationStatus, Insight, InsightKind, RevisionCause},
    receipt::Receipt,
    scoring::{self, BuiltIn, Said},
};
use crate::{
    foundation::{
        access::Grant,
        ids::{AgentId, CallId, EvaluationId, OrganizationId, ScorecardId, ScorecardVersionId},
    },
    platform::{
        db::{Db, DbError, InTenant, Statements},
        http::{Listing, Refusal},
        plugins::{CriterionScore, Used},
    },
    product::scorecards::model::Definition,
    sql,
};

/// Why evaluations cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// There is none, or the grant does not reach it.
    #[error("no such evaluation")]
    NotFound,
    /// There is no such call, or the grant does not reach it.
    #[error("no such call")]
    NoCall,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<EvaluationError> for Refusal {
    fn from(error: EvaluationError) -> Self {
        match error {
            EvaluationError::NotFound => Refusal::not_found("evaluation"),
            EvaluationError::NoCall => Refusal::not_found("call"),
            EvaluationError::Db(error) => error.into(),
        }
    }
}

/// One evaluation in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its id.
    pub evaluation_id: EvaluationId,
    /// The call.
    pub call_id: CallId,
    /// The organization that owns the call.
    pub organization_id: OrganizationId,
    /// Who was heard.
    pub agent_id: Option<AgentId>,
    /// What the call was judged by.
    pub scorecard_version_id: ScorecardVersionId,
    /// Which of the call's evaluations, from 1.
    pub revision: i32,
    /// Why there is this revision.
    pub cause: RevisionCause,
    /// The revision before.
    pub replaces: Option<EvaluationId>,
    /// Whether it is the call's newest.
    pub is_current: bool,
    /// Which version of the transcript it judges, from 1.
    pub transcript_version: i32,
    /// How far it has come.
    pub status: EvaluationStatus,
    /// Who scored.
    pub scorer: Option<String>,
    /// The overall score in hundredths.
    pub overall: Option<u32>,
    /// Whether the call passed; none before scoring and without a pass mark.
    pub passed: Option<bool>,
    /// Whether a person has to look.
    pub needs_review: bool,
    /// When the evidence was checked.
    pub assessed_at: DateTime<Utc>,
    /// When it was scored.
    pub evaluated_at: Option<DateTime<Utc>>,
}

/// A whole evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What a list shows of it.
    pub summary: Summary,
    /// The scorecard whose version was applied.
    pub scorecard_id: ScorecardId,
    /// The version's number.
    pub version: i32,
    /// What was asked.
    pub definition: Definition,
    /// Who was asked.
    pub provider: String,
    /// The model that answered.
    pub model: String,
    /// Who built the prompt.
    pub prompt_builder: String,
    /// Tokens of the question.
    pub prompt_tokens: i64,
    /// Tokens of the answer.
    pub completion_tokens: i64,
    /// The provider's name for the configuration that answered.
    pub fingerprint: Option<String>,
    /// What besides the question decided the answer.
    pub parameters: Value,
    /// Quotes that the language model gave.
    pub quotes: i64,
    /// Those of them that are not in the transcript.
    pub quotes_rejected: i64,
    /// What the language model cost, in millionths; none where there was no price.
    pub cost_micros: Option<i64>,
    /// What its plugins took.
    pub plugin: Used,
    /// The answers with their checked evidence.
    pub answers: Vec<Answer>,
    /// The scores of the criteria; empty before scoring.
    pub scores: Vec<CriterionScore>,
    /// Findings.
    pub insights: Vec<Insight>,
    /// Why another scorer than the bound one scored, or why the evaluation is held.
    pub scorer_note: Option<String>,
    /// The receipt.
    pub receipt: Receipt,
}

impl Evaluation {
    /// The score of each section in hundredths, in the scorecard's order: the product's arithmetic over what the answers are worth, or over the
    /// scores of the criteria where a plugin gave them.
    pub fn section_scores(&self) -> Vec<Option<u32>> {
        let scorecard = self.definition.for_plugins(self.version.unsigned_abs());
        let marks = match &self.summary.scorer {
            Some(scorer) if BuiltIn::is_called(scorer) => {
                let said = self
                    .answers
                    .iter()
                    .map(|answer| (answer.criterion.as_str(), Said { verdict: answer.verdict, worth: answer.worth }));
                scoring::marks_of_answers(&scorecard, &said.collect())
            }
            _ => scoring::marks(&scorecard, &self.scores),
        };
        arithmetic::score(&marks).sections
    }
}

/// A call, how far it has come, and its newest evaluation.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The call.
    pub call_id: CallId,
    /// Its status.
    pub call_status: String,
    /// Phone, chat or e-mail.
    pub channel: String,
    /// The stage that failed.
    pub failed_stage: Option<String>,
    /// A stable word for what went wrong.
    pub failure_kind: Option<String>,
    /// What went wrong.
    pub failure_reason: Option<String>,
    /// When the call came in.
    pub received_at: DateTime<Utc>,
    /// When its speech recognition began.
    pub transcription_submitted_at: Option<DateTime<Utc>>,
    /// When its transcript was there.
    pub transcribed_at: Option<DateTime<Utc>>,
    /// Its newest evaluation.
    pub evaluation: Option<Evaluation>,
}

/// Which evaluations a list holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Those of one organization.
    pub organization_id: Option<OrganizationId>,
    /// Those of one agent.
    pub agent_id: Option<AgentId>,
    /// Those of one call.
    pub call_id: Option<CallId>,
    /// Those that were replaced as well.
    pub all_revisions: bool,
}

/// The reading operations on evaluations. Cheap to clone.
#[derive(Clone)]
pub struct Evaluations {
    pub(super) db: Arc<Db>,
}

impl Evaluations {
    /// Operations behind the door.
    pub fn new(db: Arc<Db>) -> Self {
        Self { db }
    }

    /// One evaluation.
    ///
    /// # Errors
    /// [`EvaluationError::NotFound`].
    pub async fn get(&self, grant: &Grant, id: EvaluationId) -> Result<Evaluation, EvaluationError> {
        let on = self.db.alone(grant);
        let row = on.opt(sql!("evaluations/find"), &[&id, &on.organizations()]).await?;
        row.as_ref().map(evaluation).transpose()?.ok_or(EvaluationError::NotFound)
    }

    /// The analysis of a call.
    ///
    /// # Errors
    /// [`EvaluationError::NoCall`].
    pub async fn analysis(&self, grant: &Grant, id: CallId) -> Result<Analysis, EvaluationError> {
        let on = self.db.alone(grant);
        let row = on.opt(sql!("evaluations/find_analysis"), &[&id, &on.organizations()]).await?;
        row.as_ref().map(analysis).transpose()?.ok_or(EvaluationError::NoCall)
    }

    /// A page of those that the grant reaches and the filter lets through, newest first.
    ///
    /// # Errors
    /// [`EvaluationError::Db`].
    pub async fn list(
        &self,
        grant: &Grant,
        filter: Filter,
        listing: &Listing,
    ) -> Result<Vec<Summary>, EvaluationError> {
        let on = self.db.alone(grant);
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> =
            reached.filter(|one| filter.organization_id.is_none_or(|only| only == *one)).collect();
        let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
        let query = if filter.all_revisions { sql!("evaluations/list_revisions") } else { sql!("evaluations/list") };
        let rows = on.all(query, &[&organizations, &filter.agent_id, &filter.call_id, &at, &id, &most]).await?;
        Ok(rows.iter().map(|row| summary(row, "status")).collect::<Result<_, _>>()?)
    }
}

fn summary(row: &Row, status: &str) -> Result<Summary, DbError> {
    let overall: Option<i32> = row.try_get("overall")?;
    let status: &str = row.try_get(status)?;
    Ok(Summary {
        evaluation_id: row.try_get("evaluation_id")?,
        call_id: row.try_get("call_id")?,
        organization_id: row.try_get("organization_id")?,
        agent_id: row.try_get("agent_id")?,
        scorecard_version_id: row.try_get("scorecard_version_id")?,
        // The table's check lets no other word in.
        status: EvaluationStatus::parse(status).unwrap_or(EvaluationStatus::Assessed),
        revision: row.try_get("revision")?,
        cause: row.try_get("cause")?,
        replaces: row.try_get("replaces")?,
        is_current: row.try_get("is_current")?,
        transcript_version: row.try_get("transcript_version")?,
        scorer: row.try_get("scorer")?,
        overall: overall.map(i32::unsigned_abs),
        passed: row.try_get("passed")?,
        needs_review: row.try_get("needs_review")?,
        assessed_at: row.try_get("assessed_at")?,
        evaluated_at: row.try_get("evaluated_at")?,
    })
}

fn evaluation(row: &Row) -> Result<Evaluation, DbError> {
    let Json(definition) = row.try_get("definition")?;
    let Json(answers) = row.try_get("answers")?;
    let Json(receipt) = row.try_get("receipt")?;
    let evaluation = Evaluation {
        summary: summary(row, "evaluation_status")?,
        scorecard_id: row.try_get("scorecard_id")?,
        version: row.try_get("version")?,
        definition,
        provider: row.try_get("provider")?,
        model: row.try_get("model")?,
        prompt_builder: row.try_get("prompt_builder")?,
        prompt_tokens: row.try_get("prompt_tokens")?,
        completion_tokens: row.try_get("completion_tokens")?,
        fingerprint: row.try_get("fingerprint")?,
        parameters: row.try_get("parameters")?,
        quotes: row.try_get::<_, i32>("quotes")?.into(),
        quotes_rejected: row.try_get::<_, i32>("quotes_rejected")?.into(),
        cost_micros: row.try_get("cost_micros")?,
        plugin: Used {
            fuel: row.try_get::<_, i64>("plugin_fuel")?.unsigned_abs(),
            elapsed_us: row.try_get::<_, i64>("plugin_us")?.unsigned_abs(),
        },
        answers,
        scores: scores(row)?,
        insights: insights(row)?,
        scorer_note: row.try_get("scorer_note")?,
        receipt,
    };
    Ok(evaluation)
}

fn analysis(row: &Row) -> Result<Analysis, DbError> {
    let evaluated: Option<EvaluationId> = row.try_get("evaluation_id")?;
    Ok(Analysis {
        call_id: row.try_get("analysed_call_id")?,
        call_status: row.try_get("call_status")?,
        channel: row.try_get("channel")?,
        failed_stage: row.try_get("failed_stage")?,
        failure_kind: row.try_get("failure_kind")?,
        failure_reason: row.try_get("failure_reason")?,
        received_at: row.try_get("received_at")?,
        transcription_submitted_at: row.try_get("submitted_at")?,
        transcribed_at: row.try_get("transcribed_at")?,
        evaluation: evaluated.map(|_| evaluation(row)).transpose()?,
    })
}

pub(super) fn scores(row: &Row) -> Result<Vec<CriterionScore>, DbError> {
    let Some(keys) = row.try_get::<_, Option<Vec<String>>>("keys")? else {
        return Ok(Vec::new());
    };
    let scores: Vec<Option<i32>> = row.try_get("scores")?;
    let passes: Vec<Option<bool>> = row.try_get("passes")?;
    let notes: Vec<Option<String>> = row.try_get("notes")?;
    let each = keys.into_iter().zip(scores).zip(passes.into_iter().zip(notes));
    let each = each.map(|((key, score), (passed, note))| CriterionScore {
        key,
        score: score.map(i32::unsigned_abs),
        passed,
        note,
    });
    Ok(each.collect())
}

pub(super) fn insights(row: &Row) -> Result<Vec<Insight>, DbError> {
    let Some(kinds) = row.try_get::<_, Option<Vec<&str>>>("kinds")? else {
        return Ok(Vec::new());
    };
    let criteria: Vec<Option<String>> = row.try_get("criteria")?;
    let texts: Vec<String> = row.try_get("texts")?;
    let each = kinds.into_iter().zip(criteria).zip(texts);
    let each = each.map(|((kind, criterion), text)| Insight {
        kind: InsightKind::parse(kind).unwrap_or(InsightKind::Note),
        criterion,
        text,
    });
    Ok(each.collect())
}

impl Evaluation {
    /// Answers by criterion.
    pub(super) fn answers_by_criterion(&self) -> HashMap<&str, &Answer> {
        self.answers.iter().map(|answer| (answer.criterion.as_str(), answer)).collect()
    }
}
