//! Re-scores: one job paces a re-score's calls, and one job for each call assesses it under the new version; its score is the pipeline's usual one.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use futures_util::TryFutureExt;

use super::{
    Means,
    asking::{Asking, Heard, account},
    assess::unusable,
    enqueue, grant,
    modes::{self, Question},
};
use crate::{
    foundation::{access::Grant, ids::EvaluationId},
    platform::{
        db::{DbError, TenantTx},
        jobs::{self, Handler, Job, JobError, Lease},
    },
    product::{
        calls::{
            self,
            model::{CallStatus, Stage},
        },
        evaluations::{
            beside, insights,
            memory::Of,
            model::{Answer, RevisionCause},
            prompt::{self, Built},
            questions::{self, HumanAnswer, Questions},
            receipt::{self, About, Assessment, Receipt, Reused},
            rescore::{
                RescoreCall, RescoreCalls,
                model::RescoreStatus,
                store::{self as rescores, Current, Item, Outcome},
            },
            reuse::{self, Plan},
            store::{self, ForAssess, Head, NewEvaluation},
        },
        scorecards::model::Criterion,
    },
};

/// Calls of one re-score that are queued at once, so that it takes neither the queue nor the tenant's quota of waiting jobs.
const AT_ONCE: i64 = 50;
/// How often a call is assessed that is changed meanwhile, before the job makes a pause.
const LOADS: usize = 3;
/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_secs(1);

/// Paces the calls of a re-score.
pub(super) struct RescoreRange(pub(super) Arc<Means>);

#[async_trait::async_trait]
impl Handler for RescoreRange {
    fn kind(&self) -> &'static str {
        RescoreCalls::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        let id = lease.job::<RescoreCalls>()?.rescore_id;
        let (grant, now) = (grant(lease), self.0.clock.now());
        let over = self
            .0
            .db
            .tenant(&grant, "rescore.pace", async |tx| {
                let Some(found) = rescores::pace(tx, id).await? else {
                    jobs::finish(tx, lease).await?;
                    return Ok::<_, JobError>(true);
                };
                if found.cancel_requested {
                    rescores::cancel_items(tx, id).await?;
                }
                let left = found.waits && !found.cancel_requested;
                // Looking at all calls is for the end, when none is to be queued any more.
                let is_at_rest = !left && found.queued == 0;
                if is_at_rest && rescores::find(tx, id).await?.is_none_or(|found| found.progress.running == 0) {
                    let ended =
                        if found.cancel_requested { RescoreStatus::Cancelled } else { RescoreStatus::Succeeded };
                    rescores::mark(tx, id, ended, Some(now)).await?;
                    jobs::finish(tx, lease).await?;
                    return Ok(true);
                }
                rescores::mark(tx, id, RescoreStatus::Running, None).await?;
                if left {
                    let room = AT_ONCE.saturating_sub(found.queued).max(0);
                    for call_id in rescores::queue_items(tx, id, room).await? {
                        jobs::enqueue(tx, found.organization_id, &RescoreCall { rescore_id: id, call_id }, now, now)
                            .await?;
                    }
                }
                Ok(false)
            })
            .await?;
        if over { Ok(()) } else { Err(JobError::NotYet { reason: "calls are being evaluated", after: PAUSE }) }
    }

    /// It stays as it is, and its dead job can be retried.
    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        super::bury(&self.0, lease, error).await
    }
}

/// Assesses one call of a re-score.
pub(super) struct RescoreOne(pub(super) Arc<Means>);

#[async_trait::async_trait]
impl Handler for RescoreOne {
    fn kind(&self) -> &'static str {
        RescoreCall::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        let job = lease.job::<RescoreCall>()?;
        let grant = grant(lease);
        for _ in 0..LOADS {
            let Some((item, material)) = self.load(&grant, lease, &job).await? else { return Ok(()) };
            let assessed = self.assess(&grant, &job, &item, &material).await?;
            let (evaluation_id, asked_at, asked) =
                (assessed.about.evaluation_id, assessed.about.asked_at_ms, assessed.plan.asked.clone());
            if Box::pin(self.record(&grant, lease, &job, &item, &material, assessed)).await? {
                self.shadow(&grant, &job, (&item, &material), (evaluation_id, asked_at), &asked).await;
                return Ok(());
            }
            tracing::info!(call = %job.call_id, rescore = %job.rescore_id, "the call was changed meanwhile");
        }
        Err(JobError::Temporary { reason: "the call is changed again and again".to_owned(), retry_after: None })
    }

    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        let Ok(job) = lease.job::<RescoreCall>() else { return super::bury(&self.0, lease, error).await };
        let reason = match error {
            JobError::Confidential { words, .. } => words.clone(),
            error => error.to_string(),
        };
        let now = self.0.clock.now();
        self.0
            .db
            .tenant(&grant(lease), "rescore.gave_up", async |tx| {
                if jobs::bury(tx, lease, error, now).await? {
                    rescores::end_item(tx, job.rescore_id, job.call_id, &Outcome::Failed(&reason)).await?;
                }
                Ok(())
            })
            .await
    }
}

