//! Recordings: streamed into the object store while they are hashed, limited and looked at; never held in memory.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Datelike, Utc};
use futures_util::{Stream, StreamExt};
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart, path::Path};

use super::{
    CallError, Stages, admit, arriving,
    audio::{self, AudioFormat},
    model::{AudioFile, Call, CallDetails, CallStatus},
    store,
    written::hex,
};
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        ids::{AudioFileId, CallId},
    },
    platform::{
        audit,
        db::{Db, TenantTx},
    },
};

/// The least part that S3 takes; memory per upload is a few of these.
const PART_BYTES: usize = 5 * 1024 * 1024;
const PARTS_IN_FLIGHT: usize = 2;

/// What limits an upload.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// The largest recording.
    pub max_bytes: u64,
    /// How long a client may be silent.
    pub idle: Duration,
}

/// A recording that lies in the object store and belongs to no call yet.
pub struct Stored {
    call_id: CallId,
    file: AudioFile,
    format: AudioFormat,
}

/// Where recordings go, and what limits them.
#[derive(Clone)]
pub struct Recordings {
    /// The object store.
    pub objects: Arc<dyn ObjectStore>,
    /// What limits an upload.
    pub limits: UploadLimits,
}

impl Recordings {
    /// Streams a recording into the object store. Until [`attach`] makes it a call's, the sweep may take it.
    ///
    /// # Errors
    /// [`CallError`]; the object is gone then, or will be swept.
    pub async fn receive(
        &self,
        db: &Db,
        grant: &Grant,
        clock: &Clock,
        details: &CallDetails,
        bytes: impl Stream<Item = std::io::Result<Bytes>> + Unpin,
    ) -> Result<Stored, CallError> {
        let call_id = CallId::new();
        let audio_file_id = AudioFileId::new();
        let now = clock.now();
        // Nothing that a person typed is part of a key.
        let object_key = format!("{}/{}/{call_id}/{audio_file_id}", grant.tenant(), now.year());
        db.tenant(grant, "calls.begin_upload", async |tx| {
            admit(tx, grant, details).await?;
            Ok::<_, CallError>(store::begin_upload(tx, details.organization_id, &object_key, now).await?)
        })
        .await?;
        let key = Path::from(object_key.as_str());
        let arrived = match self.stream(&key, bytes).await {
            Ok(arrived) => arrived,
            Err(error) => {
                self.forget(db, grant, &object_key).await;
                return Err(error);
            }
        };
        let format = match audio::inspect(&arrived.head, &arrived.tail, arrived.size_bytes) {
            Ok(format) => format,
            Err(fault) => {
                self.forget(db, grant, &object_key).await;
                return Err(fault.into());
            }
        };
        let file = AudioFile {
            audio_file_id,
            sha256: arrived.sha256,
            size_bytes: i64::try_from(arrived.size_bytes).unwrap_or(i64::MAX),
            content_type: format.content_type.to_owned(),
            channels: format.channels,
            agent_channel: details.agent_channel,
            object_key,
        };
        Ok(Stored { call_id, file, format })
    }

