//! Answers become scores, insights and an overall score, by the organization's scorer or the built-in one.

use std::sync::Arc;

use futures_util::TryFutureExt;
use rust_decimal::Decimal;

use super::{
    Means, ScoreCall, bury, enqueue, grant,
    modes::{self, Judged},
    show_failure, waits_for,
};
use crate::{
    foundation::{access::Grant, ids::CallId},
    platform::{
        db::DbError,
        jobs::{self, Handler, Job, JobError, Lease},
        plugins::ScoreInput,
        tenancy::quotas,
    },
    product::{
        calls::{self, model::Stage},
        evaluations::{
            insights,
            receipt::keys::{self, ReceiptKeyError},
            scoring::{self, Case, Outcome, Scored},
            store::{self, ForScore, NewScores},
        },
    },
};

/// Why answers to another transcript are not scored.
pub(super) const OUTDATED: &str = "the transcript was changed since it was assessed: run it again from assess";

pub(super) struct Score(pub(super) Arc<Means>);

#[async_trait::async_trait]
impl Handler for Score {
    fn kind(&self) -> &'static str {
        ScoreCall::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        let means = &self.0;
        let call_id = lease.job::<ScoreCall>()?.call_id;
        let grant = grant(lease);
        let Some(material) = store::load_for_score(&means.db.alone(&grant), call_id).await? else {
            return Err(JobError::Permanent {
                kind: "no_evaluation",
                reason: "there is no evaluation to score".to_owned(),
            });
        };
        if !waits_for(&material.call.status, Stage::Score) {
            return means.db.tenant(&grant, "score.done_before", async |tx| jobs::finish(tx, lease).await).await;
        }
        if material.is_outdated() {
            return Err(JobError::Permanent { kind: "transcript_changed", reason: OUTDATED.to_owned() });
        }
        let made_of = material.material();
        let input = made_of.score_input(&material.answers);
        let case = Case::of(&made_of, &material.raw_answer, &material.answers, &input);
        let judged = modes::score(means, &grant, call_id, &material, &case).await?;
        let mark = judged.mark(&material.scorecard.definition);
        match &judged.outcome {
            Outcome::Held { note } => self.hold(&grant, lease, call_id, &material, (note, &judged)).await?,
            Outcome::Scored(scored) => {
                Box::pin(self.record(&grant, lease, call_id, &material, &input, (scored, &judged))).await?;
            }
        }
        // The call goes its way already.
        modes::shadow_score(means, &grant, call_id, &material, &case, mark).await;
        Ok(())
    }

    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        let Ok(job) = lease.job::<ScoreCall>() else { return bury(&self.0, lease, error).await };
        show_failure(&self.0, lease, job.call_id, Stage::Score, error).await
    }
}

impl Score {
    async fn hold(
        &self,
        grant: &Grant,
        lease: &Lease,
        call_id: CallId,
        material: &ForScore,
        (note, judged): (&str, &Judged<'_>),
    ) -> Result<(), JobError> {
        let (now, used) = (self.0.clock.now(), judged.used);
        let failure = calls::model::Failure { stage: Stage::Score, kind: "held".to_owned(), reason: note.to_owned() };
        self.0
            .db
            .tenant(grant, "score.hold", async |tx| {
                tokio::try_join!(
                    biased; // the first refusal is the one to tell: after it, the others only say that the transaction is over
                    jobs::finish(tx, lease),
                    store::mark_held(tx, material.evaluation_id, note, used).err_into(),
                    calls::store::mark_failed(tx, call_id, super::entry(Stage::Score), &failure).err_into(),
                    modes::record(tx, &self.0, &judged.runs, now).err_into(),
                    quotas::count_plugin_run(tx, material.call.organization_id, (used.fuel, used.elapsed_us), now).err_into(),
                )?;
                Ok(())
            })
            .await
    }

    async fn record(
        &self,
        grant: &Grant,
        lease: &Lease,
        call_id: CallId,
        material: &ForScore,
        input: &ScoreInput,
        (scored, judged): (&Scored, &Judged<'_>),
    ) -> Result<(), JobError> {
        let (now, used) = (self.0.clock.now(), judged.used);
        let Scored { output, scorer, note, answered } = scored;
        let needs_review = answered.as_ref().map(|own| insights::needs_review(&own.answers, &material.call.utterances));
        let (answers, input) = match answered {
            Some(answered) => (&answered.answers, &answered.input),
            None => (&material.answers, input),
        };
        let mut insights = insights::of(&input.scorecard, answers, output);
        insights.extend(insights::of_voices(&input.utterances));
        let mut receipt = material.receipt.clone().scored(
            (scorer, note.as_deref()),
            judged.by.map(|binding| (binding.binding_id, &binding.settings)),
            answers,
            input,
            output,
            &insights,
        );
        let key = material.receipt_key.as_ref();
        let signer = keys::signer(&self.0.db, grant, self.0.master_key.as_ref(), key, now).await;
        let signed = receipt.signed(signer.map_err(unsigned)?.as_ref());
        let name = format!("{} {}", scorer.name, scorer.version);
        let scores = NewScores {
            evaluation_id: material.evaluation_id,
            scorecard: &input.scorecard,
            answers,
            answered: needs_review,
            scores: &output.criteria,
            insights: &insights,
            scorer: &name,
            note: note.as_deref(),
            overall: output.overall,
            passed: scoring::passed(&material.scorecard.definition, output),
            receipt: &receipt,
            plugin: used,
            signed: &signed,
            evaluated_at: now,
        };
        let overall = output.overall.map(|hundredths| Decimal::new(i64::from(hundredths), 2));
        self.0
            .db
            .tenant(grant, "score.record", async |tx| {
                let ((), recorded, moved, _, (), ()) = tokio::try_join!(
                    biased; // the first refusal is the one to tell: after it, the others only say that the transaction is over
                    jobs::finish(tx, lease),
                    store::record_scored(tx, &scores).err_into(),
                    calls::store::mark_evaluated(tx, call_id, now, overall).err_into(),
                    enqueue(tx, material.call.organization_id, call_id, Stage::FollowUp, now).err_into(),
                    modes::record(tx, &self.0, &judged.runs, now).err_into(),
                    // Last: its lock is waited for by other jobs.
                    quotas::count_plugin_run(tx, material.call.organization_id, (used.fuel, used.elapsed_us), now).err_into(),
                )?;
                if recorded && moved { Ok(()) } else { Err(JobError::LeaseLost) }
            })
            .await
    }
}

/// A receipt that should be signed and cannot be is not recorded unsigned.
fn unsigned(error: ReceiptKeyError) -> JobError {
    match error {
        ReceiptKeyError::Db(error) => error.into(),
        error => JobError::Permanent { kind: "receipt_key", reason: error.to_string() },
    }
}