/// What is to be recorded of one call.
struct Assessed {
    about: About,
    plan: Plan,
    raw_answer: String,
    answers: Vec<Answer>,
    /// What people answered before, and what of it is outdated.
    human: Vec<HumanAnswer>,
    asked: Option<(Built, Heard)>,
    assessed_at: DateTime<Utc>,
}

impl RescoreOne {
    /// What is to be judged, and by what; `None` when that is settled.
    async fn load(
        &self,
        grant: &Grant,
        lease: &Lease,
        job: &RescoreCall,
    ) -> Result<Option<(Item, ForAssess)>, JobError> {
        let on = self.0.db.alone(grant);
        let item = rescores::find_item(&on, job.rescore_id, job.call_id).await?;
        let Some(item) = item.filter(|item| item.is_due) else {
            self.0.db.tenant(grant, "rescore.done_before", async |tx| jobs::finish(tx, lease).await).await?;
            return Ok(None);
        };
        let material = store::load_for_assess(&on, job.call_id).await?;
        let status = material.as_ref().map(|material| material.call.status.as_str());
        let judged = item.current.as_ref().map(|current| current.scorecard_version_id);
        let outcome = match material {
            _ if item.cancel_requested => Outcome::Cancelled,
            _ if status == Some(CallStatus::Assessed.as_str()) => {
                // It is about to be scored, such as after a person's answer.
                return Err(JobError::Temporary { reason: "the call is being scored".to_owned(), retry_after: None });
            }
            Some(_) if judged == Some(item.version.scorecard_version_id) => {
                Outcome::Skipped("the call is judged by this version already")
            }
            Some(material) if status == Some(CallStatus::Evaluated.as_str()) => return Ok(Some((item, material))),
            _ => Outcome::Skipped("the call is being worked on"),
        };
        self.end(grant, lease, job, &outcome).await?;
        Ok(None)
    }

    async fn assess(
        &self,
        grant: &Grant,
        job: &RescoreCall,
        item: &Item,
        material: &ForAssess,
    ) -> Result<Assessed, JobError> {
        let call = &material.call;
        let questions = beside::questions(&item.version.definition, &call.utterances, &call.metrics).await;
        let (current, plan) = planned(item, material, &questions);
        let evaluation_id = EvaluationId::new();
        let asked_at = self.0.clock.now();
        let now: Vec<&Criterion> =
            questions.asked().iter().copied().filter(|criterion| plan.asked.contains(&criterion.key)).collect();
        let asked = match now.as_slice() {
            [] => None,
            now => {
                let (call_id, scorecard) = (job.call_id, &item.version);
                let question = Question {
                    call_id,
                    material,
                    scorecard,
                    asked: now,
                    seed: evaluation_id,
                    now: asked_at,
                    is_trial: false,
                };
                let built = modes::build(&self.0, grant, &question).await?;
                let heard = Asking { means: &self.0, grant, of: asked_of(job, material) }.ask(&built, now).await?;
                Some((built, heard))
            }
        };
        let stored = current.map_or(questions::NOTHING, |current| current.raw_answer.as_str());
        let said = asked.as_ref().map(|(_, heard)| heard.raw.as_str());
        // What the plan uses again is in the stored answer, and the model's text is JSON: the client made sure.
        let raw_answer = reuse::compose(stored, &plan.reused, said).ok_or_else(|| JobError::Permanent {
            kind: "answer_shape",
            reason: "the answers cannot be put together".to_owned(),
        })?;
        let definition = &item.version.definition;
        let human = item.current.as_ref().map(|current| current.carried(definition, call.transcript_version));
        let human = human.unwrap_or_default();
        let answers = beside::answers(&questions, &raw_answer, &human).await.map_err(unusable)?;
        let assessed_at = self.0.clock.now().trunc_subsecs(6);
        let mut about = match (&asked, current.and_then(|current| current.receipt.about.as_ref())) {
            (Some((built, heard)), _) => {
                let parameters = heard.parameters.clone();
                material.about(evaluation_id, asked_at, assessed_at, built.bound.as_ref(), parameters, &human)
            }
            (None, Some(before)) => of_stored(material, before, evaluation_id, assessed_at),
            (None, None) => material.about(evaluation_id, asked_at, assessed_at, None, serde_json::json!({}), &human),
        };
        about.cause = RevisionCause::Rescore;
        about.human_answers = receipt::human_digest(&human);
        about.rescore_id = Some(job.rescore_id);
        about.asked = Some(plan.asked.clone());
        about.parts = asked.as_ref().map_or_else(Vec::new, |(built, _)| built.parts.clone());
        about.reused = current
            .filter(|_| !plan.reused.is_empty())
            .map(|current| Reused { evaluation_id: current.evaluation_id, criteria: plan.reused.clone() });
        Ok(Assessed { about, plan, raw_answer, answers, human, asked, assessed_at })
    }

