//! Rows of calls, recordings and transcripts: one function per query file.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use tokio_postgres::{Row, types::Json};

use super::{
    metrics::ConversationMetrics,
    model::{AudioFile, Call, CallDetails, CallStatus, Channel, Failure, Stage, Utterance},
    redaction::{self, Span},
};
use crate::{
    foundation::{
        digest,
        ids::{AgentId, CallId, OrganizationId},
    },
    platform::db::{DbError, InTenant, PlatformTx, Statements, TenantTx},
    sql,
};

/// One call that the caller may see.
pub async fn find(on: &impl InTenant, call_id: CallId) -> Result<Option<Call>, DbError> {
    let row = on.opt(sql!("calls/find"), &[&call_id, &on.organizations()]).await?;
    row.as_ref().map(call).transpose()
}

/// What a list of calls is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallFilter {
    /// Calls of this organization alone.
    pub organization_id: Option<OrganizationId>,
    /// Calls of this agent alone.
    pub agent_id: Option<AgentId>,
    /// Calls that have come so far.
    pub status: Option<CallStatus>,
    /// Calls held so.
    pub channel: Option<Channel>,
    /// Calls received then or later.
    pub received_from: Option<DateTime<Utc>>,
    /// Calls received before.
    pub received_before: Option<DateTime<Utc>>,
}

/// Calls, newest first; `after` is the last one of the page before.
pub async fn list(
    on: &impl InTenant,
    filter: &CallFilter,
    after: Option<(DateTime<Utc>, CallId)>,
    limit: i64,
) -> Result<Vec<Call>, DbError> {
    let organizations: Vec<OrganizationId> = match filter.organization_id {
        Some(only) => on.organizations().iter().copied().filter(|id| *id == only).collect(),
        None => on.organizations().to_vec(),
    };
    if after.is_none() && *filter == (CallFilter { organization_id: filter.organization_id, ..CallFilter::default() }) {
        let rows = on.all(sql!("calls/newest").planned_once(), &[&organizations, &limit]).await?;
        return rows.iter().map(call).collect();
    }
    let (at, id) = after.unzip();
    let rows = on
        .all(
            sql!("calls/list"),
            &[
                &organizations,
                &filter.agent_id,
                &filter.status,
                &filter.channel,
                &filter.received_from,
                &filter.received_before,
                &at,
                &id,
                &limit,
            ],
        )
        .await?;
    rows.iter().map(call).collect()
}

/// Which of the things that an upload names do not exist or are closed.
pub async fn admit(on: &impl InTenant, details: &CallDetails) -> Result<Vec<&'static str>, DbError> {
    let row =
        on.one(sql!("calls/admit"), &[&details.organization_id, &details.agent_id, &details.scorecard_id]).await?;
    let mut missing = vec![];
    for (column, field) in [("organization", "organization_id"), ("agent", "agent_id"), ("scorecard", "scorecard_id")] {
        if !row.try_get::<_, bool>(column)? {
            missing.push(field);
        }
    }
    Ok(missing)
}

/// A call as it arrives.
pub async fn insert(tx: &TenantTx<'_>, call: &Call) -> Result<(), DbError> {
    tx.execute(
        sql!("calls/insert"),
        &[
            &call.call_id,
            &call.organization_id,
            &call.agent_id,
            &call.scorecard_id,
            &call.external_id,
            &call.channel,
            &call.queue,
            &call.direction,
            &call.language,
            &call.status,
            &call.duration_ms,
            &call.started_at,
            &call.received_at,
            &call.transcribed_at,
        ],
    )
    .await?;
    Ok(())
}

/// The stored recording of a call.
pub async fn insert_audio_file(tx: &TenantTx<'_>, call: &Call, file: &AudioFile) -> Result<(), DbError> {
    tx.execute(
        sql!("calls/insert_audio_file"),
        &[
            &file.audio_file_id,
            &call.call_id,
            &call.organization_id,
            &call.agent_id,
            &file.sha256,
            &file.size_bytes,
            &file.content_type,
            &file.channels,
            &file.agent_channel,
            &file.object_key,
            &call.received_at,
        ],
    )
    .await?;
    Ok(())
}

