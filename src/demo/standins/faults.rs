//! Faults on demand: what the providers do on bad days, chosen by a control handle or by the suffix of an API key.
//!
//! A queued fault strikes the next request of its endpoint and is gone. A key that ends with `.name` (`<key>.rate_limited`)
//! meets its fault at every request. Nothing in the product knows of either.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use poem::{
    Body, Response,
    http::{HeaderValue, StatusCode, header},
};
use serde_json::Value;

use crate::foundation::clock::Clock;

/// Faults below the meaning of a request: any endpoint of both stand-ins can have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 429, and how long to wait.
    RateLimited(RetryHint),
    /// 500 in the provider's error form.
    ServerError,
    /// 500 with `x-should-retry: false`.
    DoNotRetry,
    /// 503 without a body.
    Unavailable,
    /// 503 with a proxy's HTML page.
    UnavailablePage,
    /// 504 without a body.
    GatewayTimeout,
    /// 200 with an HTML page instead of JSON.
    Garbage,
    /// The right answer in small pieces with this pause between them.
    SlowBody(Duration),
    /// The headers of the right answer, a part of its body, then a broken connection.
    ResetAfterHeaders,
}

/// What a 429 says about waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryHint {
    /// Neither header.
    Nothing,
    /// `retry-after-ms`
    Milliseconds(u64),
    /// `Retry-After` in seconds
    Seconds(u64),
    /// `Retry-After` as an HTTP date, this far from now
    Date(Duration),
}

/// Faults of a chat completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatFault {
    /// A fault that every endpoint may have.
    Http(Fault),
    /// `finish_reason: length`, JSON cut in the middle.
    CutAnswer,
    /// `finish_reason: length`, empty content: the reasoning ate the budget.
    EmptyAnswer,
    /// 200 with `refusal` set and `content` null.
    Refusal,
    /// `finish_reason: content_filter`.
    ContentFilter,
    /// 429 that waiting does not cure.
    InsufficientQuota,
    /// 503 `server_is_overloaded`.
    Overloaded,
    /// 400 `unsupported_parameter` for the named parameter.
    UnsupportedParameter(&'static str),
    /// 404 `model_not_found`.
    ModelNotFound,
    /// Content that is not JSON, `finish_reason: stop`.
    NotJson,
    /// Well-formed JSON whose confidence is 7.5.
    NumberOutOfRange,
    /// Well-formed JSON that quotes what nobody said.
    InventedQuote,
}

/// Faults of `GET /v2/transcript/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFault {
    /// A fault that every endpoint may have.
    Http(Fault),
    /// The 400 that an unknown id gets.
    NotFound,
    /// A status that no documentation names.
    UnknownStatus,
}

/// Faults of a transcription job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobFault {
    /// `error`: "Download error, unable to download …"
    Download,
    /// `error`: "File does not appear to contain audio. …"
    NotAudio,
    /// `error`: "Audio duration is too short."
    TooShort,
    /// `error`: "Server error, …", which handing the recording over again may cure
    ServerSide,
    /// `error`: "The following models are not available in this language: …"
    NotInThisLanguage,
    /// Completed, utterances null although they were asked for.
    NoUtterances,
    /// Completed, with this `audio_duration` in seconds whatever the file's.
    Duration(u64),
    /// Completed, with a sentiment whose `start` is null.
    SentimentWithoutStart,
    /// Completed, with a sentiment that no documentation names.
    UnknownSentiment,
    /// The webhook comes twice.
    WebhookTwice,
    /// The webhook comes while the job is still processing.
    WebhookEarly,
    /// A webhook with a wrong secret comes before the right one.
    WebhookForged,
    /// A webhook about a redacted recording, which names no transcript, comes before the right one.
    WebhookOfAudio,
}

impl From<Fault> for ChatFault {
    fn from(fault: Fault) -> Self {
        Self::Http(fault)
    }
}

impl From<Fault> for ReadFault {
    fn from(fault: Fault) -> Self {
        Self::Http(fault)
    }
}

impl Fault {
    /// The fault of a key's suffix.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rate_limited" => Self::RateLimited(RetryHint::Seconds(1)),
            "rate_limited_silently" => Self::RateLimited(RetryHint::Nothing),
            "rate_limited_ms" => Self::RateLimited(RetryHint::Milliseconds(20)),
            "rate_limited_date" => Self::RateLimited(RetryHint::Date(Duration::from_secs(2))),
            "rate_limited_long" => Self::RateLimited(RetryHint::Seconds(300)),
            "server_error" => Self::ServerError,
            "do_not_retry" => Self::DoNotRetry,
            "unavailable" => Self::Unavailable,
            "unavailable_page" => Self::UnavailablePage,
            "gateway_timeout" => Self::GatewayTimeout,
            "garbage" => Self::Garbage,
            "slow_body" => Self::SlowBody(Duration::from_millis(100)),
            "reset" => Self::ResetAfterHeaders,
            _ => return None,
        })
    }

    /// The answer that takes the place of the right one, in the provider's error form, if this fault refuses the request.
    pub fn refusal(&self, wording: fn(StatusCode) -> Value) -> Option<Response> {
        let error = |status: StatusCode| super::server::json(status, &wording(status));
        Some(match self {
            Self::RateLimited(hint) => hint.onto(error(StatusCode::TOO_MANY_REQUESTS)),
            Self::ServerError => error(StatusCode::INTERNAL_SERVER_ERROR),
            Self::DoNotRetry => {
                let mut response = error(StatusCode::INTERNAL_SERVER_ERROR);
                response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
                response
            }
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into(),
            Self::UnavailablePage => page(StatusCode::SERVICE_UNAVAILABLE),
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT.into(),
            Self::Garbage => page(StatusCode::OK),
            Self::SlowBody(_) | Self::ResetAfterHeaders => return None,
        })
    }

    /// What this fault makes of the right answer on its way out.
    pub async fn distort(&self, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        let bytes = body.into_bytes().await.unwrap_or_default();
        let piece = bytes.len().div_ceil(8).max(1);
        let pieces: Vec<Bytes> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
        let body = match self {
            Self::SlowBody(pause) => {
                let pause = *pause;
                Body::from_bytes_stream(stream::iter(pieces).then(move |piece| async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, io::Error>(piece)
                }))
            }
            Self::ResetAfterHeaders => {
                // With a length promised, no reader can take the part for the whole.
                parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                let sent = stream::iter(pieces.into_iter().take(2).map(Ok));
                // The pause lets headers and part leave before the connection breaks.
                let broken = stream::once(async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Err(io::Error::new(io::ErrorKind::ConnectionReset, "a fault on demand"))
                });
                Body::from_bytes_stream(sent.chain(broken))
            }
            _ => Body::from_bytes(bytes),
        };
        Response::from_parts(parts, body)
    }
}

