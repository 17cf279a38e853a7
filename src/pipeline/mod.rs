//! The order of the stages, and nothing else.
//!
//! Each stage is a job in three steps: *load* (a short transaction), *act* (no transaction, exactly one outside effect), *record* (a short
//! transaction: the call's status by compare-and-set, the next job, the end of this one). A retry therefore never pays twice for what was recorded.

mod asking;
mod assess;
mod backtest;
mod follow_up;
mod modes;
mod plugin;
mod rerun;
mod rescore;
mod score;
mod transcribe;
mod tryout;
mod webhook;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use self::{
    assess::Assess,
    backtest::BacktestRange,
    follow_up::FollowUp,
    rescore::{RescoreOne, RescoreRange},
    score::Score,
    transcribe::Transcribe,
};
pub use self::{rerun::RerunApi, tryout::TryoutsApi, webhook::WebhooksApi};
use crate::{
    foundation::{
        access::{Grant, Permission},
        clock::Clock,
        crypto::MasterKey,
        ids::{CallId, OrganizationId},
    },
    platform::{
        db::{Db, DbError, TenantTx},
        jobs::{self, Handler, Job, JobError, Lease},
        plugins::PluginHost,
        providers::{
            llm::LanguageModel,
            speech::{SpeechOptions, SpeechToText},
        },
        tenancy::Tenants,
    },
    product::{
        calls::{
            self,
            model::{Call, CallStatus, Failure, Stage},
        },
        evaluations::cost::Prices,
    },
};

/// What the stages work with.
pub struct Means {
    /// The door to data.
    pub db: Arc<Db>,
    /// Who is served.
    pub tenants: Arc<Tenants>,
    /// The time.
    pub clock: Clock,
    /// Where recordings and plugins lie.
    pub objects: Arc<dyn ObjectStore>,
    /// Speech to text; none where no recogniser is configured, and then calls with audio say so.
    pub speech: Option<Arc<dyn SpeechToText>>,
    /// How every recording is to be transcribed, unless its call says otherwise.
    pub hearing: SpeechOptions,
    /// The language model.
    pub language_model: Arc<dyn LanguageModel>,
    /// Most characters of one request to it; a longer call is asked about in parts.
    pub request_characters: usize,
    /// What providers cost.
    pub prices: Prices,
    /// Where plugins run.
    pub plugins: Arc<PluginHost>,
    /// How long runs of plugins are kept for their authors.
    pub keep_runs: TimeDelta,
    /// What seals the keys that sign receipts; without it receipts are unsigned.
    pub master_key: Option<MasterKey>,
    /// How long to wait between two looks at a transcription that runs.
    pub transcription_poll: Duration,
    /// Where providers can reach this server; without it they are asked again and again.
    pub public_url: Option<url::Url>,
}

/// Every kind of job that there is.
pub fn handlers(means: &Arc<Means>) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(Transcribe(means.clone())),
        Arc::new(Assess(means.clone())),
        Arc::new(Score(means.clone())),
        Arc::new(FollowUp(means.clone())),
        Arc::new(RescoreRange(means.clone())),
        Arc::new(RescoreOne(means.clone())),
        Arc::new(BacktestRange(means.clone())),
    ]
}

/// Leave to run one stage for the organization of its job.
#[allow(clippy::disallowed_methods, reason = "a leased job is the proof")]
fn grant(lease: &Lease) -> Grant {
    Grant::system(lease.tenant, lease.root, lease.organization, &lease.kind, Permission::EvaluateCalls)
}

/// Makes a stage that gave up visible on its call, unless somebody else has the job by now.
async fn show_failure(
    means: &Means,
    lease: &Lease,
    call_id: CallId,
    stage: Stage,
    error: &JobError,
) -> Result<(), DbError> {
    let (kind, reason) = match error {
        JobError::Permanent { kind, reason } | JobError::Confidential { kind, words: reason } => {
            (*kind, reason.clone())
        }
        _ => ("attempts_exhausted", error.to_string()),
    };
    let failure = Failure { stage, kind: kind.to_owned(), reason };
    let grant = grant(lease);
    means
        .db
        .tenant(&grant, "pipeline.show_failure", async |tx| {
            if jobs::bury(tx, lease, error, means.clock.now()).await? {
                calls::store::mark_failed(tx, call_id, entry(stage), &failure).await?;
            }
            Ok(())
        })
        .await
}

/// Counts a job among the dead that shows on no call.
async fn bury(means: &Means, lease: &Lease, error: &JobError) -> Result<(), DbError> {
    let now = means.clock.now();
    means.db.tenant(&grant(lease), "pipeline.bury", async |tx| jobs::bury(tx, lease, error, now).await).await?;
    Ok(())
}

/// The status of a call that waits for a stage.
fn entry(stage: Stage) -> CallStatus {
    match stage {
        Stage::Transcribe => CallStatus::Received,
        Stage::Assess => CallStatus::Transcribed,
        Stage::Score => CallStatus::Assessed,
        Stage::FollowUp => CallStatus::Evaluated,
    }
}

/// Whether a call waits for a stage, or failed and is being tried again. Which stage it failed at is held by the compare-and-set.
fn waits_for(call_status: &str, stage: Stage) -> bool {
    call_status == entry(stage).as_str() || call_status == CallStatus::Failed.as_str()
}

async fn enqueue(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    call_id: CallId,
    stage: Stage,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    match stage {
        Stage::Transcribe => jobs::enqueue(tx, organization, &TranscribeCall { call_id }, now, now).await,
        Stage::Assess => jobs::enqueue(tx, organization, &AssessCall { call_id }, now, now).await,
        Stage::Score => jobs::enqueue(tx, organization, &ScoreCall { call_id }, now, now).await,
        Stage::FollowUp => jobs::enqueue(tx, organization, &FollowUpCall { call_id }, now, now).await,
    }
}

macro_rules! stage_jobs {
    ($($(#[$meta:meta])* $name:ident = $kind:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug, Serialize, Deserialize)]
        pub struct $name {
            /// Which call.
            pub call_id: CallId,
        }

        impl Job for $name {
            const KIND: &'static str = $kind;

            fn dedup_key(&self) -> Option<String> {
                Some(self.call_id.to_string())
            }
        }
    )+};
}

stage_jobs! {
    /// Turn speech into a transcript.
    TranscribeCall = "transcribe_call",
    /// Ask the language model the scorecard's questions.
    AssessCall = "assess_call",
    /// Turn the answers into scores.
    ScoreCall = "score_call",
    /// Do what follows from a score.
    FollowUpCall = "follow_up_call",
}

/// What the room of calls asks of the pipeline.
pub struct Order;

#[async_trait::async_trait]
impl calls::Stages for Order {
    async fn begin(&self, tx: &TenantTx<'_>, call: &Call, now: DateTime<Utc>) -> Result<(), DbError> {
        let first = match call.status {
            CallStatus::Received => Stage::Transcribe,
            _ => Stage::Assess,
        };
        enqueue(tx, call.organization_id, call.call_id, first, now).await?;
        Ok(())
    }

    async fn again(
        &self,
        tx: &TenantTx<'_>,
        organization: OrganizationId,
        call_id: CallId,
        failed: Stage,
        now: DateTime<Utc>,
    ) -> Result<Option<CallStatus>, DbError> {
        Ok(enqueue(tx, organization, call_id, failed, now).await?.then(|| entry(failed)))
    }
}
