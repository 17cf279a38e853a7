//! Parts of a file: one range of bytes, so that a player can seek.
//!
//! ```ignore
//! let slice = range::slice(range.0.as_deref(), file.size_bytes)?;                // 416 when it lies outside
//! let stream = store.get_range(&key, slice.bytes()).await?;
//! Ok(FileAnswer::of(slice, stream, &file.content_type, ETag::of_digest(&file.sha256)))
//! ```

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, StreamBody};
use poem::Body;
use poem_openapi::{
    ApiResponse,
    payload::{Binary, Json},
};
use sync_wrapper::SyncStream;

use super::{
    etag::ETag,
    problem::{Kind, Problem, Refusal},
};

/// Which bytes of a file are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    bytes: Range<u64>,
    size: u64,
    partial: bool,
}

impl Slice {
    /// All of a file of this size.
    pub fn whole(size: u64) -> Self {
        Self { bytes: 0..size, size, partial: false }
    }

    /// The first byte, and the one after the last.
    pub fn bytes(&self) -> Range<u64> {
        self.bytes.clone()
    }

    /// How many bytes it is.
    pub fn length(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }
}

/// Reads a `Range` header against a file of `size` bytes. Several ranges, other units and malformed headers count as no header at all, as
/// RFC 9110 allows.
///
/// # Errors
/// 416 `range-not-satisfiable` when the range lies outside of the file.
pub fn slice(header: Option<&str>, size: u64) -> Result<Slice, Refusal> {
    let Some((first, last)) = header.and_then(bounds) else {
        return Ok(Slice::whole(size));
    };
    let bytes = match (first, last) {
        (Some(first), last) => first..last.map_or(size, |last| last.saturating_add(1)).min(size),
        (None, Some(suffix)) => size.saturating_sub(suffix)..size,
        (None, None) => return Ok(Slice::whole(size)),
    };
    if bytes.is_empty() {
        let problem = Problem::new(Kind::RangeNotSatisfiable, format!("the file has {size} bytes"));
        return Err(Refusal::RangeNotSatisfiable(Json(Box::new(problem)), Some(format!("bytes */{size}"))));
    }
    Ok(Slice { bytes, size, partial: true })
}

/// `bytes=a-b`, `bytes=a-`, `bytes=-n`.
fn bounds(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| -> Option<Option<u64>> {
        match text.trim() {
            "" => Some(None),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
            _ => None,
        }
    };
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        bounds => Some(bounds),
    }
}

/// A file, or a part of it.
#[derive(Debug, ApiResponse)]
pub enum FileAnswer {
    /// The whole file. `Content-Type` is that of the recording.
    #[oai(status = 200)]
    Whole(
        Binary<Body>,
        /// The file's own type.
        #[oai(header = "Content-Type")]
        String,
        /// `bytes`: parts may be asked for.
        #[oai(header = "Accept-Ranges")]
        String,
        /// Of the content.
        #[oai(header = "ETag")]
        ETag,
    ),
    /// The part that was asked for.
    #[oai(status = 206)]
    Part(
        Binary<Body>,
        /// The file's own type.
        #[oai(header = "Content-Type")]
        String,
        /// Which bytes these are: `bytes <first>-<last>/<size>`.
        #[oai(header = "Content-Range")]
        String,
        /// `bytes`: parts may be asked for.
        #[oai(header = "Accept-Ranges")]
        String,
        /// Of the content.
        #[oai(header = "ETag")]
        ETag,
    ),
}

impl FileAnswer {
    /// Sends `stream`, which gives exactly the slice's bytes.
    pub fn of(slice: Slice, stream: BoxStream<'static, io::Result<Bytes>>, content_type: &str, etag: ETag) -> Self {
        let body = Binary(sized(stream, slice.length()));
        let (content_type, accept) = (content_type.to_owned(), "bytes".to_owned());
        if slice.partial {
            let range = format!("bytes {}-{}/{}", slice.bytes.start, slice.bytes.end - 1, slice.size);
            Self::Part(body, content_type, range, accept, etag)
        } else {
            Self::Whole(body, content_type, accept, etag)
        }
    }
}

/// A body of known length: it is sent with `Content-Length`, where a bare stream would be chunked.
pub fn sized(stream: BoxStream<'static, io::Result<Bytes>>, length: u64) -> Body {
    let frames = StreamBody::new(SyncStream::new(stream.map(|chunk| chunk.map(Frame::data))));
    Body::from(Sized { frames, length }.boxed())
}

struct Sized<B> {
    frames: B,
    length: u64,
}

impl<B: http_body::Body<Data = Bytes, Error = io::Error> + Unpin> http_body::Body for Sized<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.frames).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use poem::IntoResponse;

    use super::*;

    #[test]
    fn one_range_is_understood_and_everything_else_is_the_whole() {
        let bytes = |header| slice(Some(header), 100).map(|s| (s.partial, s.bytes())).map_err(|r| r.problem().status);
        assert_eq!(bytes("bytes=0-9"), Ok((true, 0..10)));
        assert_eq!(bytes("bytes=90-"), Ok((true, 90..100)));
        assert_eq!(bytes("bytes=90-1000"), Ok((true, 90..100)));
        assert_eq!(bytes("bytes=-10"), Ok((true, 90..100)));
        assert_eq!(bytes("bytes=-1000"), Ok((true, 0..100)));
        for outside in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(bytes(outside), Err(416), "{outside}");
        }
        for other in ["bytes=0-1,5-6", "items=0-1", "bytes=9-1", "bytes=-", "bytes=a-b", "bytes", "bytes=+1-2"] {
            assert_eq!(bytes(other), Ok((false, 0..100)), "{other}");
        }
    }

    #[test]
    fn a_range_outside_tells_the_size() {
        let refusal = slice(Some("bytes=7-"), 7).expect_err("outside");
        assert_eq!(refusal.response().header("content-range"), Some("bytes */7"));
        assert_eq!(slice(Some("bytes=0-"), 0).map_err(|r| r.problem().status), Err(416));
        assert_eq!(slice(None, 0).map(|s| s.length()).map_err(|r| r.problem().status), Ok(0));
    }

    #[tokio::test]
    async fn a_part_is_sent_with_its_place_and_length() {
        let part = slice(Some("bytes=2-4"), 10).expect("inside");
        let stream = futures_util::stream::iter([Ok(Bytes::from_static(b"cde"))]).boxed();
        let response = FileAnswer::of(part, stream, "audio/wav", ETag::of_digest("ab")).into_response();
        assert_eq!(response.status().as_u16(), 206);
        assert_eq!(response.header("content-range"), Some("bytes 2-4/10"));
        assert_eq!(response.content_type(), Some("audio/wav"));
        let body: BoxBody = response.into_body().into();
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.collect().await.expect("it is whole").to_bytes(), Bytes::from_static(b"cde"));
    }

    type BoxBody = http_body_util::combinators::BoxBody<Bytes, io::Error>;
}
