//! Calls: what was received, and how far it has come.

pub mod api;
pub mod audio;
pub mod correction;
pub mod metrics;
pub mod model;
pub mod redaction;
pub mod sentiment;
pub mod store;
pub mod sweep;
pub mod upload;
pub mod written;

use chrono::{DateTime, Utc};

use self::{
    audio::AudioFault,
    model::{Call, CallDetails, CallStatus},
};
use crate::{
    foundation::{
        access::Grant,
        ids::{CallId, OrganizationId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError, InTenant, TenantTx},
        http::{KeyError, UploadError, is_sane},
        tenancy::quotas::{Exceeded, QuotaError, Quotas, UnreadableQuotas, room_for_a_job},
    },
};

/// What comes after a call has arrived or is to be tried again. Only `pipeline` knows the order of the stages; it gives this to the room.
#[async_trait::async_trait]
pub trait Stages: Send + Sync {
    /// Queues the first stage of a call that has just been inserted.
    async fn begin(&self, tx: &TenantTx<'_>, call: &Call, now: DateTime<Utc>) -> Result<(), DbError>;

    /// Queues the stage at which a call failed, and says which status the call has while it waits for it; `None` when the stage is just running.
    async fn again(
        &self,
        tx: &TenantTx<'_>,
        organization: OrganizationId,
        call_id: CallId,
        failed: model::Stage,
        now: DateTime<Utc>,
    ) -> Result<Option<CallStatus>, DbError>;
}

/// Why a call was refused or cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Also for a call that the caller may not know of.
    #[error("no such call")]
    NotFound,
    /// The call has no recording, or no transcript yet.
    #[error("the call has no {0}")]
    Absent(&'static str),
    /// A field names something that does not exist in the caller's organizations.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// A field is wrong in itself.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which.
        field: String,
        /// Why.
        reason: String,
    },
    /// The bytes are not a whole recording.
    #[error(transparent)]
    Audio(#[from] AudioFault),
    /// The upload broke off, or is too long.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The client sent nothing for too long.
    #[error("the client fell silent in the middle of the upload")]
    Silent,
    /// The upload took so long that its recording was swept away.
    #[error("the upload took too long, and its recording is gone; send it again")]
    Swept,
    /// The organization has this very recording.
    #[error("the organization has this very recording")]
    SameAudio(CallId),
    /// The organization has a call of this external id.
    #[error("the organization has a call with this external_id")]
    SameExternalId(CallId),
    /// The call is not in a state that allows it.
    #[error("a call that is {0} cannot be retried; only a failed one can")]
    NotFailed(CallStatus),
    /// The call is being worked on.
    #[error("the call is {0}: wait until it is evaluated, or retry it when it has failed")]
    NotAtRest(CallStatus),
    /// Somebody else corrected the transcript first.
    #[error("the transcript has another version by now")]
    StaleTranscript,
    /// The stage has nothing to start from.
    #[error("{0}")]
    NothingToRerun(&'static str),
    /// Somebody else moved the call first.
    #[error("somebody else moved the call first")]
    Conflict,
    /// The object store failed.
    #[error("the object store failed")]
    Store(#[from] object_store::Error),
    /// A quota of the tenant has no room.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// Nobody knows the tenant's quotas.
    #[error(transparent)]
    UnreadableQuotas(#[from] UnreadableQuotas),
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<QuotaError> for CallError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Exceeded(exceeded) => Self::Exceeded(exceeded),
            QuotaError::Unreadable(error) => Self::UnreadableQuotas(error),
            QuotaError::Db(error) => Self::Db(error),
        }
    }
}

/// One call.
///
/// # Errors
/// [`CallError::NotFound`] also for a call that the grant does not reach.
pub async fn get(db: &Db, grant: &Grant, call_id: CallId) -> Result<Call, CallError> {
    store::find(&db.alone(grant), call_id).await?.ok_or(CallError::NotFound)
}

/// A call's finished transcript without personal data: the newest version, or one that was replaced. `raw` gives it as it was said, and an audit
/// event tells who has seen it.
///
/// # Errors
/// [`CallError::NotFound`], or [`CallError::Absent`] while it is not there.
pub async fn transcript(
    db: &Db,
    grant: &Grant,
    call_id: CallId,
    version: Option<i32>,
    raw: bool,
) -> Result<store::Transcript, CallError> {
    let found = if raw {
        db.tenant(grant, "calls.reveal_transcript", async |tx| {
            let found = version_of(tx, call_id, version, true).await?;
            if let Some(transcript) = &found {
                let details =
                    serde_json::json!({ "personal_data": transcript.redaction.len(), "version": transcript.version });
                audit(tx, "transcript.revealed", "call", Some(call_id.0), transcript.organization_id, details).await?;
            }
            Ok::<_, DbError>(found)
        })
        .await?
    } else {
        version_of(&db.alone(grant), call_id, version, false).await?
    };
    if let Some(transcript) = found {
        return Ok(transcript);
    }
    get(db, grant, call_id).await?;
    Err(CallError::Absent(if version.is_some() { "such version of its transcript" } else { "transcript yet" }))
}

async fn version_of(
    on: &impl InTenant,
    call_id: CallId,
    version: Option<i32>,
    raw: bool,
) -> Result<Option<store::Transcript>, DbError> {
    let newest = store::find_transcript(on, call_id, raw).await?;
    match (newest, version) {
        (Some(newest), Some(version)) if newest.version != version => {
            store::find_transcript_version(on, call_id, version, raw).await
        }
        (None, Some(version)) => store::find_transcript_version(on, call_id, version, raw).await,
        (newest, _) => Ok(newest),
    }
}

/// Lets a failed call go on from the stage where it stopped.
///
/// # Errors
/// [`CallError::NotFailed`] when it has not failed, [`CallError::Conflict`] when somebody else was faster, [`CallError::Exceeded`] when too many
/// jobs wait.
pub async fn retry(
    db: &Db,
    grant: &Grant,
    stages: &dyn Stages,
    quotas: &Quotas,
    call_id: CallId,
    now: DateTime<Utc>,
) -> Result<Call, CallError> {
    let room = room_for_a_job(db, grant.tenant(), quotas).await;
    db.tenant(grant, "calls.retry", async |tx| {
        let call = store::find(tx, call_id).await?.ok_or(CallError::NotFound)?;
        let Some(failure) = &call.failure else { return Err(CallError::NotFailed(call.status)) };
        room?;
        let again = stages.again(tx, call.organization_id, call_id, failure.stage, now).await?;
        let status = again.ok_or(CallError::Conflict)?;
        if !store::move_status(tx, call_id, CallStatus::Failed, status).await? {
            return Err(CallError::Conflict);
        }
        let details = serde_json::json!({ "stage": failure.stage, "kind": failure.kind });
        audit(tx, "call.retried", "call", Some(call_id.0), call.organization_id, details).await?;
        Ok(Call { status, failure: None, ..call })
    })
    .await
}

/// Refuses an upload that cannot be right, without asking anybody.
fn check(grant: &Grant, details: &CallDetails) -> Result<(), CallError> {
    if !grant.reaches(details.organization_id) {
        return Err(CallError::Unknown("organization_id"));
    }
    if details.started_at.is_some_and(|at| !is_sane(&at)) {
        let reason = "must be from 1900 to 9999".to_owned();
        return Err(CallError::Invalid { field: "started_at".to_owned(), reason });
    }
    for (field, name) in [("external_id", &details.external_id), ("queue", &details.queue)] {
        if name.as_ref().is_some_and(|name| name.contains('\0')) {
            let reason = "may not hold a NUL character".to_owned();
            return Err(CallError::Invalid { field: field.to_owned(), reason });
        }
    }
    Ok(())
}

/// Refuses an upload that names things which are not there.
async fn admit(on: &impl InTenant, details: &CallDetails) -> Result<(), CallError> {
    match store::admit(on, details).await?.first() {
        Some(field) => Err(CallError::Unknown(field)),
        None => Ok(()),
    }
}

/// A call as it arrives.
fn arriving(call_id: CallId, details: &CallDetails, status: CallStatus, now: DateTime<Utc>) -> Call {
    Call {
        call_id,
        organization_id: details.organization_id,
        agent_id: details.agent_id,
        scorecard_id: details.scorecard_id,
        external_id: details.external_id.clone(),
        channel: details.channel,
        queue: details.queue.clone(),
        direction: details.direction,
        language: details.language.clone(),
        status,
        failure: None,
        duration_ms: None,
        started_at: details.started_at,
        received_at: now,
        transcribed_at: (status == CallStatus::Transcribed).then_some(now),
        evaluated_at: None,
        overall_score: None,
    }
}
