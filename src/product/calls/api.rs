//! `/api/calls`: a handler asks for a grant, calls one operation, and answers with a view.

mod views;

use std::sync::Arc;

use futures_util::StreamExt;
use object_store::{GetOptions, GetRange, path::Path as ObjectPath};
use poem_openapi::{
    OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
};

pub use self::views::{CallView, NewConversation, RecordingFields, TranscriptView};
use self::views::{CorrectedView, CorrectionsBody};
use super::{
    CallError, Stages,
    correction::{Correction, correct},
    get,
    model::{CallStatus, Channel},
    redaction::Company,
    retry,
    store::{self, CallFilter},
    transcript,
    upload::{Asked, Recordings, attach},
    written,
};
use crate::{
    foundation::{
        access::{Caller, Grant, Permission},
        clock::Clock,
        ids::{AgentId, CallId, OrganizationId},
    },
    platform::{
        db::{Db, DbError},
        http::{
            Accepted, Cursor, ETag, FileAnswer, IdempotencyKey, Keyed, Limit, Listing, Once, Page, Position, Refusal,
            SentFile, Serialized, Upload, is_sane, once, range,
        },
        jobs::Wake,
        tenancy::{Tenants, quotas::room_for_a_job},
    },
};

#[derive(Tags)]
enum Tag {
    /// Recorded and written conversations, and how far they have come.
    Calls,
}

/// The operations on calls.
pub struct CallsApi {
    /// The door to data.
    pub db: Arc<Db>,
    /// What tenants may use.
    pub tenants: Arc<Tenants>,
    /// The time.
    pub clock: Clock,
    /// Where recordings go.
    pub recordings: Recordings,
    /// What comes after a call has arrived.
    pub stages: Arc<dyn Stages>,
    /// Workers are told.
    pub wake: Wake,
}

#[OpenApi(prefix_path = "/api/calls", tag = "Tag::Calls")]
impl CallsApi {
    /// Upload a call
    ///
    /// A written conversation as JSON; or a recording, as a form whose fields come before the part `audio`, or as raw bytes with the fields
    /// in the query. The same recording twice in one organization is a 409 that names the call that has it.
    #[oai(path = "/", method = "post", operation_id = "upload_call")]
    async fn upload_call(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        upload: Upload<NewConversation, RecordingFields>,
    ) -> Result<Accepted<CallView>, Refusal> {
        let grant = caller.may(Permission::UploadCalls)?;
        let keyed = key.0.request("upload_call");
        let Once { value: call, replayed } = match upload {
            Upload::Document(conversation) => {
                self.receive_written(&grant, &keyed.with(&conversation), conversation).await?
            }
            Upload::File(file) => self.receive_recording(&grant, keyed, file).await?,
        };
        self.wake.wake();
        Ok(Accepted::of(replayed, format!("/api/calls/{}", call.call_id), call))
    }

    /// List calls
    ///
    /// Newest first. Agents see their own.
    #[oai(path = "/", method = "get", operation_id = "list_calls")]
    #[allow(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list_calls(
        &self,
        caller: Caller,
        /// Calls of this organization alone.
        organization_id: Query<Option<OrganizationId>>,
        /// Calls of this agent alone.
        agent_id: Query<Option<AgentId>>,
        /// Calls that have come exactly so far.
        status: Query<Option<CallStatus>>,
        /// Calls held so.
        channel: Query<Option<Channel>>,
        /// Calls received then or later.
        received_from: Query<Option<chrono::DateTime<chrono::Utc>>>,
        /// Calls received before.
        received_before: Query<Option<chrono::DateTime<chrono::Utc>>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Serialized<Page<CallView>>, Refusal> {
        let grant = caller.may(Permission::ReadCalls)?;
        for (name, time) in [("received_from", received_from.0), ("received_before", received_before.0)] {
            if time.is_some_and(|time| !is_sane(&time)) {
                return Err(Refusal::invalid(name, "must be from 1900 to 9999"));
            }
        }
        let filter = CallFilter {
            organization_id: organization_id.0,
            agent_id: agent_id.0,
            status: status.0,
            channel: channel.0,
            received_from: received_from.0,
            received_before: received_before.0,
        };
        let listing = Listing::new("list_calls", &filter, limit.0, &cursor.0)?;
        let after = listing.after().map(|after| (after.at, CallId(after.id)));
        let calls = store::list(&self.db.alone(&grant), &filter, after, listing.fetch()).await?;
        Ok(Serialized(listing.page(calls, |call| Position::new(call.received_at, call.call_id.0), CallView::from)))
    }

