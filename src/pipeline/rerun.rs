//! `POST /api/calls/{call_id}/rerun`: any stage of a call that is at rest runs again, and what comes of it is a new revision.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use poem_openapi::{Enum, Object, OpenApi, Tags, param::Path, payload::Json};

use super::{enqueue, entry, score::OUTDATED};
use crate::{
    foundation::{
        access::{Caller, Grant, Permission},
        clock::Clock,
        digest,
        ids::{CallId, EvaluationId},
    },
    platform::{
        audit::audit,
        db::{Db, TenantTx},
        http::Refusal,
        jobs::Wake,
        plugins::Used,
        tenancy::{
            Tenants,
            quotas::{Quotas, room_for_a_job},
        },
    },
    product::{
        calls::{
            self, CallError,
            api::CallView,
            model::{Call, CallStatus, Stage},
        },
        evaluations::{
            insights,
            model::{EvaluationStatus, RevisionCause},
            questions::{Questions, READER},
            receipt::{About, Receipt},
            store::{self, NewEvaluation},
        },
    },
};

/// Running stages again.
pub struct RerunApi {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// What tenants may use.
    pub tenants: Arc<Tenants>,
    /// Workers are told.
    pub wake: Wake,
}

#[derive(Tags)]
enum Tag {
    /// Recorded and written conversations, and how far they have come.
    Calls,
}

/// A stage that can run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum RerunStage {
    /// Speech becomes a transcript; the one before is kept as a version.
    Transcribe,
    /// The scorecard's questions are asked again, under the version that counts now.
    Assess,
    /// The stored answers are scored again.
    Score,
}

/// From where a call runs again.
#[derive(Object)]
#[oai(rename = "Rerun", deny_unknown_fields)]
struct RerunBody {
    /// This stage and those after it.
    stage: RerunStage,
}

#[OpenApi(prefix_path = "/api/calls", tag = "Tag::Calls")]
impl RerunApi {
    /// Run a stage of a call again
    ///
    /// The stage and those after it. What comes of it is a new revision of the call's evaluation; the older ones stay. 409 while the call is being
    /// worked on, and where the stage has nothing to start from.
    #[oai(path = "/:call_id/rerun", method = "post", operation_id = "rerun_call")]
    async fn rerun_call(
        &self,
        caller: Caller,
        call_id: Path<CallId>,
        body: Json<RerunBody>,
    ) -> Result<Json<CallView>, Refusal> {
        let grant = caller.may(Permission::RetryCalls)?;
        let quotas = self.tenants.quotas(grant.tenant()).await?;
        let stage = match body.0.stage {
            RerunStage::Transcribe => Stage::Transcribe,
            RerunStage::Assess => Stage::Assess,
            RerunStage::Score => Stage::Score,
        };
        let call = rerun(&self.db, &grant, &quotas, call_id.0, stage, self.clock.now()).await?;
        self.wake.wake();
        Ok(Json(call.into()))
    }
}

async fn rerun(
    db: &Db,
    grant: &Grant,
    quotas: &Quotas,
    call_id: CallId,
    stage: Stage,
    now: DateTime<Utc>,
) -> Result<Call, CallError> {
    let room = room_for_a_job(db, grant.tenant(), quotas).await;
    db.tenant(grant, "calls.rerun", async |tx| {
        let call = calls::store::find(tx, call_id).await?.ok_or(CallError::NotFound)?;
        if !matches!(call.status, CallStatus::Evaluated | CallStatus::Failed) {
            return Err(CallError::NotAtRest(call.status));
        }
        room?;
        let status = entry(stage);
        // First: it holds the call against everybody else.
        if !calls::store::move_status(tx, call_id, call.status, status).await? {
            return Err(CallError::Conflict);
        }
        match stage {
            Stage::Transcribe => begin_transcript(tx, &call, now).await?,
            Stage::Assess => {
                let transcript = calls::store::find_transcript(tx, call_id, false).await?;
                transcript
                    .ok_or(CallError::NothingToRerun("the call has no transcript: run it again from transcribe"))?;
            }
            Stage::Score | Stage::FollowUp => begin_score(tx, call_id, now).await?,
        }
        if !enqueue(tx, call.organization_id, call_id, stage, now).await? {
            return Err(CallError::Conflict);
        }
        audit(tx, "call.rerun", "call", Some(call_id.0), call.organization_id, serde_json::json!({ "stage": stage }))
            .await?;
        Ok(Call { status, failure: None, ..call })
    })
    .await
}

/// The transcript that there is becomes a version, and its head waits for the recogniser.
async fn begin_transcript(tx: &TenantTx<'_>, call: &Call, now: DateTime<Utc>) -> Result<(), CallError> {
    if calls::store::find_audio_file(tx, call.call_id).await?.is_none() {
        return Err(CallError::NothingToRerun("a written conversation has no recording to transcribe"));
    }
    let Some(transcript) = calls::store::find_transcript(tx, call.call_id, false).await? else { return Ok(()) };
    let replaced = calls::store::replace_transcript(tx, call.call_id, transcript.version, None, now).await?;
    if replaced { Ok(()) } else { Err(CallError::Conflict) }
}

/// The newest answers become a revision that waits for its score. Nothing is asked or paid.
async fn begin_score(tx: &TenantTx<'_>, call_id: CallId, now: DateTime<Utc>) -> Result<(), CallError> {
    const NONE: &str = "the call has no scored evaluation: run it again from assess";
    const UNUSABLE: &str = "the stored answer cannot be read any more: run it again from assess";
    let found = store::load_for_score(tx, call_id).await?;
    let found = found.filter(|found| found.status == EvaluationStatus::Evaluated);
    let found = found.ok_or(CallError::NothingToRerun(NONE))?;
    let about = found.receipt.about.as_ref().ok_or(CallError::NothingToRerun(NONE))?;
    if found.is_outdated() {
        return Err(CallError::NothingToRerun(OUTDATED));
    }
    let assessed_at = now.trunc_subsecs(6);
    let about = About {
        evaluation_id: EvaluationId::new(),
        revision: about.revision + 1,
        cause: RevisionCause::Rerun,
        replaces: Some(about.evaluation_id),
        rescore_id: None,
        call: found.call.facts.clone(),
        reader: READER.to_owned(),
        assessed_at_ms: assessed_at.timestamp_millis(),
        ..about.clone()
    };
    let evaluation_id = about.evaluation_id;
    // Of the text that is stored: what a plugin answered, it answers anew.
    let (call, definition) = (&found.call, &found.scorecard.definition);
    let questions = Questions::of(definition, &call.utterances, &call.metrics);
    let answers = questions.answers(&found.raw_answer, &found.human_answers);
    let answers = answers.map_err(|_| CallError::NothingToRerun(UNUSABLE))?;
    let receipt = Receipt {
        about: Some(about),
        signed_by: None,
        scoring: None,
        answers: digest::of_json(&answers),
        ..found.receipt.clone()
    };
    let new = NewEvaluation {
        evaluation_id,
        call_id,
        organization_id: found.call.organization_id,
        agent_id: found.call.agent_id,
        scorecard_version_id: found.scorecard.scorecard_version_id,
        raw_answer: &found.raw_answer,
        answers: &answers,
        needs_review: insights::needs_review(&answers, &found.call.utterances),
        human_answers: &found.human_answers,
        prompt_tokens: 0,
        completion_tokens: 0,
        fingerprint: None,
        cost_micros: Some(0),
        plugin: Used::default(),
        receipt: &receipt,
        assessed_at,
    };
    Ok(store::record_assessed(tx, &new).await?)
}