/// The recording of a call that the caller may see.
pub async fn find_audio_file(on: &impl InTenant, call_id: CallId) -> Result<Option<AudioFile>, DbError> {
    let Some(row) = on.opt(sql!("calls/find_audio_file"), &[&call_id, &on.organizations()]).await? else {
        return Ok(None);
    };
    Ok(Some(AudioFile {
        audio_file_id: row.try_get("audio_file_id")?,
        sha256: row.try_get("sha256")?,
        size_bytes: row.try_get("size_bytes")?,
        content_type: row.try_get("content_type")?,
        channels: row.try_get("channels")?,
        agent_channel: row.try_get("agent_channel")?,
        object_key: row.try_get("object_key")?,
    }))
}

/// The call that has this very recording in the organization.
pub async fn find_by_sha256(
    on: &impl InTenant,
    organization: OrganizationId,
    sha256: &str,
) -> Result<Option<CallId>, DbError> {
    let row = on.opt(sql!("calls/find_by_sha256"), &[&organization, &sha256]).await?;
    Ok(row.map(|row| row.try_get("call_id")).transpose()?)
}

/// The call that has this name in the organization.
pub async fn find_by_external_id(
    on: &impl InTenant,
    organization: OrganizationId,
    external_id: &str,
) -> Result<Option<CallId>, DbError> {
    let row = on.opt(sql!("calls/find_by_external_id"), &[&organization, &external_id]).await?;
    Ok(row.map(|row| row.try_get("call_id")).transpose()?)
}

/// An object is on its way: if nobody finishes it, it is swept away.
pub async fn begin_upload(
    tx: &impl InTenant,
    organization: OrganizationId,
    object_key: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    tx.execute(sql!("calls/begin_upload"), &[&object_key, &tx.tenant(), &organization, &now]).await?;
    Ok(())
}

/// The object is still on its way.
pub async fn touch_upload(on: &impl InTenant, object_key: &str, now: DateTime<Utc>) -> Result<(), DbError> {
    on.execute(sql!("calls/touch_upload"), &[&object_key, &now]).await?;
    Ok(())
}

/// The object belongs to a call now, or is gone. `false` when the sweep has taken it.
pub async fn end_upload(on: &impl Statements, object_key: &str) -> Result<bool, DbError> {
    Ok(on.execute(sql!("calls/end_upload"), &[&object_key]).await? == 1)
}

/// Takes one of the [`abandoned_uploads`]; until the transaction ends, no call can have the object. `false` when it is abandoned no longer.
pub async fn take_abandoned(tx: &PlatformTx<'_>, object_key: &str, before: DateTime<Utc>) -> Result<bool, DbError> {
    Ok(tx.execute(sql!("calls/take_abandoned"), &[&object_key, &before]).await? == 1)
}

/// Objects that nobody finished since `before`.
pub async fn abandoned_uploads(
    tx: &PlatformTx<'_>,
    before: DateTime<Utc>,
    at_most: i64,
) -> Result<Vec<String>, DbError> {
    let rows = tx.all(sql!("calls/abandoned_uploads"), &[&before, &at_most]).await?;
    rows.iter().map(|row| Ok(row.try_get("object_key")?)).collect()
}

