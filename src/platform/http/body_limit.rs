//! How large a body may be, whether its length is announced or it comes in chunks.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, LengthLimitError, Limited, combinators::BoxBody};
use poem::{
    Body, Endpoint, Middleware, Request, Result,
    http::{Method, header},
};

use super::problem::{Kind, Refusal};

/// The largest bodies that are read.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    /// Bytes of a body that is held in memory whole: JSON and whatever else is no upload.
    pub document_bytes: u64,
    /// Bytes of a recording that is streamed (`multipart/form-data`, `application/octet-stream`); its extractor counts the recording itself.
    pub upload_bytes: u64,
    /// Bytes of an archive that is streamed to be restored.
    pub archive_bytes: u64,
}

/// Where archives are sent.
const ARCHIVES: &str = "/api/tenants/restores";

/// What a multipart body may add to the recording in it.
const FRAME_BYTES: u64 = 1024 * 1024;

/// How long a client may send nothing in the middle of a document, or of what surrounds a recording.
pub(super) const SILENT_FOR: Duration = Duration::from_secs(30);

/// A client began to send a body and fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing was sent for {} seconds", SILENT_FOR.as_secs())]
pub(super) struct Silent;

impl From<Silent> for Refusal {
    fn from(error: Silent) -> Self {
        Refusal::new(Kind::RequestTimeout, error.to_string())
    }
}

/// A body is larger than the operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is larger than {limit_bytes} bytes")]
pub struct TooLong {
    /// What would have been taken.
    pub limit_bytes: u64,
}

impl TooLong {
    /// The reason for an error of reading, if it is this one.
    pub fn inside(error: &io::Error) -> Option<&TooLong> {
        inside(error)
    }
}

/// The reason for an error of reading, if it is of this kind.
pub(super) fn inside<E: Error + 'static>(error: &io::Error) -> Option<&E> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| inside(inner.downcast_ref()?)) // poem wraps what it reads once more
}

impl From<TooLong> for Refusal {
    fn from(error: TooLong) -> Self {
        Refusal::new(Kind::TooLarge, error.to_string())
    }
}

/// [`BodyLimit`] around an endpoint.
pub struct Limiting<E> {
    inner: E,
    limit: BodyLimit,
}

impl<E: Endpoint> Middleware<E> for BodyLimit {
    type Output = Limiting<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Limiting { inner, limit: *self }
    }
}

impl<E: Endpoint> Endpoint for Limiting<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<Self::Output> {
        let upload = is_upload(&request);
        let limit_bytes = match upload {
            true if request.uri().path() == ARCHIVES => self.limit.archive_bytes,
            true => self.limit.upload_bytes.saturating_add(FRAME_BYTES),
            false => self.limit.document_bytes,
        };
        let announced = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit_bytes) {
            return Err(Refusal::from(TooLong { limit_bytes }).into());
        }
        // hyper holds a body to its announced length; only a chunked one must be counted
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut body = request.take_body();
            if announced.is_none() {
                body = limited(body, limit_bytes);
            }
            // a recording has its own patience, which ends with its room
            request.set_body(if upload { body } else { impatient(body, SILENT_FOR) });
        }
        self.inner.call(request).await
    }
}

fn is_upload(request: &Request) -> bool {
    request.content_type().is_some_and(|content_type| {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("multipart/form-data") || essence.eq_ignore_ascii_case("application/octet-stream")
    })
}

fn limited(body: Body, limit_bytes: u64) -> Body {
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    let body: BoxBody<Bytes, io::Error> = body.into();
    let limited = Limited::new(body, limit).map_err(move |error| match error.downcast::<LengthLimitError>() {
        Ok(_) => io::Error::other(TooLong { limit_bytes }),
        Err(error) => io::Error::other(error),
    });
    Body::from(BodyExt::boxed(limited))
}

fn impatient(body: Body, silent_for: Duration) -> Body {
    let bytes = body.into_bytes_stream().boxed();
    Body::from_bytes_stream(stream::unfold(Some(bytes), move |bytes| async move {
        let mut bytes = bytes?;
        match tokio::time::timeout(silent_for, bytes.next()).await {
            Ok(chunk) => Some((chunk?, Some(bytes))),
            Err(_) => Some((Err(io::Error::other(Silent)), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn a_client_may_be_slow_and_not_silent() {
        let slow = stream::unfold(0, |sent: u64| async move {
            tokio::time::sleep(PATIENCE / 2).await;
            (sent < 3).then(|| (Ok::<_, io::Error>(Bytes::from_static(b"x")), sent + 1))
        });
        let read = impatient(Body::from_bytes_stream(slow), PATIENCE).into_bytes().await;
        assert_eq!(read.expect("it comes in time").len(), 3);
        let silent = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"{"))]).chain(stream::pending());
        let error = impatient(Body::from_bytes_stream(silent), PATIENCE).into_bytes().await.expect_err("it never ends");
        let poem::error::ReadBodyError::Io(error) = error else { panic!("{error}") };
        assert_eq!(inside::<Silent>(&error), Some(&Silent));
    }
}
