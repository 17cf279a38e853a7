//! One question to a provider over HTTP and its answer, with quick retries, bounds on time and size, and a verdict on
//! every failure. What the clients share.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use reqwest::{
    Body, Client, Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue},
    multipart::{Form, Part},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::{
    PermanentKind, ProviderError, Tokens,
    refusal::{Judge, Refusal, Verdict},
    retries::{QuickRetries, Wishes},
    speech::AudioSource,
};

/// The slowest upload that is waited for, on top of the timeout of the call: 1 Mbit/s.
const SLOWEST_UPLOAD_BYTES_PER_S: u64 = 128 * 1024;
/// As much of a refusal as is read: error bodies are short, and HTML pages are not wanted.
const LONGEST_REFUSAL_BYTES: usize = 64 * 1024;

/// An HTTP client as every provider client wants it: it connects in 5 s or not at all, and follows no redirect, so
/// that neither key nor recording goes to a host that nobody configured. Build it once and share it.
pub fn http_client() -> Result<Client, ProviderError> {
    Client::builder()
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .user_agent(concat!("plumbline/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| ProviderError::Permanent {
            provider: "http",
            reason: "TLS could not be set up on this machine".into(),
            kind: PermanentKind::InvalidRequest,
            spent: Tokens::default(),
        })
}

/// How to reach one provider.
pub(super) struct Line {
    pub provider: &'static str,
    http: Client,
    base: Url,
    key: Option<SecretString>,
    headers: HeaderMap,
    timeout: Duration,
    retries: QuickRetries,
    judge: Judge,
}

/// One question.
pub(super) struct Question<'a> {
    /// Short name for the log.
    pub name: &'static str,
    pub method: Method,
    /// Below the base address, one item per segment; escaped here.
    pub path: &'a [&'a str],
    pub payload: Payload<'a>,
    pub repeat: Repeat,
    /// Most bytes of an answer.
    pub longest_answer_bytes: usize,
}

/// What a question carries.
pub(super) enum Payload<'a> {
    Nothing,
    Json(Bytes),
    Audio(&'a AudioSource),
    Form { fields: &'a [(&'static str, String)], audio: &'a AudioSource },
}

/// When a failed question may be asked again at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// After any temporary failure.
    Freely,
    /// Only when the provider surely did not act on it, because acting twice costs twice.
    OnlyUntaken,
}

/// A successful answer.
pub(super) struct Answer {
    pub body: Bytes,
    pub request_id: Option<String>,
}

/// Why one attempt failed.
struct Failure {
    error: ProviderError,
    /// Asking again at once may help.
    quick: bool,
    /// The provider surely did not act on the question.
    untaken: bool,
    asked_pause: Option<Duration>,
}

impl Line {
    /// `scheme` stands before the key in the authorization header (`"Bearer "`, or nothing).
    pub(super) fn new(
        provider: &'static str,
        http: Client,
        base: &Url,
        scheme: &str,
        key: Option<&SecretString>,
        timeout: Duration,
        judge: Judge,
    ) -> Result<Self, ProviderError> {
        let spent = Tokens::default();
        let wrong = |reason: &str, kind| ProviderError::Permanent { provider, reason: reason.into(), kind, spent };
        let web = matches!(base.scheme(), "http" | "https") && base.has_host();
        if !web || !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            let reason = "the base address must be http or https, without user, password or query";
            return Err(wrong(reason, PermanentKind::InvalidRequest));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let value = HeaderValue::from_str(&format!("{scheme}{}", key.expose_secret()))
                .ok()
                .filter(|_| !key.expose_secret().trim().is_empty());
            let reason = "the key is empty or has characters that no key has";
            let mut value = value.ok_or_else(|| wrong(reason, PermanentKind::Credentials))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let (base, key, retries) = (base.clone(), key.cloned(), QuickRetries::default());
        Ok(Self { provider, http, base, key, headers, timeout, retries, judge })
    }

    pub(super) fn retrying(mut self, retries: QuickRetries) -> Self {
        self.retries = retries;
        self
    }

