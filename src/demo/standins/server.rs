//! What both stand-ins share: a server on loopback, its stamp on every answer, keys, counters.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use poem::{
    Endpoint, EndpointExt, Response, Server,
    http::{HeaderValue, StatusCode, uri::Scheme},
    listener::{Acceptor, TcpAcceptor},
    web::{LocalAddr, RemoteAddr},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long open requests may go on after the stop.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Listens on 127.0.0.1 and serves until the token is cancelled.
///
/// # Errors
/// When no port can be had.
pub async fn serve<E>(
    build: impl FnOnce(SocketAddr) -> E,
    latency: Duration,
    stop: CancellationToken,
) -> io::Result<SocketAddr>
where
    E: Endpoint + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let stamped = build(address).around(move |endpoint, request| async move {
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let mut response = endpoint.get_response(request).await;
        response.headers_mut().insert("x-stand-in", HeaderValue::from_static("plumbline"));
        Ok::<_, poem::Error>(response)
    });
    let server = Server::new_with_acceptor(Prompt(TcpAcceptor::from_tokio(listener)?));
    tokio::spawn(server.run_with_graceful_shutdown(stamped, stop.cancelled_owned(), Some(LAST_WORDS)));
    Ok(address)
}

/// Accepts without Nagle's delay, which would add 40 ms to small answers.
struct Prompt(TcpAcceptor);

impl Acceptor for Prompt {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, LocalAddr, RemoteAddr, Scheme)> {
        let accepted = self.0.accept().await?;
        accepted.0.set_nodelay(true)?;
        Ok(accepted)
    }
}

/// A JSON answer.
pub fn json(status: StatusCode, body: &Value) -> Response {
    Response::builder().status(status).content_type("application/json").body(body.to_string())
}

/// An id in the providers' manner: random, and no row of ours.
#[allow(
    clippy::disallowed_methods,
    reason = "names what the stand-ins made up; `foundation::ids` names what the product keeps"
)]
pub fn fresh_id() -> Uuid {
    Uuid::new_v4()
}

/// The one key that a stand-in accepts, also with a suffix that names a fault.
#[derive(Debug)]
pub struct Key(SecretString);

impl Key {
    /// A fresh key with the provider's look.
    pub fn fresh(prefix: &str) -> Self {
        Self(format!("{prefix}{}", fresh_id().simple()).into())
    }

    /// The key without a suffix.
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// The suffix of an accepted key (empty without one); `None` for a key that is not ours.
    pub fn suffix<'a>(&self, given: &'a str) -> Option<&'a str> {
        match given.strip_prefix(self.0.expose_secret())? {
            "" => Some(""),
            suffix => suffix.strip_prefix('.'),
        }
    }
}

/// How often each endpoint was called, faults and refusals included.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) chat_completions: AtomicU64,
    pub(super) models: AtomicU64,
    pub(super) uploads: AtomicU64,
    pub(super) transcripts_created: AtomicU64,
    pub(super) transcripts_read: AtomicU64,
    pub(super) transcripts_deleted: AtomicU64,
    pub(super) audio_fetches: AtomicU64,
    pub(super) webhooks: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// `POST /v1/chat/completions`.
    pub chat_completions: u64,
    /// `GET /v1/models/{id}`.
    pub models: u64,
    /// `POST /v2/upload`.
    pub uploads: u64,
    /// `POST /v2/transcript`.
    pub transcripts_created: u64,
    /// `GET /v2/transcript/{id}`.
    pub transcripts_read: u64,
    /// `DELETE /v2/transcript/{id}`.
    pub transcripts_deleted: u64,
    /// Downloads of an `audio_url` that is not the stand-in's own upload.
    pub audio_fetches: u64,
    /// Webhook deliveries, retries included.
    pub webhooks: u64,
}

impl Counters {
    /// The counters now.
    pub fn now(&self) -> Requests {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            chat_completions: read(&self.chat_completions),
            models: read(&self.models),
            uploads: read(&self.uploads),
            transcripts_created: read(&self.transcripts_created),
            transcripts_read: read(&self.transcripts_read),
            transcripts_deleted: read(&self.transcripts_deleted),
            audio_fetches: read(&self.audio_fetches),
            webhooks: read(&self.webhooks),
        }
    }
}

/// One more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
