//! People answer what waits for them: each answer is a new revision of the evaluation, which is scored again. The revision before stays as it is.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};

use super::{
    beside, evidence, insights,
    model::{Answer, Given, Reason, RevisionCause, Verdict},
    questions::{HumanAnswer, READER, Unusable},
    receipt::{self, About, Receipt},
    store::{self, ForScore, NewEvaluation},
};
use crate::{
    foundation::{access::Grant, clock::Clock, digest, ids::EvaluationId},
    platform::{
        audit::audit,
        db::{Db, DbError, InTenant, Statements, TenantTx},
        http::{KeyError, Keyed, Kind, Once, Refusal, once},
        jobs::Wake,
        plugins::Used,
    },
    product::{
        calls::{
            self, Stages,
            model::{CallStatus, Stage},
        },
        scorecards::model::{AnswerKind, Criterion},
    },
    sql,
};

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum HumanAnswerError {
    /// There is no such evaluation, or the grant does not reach it.
    #[error("no such evaluation")]
    NotFound,
    /// A newer revision has taken the evaluation's place.
    #[error("this evaluation was replaced by a newer revision")]
    Replaced,
    /// The evaluation is being scored, or its call is on another way.
    #[error("the evaluation is not scored yet")]
    NotScored,
    /// The transcript has another version than the one that the evaluation judges.
    #[error("the transcript was changed since the call was assessed: run it again from assess")]
    Outdated,
    /// The criterion is answered, and nobody was asked about it.
    #[error("the criterion does not wait for a person's answer")]
    NotOpen,
    /// Something of the answer is not as the criterion wants it.
    #[error("{field} {reason}")]
    Invalid {
        /// The field of the body.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// What the model said cannot be read any more.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<HumanAnswerError> for Refusal {
    fn from(error: HumanAnswerError) -> Self {
        match error {
            HumanAnswerError::NotFound => Refusal::not_found("evaluation"),
            HumanAnswerError::Replaced
            | HumanAnswerError::NotScored
            | HumanAnswerError::Outdated
            | HumanAnswerError::NotOpen => Refusal::new(Kind::IllegalState, error.to_string()),
            HumanAnswerError::Invalid { field, reason } => Refusal::invalid(field, reason),
            HumanAnswerError::Unusable(error) => Refusal::internal(&error),
            HumanAnswerError::Key(error) => error.into(),
            HumanAnswerError::Db(error) => error.into(),
        }
    }
}

/// What a person says.
#[derive(Clone, Debug)]
pub struct NewAnswer {
    /// The criterion.
    pub criterion: String,
    /// Yes, no, not applicable, or answered.
    pub said: Verdict,
    /// What is answered besides yes and no.
    pub given: Given,
    /// Why.
    pub rationale: String,
    /// Words of the transcript.
    pub quotes: Vec<String>,
}

/// The operations of people who answer. Cheap to clone.
#[derive(Clone)]
pub struct HumanAnswers {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// What comes after an answer.
    pub stages: Arc<dyn Stages>,
    /// Told of the scoring that is to be done.
    pub wake: Wake,
}

impl HumanAnswers {
    /// Takes an answer and has the evaluation scored again; gives the new revision. The same request under the same key is answered as the first time.
    ///
    /// # Errors
    /// [`HumanAnswerError`]; nothing is changed then.
    pub async fn answer(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        id: EvaluationId,
        new: NewAnswer,
    ) -> Result<Once<EvaluationId>, HumanAnswerError> {
        let now = self.clock.now().trunc_subsecs(6);
        let taken = self
            .db
            .tenant(grant, "evaluations.answer", async |tx| {
                once(tx, keyed, now, async || self.take(tx, id, new, now).await).await
            })
            .await?;
        self.wake.wake();
        Ok(taken)
    }

    async fn take(
        &self,
        tx: &TenantTx<'_>,
        id: EvaluationId,
        new: NewAnswer,
        now: DateTime<Utc>,
    ) -> Result<EvaluationId, HumanAnswerError> {
        let row = tx.opt(sql!("evaluations/find_call"), &[&id, &tx.organizations()]).await?;
        let row = row.ok_or(HumanAnswerError::NotFound)?;
        let call_id = row.try_get("call_id").map_err(DbError::from)?;
        // Before anything of it is read, so that no correction and no re-score comes in between.
        let held = calls::store::hold(tx, call_id, CallStatus::Evaluated).await?;
        let stored = store::load_for_score(tx, call_id).await?.ok_or(HumanAnswerError::NotFound)?;
        if stored.evaluation_id != id {
            return Err(HumanAnswerError::Replaced);
        }
        if !held {
            return Err(HumanAnswerError::NotScored);
        }
        if stored.is_outdated() {
            return Err(HumanAnswerError::Outdated);
        }
        let human = checked(&stored, tx.grant(), new, now).await?;
        let (answers, receipt) = revised(&stored, &human, now).await?;
        let evaluation_id = receipt.about.as_ref().map_or(id, |about| about.evaluation_id);
        let next = NewEvaluation {
            evaluation_id,
            call_id,
            organization_id: stored.call.organization_id,
            agent_id: stored.call.agent_id,
            scorecard_version_id: stored.scorecard.scorecard_version_id,
            raw_answer: &stored.raw_answer,
            answers: &answers,
            needs_review: insights::needs_review(&answers, &stored.call.utterances),
            human_answers: &human,
            // Nobody was asked again, so nothing was paid.
            prompt_tokens: 0,
            completion_tokens: 0,
            fingerprint: None,
            cost_micros: Some(0),
            plugin: Used::default(),
            receipt: &receipt,
            assessed_at: now,
        };
        let criterion = human.last().map(|answer| answer.criterion.clone());
        if !calls::store::move_status(tx, call_id, CallStatus::Evaluated, CallStatus::Assessed).await? {
            return Err(HumanAnswerError::NotScored);
        }
        store::record_assessed(tx, &next).await?;
        let organization = stored.call.organization_id;
        let again = self.stages.again(tx, organization, call_id, Stage::Score, now).await?;
        again.ok_or(HumanAnswerError::NotScored)?;
        let details = serde_json::json!({ "criterion": criterion, "revision_of": id });
        audit(tx, "evaluation.answered", "evaluation", Some(evaluation_id.0), organization, details).await?;
        Ok(evaluation_id)
    }
}

/// Everything that people have answered of the evaluation, the new answer last.
async fn checked(
    stored: &ForScore,
    grant: &Grant,
    new: NewAnswer,
    now: DateTime<Utc>,
) -> Result<Vec<HumanAnswer>, HumanAnswerError> {
    let invalid = |field, reason: &str| HumanAnswerError::Invalid { field, reason: reason.to_owned() };
    let definition = &stored.scorecard.definition;
    let criterion = definition.criteria().find(|criterion| criterion.key == new.criterion);
    let criterion = criterion.ok_or_else(|| invalid("criterion", "is no criterion of the scorecard version"))?;
    let open = stored.answers.iter().find(|answer| answer.criterion == new.criterion).is_some_and(waits);
    if !open {
        return Err(HumanAnswerError::NotOpen);
    }
    of_its_type(criterion, &new)?;
    let answer = HumanAnswer {
        criterion: new.criterion,
        said: new.said,
        given: new.given,
        rationale: calls::redaction::redact_note(&new.rationale),
        quotes: new.quotes,
        answered_by: grant.actor().to_owned(),
        answered_at_ms: now.timestamp_millis(),
        carried_from: None,
        outdated: None,
    };
    let (quotes, utterances) = (answer.quotes.clone(), stored.call.utterances.clone());
    if !beside::run(move || evidence::are_said(&quotes, &utterances)).await.map_err(Unusable::from)? {
        return Err(invalid("quotes", "are not all in the transcript"));
    }
    let mut human = stored.human_answers.clone();
    human.retain(|before| before.criterion != answer.criterion);
    human.push(answer);
    Ok(human)
}

/// Whether a person may answer: somebody has to, or what was said cannot be relied on.
fn waits(answer: &Answer) -> bool {
    match answer.verdict {
        Verdict::Pending => answer.reason.is_some_and(|reason| reason != Reason::AwaitsPlugin),
        Verdict::Unverified => true,
        _ => answer.reason == Some(Reason::AutoFailUnquoted),
    }
}

fn of_its_type(criterion: &Criterion, new: &NewAnswer) -> Result<(), HumanAnswerError> {
    if new.said == Verdict::NotApplicable && !criterion.not_applicable {
        let reason = "may not be answered as not applicable".to_owned();
        return Err(HumanAnswerError::Invalid { field: "verdict", reason });
    }
    let (kind, given) = (criterion.answer.kind, &new.given);
    let answered = new.said != Verdict::NotApplicable;
    let chooses = answered && matches!(kind, AnswerKind::SingleChoice | AnswerKind::MultipleChoice);
    for (field, is_given, is_asked) in [
        ("choices", !given.choices.is_empty(), chooses),
        ("number", given.number.is_some(), answered && kind == AnswerKind::Number),
        ("text", given.text.is_some(), answered && kind == AnswerKind::Text),
    ] {
        if is_given && !is_asked {
            return Err(HumanAnswerError::Invalid { field, reason: "is not what the criterion asks for".to_owned() });
        }
    }
    if given.text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        return Err(HumanAnswerError::Invalid { field: "text", reason: "may not be empty".to_owned() });
    }
    let judged = criterion.answer.judge(new.said, given);
    judged.map_err(|what| HumanAnswerError::Invalid { field: "verdict", reason: what.to_owned() })?;
    Ok(())
}

/// The answers of the next revision, and its receipt so far: of the same question and the same text of the model.
async fn revised(
    stored: &ForScore,
    human: &[HumanAnswer],
    now: DateTime<Utc>,
) -> Result<(Vec<Answer>, Receipt), HumanAnswerError> {
    let (call, definition) = (&stored.call, &stored.scorecard.definition);
    let questions = beside::questions(definition, &call.utterances, &call.metrics).await;
    let answers = beside::answers(&questions, &stored.raw_answer, human).await?;
    let about = stored.receipt.about.clone().ok_or(HumanAnswerError::NotScored)?;
    let about = About {
        evaluation_id: EvaluationId::new(),
        revision: about.revision + 1,
        cause: RevisionCause::HumanAnswers,
        replaces: Some(stored.evaluation_id),
        rescore_id: None,
        reader: READER.to_owned(),
        human_answers: receipt::human_digest(human),
        assessed_at_ms: now.timestamp_millis(),
        ..about
    };
    let receipt = Receipt {
        about: Some(about),
        signed_by: None,
        answers: digest::of_json(&answers),
        scoring: None,
        ..stored.receipt.clone()
    };
    Ok((answers, receipt))
}
