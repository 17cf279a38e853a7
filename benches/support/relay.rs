//! Between client and server: passes bytes on, holds answers back as a network would, and counts round trips.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::Instant,
};

/// PostgreSQL names its sockets so.
const SOCKET: &str = ".s.PGSQL.5432";

/// A round trip is counted when the client sends after an answer has reached it: what it sends without waiting goes in one. Answers are
/// held back, so that a server that answers at once does not make two of what travelled together.
#[derive(Clone, Default)]
pub struct Relay {
    round_trips: Arc<AtomicU64>,
}

impl Relay {
    /// Listens on a socket of PostgreSQL's name in `directory` for as long as the runtime lives.
    pub fn listen(directory: &Path, server: &Path, delay: Duration) -> std::io::Result<Self> {
        let relay = Self::default();
        let listener = UnixListener::bind(directory.join(SOCKET))?;
        let (counting, server) = (relay.clone(), server.join(SOCKET));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&server).await else { return };
                counting.clone().pass(client, server, delay);
            }
        });
        Ok(relay)
    }

    /// Round trips since the last time this was asked.
    pub fn take(&self) -> u64 {
        self.round_trips.swap(0, Ordering::Relaxed)
    }

    fn pass(self, client: UnixStream, server: UnixStream, delay: Duration) {
        let answered = Arc::new(AtomicBool::new(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (held, release) = mpsc::unbounded_channel();
        tokio::spawn(self.questions(from_client, to_server, answered.clone()));
        tokio::spawn(hold(from_server, held, delay));
        tokio::spawn(answers(release, to_client, answered));
    }

    async fn questions(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answered: Arc<AtomicBool>) {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        while from.read_buf(&mut buffer).await.is_ok_and(|length| length > 0) {
            if answered.swap(false, Ordering::AcqRel) {
                self.round_trips.fetch_add(1, Ordering::Relaxed);
            }
            if to.write_all(&buffer.split()).await.is_err() {
                return;
            }
        }
    }
}

async fn hold(mut from: OwnedReadHalf, held: mpsc::UnboundedSender<(Instant, Bytes)>, delay: Duration) {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    while from.read_buf(&mut buffer).await.is_ok_and(|length| length > 0) {
        if held.send((Instant::now() + delay, buffer.split().freeze())).is_err() {
            return;
        }
    }
}

async fn answers(
    mut release: mpsc::UnboundedReceiver<(Instant, Bytes)>,
    mut to: OwnedWriteHalf,
    answered: Arc<AtomicBool>,
) {
    while let Some((at, bytes)) = release.recv().await {
        tokio::time::sleep_until(at).await;
        answered.store(true, Ordering::Release);
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