    /// Records the new revision; `false` when what was assessed is not what the call has any more, and nothing was recorded.
    async fn record(
        &self,
        grant: &Grant,
        lease: &Lease,
        job: &RescoreCall,
        item: &Item,
        material: &ForAssess,
        assessed: Assessed,
    ) -> Result<bool, JobError> {
        let Assessed { about, plan, raw_answer, answers, human, asked, assessed_at } = assessed;
        let evaluation_id = about.evaluation_id;
        let nothing = prompt::nothing();
        let (built, provider, model) = match &asked {
            Some((built, heard)) => (built, self.0.language_model.name(), heard.model.as_str()),
            None => (&nothing, questions::NOBODY, questions::NOBODY),
        };
        let receipt = match (&asked, &item.current) {
            (None, Some(current)) if about.reused.is_some() => {
                current.receipt.judged_anew(about, &item.version, &raw_answer, &answers)
            }
            _ => Receipt::of(&Assessment {
                about,
                transcript: &material.call.utterances,
                scorecard_version_id: item.version.scorecard_version_id,
                scorecard_digest: &item.version.digest,
                prompts: &built.prompts,
                prompt_builder: &built.builder,
                prompt_note: built.note.as_deref(),
                schema: &built.schema,
                provider,
                model,
                raw_answer: &raw_answer,
                answers: &answers,
            }),
        };
        let heard = asked.as_ref().map(|(_, heard)| heard);
        let tokens = heard.map_or((0, 0), |heard| (heard.prompt_tokens, heard.completion_tokens));
        let new = NewEvaluation {
            evaluation_id,
            call_id: job.call_id,
            organization_id: material.call.organization_id,
            agent_id: material.call.agent_id,
            scorecard_version_id: item.version.scorecard_version_id,
            raw_answer: &raw_answer,
            answers: &answers,
            needs_review: insights::needs_review(&answers, &material.call.utterances),
            human_answers: &human,
            prompt_tokens: tokens.0,
            completion_tokens: tokens.1,
            fingerprint: heard.and_then(|heard| heard.fingerprint.as_deref()),
            cost_micros: heard.map_or(Some(0), |heard| self.0.prices.tokens(&heard.model, tokens.0, tokens.1)),
            plugin: built.used,
            receipt: &receipt,
            assessed_at,
        };
        let outcome = Outcome::Assessed { evaluation_id, asked: plan.asked.len(), reused: plan.reused.len() };
        let of = Head {
            evaluation_id: item.current.as_ref().map(|current| current.evaluation_id),
            transcript_version: material.call.transcript_version,
        };
        let recorded = self
            .0
            .db
            .tenant(grant, "rescore.record", async |tx| {
                // Held, so that neither a correction nor a person's answer comes between the look and the change.
                let held = calls::store::hold(tx, job.call_id, CallStatus::Evaluated).await?;
                if !held || store::find_head(tx, job.call_id).await? != Some(of) {
                    return Ok::<_, JobError>(false);
                }
                jobs::finish(tx, lease).await?;
                self.write(tx, job, &new, (built, heard), &outcome).await?;
                Ok(true)
            })
            .await?;
        if let (false, Some(heard)) = (recorded, heard) {
            let of = asked_of(job, material);
            Asking { means: &self.0, grant, of }.count(&heard.due, &heard.model).await?;
            modes::record_alone(&self.0, grant, &built.runs).await?;
        }
        Ok(recorded)
    }

