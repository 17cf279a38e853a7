//! A stream of bytes that is counted, hashed and looked at while it passes by.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use sha2::{Digest, Sha256};

use super::{
    body_limit::TooLong,
    problem::{Kind, Problem, Refusal},
};
use crate::foundation::digest::hexadecimal;

/// Bytes of the beginning that are kept to tell what a file is.
const HEAD_BYTES: usize = 4096;

/// Why an upload broke off.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// More came than is taken.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A field came after the file.
    #[error("the field {0:?} comes after the file; fields come first")]
    FieldAfterFile(String),
    /// What stands between the parts of a form is far larger than any head of a part.
    #[error("the head of a part of the form is too long")]
    Frame,
    /// The client went away, or the body is malformed.
    #[error("the upload broke off")]
    Broken(#[source] io::Error),
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        if let Some(too_long) = TooLong::inside(&error) {
            return Self::TooLong(*too_long);
        }
        match error.downcast::<UploadError>() {
            Ok(error) => error,
            Err(error) => Self::Broken(error),
        }
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLong(error) => error.into(),
            UploadError::FieldAfterFile(ref field) => {
                Problem::new(Kind::Validation, error.to_string()).field(field, "must come before the file").into()
            }
            UploadError::Frame => Refusal::new(Kind::TooLarge, error.to_string()),
            UploadError::Broken(_) => Refusal::new(Kind::BadRequest, "the body ended before it was complete"),
        }
    }
}

/// What passed through a [`Measured`] stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How many bytes.
    pub size_bytes: u64,
    /// Their SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// Passes bytes on; fails when there are too many.
pub struct Measured {
    inner: BoxStream<'static, io::Result<Bytes>>,
    limit_bytes: u64,
    size_bytes: u64,
    hash: Sha256,
    /// Taken in to be looked at, and still to be passed on.
    waiting: VecDeque<Bytes>,
}

impl Measured {
    /// Takes at most `limit_bytes` from `inner`.
    pub fn new(inner: BoxStream<'static, io::Result<Bytes>>, limit_bytes: u64) -> Self {
        Self { inner, limit_bytes, size_bytes: 0, hash: Sha256::new(), waiting: VecDeque::new() }
    }

    /// The first bytes, 4 KiB or all there are, before any is passed on.
    ///
    /// # Errors
    /// [`UploadError`] when the stream breaks off before that.
    pub async fn head(&mut self) -> Result<Bytes, UploadError> {
        while self.waiting.iter().map(Bytes::len).sum::<usize>() < HEAD_BYTES {
            match self.inner.next().await {
                Some(chunk) => self.take_in(chunk)?,
                None => break,
            }
        }
        let mut head = BytesMut::with_capacity(HEAD_BYTES);
        for chunk in &self.waiting {
            let room = HEAD_BYTES - head.len();
            head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok(head.freeze())
    }

    /// What has passed; complete once the stream has ended.
    pub fn measure(&self) -> Measure {
        let digest = self.hash.clone().finalize();
        Measure { size_bytes: self.size_bytes, sha256: hexadecimal(&digest) }
    }

    fn take_in(&mut self, chunk: io::Result<Bytes>) -> Result<(), UploadError> {
        let chunk = chunk?;
        self.size_bytes += chunk.len() as u64;
        if self.size_bytes > self.limit_bytes {
            return Err(TooLong { limit_bytes: self.limit_bytes }.into());
        }
        self.hash.update(&chunk);
        self.waiting.push_back(chunk);
        Ok(())
    }
}

impl Stream for Measured {
    type Item = Result<Bytes, UploadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(chunk) = self.waiting.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some(chunk) = ready!(self.inner.poll_next_unpin(cx)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(match self.take_in(chunk) {
            Ok(()) => Ok(self.waiting.pop_front().unwrap_or_default()),
            Err(error) => Err(error),
        }))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt, stream};

    use super::*;

    fn measured(chunks: &[&'static [u8]], limit_bytes: u64) -> Measured {
        let chunks: Vec<io::Result<Bytes>> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        Measured::new(stream::iter(chunks).boxed(), limit_bytes)
    }

    #[tokio::test]
    async fn everything_passes_once_and_is_hashed() {
        let mut stream = measured(&[b"a", b"b", b"c"], 3);
        assert_eq!(stream.head().await.expect("it is whole"), Bytes::from_static(b"abc"));
        let passed: Vec<Bytes> = (&mut stream).try_collect().await.expect("it is whole");
        assert_eq!(passed.concat(), b"abc");
        let measure = stream.measure();
        assert_eq!(measure.size_bytes, 3);
        assert_eq!(measure.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[tokio::test]
    async fn the_head_of_a_long_stream_is_4_kib() {
        let mut stream = measured(&[&[1; 3000], &[2; 3000], &[3; 3000]], 9000);
        assert_eq!(stream.head().await.expect("it is whole").len(), 4096);
        let passed: Vec<Bytes> = (&mut stream).try_collect().await.expect("it is whole");
        assert_eq!((passed.concat().len(), stream.measure().size_bytes), (9000, 9000));
    }

    #[tokio::test]
    async fn one_byte_too_many_is_too_large() {
        let stream = measured(&[b"ab", b"cd"], 3);
        let error = stream.try_collect::<Vec<_>>().await.expect_err("too long");
        assert_eq!(Refusal::from(error).problem().status, 413);
        let error = measured(&[b"abcd"], 3).head().await.expect_err("too long");
        assert!(matches!(error, UploadError::TooLong(TooLong { limit_bytes: 3 })));
    }

    #[test]
    fn the_reason_survives_being_an_io_error() {
        let error = io::Error::other(UploadError::FieldAfterFile("x".to_owned()));
        assert!(matches!(UploadError::from(error), UploadError::FieldAfterFile(field) if field == "x"));
        let gone = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(Refusal::from(UploadError::from(gone)).problem().status, 400);
    }
}
