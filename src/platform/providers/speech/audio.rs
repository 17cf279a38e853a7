//! A recording on its way to a provider: always a stream, never a whole file in memory.

use std::{fmt, io, sync::Mutex};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::BoxFuture,
    stream::{BoxStream, StreamExt},
};

/// The bytes of a recording, piece by piece.
pub type AudioStream = BoxStream<'static, io::Result<Bytes>>;

type Opener = Box<dyn Fn() -> BoxFuture<'static, io::Result<AudioStream>> + Send + Sync>;

/// A recording to be transcribed.
#[derive(Debug)]
pub struct AudioSource {
    /// Exact length of the content; a stream of another length is an error.
    pub length_bytes: u64,
    /// Media type, such as `audio/wav`.
    pub content_type: String,
    /// File name for providers that want one; its ending should fit the media type. Not the name the user gave.
    pub file_name: String,
    /// Channels of the recording, where known.
    pub channels: Option<u16>,
    /// The way to the bytes.
    pub content: AudioContent,
}

/// The way to the bytes of a recording.
pub struct AudioContent(Way);

enum Way {
    Again(Opener),
    Once(Mutex<Option<AudioStream>>),
}

impl AudioContent {
    /// Content that can be opened any number of times: an object in a store, a file. Only this can be sent again after a
    /// failed attempt.
    pub fn reopening<F, O>(open: F) -> Self
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Future<Output = io::Result<AudioStream>> + Send + 'static,
    {
        Self(Way::Again(Box::new(move || open().boxed())))
    }

    /// Content that can be read a single time.
    pub fn once<S>(stream: S) -> Self
    where
        S: futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        Self(Way::Once(Mutex::new(Some(stream.boxed()))))
    }

    /// Content held in memory, for short recordings and tests.
    pub fn memory(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::reopening(move || {
            let piece = bytes.clone();
            async move { Ok(futures_util::stream::iter([Ok(piece)]).boxed()) }
        })
    }

    /// Whether the content can be opened after it was opened before.
    pub fn reopens(&self) -> bool {
        matches!(self.0, Way::Again(_))
    }

    /// The bytes from the beginning. Fails when the source fails, or when it can be read only once and was.
    pub async fn open(&self) -> io::Result<AudioStream> {
        match &self.0 {
            Way::Again(open) => open().await,
            Way::Once(stream) => stream
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .take()
                .ok_or_else(|| io::Error::other("the recording can be read only once")),
        }
    }
}

impl fmt::Debug for AudioContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.reopens() { "AudioContent(reopening)" } else { "AudioContent(once)" })
    }
}