    /// Removes an object that became no call's. What fails here is left to the sweep.
    pub async fn forget(&self, db: &Db, grant: &Grant, object_key: &str) {
        let gone = match self.objects.delete(&Path::from(object_key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => store::end_upload(&db.alone(grant), object_key).await,
            Err(error) => {
                tracing::warn!(error = %error, "an unfinished object could not be deleted; the sweep will");
                return;
            }
        };
        if let Err(error) = gone {
            tracing::warn!(error = %error, "an unfinished upload could not be forgotten; the sweep will");
        }
    }

    async fn stream(
        &self,
        key: &Path,
        mut bytes: impl Stream<Item = std::io::Result<Bytes>> + Unpin,
    ) -> Result<Arrived, CallError> {
        let upload = self.objects.put_multipart(key).await?;
        let mut write = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut seen = Seen::new();
        loop {
            let next = match tokio::time::timeout(self.limits.idle, bytes.next()).await {
                Ok(None) => break,
                Ok(Some(Ok(piece))) => Ok(piece),
                Ok(Some(Err(error))) => Err(CallError::Interrupted(error.kind().to_string())),
                Err(_) => Err(CallError::Interrupted("the client fell silent".to_owned())),
            };
            let piece = match next {
                Ok(piece) if seen.size_bytes + piece.len() as u64 > self.limits.max_bytes => {
                    Err(CallError::TooLarge { limit_bytes: self.limits.max_bytes })
                }
                other => other,
            };
            let ready = match piece {
                Ok(piece) => write.wait_for_capacity(PARTS_IN_FLIGHT).await.map(|()| piece).map_err(CallError::Store),
                Err(error) => Err(error),
            };
            match ready {
                Ok(piece) => {
                    seen.see(&piece);
                    write.put(piece);
                }
                Err(error) => {
                    let _ = write.abort().await; // the first error is the one to tell; leftovers are swept
                    return Err(error);
                }
            }
        }
        write.finish().await?;
        Ok(seen.arrived())
    }
}

/// Makes a stored recording a call, and queues its first stage, on the caller's transaction.
///
/// # Errors
/// [`CallError::SameAudio`] and [`CallError::SameExternalId`] name the call that is there already.
pub async fn attach(
    tx: &TenantTx<'_>,
    stages: &dyn Stages,
    details: &CallDetails,
    stored: &Stored,
    now: DateTime<Utc>,
) -> Result<Call, CallError> {
    if let Some(call_id) = store::find_by_sha256(tx, details.organization_id, &stored.file.sha256).await? {
        return Err(CallError::SameAudio(call_id));
    }
    let mut call = arriving(stored.call_id, details, CallStatus::Received, now);
    call.duration_ms = stored.format.duration_ms;
    let facts = serde_json::json!({ "channel": call.channel, "sha256": stored.file.sha256, "size_bytes": stored.file.size_bytes });
    tokio::try_join!(
        store::insert(tx, &call),
        store::insert_audio_file(tx, &call, &stored.file),
        store::end_upload(tx, &stored.file.object_key),
        audit::audit(tx, "call.received", "call", Some(call.call_id.0), call.organization_id, facts),
        stages.begin(tx, &call, now),
    )?;
    Ok(call)
}

impl Stored {
    /// Where the recording lies.
    pub fn object_key(&self) -> &str {
        &self.file.object_key
    }

    /// Digest of its bytes, hex.
    pub fn sha256(&self) -> &str {
        &self.file.sha256
    }
}

/// What a stream was, once it has gone by.
struct Arrived {
    size_bytes: u64,
    sha256: String,
    head: Bytes,
    tail: Bytes,
}

struct Seen {
    size_bytes: u64,
    hash: Context,
    head: BytesMut,
    tail: BytesMut,
}

impl Seen {
    fn new() -> Self {
        Self { size_bytes: 0, hash: Context::new(&SHA256), head: BytesMut::new(), tail: BytesMut::new() }
    }

    fn see(&mut self, piece: &[u8]) {
        self.size_bytes += piece.len() as u64;
        self.hash.update(piece);
        let wanted = audio::HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&piece[..piece.len().min(wanted)]);
        let recent = &piece[piece.len().saturating_sub(audio::TAIL_BYTES)..];
        let surplus = (self.tail.len() + recent.len()).saturating_sub(audio::TAIL_BYTES);
        if surplus > 0 {
            let kept = self.tail.split_off(surplus.min(self.tail.len()));
            self.tail = kept;
        }
        self.tail.extend_from_slice(recent);
    }

    fn arrived(self) -> Arrived {
        Arrived {
            size_bytes: self.size_bytes,
            sha256: hex(self.hash.finish().as_ref()),
            head: self.head.freeze(),
            tail: self.tail.freeze(),
        }
    }
}
