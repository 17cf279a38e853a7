//! Stand-ins for AssemblyAI and OpenAI: loopback servers that speak the providers' wire formats and really judge.
//!
//! They are not the providers, and say so: every answer carries `x-stand-in: plumbline`, the language model calls itself
//! `stand-in-phrase-rules-1`, and speech is recognised by a real recogniser or not at all. docs/STAND_INS.md has the
//! guidance grammar, the differences from the providers, and the faults on demand.

mod assemblyai;
pub mod faults;
pub mod judge;
mod openai;
mod server;

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

pub use self::server::Requests;
use self::{
    faults::Faults,
    server::{Counters, Key},
};

/// The model that the language-model stand-in says it is.
pub const MODEL: &str = "stand-in-phrase-rules-1";

/// How the stand-ins behave.
#[derive(Debug, Clone)]
pub struct StandInOptions {
    /// What recognises speech behind the AssemblyAI stand-in; without it every transcription job fails and says why.
    pub recogniser: Option<Recogniser>,
    /// From a transcription job's creation to its result, at least.
    pub processing_delay: Duration,
    /// Added to every answer.
    pub latency: Duration,
}

impl Default for StandInOptions {
    fn default() -> Self {
        Self { recogniser: None, processing_delay: Duration::from_millis(200), latency: Duration::ZERO }
    }
}

/// A server of OpenAI's `/v1/audio/transcriptions` form.
#[derive(Debug, Clone)]
pub struct Recogniser {
    /// With or without `/v1`.
    pub base_url: Url,
    /// The bearer key that it wants.
    pub api_key: SecretString,
}

/// Both servers, each on its own port of 127.0.0.1; they stop when this is dropped.
#[derive(Debug)]
pub struct StandIns {
    assemblyai: Url,
    openai: Url,
    house: Arc<House>,
    // In this order: first the servers stop, then their files go.
    _stop: DropGuard,
    _shelf: Shelf,
}

/// A directory of its own for uploads, removed when dropped.
#[derive(Debug)]
struct Shelf(PathBuf);

impl Shelf {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("plumbline-stand-ins-{}", server::fresh_id().simple()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the stand-ins' files could not be removed");
        }
    }
}

/// What the two servers share.
#[derive(Debug)]
struct House {
    assemblyai_key: Key,
    openai_key: Key,
    faults: Faults,
    counters: Counters,
}

impl StandIns {
    /// Starts both servers.
    ///
    /// # Errors
    /// When no port or no temporary directory can be had.
    pub async fn start(options: StandInOptions) -> io::Result<Self> {
        let house = Arc::new(House {
            assemblyai_key: Key::fresh("standin"),
            openai_key: Key::fresh("sk-stand-in-"),
            faults: Faults::default(),
            counters: Counters::default(),
        });
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let chat = house.clone();
        let openai = server::serve(|_| openai::routes(chat), options.latency, stop.clone()).await?;
        let shelf = Shelf::new()?;
        let studio = assemblyai::Studio::open(house.clone(), &options, shelf.0.clone(), stop.clone())?;
        let speech = server::serve(|address| assemblyai::routes(studio, address), options.latency, stop).await?;
        let url = |text: String| Url::parse(&text).map_err(io::Error::other);
        Ok(Self {
            assemblyai: url(format!("http://{speech}"))?,
            openai: url(format!("http://{openai}/v1"))?,
            house,
            _stop: guard,
            _shelf: shelf,
        })
    }

    /// Where the AssemblyAI stand-in listens: `http://127.0.0.1:port/`, without `/v2`.
    pub fn assemblyai_url(&self) -> Url {
        self.assemblyai.clone()
    }

    /// Where the OpenAI stand-in listens, in the form of `OPENAI_BASE_URL`: `http://127.0.0.1:port/v1`.
    pub fn openai_url(&self) -> Url {
        self.openai.clone()
    }

    /// The key that the AssemblyAI stand-in accepts.
    pub fn assemblyai_key(&self) -> SecretString {
        self.house.assemblyai_key.secret()
    }

    /// The key that the OpenAI stand-in accepts.
    pub fn openai_key(&self) -> SecretString {
        self.house.openai_key.secret()
    }

    /// The control handle for faults.
    pub fn faults(&self) -> &Faults {
        &self.house.faults
    }

    /// How often each endpoint was called so far.
    pub fn requests(&self) -> Requests {
        self.house.counters.now()
    }
}
