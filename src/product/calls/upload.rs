//! Recordings: streamed into the object store while they are hashed, limited and looked at; never held in memory.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Datelike, Utc};
use futures_util::{StreamExt, TryFutureExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart, path::Path};

use super::{
    CallError, Stages, admit, arriving,
    audio::{self, AudioFormat},
    check,
    model::{AudioFile, Call, CallDetails, CallStatus},
    store,
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
        http::{Keyed, Measure, Measured, is_remembered},
        tenancy::quotas::{self, Quotas, Wanted, room_for_a_job},
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
    /// How often a running upload is noted again; well below the age at which it is swept.
    pub touch: Duration,
}

/// What is known of an upload before its first byte.
pub struct Asked<'a> {
    /// What the call is to be.
    pub details: &'a CallDetails,
    /// What the tenant may use.
    pub quotas: &'a Quotas,
    /// The request's key.
    pub keyed: &'a Keyed,
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
    /// Streams a recording into the object store. Until [`attach`] makes it a call's, the sweep may take it. What a quota will refuse in the
    /// end is refused before the first byte is read, unless it may be a request that was answered before.
    ///
    /// # Errors
    /// [`CallError`]; the object is gone then, or will be swept.
    pub async fn receive(
        &self,
        db: &Db,
        grant: &Grant,
        clock: &Clock,
        asked: &Asked<'_>,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Stored, CallError> {
        let Asked { details, quotas, keyed } = asked;
        check(grant, details)?;
        let room = room_for_a_job(db, grant.tenant(), quotas).await;
        let call_id = CallId::new();
        let audio_file_id = AudioFileId::new();
        let now = clock.now();
        // Nothing that a person typed is part of a key.
        let object_key = format!("{}/{}/{call_id}/{audio_file_id}", grant.tenant(), now.year());
        db.tenant(grant, "calls.begin_upload", async |tx| {
            let (admitted, foreseen, begun) = tokio::join!(
                biased;
                admit(tx, details),
                quotas::foresee(tx, quotas, &Wanted::RECORDING, now),
                store::begin_upload(tx, details.organization_id, &object_key, now),
            );
            admitted?;
            if let Err(refused) = foreseen.and(room)
                && !is_remembered(tx, keyed).await?
            {
                return Err(CallError::from(refused));
            }
            Ok(begun?)
        })
        .await?;
        let key = Path::from(object_key.as_str());
        let arrived = tokio::select! {
            arrived = self.stream(&key, bytes) => arrived,
            never = self.keep_from_sweep(db, grant, clock, &object_key) => match never {},
        };
        let arrived = match arrived {
            Ok(arrived) => arrived,
            Err(error) => {
                self.forget(db, grant, &object_key).await;
                return Err(error);
            }
        };
        let format = match audio::inspect(&arrived.head, &arrived.tail, arrived.measure.size_bytes) {
            Ok(format) => format,
            Err(fault) => {
                self.forget(db, grant, &object_key).await;
                return Err(fault.into());
            }
        };
        let file = AudioFile {
            audio_file_id,
            sha256: arrived.measure.sha256,
            size_bytes: i64::try_from(arrived.measure.size_bytes).unwrap_or(i64::MAX),
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

    /// Shows the sweep now and then that an upload still comes.
    async fn keep_from_sweep(&self, db: &Db, grant: &Grant, clock: &Clock, object_key: &str) -> Infallible {
        loop {
            tokio::time::sleep(self.limits.touch).await;
            if let Err(error) = store::touch_upload(&db.alone(grant), object_key, clock.now()).await {
                tracing::warn!(error = %error, "a running upload could not be noted");
            }
        }
    }

    async fn stream(
        &self,
        key: &Path,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Arrived, CallError> {
        let upload = self.objects.put_multipart(key).await?;
        let mut write = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut bytes = Measured::new(bytes, self.limits.max_bytes);
        let mut ends = Ends::default();
        loop {
            match self.next(&mut bytes, &mut write).await {
                Ok(Some(piece)) => {
                    ends.see(&piece);
                    write.put(piece);
                }
                Ok(None) => break,
                Err(error) => {
                    let _ = write.abort().await; // the first error is the one to tell; leftovers are swept
                    return Err(error);
                }
            }
        }
        write.finish().await?;
        Ok(Arrived { measure: bytes.measure(), head: ends.head.freeze(), tail: ends.tail.freeze() })
    }

    /// The next piece, once there is room for it.
    async fn next(&self, bytes: &mut Measured, write: &mut WriteMultipart) -> Result<Option<Bytes>, CallError> {
        let Ok(next) = tokio::time::timeout(self.limits.idle, bytes.next()).await else {
            return Err(CallError::Silent);
        };
        let Some(piece) = next.transpose()? else { return Ok(None) };
        write.wait_for_capacity(PARTS_IN_FLIGHT).await?;
        Ok(Some(piece))
    }
}

/// Makes a stored recording a call, and queues its first stage, on the caller's transaction.
///
/// # Errors
/// [`CallError::SameAudio`] and [`CallError::SameExternalId`] name the call that is there already; [`CallError::Swept`] when the recording is
/// gone; [`CallError::Exceeded`] when a quota has no room for it.
pub async fn attach(
    tx: &TenantTx<'_>,
    stages: &dyn Stages,
    quotas: &Quotas,
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
    // Boxed: so many statements at once make a large future of everything that awaits them.
    let writing = Box::pin(async {
        tokio::try_join!(
            biased; // the first refusal is the one to tell: after it, the others only say that the transaction is over
            store::insert(tx, &call).err_into::<CallError>(),
            store::insert_audio_file(tx, &call, &stored.file).err_into(),
            store::end_upload(tx, &stored.file.object_key).err_into(),
            audit::audit(tx, "call.received", "call", Some(call.call_id.0), call.organization_id, facts).err_into(),
            stages.begin(tx, &call, now).err_into(),
            // Last: its lock is waited for by the tenant's other uploads.
            quotas::count_recording(tx, quotas, call.duration_ms, stored.file.size_bytes, now).err_into(),
        )
    });
    let ((), (), noted, (), (), ()) = writing.await?;
    if noted { Ok(call) } else { Err(CallError::Swept) }
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
    measure: Measure,
    head: Bytes,
    tail: Bytes,
}

/// The first and the last bytes of a stream.
#[derive(Default)]
struct Ends {
    head: BytesMut,
    tail: BytesMut,
}

impl Ends {
    fn see(&mut self, piece: &[u8]) {
        let wanted = audio::HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&piece[..piece.len().min(wanted)]);
        let recent = &piece[piece.len().saturating_sub(audio::TAIL_BYTES)..];
        let surplus = (self.tail.len() + recent.len()).saturating_sub(audio::TAIL_BYTES);
        let _ = self.tail.split_to(surplus);
        self.tail.extend_from_slice(recent);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_ends_are_the_ends(pieces in proptest::collection::vec(0..200_000_usize, 0..6)) {
            let mut ends = Ends::default();
            let mut all = vec![];
            for (n, length) in pieces.into_iter().enumerate() {
                let piece: Vec<u8> = (0..length).map(|at| (at % 251 + n) as u8).collect();
                ends.see(&piece);
                all.extend(piece);
            }
            prop_assert_eq!(&ends.head[..], &all[..all.len().min(audio::HEAD_BYTES)]);
            prop_assert_eq!(&ends.tail[..], &all[all.len().saturating_sub(audio::TAIL_BYTES)..]);
        }
    }
}