/// A transcript's head.
#[derive(Clone, Debug)]
pub struct Transcription {
    /// Who recognised the speech; `written` for text.
    pub provider: String,
    /// The provider's id of the running work.
    pub reference: Option<String>,
    /// What the provider's webhook must bring.
    pub webhook_secret: Option<String>,
    /// The recogniser's model.
    pub model: Option<String>,
    /// The language that was recognised.
    pub language: Option<String>,
    /// Digest of the utterances.
    pub digest: Option<String>,
    /// Digest of the utterances without personal data, as receipts name it.
    pub redacted_digest: Option<String>,
    /// What personal data was replaced where.
    pub redaction: Option<Vec<Span>>,
    /// How the talking was shared.
    pub metrics: Option<ConversationMetrics>,
    /// When the work was given to the provider.
    pub submitted_at: DateTime<Utc>,
    /// When the transcript was there.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Writes a transcript's head, replacing an earlier one.
pub async fn insert_transcription(
    tx: &TenantTx<'_>,
    call: &Call,
    transcription: &Transcription,
) -> Result<(), DbError> {
    let metrics = transcription
        .metrics
        .as_ref()
        .map(serde_json::to_value)
        .transpose()
        .map_err(|source| DbError::Stored { what: "metrics", source })?;
    tx.execute(
        sql!("calls/insert_transcription"),
        &[
            &call.call_id,
            &call.organization_id,
            &call.agent_id,
            &transcription.provider,
            &transcription.reference,
            &transcription.webhook_secret,
            &transcription.model,
            &transcription.language,
            &transcription.digest,
            &metrics,
            &transcription.submitted_at,
            &transcription.completed_at,
            &transcription.redacted_digest,
            &transcription.redaction.as_ref().map(Json),
            &transcription.redaction.as_deref().map(redaction::digest),
        ],
    )
    .await?;
    Ok(())
}

/// What was said, raw and redacted, in one statement. `redacted` are the texts of the utterances without personal data, in their order.
pub async fn insert_utterances(
    tx: &TenantTx<'_>,
    call: &Call,
    utterances: &[Utterance],
    redacted: &[String],
) -> Result<(), DbError> {
    let n: Vec<i32> = utterances.iter().map(|utterance| utterance.n).collect();
    let speakers: Vec<&str> = utterances.iter().map(|utterance| utterance.speaker.as_str()).collect();
    let starts: Vec<Option<i64>> = utterances.iter().map(|utterance| utterance.start_ms).collect();
    let ends: Vec<Option<i64>> = utterances.iter().map(|utterance| utterance.end_ms).collect();
    let texts: Vec<&str> = utterances.iter().map(|utterance| utterance.text.as_str()).collect();
    tx.execute(
        sql!("calls/insert_utterances"),
        &[&call.call_id, &call.organization_id, &call.agent_id, &n, &speakers, &starts, &ends, &texts, &redacted],
    )
    .await?;
    Ok(())
}

/// Clears a transcript that is about to be written anew.
pub async fn delete_utterances(tx: &TenantTx<'_>, call_id: CallId) -> Result<(), DbError> {
    tx.execute(sql!("calls/delete_utterances"), &[&call_id, &tx.organizations()]).await?;
    Ok(())
}

/// A whole transcript.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Whose call it is.
    pub organization_id: OrganizationId,
    /// Who recognised the speech; `written` for text.
    pub provider: String,
    /// The recogniser's model.
    pub model: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// Digest of the raw utterances.
    pub digest: Option<String>,
    /// Digest of the utterances without personal data, as receipts name it.
    pub redacted_digest: Option<String>,
    /// What personal data was replaced where; positions are those of the raw text.
    pub redaction: Vec<Span>,
    /// How the talking was shared.
    pub metrics: Option<ConversationMetrics>,
    /// When it was there.
    pub completed_at: DateTime<Utc>,
    /// Which version of the call's transcript this is, from 1.
    pub version: i32,
    /// Who made it of the version before; none when a recogniser or the uploader did.
    pub corrected_by: Option<String>,
    /// When.
    pub corrected_at: Option<DateTime<Utc>>,
    /// What was said, raw or without personal data.
    pub utterances: Vec<Utterance>,
}

/// A call's finished transcript, without personal data unless it is to be `raw`.
pub async fn find_transcript(on: &impl InTenant, call_id: CallId, raw: bool) -> Result<Option<Transcript>, DbError> {
    let row = on.opt(sql!("calls/find_transcript"), &[&call_id, &on.organizations(), &raw]).await?;
    row.map(|row| transcript(&row, raw)).transpose()
}

/// A version of a call's transcript that was replaced, without personal data unless it is to be `raw`.
pub async fn find_transcript_version(
    on: &impl InTenant,
    call_id: CallId,
    version: i32,
    raw: bool,
) -> Result<Option<Transcript>, DbError> {
    let params: [&(dyn postgres_types::ToSql + Sync); 4] = [&call_id, &version, &on.organizations(), &raw];
    let Some(row) = on.opt(sql!("calls/find_transcript_version"), &params).await? else { return Ok(None) };
    let mut found = transcript(&row, raw)?;
    if found.redacted_digest.is_none() {
        let Json::<Vec<String>>(texts) = row.try_get("redacted_texts")?;
        let redaction = redaction::Redaction { texts, spans: vec![] };
        found.redacted_digest = Some(digest::of_json(&redaction.applied(&found.utterances)));
    }
    Ok(Some(found))
}