fn page(status: StatusCode) -> Response {
    Response::builder().status(status).content_type("text/html").body("<html><body><h1>Bad gateway</h1></body></html>")
}

impl RetryHint {
    fn onto(self, mut response: Response) -> Response {
        let (name, value) = match self {
            Self::Nothing => return response,
            Self::Milliseconds(wait) => ("retry-after-ms", wait.to_string()),
            Self::Seconds(wait) => (header::RETRY_AFTER.as_str(), wait.to_string()),
            Self::Date(wait) => (
                header::RETRY_AFTER.as_str(),
                (Clock::system().now() + wait).format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            ),
        };
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl ChatFault {
    /// The fault of a key's suffix.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cut_answer" => Self::CutAnswer,
            "empty_answer" => Self::EmptyAnswer,
            "refusal" => Self::Refusal,
            "content_filter" => Self::ContentFilter,
            "insufficient_quota" => Self::InsufficientQuota,
            "overloaded" => Self::Overloaded,
            "unsupported_parameter" => Self::UnsupportedParameter("temperature"),
            "model_not_found" => Self::ModelNotFound,
            "not_json" => Self::NotJson,
            "number_out_of_range" => Self::NumberOutOfRange,
            "invented_quote" => Self::InventedQuote,
            name => Self::Http(Fault::named(name)?),
        })
    }
}

impl JobFault {
    /// The fault of a key's suffix.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "download" => Self::Download,
            "not_audio" => Self::NotAudio,
            "too_short" => Self::TooShort,
            "server_side" => Self::ServerSide,
            "not_in_this_language" => Self::NotInThisLanguage,
            "no_utterances" => Self::NoUtterances,
            "short_duration" => Self::Duration(30),
            "sentiment_without_start" => Self::SentimentWithoutStart,
            "unknown_sentiment" => Self::UnknownSentiment,
            "webhook_twice" => Self::WebhookTwice,
            "webhook_early" => Self::WebhookEarly,
            "webhook_forged" => Self::WebhookForged,
            "webhook_of_audio" => Self::WebhookOfAudio,
            _ => return None,
        })
    }
}

/// The control handle: queued faults, first in, first out, per endpoint.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    chat: VecDeque<ChatFault>,
    model: VecDeque<Fault>,
    upload: VecDeque<Fault>,
    create: VecDeque<Fault>,
    read: VecDeque<ReadFault>,
    delete: VecDeque<Fault>,
    job: VecDeque<JobFault>,
}

impl Faults {
    /// The next `POST /v1/chat/completions` meets this.
    pub fn next_chat(&self, fault: impl Into<ChatFault>) {
        self.queues().chat.push_back(fault.into());
    }

    /// The next `GET /v1/models/{id}` meets this.
    pub fn next_model(&self, fault: Fault) {
        self.queues().model.push_back(fault);
    }

    /// The next `POST /v2/upload` meets this.
    pub fn next_upload(&self, fault: Fault) {
        self.queues().upload.push_back(fault);
    }

    /// The next `POST /v2/transcript` meets this.
    pub fn next_create(&self, fault: Fault) {
        self.queues().create.push_back(fault);
    }

    /// The next `GET /v2/transcript/{id}` meets this.
    pub fn next_read(&self, fault: impl Into<ReadFault>) {
        self.queues().read.push_back(fault.into());
    }

    /// The next `DELETE /v2/transcript/{id}` meets this.
    pub fn next_delete(&self, fault: Fault) {
        self.queues().delete.push_back(fault);
    }

    /// The next transcription job that is created meets this.
    pub fn next_job(&self, fault: JobFault) {
        self.queues().job.push_back(fault);
    }

    pub(super) fn chat(&self) -> Option<ChatFault> {
        self.queues().chat.pop_front()
    }

    pub(super) fn model(&self) -> Option<Fault> {
        self.queues().model.pop_front()
    }

    pub(super) fn upload(&self) -> Option<Fault> {
        self.queues().upload.pop_front()
    }

    pub(super) fn create(&self) -> Option<Fault> {
        self.queues().create.pop_front()
    }

    pub(super) fn read(&self) -> Option<ReadFault> {
        self.queues().read.pop_front()
    }

    pub(super) fn delete(&self) -> Option<Fault> {
        self.queues().delete.pop_front()
    }

    pub(super) fn job(&self) -> Option<JobFault> {
        self.queues().job.pop_front()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
