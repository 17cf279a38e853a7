//! A loopback server for tests that answers by a script, faults included, and remembers what it was asked.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use poem::{
    Body, EndpointExt, Request, Response, Server,
    endpoint::make,
    http::{HeaderMap, Method, StatusCode},
    listener::{Acceptor, Listener, TcpListener},
};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use url::Url;

use super::{ProviderError, QuickRetries};

/// The key in every test. No error may show it.
pub(super) const KEY: &str = "sk-verysecret0123456789";
/// Words that stand for what a caller said. No error may show them.
pub(super) const SAID: &str = "my card number is 4111";

/// One scripted answer.
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<io::Result<Bytes>>,
    /// Waits for ever after the pieces.
    hangs: bool,
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply { status, headers: Vec::new(), pieces: vec![Ok(body.into())], hangs: false }
}

pub(super) fn json(status: u16, body: serde_json::Value) -> Reply {
    reply(status, body.to_string()).with("content-type", "application/json")
}

impl Reply {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The connection breaks after the body so far. A length is announced, because a chunked body that fails is
    /// ended by hyper as if it were whole.
    pub(super) fn broken(mut self) -> Self {
        self.pieces.push(Err(io::ErrorKind::ConnectionReset.into()));
        self.with("content-length", "900")
    }

    /// The body so far comes, and then nothing, not even its end.
    pub(super) fn hanging(mut self) -> Self {
        self.hangs = true;
        self
    }

    fn response(self) -> Response {
        let mut response = Response::builder().status(StatusCode::from_u16(self.status).unwrap());
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        // A pause before each further piece lets the headers reach the client first.
        let pieces = stream::iter(self.pieces.into_iter().enumerate()).then(|(n, piece)| async move {
            if n > 0 {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            piece
        });
        if self.hangs {
            return response.body(Body::from_bytes_stream(pieces.chain(stream::pending())));
        }
        response.body(Body::from_bytes_stream(pieces))
    }
}

/// The server; it ends when it is dropped.
pub(super) struct Faults {
    pub url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
    left: Arc<Mutex<VecDeque<Reply>>>,
    server: JoinHandle<()>,
}

impl Faults {
    /// Answers by the script, one reply per request. A request too many gets status 418, which no client repeats.
    pub(super) async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let left = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let (script, seen) = (left.clone(), asked.clone());
        let endpoint = make(move |mut request: Request| {
            let (script, seen) = (script.clone(), seen.clone());
            async move {
                let body = request.take_body().into_bytes().await?;
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                seen.lock().unwrap().push(Asked { method, path, headers: request.headers().clone(), body });
                let next = script.lock().unwrap().pop_front();
                poem::Result::<Response>::Ok(next.unwrap_or_else(|| reply(418, "")).response())
            }
        });
        let server =
            tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(endpoint.boxed()).await.unwrap() });
        Self { url: Url::parse(&format!("http://{address}/")).unwrap(), asked, left, server }
    }

    /// What was asked so far, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often it was asked so far, with nothing of the script left over.
    pub(super) fn count(&self) -> usize {
        assert!(self.left.lock().unwrap().is_empty(), "the script was not played to its end");
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(super) fn key() -> SecretString {
    SecretString::from(KEY)
}

/// The product's retries with pauses that a test can wait for.
pub(super) fn short_pauses() -> QuickRetries {
    QuickRetries { first_pause: Duration::from_millis(2), ..QuickRetries::default() }
}

/// The code of an error that shows neither key nor words of a caller, in any of its forms.
pub(super) fn code<T>(result: Result<T, ProviderError>) -> &'static str {
    let error = result.err().expect("an error");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(KEY) && !text.contains(SAID) && !text.contains("4111"), "{text}");
    }
    error.code()
}