    /// A header for every question.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Result<Self, ProviderError> {
        let reason = || format!("the setting for the header {name} has characters that no header has");
        let value =
            HeaderValue::from_str(value).map_err(|_| self.permanent(PermanentKind::InvalidRequest, reason()))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Asks, again where that may help, and gives the body of a successful answer.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Answer, ProviderError> {
        let mut number = 0;
        loop {
            let failure = match self.attempt(question).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let repeatable = failure.quick
                && question.payload.repeatable()
                && (question.repeat == Repeat::Freely || failure.untaken);
            let pause = self.retries.pause(number, failure.asked_pause, rand::random()).filter(|_| repeatable);
            let Some(pause) = pause else { return Err(failure.error) };
            number += 1;
            sleep(pause).await;
        }
    }

    /// One attempt, bounded in time and written to the log.
    async fn attempt(&self, question: &Question<'_>) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let limit = self.timeout + Duration::from_secs(question.payload.length_bytes() / SLOWEST_UPLOAD_BYTES_PER_S);
        let outcome = timeout(limit, self.exchange(question)).await.unwrap_or_else(|_| {
            let error = self.temporary(format!("{}: no answer within {} s", question.name, limit.as_secs_f64()), None);
            Err(Failure { error, quick: false, untaken: false, asked_pause: None })
        });
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (provider, name) = (self.provider, question.name);
        match &outcome {
            Ok(Answer { body, request_id }) => {
                tracing::debug!(
                    provider,
                    question = name,
                    elapsed_ms,
                    request_id,
                    bytes = body.len(),
                    "provider answered"
                );
            }
            Err(Failure { error, .. }) => {
                tracing::warn!(provider, question = name, elapsed_ms, error = %error, "provider failed");
            }
        }
        outcome
    }

    async fn exchange(&self, question: &Question<'_>) -> Result<Answer, Failure> {
        let watch = Watch::default();
        let request = self.request(question, &watch).await?;
        let response = request.send().await.map_err(|error| self.broken(question, &error, &watch))?;
        let request_id = response.headers().get("x-request-id").and_then(|id| self.word(id.to_str().ok()?));
        let status = response.status();
        if status.is_success() {
            let longest = question.longest_answer_bytes;
            let body = read(response, longest).await.map_err(|error| self.broken(question, &error, &watch))?;
            let body = body.ok_or_else(|| {
                let reason = format!("{}: the answer is longer than {longest} bytes", question.name);
                Failure::lasting(self.permanent(PermanentKind::Garbage, reason))
            })?;
            return Ok(Answer { body, request_id });
        }
        let wishes = Wishes::read(response.headers());
        // A refusal without a readable body is judged by its status alone.
        let body = read(response, LONGEST_REFUSAL_BYTES).await.ok().flatten().unwrap_or_default();
        Err(self.refused(question, Refusal { status, body }, wishes, request_id.as_deref()))
    }

    fn refused(&self, question: &Question<'_>, refusal: Refusal, wishes: Wishes, request_id: Option<&str>) -> Failure {
        let Verdict { kind, reason } = (self.judge)(&refusal);
        let kind = match wishes.again {
            Some(true) => None,
            Some(false) => Some(kind.unwrap_or(PermanentKind::Refused)),
            None => kind,
        };
        let request = request_id.map(|id| format!(", request {id}")).unwrap_or_default();
        let reason = format!("{}: {reason} (status {}{request})", question.name, refusal.status.as_u16());
        match kind {
            Some(kind) => Failure::lasting(self.permanent(kind, reason)),
            None => Failure {
                error: self.temporary(reason, wishes.pause),
                quick: true,
                untaken: refusal.status == StatusCode::TOO_MANY_REQUESTS,
                asked_pause: wishes.pause,
            },
        }
    }

    /// A failure of the connection, or of the recording that was being sent. The text of the error is not repeated: it
    /// holds addresses.
    fn broken(&self, question: &Question<'_>, error: &reqwest::Error, watch: &Watch) -> Failure {
        let untaken = error.is_connect();
        let what = match (watch.broken.get(), io_kind(error)) {
            (Some(kind), _) => format!("the recording could not be read: {kind}"),
            (None, Some(kind)) if untaken => format!("no connection: {kind}"),
            (None, None) if untaken => "no connection".into(),
            (None, Some(kind)) => format!("the connection broke: {kind}"),
            (None, None) => "the connection broke".into(),
        };
        let quick = watch.broken.get().is_none();
        Failure { error: self.temporary(format!("{}: {what}", question.name), None), quick, untaken, asked_pause: None }
    }