    /// Get a call
    ///
    /// 404 also for a call of another tenant or of an organization that the caller does not belong to.
    #[oai(path = "/:call_id", method = "get", operation_id = "get_call")]
    async fn get_call(&self, caller: Caller, call_id: Path<CallId>) -> Result<Json<CallView>, Refusal> {
        let grant = caller.may(Permission::ReadCalls)?;
        Ok(Json(get(&self.db, &grant, call_id.0).await?.into()))
    }

    /// Get a call's transcript
    ///
    /// Without personal data: names, numbers and the like are placeholders. The newest version, or one that was corrected since. 404 while there is
    /// none. As it was said it is shown to those alone who may reveal transcripts; 403 to others.
    #[oai(path = "/:call_id/transcript", method = "get", operation_id = "get_transcript")]
    async fn get_transcript(
        &self,
        caller: Caller,
        call_id: Path<CallId>,
        /// Which version, from 1; the newest when absent.
        version: Query<Option<i32>>,
        /// As it was said, with all personal data; an audit event tells who has seen it.
        #[oai(default)]
        raw: Query<bool>,
    ) -> Result<Json<TranscriptView>, Refusal> {
        let may_read = if raw.0 { Permission::RevealTranscripts } else { Permission::ReadCalls };
        let grant = caller.may(may_read)?;
        let found = transcript(&self.db, &grant, call_id.0, version.0, raw.0).await?;
        Ok(Json(TranscriptView::of(call_id.0, raw.0, found)))
    }

    /// Correct a call's transcript
    ///
    /// What a recogniser heard wrong, or whose voice it is. The next version of the transcript is made, the one before stays readable, and the call's
    /// evaluation is outdated until the call is run again from the stage `assess`. 412 when the version is not the newest, 409 while the
    /// call is being worked on.
    #[oai(path = "/:call_id/transcript/corrections", method = "post", operation_id = "correct_transcript")]
    async fn correct_transcript(
        &self,
        caller: Caller,
        call_id: Path<CallId>,
        body: Json<CorrectionsBody>,
    ) -> Result<Json<CorrectedView>, Refusal> {
        let grant = caller.may(Permission::CorrectTranscripts)?;
        let CorrectionsBody { version, corrections } = body.0;
        let corrections: Vec<Correction> = corrections.into_iter().map(Correction::from).collect();
        let company = self.company(&grant).await?;
        let now = self.clock.now();
        let corrected = correct(&self.db, &grant, call_id.0, version, &corrections, &company, now).await?;
        let evaluation_is_outdated = get(&self.db, &grant, call_id.0).await?.evaluated_at.is_some();
        Ok(Json(CorrectedView { transcript: TranscriptView::of(call_id.0, false, corrected), evaluation_is_outdated }))
    }

    /// Listen to a call
    ///
    /// The recording as it was uploaded; parts by `Range`. 404 for a written conversation.
    #[oai(path = "/:call_id/audio", method = "get", operation_id = "get_audio")]
    async fn get_audio(
        &self,
        caller: Caller,
        call_id: Path<CallId>,
        /// Which bytes: `bytes=0-1023`, `bytes=1024-`, `bytes=-512`.
        #[oai(name = "Range")]
        wanted: Header<Option<String>>,
    ) -> Result<FileAnswer, Refusal> {
        let grant = caller.may(Permission::ListenCalls)?;
        let Some(file) = store::find_audio_file(&self.db.alone(&grant), call_id.0).await? else {
            get(&self.db, &grant, call_id.0).await?;
            return Err(CallError::Absent("recording").into());
        };
        let slice = range::slice(wanted.0.as_deref(), u64::try_from(file.size_bytes).unwrap_or(0))?;
        let part = GetOptions { range: Some(GetRange::Bounded(slice.bytes())), ..GetOptions::default() };
        let object = self.recordings.objects.get_opts(&ObjectPath::from(file.object_key.as_str()), part).await;
        let bytes = object.map_err(CallError::Store)?.into_stream().map(|piece| piece.map_err(std::io::Error::other));
        Ok(FileAnswer::of(slice, bytes.boxed(), &file.content_type, ETag::of_digest(&file.sha256)))
    }