    /// A shadow builds the prompt as well, of what was asked.
    async fn shadow(
        &self,
        grant: &Grant,
        job: &RescoreCall,
        (item, material): (&Item, &ForAssess),
        (seed, asked_at_ms): (EvaluationId, i64),
        keys: &[String],
    ) {
        let scorecard = &item.version;
        let asked: Vec<&Criterion> =
            scorecard.definition.criteria().filter(|criterion| keys.contains(&criterion.key)).collect();
        let now = DateTime::from_timestamp_millis(asked_at_ms).unwrap_or_else(|| self.0.clock.now());
        let question =
            Question { call_id: job.call_id, material, scorecard, asked: &asked, seed, now, is_trial: false };
        modes::shadow_prompt(&self.0, grant, &question).await;
    }

    async fn write(
        &self,
        tx: &TenantTx<'_>,
        job: &RescoreCall,
        new: &NewEvaluation<'_>,
        (built, heard): (&Built, Option<&Heard>),
        outcome: &Outcome<'_>,
    ) -> Result<(), JobError> {
        let due = heard.map(|heard| &heard.due);
        let micros = match heard {
            Some(heard) => self.0.prices.tokens(&heard.model, heard.due.prompt_tokens, heard.due.completion_tokens),
            None => Some(0),
        };
        let runs = modes::of_evaluation(&built.runs, new.evaluation_id);
        let (from, to) = (CallStatus::Evaluated, CallStatus::Assessed);
        if !calls::store::move_status(tx, job.call_id, from, to).await? {
            return Err(JobError::LeaseLost);
        }
        store::record_assessed(tx, new).await?;
        if !rescores::end_item(tx, job.rescore_id, job.call_id, outcome).await? {
            return Err(JobError::LeaseLost);
        }
        tokio::try_join!(
            biased;
            enqueue(tx, new.organization_id, job.call_id, Stage::Score, new.assessed_at),
            modes::record(tx, &self.0, &runs, new.assessed_at),
            // Last: its lock is waited for by the tenant's other jobs.
            account(tx, new, due, micros).err_into(),
        )?;
        Ok(())
    }

    async fn end(
        &self,
        grant: &Grant,
        lease: &Lease,
        job: &RescoreCall,
        outcome: &Outcome<'_>,
    ) -> Result<(), JobError> {
        self.0
            .db
            .tenant(grant, "rescore.end", async |tx| {
                jobs::finish(tx, lease).await?;
                rescores::end_item(tx, job.rescore_id, job.call_id, outcome).await?;
                Ok(())
            })
            .await
    }
}

/// What the language model is asked about.
fn asked_of(job: &RescoreCall, material: &ForAssess) -> Of {
    let call = &material.call;
    Of { call_id: job.call_id, organization_id: call.organization_id, agent_id: call.agent_id }
}

/// The evaluation whose answers may be used again, and what is asked. Answers to another transcript, of a receipt without circumstances or in
/// a form that cannot be parted by criterion are none.
fn planned<'a>(item: &'a Item, material: &ForAssess, questions: &Questions<'_>) -> (Option<&'a Current>, Plan) {
    let shown = |mut plan: Plan| {
        let asked = |key: &String| questions.asked().iter().any(|criterion| criterion.key == *key);
        plan.reused.retain(asked);
        plan.asked.retain(asked);
        plan
    };
    let new = &item.version.definition;
    let current = item.current.as_ref().filter(|current| {
        let usable = current.receipt.about.is_some() && !current.receipt.masked;
        usable && current.transcript_version == material.call.transcript_version
    });
    let mut plan = shown(reuse::plan(current.map(|current| &current.definition), new));
    let stored = current.map(|current| reuse::compose(&current.raw_answer, &plan.reused, None));
    match stored {
        Some(Some(stored)) => {
            let readable = questions.about(&plan.reused).readable(&stored);
            plan.only_readable(&stored, &readable);
            (current, plan)
        }
        _ => (None, shown(reuse::plan(None, new))),
    }
}

/// The circumstances of an evaluation about which nothing was asked: those of the one whose answers it uses.
fn of_stored(material: &ForAssess, before: &About, evaluation_id: EvaluationId, assessed_at: DateTime<Utc>) -> About {
    About {
        evaluation_id,
        revision: before.revision + 1,
        replaces: Some(before.evaluation_id),
        call: material.call.facts.clone(),
        reader: questions::READER.to_owned(),
        assessed_at_ms: assessed_at.timestamp_millis(),
        ..before.clone()
    }
}
