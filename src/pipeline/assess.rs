//! The language model answers the scorecard's questions; every quote is held against the transcript.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use futures_util::TryFutureExt;

use super::{AssessCall, Means, bury, enqueue, grant, plugin, show_failure, waits_for};
use crate::{
    foundation::{
        access::Grant,
        ids::{CallId, EvaluationId},
    },
    platform::{
        db::DbError,
        jobs::{self, Handler, Job, JobError, Lease},
        providers::llm::{Completed, Completion},
        tenancy::quotas,
    },
    product::{
        calls::{self, model::Stage},
        evaluations::{
            answer::{self, AnswerError},
            conditions, evidence, insights,
            prompt::{self, BoundBuilder, Built},
            receipt::{About, Assessment, Receipt},
            schema,
            store::{self, ForAssess, NewEvaluation},
        },
        scorecards::model::ScorecardVersion,
    },
};

/// How often an unusable answer is paid for.
const UNUSABLE_ANSWERS: i16 = 3;

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
        let evaluation_id = EvaluationId::new();
        let asked_at = means.clock.now();
        let built = self.build(&material, scorecard, evaluation_id, asked_at).await?;
        let question = Completion {
            system: built.prompt.system.clone(),
            user: built.prompt.user.clone(),
            schema_name: schema::NAME.to_owned(),
            schema: built.schema.clone(),
            max_output_tokens: built.prompt.max_output_tokens,
        };
        let answered = means.language_model.complete(&question).await?;
        let now = means.clock.now().trunc_subsecs(6);
        let parameters = means.language_model.parameters(&question);
        let about = material.about(evaluation_id, asked_at, now, &built.builder, parameters);
        Box::pin(self.record(&grant, lease, call_id, about, now, &material, scorecard, &built, &answered)).await
    }

    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        let Ok(job) = lease.job::<AssessCall>() else { return bury(&self.0, lease, error).await };
        show_failure(&self.0, lease, job.call_id, Stage::Assess, error).await
    }
}

impl Assess {
    async fn build(
        &self,
        material: &ForAssess,
        scorecard: &ScorecardVersion,
        evaluation_id: EvaluationId,
        now: DateTime<Utc>,
    ) -> Result<Built, JobError> {
        let input = material.prompt_input(scorecard, evaluation_id, now);
        let built = match &material.prompt_builder {
            None => prompt::build_with(None, &input).await,
            Some(binding) => {
                let loaded = plugin::load(&self.0, binding).await?;
                let builder = loaded.and_then(|plugin| plugin.prompt_builder(&binding.settings.to_string()));
                let bound = BoundBuilder { builder: builder.as_deref().map_err(Clone::clone), policy: binding.policy };
                prompt::build_with(Some(bound), &input).await
            }
        };
        built.map_err(|error| {
            // Of a plugin's failure only the name leaves the tenant: its words may quote the call.
            if error.is_temporary() {
                JobError::Temporary { reason: error.code().to_owned(), retry_after: None }
            } else {
                JobError::Confidential { kind: error.code(), words: error.to_string() }
            }
        })
    }

    /// Stores the answer before anything is scored, so that no retry of a later stage buys it again.
    #[allow(clippy::too_many_arguments, reason = "everything that one evaluation is made of")]
    async fn record(
        &self,
        grant: &Grant,
        lease: &Lease,
        call_id: CallId,
        about: About,
        now: DateTime<Utc>,
        material: &ForAssess,
        scorecard: &ScorecardVersion,
        built: &Built,
        answered: &Completed,
    ) -> Result<(), JobError> {
        let raw = answer::parse(&answered.content, &scorecard.for_plugins()).map_err(|error| unusable(lease, error))?;
        let answers = evidence::check(raw, &material.call.utterances)
            .map_err(|error| JobError::Permanent { kind: "transcript_too_large", reason: error.to_string() })?;
        let answers = conditions::apply(&scorecard.definition, answers);
        let evaluation_id = about.evaluation_id;
        let receipt = Receipt::of(&Assessment {
            about,
            transcript: &material.call.utterances,
            scorecard_version_id: scorecard.scorecard_version_id,
            scorecard_digest: &scorecard.digest,
            prompt: &built.prompt,
            prompt_builder: &built.builder,
            prompt_note: built.note.as_deref(),
            schema: &built.schema,
            provider: self.0.language_model.name(),
            model: &answered.model,
            raw_answer: &answered.content,
            answers: &answers,
        });
        let new = NewEvaluation {
            evaluation_id,
            call_id,
            organization_id: material.call.organization_id,
            agent_id: material.call.agent_id,
            scorecard_version_id: scorecard.scorecard_version_id,
            raw_answer: &answered.content,
            answers: &answers,
            needs_review: insights::needs_review(&answers, &material.call.utterances),
            prompt_tokens: answered.prompt_tokens,
            completion_tokens: answered.completion_tokens,
            receipt: &receipt,
            assessed_at: now,
        };
        self.0
            .db
            .tenant(grant, "assess.record", async |tx| {
                let ((), moved, (), _, ()) = tokio::try_join!(
                    biased; // the first refusal is the one to tell: after it, the others only say that the transaction is over
                    jobs::finish(tx, lease),
                    calls::store::mark_assessed(tx, call_id).err_into(),
                    store::record_assessed(tx, &new).err_into(),
                    enqueue(tx, material.call.organization_id, call_id, Stage::Score, now).err_into(),
                    // Last: its lock is waited for by the tenant's other jobs.
                    quotas::count_evaluation(tx, new.prompt_tokens, new.completion_tokens, now).err_into(),
                )?;
                if moved { Ok(()) } else { Err(JobError::LeaseLost) }
            })
            .await
    }
}

/// A model that answers beside the schema may do better when it is asked again; each time costs money, so not often.
fn unusable(lease: &Lease, error: AnswerError) -> JobError {
    if lease.attempt < UNUSABLE_ANSWERS {
        JobError::Temporary { reason: error.to_string(), retry_after: None }
    } else {
        JobError::Permanent { kind: error.code(), reason: error.to_string() }
    }
}
