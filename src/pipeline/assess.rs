//! The scorecard's questions are answered: by rules, and by the language model where it is asked; every quote is held against the transcript.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use futures_util::TryFutureExt;

use super::{
    AssessCall, Means,
    asking::{Asking, Heard, account},
    bury, enqueue, grant,
    modes::{self, Question},
    show_failure, waits_for,
};
use crate::{
    foundation::{
        access::Grant,
        ids::{CallId, EvaluationId},
    },
    platform::{
        db::DbError,
        jobs::{self, Handler, Job, JobError, Lease},
    },
    product::{
        calls::{self, model::Stage},
        evaluations::{
            beside, evidence, insights,
            memory::Of,
            prompt::{self, Built},
            questions::{self, HumanAnswer, Questions, Unusable},
            receipt::{About, Assessment, Receipt},
            store::{self, ForAssess, NewEvaluation},
        },
        scorecards::model::ScorecardVersion,
    },
};

pub(super) struct Assess(pub(super) Arc<Means>);

#[async_trait::async_trait]
impl Handler for Assess {
    fn kind(&self) -> &'static str {
        AssessCall::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        let means = &self.0;
        let call_id = lease.job::<AssessCall>()?.call_id;
        let grant = grant(lease);
        let Some(material) = store::load_for_assess(&means.db.alone(&grant), call_id).await? else {
            return Err(JobError::Permanent { kind: "no_call", reason: "there is no such call".to_owned() });
        };
        if !waits_for(&material.call.status, Stage::Assess) {
            return means.db.tenant(&grant, "assess.done_before", async |tx| jobs::finish(tx, lease).await).await;
        }
        let scorecard = material.scorecard.as_ref().ok_or_else(|| JobError::Permanent {
            kind: "no_scorecard",
            reason: "no scorecard is published for this call; publish one and retry the call".to_owned(),
        })?;
        let questions =
            beside::questions(&scorecard.definition, &material.call.utterances, &material.call.metrics).await;
        let evaluation_id = EvaluationId::new();
        let asked_at = means.clock.now();
        let asked = questions.asked().to_vec();
        let question = Question {
            call_id,
            material: &material,
            scorecard,
            asked: &asked,
            seed: evaluation_id,
            now: asked_at,
            is_trial: false,
        };
        let (built, heard) = match asked.as_slice() {
            [] => (prompt::nothing(), None),
            asked => {
                let built = modes::build(means, &grant, &question).await?;
                let of =
                    Of { call_id, organization_id: material.call.organization_id, agent_id: material.call.agent_id };
                let heard = Asking { means, grant: &grant, of }.ask(&built, asked).await?;
                (built, Some(heard))
            }
        };
        let now = means.clock.now().trunc_subsecs(6);
        let parameters = heard.as_ref().map_or_else(|| serde_json::json!({}), |heard| heard.parameters.clone());
        let human = material.carried(&scorecard.definition);
        let mut about = material.about(evaluation_id, asked_at, now, built.bound.as_ref(), parameters, &human);
        about.asked = questions.asked_keys();
        about.parts.clone_from(&built.parts);
        let assessed = Assessed { call_id, about, now, material: &material, scorecard, questions, built, heard, human };
        Box::pin(self.record(&grant, lease, assessed)).await?;
        // The call goes its way already.
        modes::shadow_prompt(means, &grant, &question).await;
        Ok(())
    }

    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        let Ok(job) = lease.job::<AssessCall>() else { return bury(&self.0, lease, error).await };
        show_failure(&self.0, lease, job.call_id, Stage::Assess, error).await
    }
}