fn transcript(row: &Row, raw: bool) -> Result<Transcript, DbError> {
    let stored = |what| move |source| DbError::Stored { what, source };
    let mut utterances: Vec<Utterance> =
        serde_json::from_value(row.try_get("utterances")?).map_err(stored("utterances"))?;
    let redaction: Option<Json<Vec<Span>>> = row.try_get("redaction")?;
    let mut redaction = redaction.map(|Json(spans)| spans).unwrap_or_default();
    let mut redacted_digest: Option<String> = row.try_get("redacted_digest")?;
    if row.try_get("unredacted")? {
        // It was written before transcripts were redacted: it has raw text alone, and is redacted whenever it is read.
        let known: Vec<redaction::Entity> = redaction::entities(&utterances, &redaction);
        let redacted = redaction::redact(&utterances, &known, &redaction::Company::default());
        let texts = redacted.applied(&utterances);
        redacted_digest = Some(digest::of_json(&texts));
        redaction = redacted.spans;
        utterances = if raw { utterances } else { texts };
    }
    Ok(Transcript {
        organization_id: row.try_get("organization_id")?,
        redacted_digest,
        redaction,
        utterances,
        provider: row.try_get("provider")?,
        model: row.try_get("model")?,
        language: row.try_get("language")?,
        digest: row.try_get("digest")?,
        metrics: row
            .try_get::<_, Option<serde_json::Value>>("metrics")?
            .map(serde_json::from_value)
            .transpose()
            .map_err(stored("metrics"))?,
        completed_at: row.try_get("completed_at")?,
        version: row.try_get("version")?,
        corrected_by: row.try_get("corrected_by")?,
        corrected_at: row.try_get("corrected_at")?,
    })
}

/// What a person made of a transcript.
pub struct Corrected<'a> {
    /// Digest of the utterances.
    pub digest: &'a str,
    /// Digest of the utterances without personal data.
    pub redacted_digest: &'a str,
    /// What personal data was replaced where.
    pub redaction: &'a [Span],
    /// How the talking was shared.
    pub metrics: &'a ConversationMetrics,
}

/// Keeps version `of` of a transcript, and makes its head the next one: a person's, with this digest and these metrics, or one that waits to be
/// recognised anew. `false` when the transcript is another version by now.
pub async fn replace_transcript(
    tx: &TenantTx<'_>,
    call_id: CallId,
    of: i32,
    corrected: Option<&Corrected<'_>>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let metrics = corrected.map(|corrected| corrected.metrics);
    let metrics =
        metrics.map(serde_json::to_value).transpose().map_err(|source| DbError::Stored { what: "metrics", source })?;
    let digest = corrected.map(|corrected| corrected.digest);
    let redacted_digest = corrected.map(|corrected| corrected.redacted_digest);
    let spans = corrected.map(|corrected| corrected.redaction);
    let params: [&(dyn postgres_types::ToSql + Sync); 10] = [
        &call_id,
        &of,
        &tx.organizations(),
        &tx.grant().actor(),
        &now,
        &digest,
        &metrics,
        &redacted_digest,
        &spans.map(Json),
        &spans.map(redaction::digest),
    ];
    Ok(tx.execute(sql!("calls/replace_transcript"), &params).await? == 1)
}

/// Lets nobody move the call before the transaction ends; `false` when it has another status.
pub async fn hold(tx: &TenantTx<'_>, call_id: CallId, status: CallStatus) -> Result<bool, DbError> {
    Ok(tx.opt(sql!("calls/hold"), &[&call_id, &status, &tx.organizations()]).await?.is_some())
}

/// Work that runs at the recogniser.
#[derive(Clone, Debug)]
pub struct RunningTranscription {
    /// Whose work it is.
    pub provider: String,
    /// The provider's id of it.
    pub reference: Option<String>,
    /// What its webhook must bring.
    pub webhook_secret: Option<String>,
    /// When it was given to the provider.
    pub submitted_at: DateTime<Utc>,
}

/// Remembers the work at the recogniser, or that there is none. `false` when the transcript is there already; it stays as it is.
pub async fn note_transcription(
    tx: &TenantTx<'_>,
    call: &Call,
    running: &RunningTranscription,
) -> Result<bool, DbError> {
    let params: [&(dyn postgres_types::ToSql + Sync); 7] = [
        &call.call_id,
        &call.organization_id,
        &call.agent_id,
        &running.provider,
        &running.reference,
        &running.webhook_secret,
        &running.submitted_at,
    ];
    Ok(tx.execute(sql!("calls/note_transcription"), &params).await? == 1)
}