    async fn request(&self, question: &Question<'_>, watch: &Watch) -> Result<RequestBuilder, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(question.path);
        }
        let request = self.http.request(question.method.clone(), url).headers(self.headers.clone());
        let open = async |audio| {
            watch.open(audio).await.map_err(|error: io::Error| {
                let reason = format!("{}: the recording could not be opened: {}", question.name, error.kind());
                Failure { quick: false, ..Failure::lasting(self.temporary(reason, None)) }
            })
        };
        Ok(match question.payload {
            Payload::Nothing => request,
            Payload::Json(ref body) => request.header(CONTENT_TYPE, "application/json").body(body.clone()),
            Payload::Audio(audio) => request
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, audio.length_bytes)
                .body(open(audio).await?),
            Payload::Form { fields, audio } => {
                let part = Part::stream_with_length(open(audio).await?, audio.length_bytes)
                    .file_name(audio.file_name.clone())
                    .mime_str(&audio.content_type)
                    .map_err(|_| {
                        let reason = format!("{}: the recording's media type is none", question.name);
                        Failure::lasting(self.permanent(PermanentKind::InvalidRequest, reason))
                    })?;
                let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, value.clone()));
                request.multipart(form.part("file", part))
            }
        })
    }

    /// A permanent error of this provider.
    pub(super) fn permanent(&self, kind: PermanentKind, reason: impl Into<String>) -> ProviderError {
        self.paid(kind, reason, Tokens::default())
    }

    /// A permanent error of this provider that was paid for.
    pub(super) fn paid(&self, kind: PermanentKind, reason: impl Into<String>, spent: Tokens) -> ProviderError {
        ProviderError::Permanent { provider: self.provider, reason: self.without_key(reason.into()), kind, spent }
    }

    fn temporary(&self, reason: String, retry_after: Option<Duration>) -> ProviderError {
        ProviderError::Temporary { provider: self.provider, reason: self.without_key(reason), retry_after }
    }

    /// A provider that repeats our key in a code or a request id must not bring it into the log.
    fn without_key(&self, text: String) -> String {
        match &self.key {
            Some(key) => text.replace(key.expose_secret(), "[key]"),
            None => text,
        }
    }

    /// A request id, if it looks like one.
    fn word(&self, id: &str) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let fits = !id.is_empty() && id.len() <= 128 && id.chars().all(plain);
        fits.then(|| self.without_key(id.into()))
    }
}

impl Failure {
    fn lasting(error: ProviderError) -> Self {
        Self { error, quick: false, untaken: false, asked_pause: None }
    }
}

impl Payload<'_> {
    fn audio(&self) -> Option<&AudioSource> {
        match self {
            Self::Nothing | Self::Json(_) => None,
            Self::Audio(audio) | Self::Form { audio, .. } => Some(audio),
        }
    }

    fn repeatable(&self) -> bool {
        self.audio().is_none_or(|audio| audio.content.reopens())
    }

    fn length_bytes(&self) -> u64 {
        self.audio().map_or(0, |audio| audio.length_bytes)
    }
}

/// Remembers whether it was the recording that broke a request, which the HTTP client's error does not tell.
#[derive(Default)]
struct Watch {
    broken: Arc<OnceLock<io::ErrorKind>>,
}

impl Watch {
    /// The recording as a body. Ends in an error when its length is not the announced one.
    async fn open(&self, audio: &AudioSource) -> io::Result<Body> {
        let stream = audio.content.open().await?;
        let (broken, mut left) = (self.broken.clone(), audio.length_bytes);
        let length = stream.map(Some).chain(futures_util::stream::iter([None])).filter_map(move |piece| {
            let checked = match piece {
                Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
                    Some(rest) => {
                        left = rest;
                        Some(Ok(piece))
                    }
                    None => Some(Err(io::Error::from(io::ErrorKind::InvalidData))),
                },
                Some(Err(error)) => Some(Err(error)),
                None => (left > 0).then(|| Err(io::Error::from(io::ErrorKind::UnexpectedEof))),
            };
            if let Some(Err(error)) = &checked {
                let _ = broken.set(error.kind());
            }
            async move { checked }
        });
        Ok(Body::wrap_stream(length))
    }
}

/// The body of an answer, or nothing when it is longer than `longest` bytes.
async fn read(mut response: Response, longest: usize) -> reqwest::Result<Option<Bytes>> {
    let announced = response.content_length().unwrap_or(0);
    if announced > longest as u64 {
        return Ok(None);
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > longest {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body.freeze()))
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