impl Assess {
    /// Stores the answers before anything is scored, so that no retry of a later stage buys them again.
    async fn record(&self, grant: &Grant, lease: &Lease, assessed: Assessed<'_>) -> Result<(), JobError> {
        let Assessed { call_id, about, now, material, scorecard, questions, built, heard, human } = assessed;
        let raw = heard.as_ref().map_or(questions::NOTHING, |heard| &heard.raw);
        let answers = beside::answers(&questions, raw, &human).await.map_err(unusable)?;
        let evaluation_id = about.evaluation_id;
        let (provider, model) = match &heard {
            Some(heard) => (self.0.language_model.name(), heard.model.as_str()),
            None => (questions::NOBODY, questions::NOBODY),
        };
        let receipt = Receipt::of(&Assessment {
            about,
            transcript: &material.call.utterances,
            scorecard_version_id: scorecard.scorecard_version_id,
            scorecard_digest: &scorecard.digest,
            prompts: &built.prompts,
            prompt_builder: &built.builder,
            prompt_note: built.note.as_deref(),
            schema: &built.schema,
            provider,
            model,
            raw_answer: raw,
            answers: &answers,
        });
        let due = heard.as_ref().map(|heard| &heard.due);
        let (prompt_tokens, completion_tokens) =
            heard.as_ref().map_or((0, 0), |heard| (heard.prompt_tokens, heard.completion_tokens));
        let price = |prompt, completion| match &heard {
            Some(heard) => self.0.prices.tokens(&heard.model, prompt, completion),
            None => Some(0),
        };
        let new = NewEvaluation {
            evaluation_id,
            call_id,
            organization_id: material.call.organization_id,
            agent_id: material.call.agent_id,
            scorecard_version_id: scorecard.scorecard_version_id,
            raw_answer: raw,
            answers: &answers,
            needs_review: insights::needs_review(&answers, &material.call.utterances),
            human_answers: &human,
            prompt_tokens,
            completion_tokens,
            fingerprint: heard.as_ref().and_then(|heard| heard.fingerprint.as_deref()),
            cost_micros: price(prompt_tokens, completion_tokens),
            plugin: built.used,
            receipt: &receipt,
            assessed_at: now,
        };
        let (quotes, rejected) = evidence::rejected(&answers);
        let version = scorecard.scorecard_version_id;
        tracing::info!(call = %call_id, scorecard_version = %version, asked = questions.asked().len(), quotes, rejected, "assessed");
        let tokens = due.map_or((0, 0), |due| (due.prompt_tokens, due.completion_tokens));
        let runs = modes::of_evaluation(&built.runs, evaluation_id);
        let micros = price(tokens.0, tokens.1);
        self.0
            .db
            .tenant(grant, "assess.record", async |tx| {
                let ((), moved, (), _, (), ()) = tokio::try_join!(
                    biased; // the first refusal is the one to tell: after it, the others only say that the transaction is over
                    jobs::finish(tx, lease),
                    calls::store::mark_assessed(tx, call_id).err_into(),
                    store::record_assessed(tx, &new).err_into(),
                    enqueue(tx, material.call.organization_id, call_id, Stage::Score, now).err_into(),
                    modes::record(tx, &self.0, &runs, now).err_into(),
                    // Last: its locks are waited for by other jobs.
                    account(tx, &new, due, micros).err_into(),
                )?;
                if moved { Ok(()) } else { Err(JobError::LeaseLost) }
            })
            .await
    }
}

/// Everything that one evaluation is made of.
struct Assessed<'a> {
    call_id: CallId,
    about: About,
    now: DateTime<Utc>,
    material: &'a ForAssess,
    scorecard: &'a ScorecardVersion,
    questions: Questions<'a>,
    built: Built,
    /// None when the language model was asked nothing.
    heard: Option<Heard>,
    /// What people answered before, and what of it is outdated.
    human: Vec<HumanAnswer>,
}

pub(super) fn unusable(error: Unusable) -> JobError {
    match error {
        Unusable::Answer(error) => JobError::Permanent { kind: error.code(), reason: error.to_string() },
        Unusable::Evidence(error) => JobError::Permanent { kind: "transcript_too_large", reason: error.to_string() },
    }
}