/// The running work at the recogniser.
pub async fn find_transcription(on: &impl InTenant, call_id: CallId) -> Result<Option<RunningTranscription>, DbError> {
    let Some(row) = on.opt(sql!("calls/find_transcription"), &[&call_id, &on.organizations()]).await? else {
        return Ok(None);
    };
    Ok(Some(RunningTranscription {
        provider: row.try_get("provider")?,
        reference: row.try_get("reference")?,
        webhook_secret: row.try_get("webhook_secret")?,
        submitted_at: row.try_get("submitted_at")?,
    }))
}

/// `false` when the call was no longer in `from`.
pub async fn move_status(
    tx: &TenantTx<'_>,
    call_id: CallId,
    from: CallStatus,
    to: CallStatus,
) -> Result<bool, DbError> {
    Ok(tx.execute(sql!("calls/move_status"), &[&call_id, &from, &to, &tx.organizations()]).await? == 1)
}

/// `false` when the call did not wait for its transcript any more.
pub async fn mark_transcribed(
    tx: &TenantTx<'_>,
    call_id: CallId,
    at: DateTime<Utc>,
    duration_ms: Option<i64>,
    language: Option<&str>,
) -> Result<bool, DbError> {
    let params: [&(dyn postgres_types::ToSql + Sync); 5] =
        [&call_id, &at, &duration_ms, &language, &tx.organizations()];
    Ok(tx.execute(sql!("calls/mark_transcribed"), &params).await? == 1)
}

/// `false` when the call did not wait for its assessment any more.
pub async fn mark_assessed(tx: &TenantTx<'_>, call_id: CallId) -> Result<bool, DbError> {
    Ok(tx.execute(sql!("calls/mark_assessed"), &[&call_id, &tx.organizations()]).await? == 1)
}

/// `false` when the call did not wait for its score any more.
pub async fn mark_evaluated(
    tx: &TenantTx<'_>,
    call_id: CallId,
    at: DateTime<Utc>,
    overall_score: Option<Decimal>,
) -> Result<bool, DbError> {
    let params: [&(dyn postgres_types::ToSql + Sync); 4] = [&call_id, &at, &overall_score, &tx.organizations()];
    Ok(tx.execute(sql!("calls/mark_evaluated"), &params).await? == 1)
}

/// `false` when the call has left the stage's starting status meanwhile.
pub async fn mark_failed(
    tx: &TenantTx<'_>,
    call_id: CallId,
    from: CallStatus,
    failure: &Failure,
) -> Result<bool, DbError> {
    let reason: String = failure.reason.chars().take(2_000).collect();
    let params: [&(dyn postgres_types::ToSql + Sync); 6] =
        [&call_id, &failure.stage, &failure.kind, &reason, &from, &tx.organizations()];
    Ok(tx.execute(sql!("calls/mark_failed"), &params).await? == 1)
}

fn call(row: &Row) -> Result<Call, DbError> {
    let failed_stage: Option<Stage> = row.try_get("failed_stage")?;
    let failure = match failed_stage {
        None => None,
        Some(stage) => Some(Failure {
            stage,
            kind: row.try_get::<_, Option<String>>("failure_kind")?.unwrap_or_default(),
            reason: row.try_get::<_, Option<String>>("failure_reason")?.unwrap_or_default(),
        }),
    };
    Ok(Call {
        call_id: row.try_get("call_id")?,
        organization_id: row.try_get("organization_id")?,
        agent_id: row.try_get("agent_id")?,
        scorecard_id: row.try_get("scorecard_id")?,
        external_id: row.try_get("external_id")?,
        channel: row.try_get("channel")?,
        queue: row.try_get("queue")?,
        direction: row.try_get("direction")?,
        language: row.try_get("language")?,
        status: row.try_get("status")?,
        failure,
        duration_ms: row.try_get("duration_ms")?,
        started_at: row.try_get("started_at")?,
        received_at: row.try_get("received_at")?,
        transcribed_at: row.try_get("transcribed_at")?,
        evaluated_at: row.try_get("evaluated_at")?,
        overall_score: row.try_get("overall_score")?,
    })
}
