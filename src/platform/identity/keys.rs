//! Issuers' keys, cached. Unknown key ids are asked for at a bounded rate, and an issuer that is down keeps its known keys for a while.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::Algorithm;
use moka::future::Cache;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};

use super::discovery::{Discovery, DiscoveryError, Published, SigningKey};

/// Between two reads of the same issuer, whatever key ids tokens name.
const BETWEEN_READS: Duration = Duration::from_secs(30);
/// The same while nothing is known of the issuer, so that its restart is noticed soon.
const BETWEEN_FIRST_READS: Duration = Duration::from_secs(5);
/// Keys older than this are read again, so that a withdrawn key ends.
const FRESH_FOR: Duration = Duration::from_secs(15 * 60);
/// Keys of an issuer that cannot be read serve no longer than this.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_ISSUERS: u64 = 10_000;

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Nothing is known of the issuer's keys, and it cannot be reached.
    #[error("the issuer's keys cannot be read")]
    Unavailable,
    /// The issuer has no signing key of that id and algorithm.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The issuer says of itself that it is for development, and the settings do not trust such.
    #[error("a development issuer is not trusted")]
    Development,
}

/// The signing keys of all issuers, by discovery.
pub struct IssuerKeys {
    discovery: Arc<Discovery>,
    issuers: Cache<String, Arc<Issuer>>,
    trust_development: bool,
}

#[derive(Default)]
struct Issuer {
    known: RwLock<Option<Arc<Known>>>,
    /// Held while the issuer is read, so that one read serves all who wait; says when the last one began.
    last_read: Arc<Mutex<Option<Instant>>>,
}

struct Known {
    published: Published,
    read_at: Instant,
}

impl IssuerKeys {
    /// With nothing cached.
    ///
    /// # Errors
    /// When the machine's certificates cannot be read.
    pub fn new(trust_development: bool) -> Result<Self, reqwest::Error> {
        Ok(Self {
            discovery: Arc::new(Discovery::new()?),
            issuers: Cache::builder().max_capacity(MOST_ISSUERS).time_to_idle(KEPT_FOR).build(),
            trust_development,
        })
    }

    /// The issuer's key of that id, if it may verify the algorithm. Only for issuers that are tenants': each costs memory and a request.
    ///
    /// # Errors
    /// [`KeysError`].
    pub(super) async fn find(
        &self,
        issuer: &str,
        kid: &str,
        algorithm: Algorithm,
    ) -> Result<Arc<SigningKey>, KeysError> {
        let state = self.issuers.get_with_by_ref(issuer, async { Arc::default() }).await;
        let mut known = state.known();
        if !known.as_ref().is_some_and(|known| known.is_fresh() && known.has(kid)) {
            known = self.read_again(issuer, &state, known.filter(|known| known.has(kid))).await;
        }
        let known = known.ok_or(KeysError::Unavailable)?;
        if known.published.development && !self.trust_development {
            return Err(KeysError::Development);
        }
        let key = known.key(kid).filter(|key| key.algorithms.contains(&algorithm)).ok_or(KeysError::UnknownKey)?;
        Ok(key.clone())
    }

    /// Reads the issuer if it is time, and returns what is known then. With a usable `old` nobody waits behind another's read.
    async fn read_again(&self, issuer: &str, state: &Arc<Issuer>, old: Option<Arc<Known>>) -> Option<Arc<Known>> {
        let last_read = match (state.last_read.clone().try_lock_owned(), old) {
            (Ok(free), _) => free,
            (Err(_), Some(old)) => return Some(old),
            (Err(_), None) => state.last_read.clone().lock_owned().await,
        };
        let pause = if state.known().is_some() { BETWEEN_READS } else { BETWEEN_FIRST_READS };
        if last_read.is_some_and(|at| at.elapsed() < pause) {
            return state.known();
        }
        // A task of its own: a caller who hangs up must not cost the others their read.
        let reading = tokio::spawn(read(self.discovery.clone(), issuer.to_owned(), state.clone(), last_read));
        if reading.await.is_err() {
            tracing::error!("reading an issuer's keys ended early");
        }
        state.known()
    }
}

async fn read(
    discovery: Arc<Discovery>,
    issuer: String,
    state: Arc<Issuer>,
    mut last_read: OwnedMutexGuard<Option<Instant>>,
) {
    *last_read = Some(Instant::now());
    match discovery.read(&issuer).await {
        Ok(published) => {
            tracing::debug!(issuer, keys = published.keys.len(), "read an issuer's keys");
            state.set(Known { published, read_at: Instant::now() });
        }
        Err(error) => {
            let source = match &error {
                DiscoveryError::Unreachable(source) => source.to_string(),
                _ => String::new(),
            };
            tracing::warn!(issuer, %error, source, "cannot read an issuer's keys");
        }
    }
}

impl Issuer {
    /// What is known, unless it is too old to serve.
    fn known(&self) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| known.read_at.elapsed() < KEPT_FOR)
    }

    fn set(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(known));
    }
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.read_at.elapsed() < FRESH_FOR
    }

    fn key(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.published.keys.iter().find(|key| key.kid == kid)
    }

    fn has(&self, kid: &str) -> bool {
        self.key(kid).is_some()
    }
}