    /// Retry a failed call
    ///
    /// It goes on from the stage where it stopped; what was paid for before is not paid again.
    #[oai(path = "/:call_id/retry", method = "post", operation_id = "retry_call")]
    async fn retry_call(&self, caller: Caller, call_id: Path<CallId>) -> Result<Json<CallView>, Refusal> {
        let grant = caller.may(Permission::RetryCalls)?;
        let quotas = self.tenants.quotas(grant.tenant()).await?;
        let call = retry(&self.db, &grant, self.stages.as_ref(), &quotas, call_id.0, self.clock.now()).await?;
        self.wake.wake();
        Ok(Json(call.into()))
    }
}

impl CallsApi {
    async fn company(&self, grant: &Grant) -> Result<Company, DbError> {
        let tenant = self.tenants.by_id(grant.tenant()).await?;
        Ok(tenant.map(|tenant| Company::called(&tenant.name)).unwrap_or_default())
    }

    async fn receive_written(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        conversation: NewConversation,
    ) -> Result<Once<CallView>, CallError> {
        let (details, utterances) = conversation.parts();
        let now = self.clock.now();
        let quotas = self.tenants.quotas(grant.tenant()).await?;
        let company = self.company(grant).await?;
        let room = room_for_a_job(&self.db, grant.tenant(), &quotas).await;
        let received = self
            .db
            .tenant(grant, "calls.receive_written", async |tx| {
                once(tx, keyed, now, async || {
                    room?;
                    let call =
                        written::receive(tx, self.stages.as_ref(), &quotas, &details, &utterances, &company, now)
                            .await?;
                    Ok::<_, CallError>(CallView::from(call))
                })
                .await
            })
            .await;
        self.named(grant, &details.organization_id, details.external_id.as_deref(), received).await
    }

    async fn receive_recording(
        &self,
        grant: &Grant,
        keyed: Keyed,
        file: SentFile<RecordingFields>,
    ) -> Result<Once<CallView>, CallError> {
        let keyed = keyed.with(&file.fields);
        let details = file.fields.details();
        let quotas = self.tenants.quotas(grant.tenant()).await?;
        let asked = Asked { details: &details, quotas: &quotas, keyed: &keyed };
        let stored = self.recordings.receive(&self.db, grant, &self.clock, &asked, file.bytes).await?;
        let keyed = keyed.with(&stored.sha256().to_owned());
        let now = self.clock.now();
        let received = self
            .db
            .tenant(grant, "calls.receive", async |tx| {
                once(tx, &keyed, now, async || {
                    let call = attach(tx, self.stages.as_ref(), &quotas, &details, &stored, now).await?;
                    Ok::<_, CallError>(CallView::from(call))
                })
                .await
            })
            .await;
        if certainly_no_call(&received) {
            self.recordings.forget(&self.db, grant, stored.object_key()).await;
        }
        if let Err(CallError::Db(error)) = &received
            && error.unique_violation() == Some("audio_files_sha256")
        {
            // Two uploads of one recording at once: the other one was faster.
            let twin = store::find_by_sha256(&self.db.alone(grant), details.organization_id, stored.sha256()).await?;
            return Err(twin.map_or(CallError::Conflict, CallError::SameAudio));
        }
        self.named(grant, &details.organization_id, details.external_id.as_deref(), received).await
    }

    /// A unique constraint tells that a twin exists; here it gets its name.
    async fn named<T>(
        &self,
        grant: &Grant,
        organization: &OrganizationId,
        external_id: Option<&str>,
        received: Result<T, CallError>,
    ) -> Result<T, CallError> {
        let Err(CallError::Db(error)) = received else { return received };
        let twin = match (error.unique_violation(), external_id) {
            (Some("calls_external_id"), Some(external_id)) => {
                store::find_by_external_id(&self.db.alone(grant), *organization, external_id).await?
            }
            _ => None,
        };
        Err(twin.map_or(CallError::Db(error), CallError::SameExternalId))
    }
}

/// Whether the recording became no call's for certain: PostgreSQL refused a statement, as it does when the tenant is just destroyed. A transaction
/// that failed at its end may have been committed; the sweep knows that, for the note of the upload went with it.
fn certainly_no_call<T>(received: &Result<Once<T>, CallError>) -> bool {
    match received {
        Ok(once) => once.replayed,
        Err(CallError::Db(error)) => error.is_refusal(),
        Err(_) => true,
    }
}
