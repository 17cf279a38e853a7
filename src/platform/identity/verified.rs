//! Tokens whose signature has been checked, so that a holder's next request need not pay for that again.
//!
//! An entry says only what the token itself says, and that one key of its issuer signed it. Whether the issuer is a tenant's, whether it still
//! publishes that key, what time it is, and who the holder is in the tenant is asked for every request, as if nothing were kept.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use moka::future::Cache;
use sha2::{Digest, Sha256};

use super::{
    claims::Claims,
    discovery::SigningKey,
    token::{Refused, Stated, TokenRules},
};

/// What all kept tokens may weigh: their own bytes and their claims', about twice as many.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// An entry that outlives its token is refused by its times; this is when it goes.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// Checked tokens by their SHA-256: of all their bytes, the signature's too, so that no other token finds the entry.
pub(super) struct VerifiedTokens {
    by_digest: Cache<[u8; 32], Arc<Verified>>,
}

/// A token that was found good.
pub(super) struct Verified {
    pub(super) stated: Arc<Stated>,
    pub(super) claims: Claims,
    /// The key that proved it. Keys that are read anew are other keys, and so the token is checked again.
    key: Arc<SigningKey>,
    bytes: u32,
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        let weight = |_: &[u8; 32], token: &Arc<Verified>| token.bytes.saturating_mul(3);
        Self { by_digest: Cache::builder().max_capacity(MOST_BYTES).weigher(weight).time_to_live(KEPT_FOR).build() }
    }

    /// The token's name in here.
    pub(super) fn digest(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }

    /// What was found out about the token before.
    pub(super) async fn find(&self, digest: &[u8; 32]) -> Option<Arc<Verified>> {
        self.by_digest.get(digest).await
    }

    /// Remembers that `key` proves the token of that digest and length.
    pub(super) async fn keep(
        &self,
        digest: [u8; 32],
        bytes: usize,
        stated: Arc<Stated>,
        claims: Claims,
        key: Arc<SigningKey>,
    ) -> Arc<Verified> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let verified = Arc::new(Verified { stated, claims, key, bytes });
        self.by_digest.insert(digest, verified.clone()).await;
        verified
    }
}

impl Verified {
    /// Whether this very key proved it.
    pub(super) fn is_by(&self, key: &Arc<SigningKey>) -> bool {
        Arc::ptr_eq(&self.key, key)
    }

    /// Whether the token may be used at this time.
    pub(super) fn check_times(&self, rules: &TokenRules, now: DateTime<Utc>) -> Result<(), Refused> {
        rules.check_times(&self.claims, now)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use jsonwebtoken::{Algorithm, DecodingKey};
    use serde_json::json;

    use super::*;
    use crate::foundation::clock::Clock;

    fn key() -> Arc<SigningKey> {
        let key = DecodingKey::from_rsa_raw_components(&[1], &[3]);
        Arc::new(SigningKey { kid: "k".to_owned(), algorithms: vec![Algorithm::RS256], key })
    }

    async fn keep(tokens: &VerifiedTokens, token: &str, key: &Arc<SigningKey>, exp: i64) -> Arc<Verified> {
        let stated = Stated { issuer: "i".to_owned(), kid: "k".to_owned(), algorithm: Algorithm::RS256 };
        let claims = serde_json::from_value(json!({"iss": "i", "sub": "s", "exp": exp})).expect("claims");
        tokens.keep(VerifiedTokens::digest(token), token.len(), Arc::new(stated), claims, key.clone()).await
    }

    #[tokio::test]
    async fn no_other_token_and_no_other_key_finds_an_entry_of_use() {
        let (tokens, signed_by) = (VerifiedTokens::new(), key());
        keep(&tokens, "a.b.c", &signed_by, 1_000).await;
        for other in ["a.b.d", "a.b.", "a.b.c ", ""] {
            assert!(tokens.find(&VerifiedTokens::digest(other)).await.is_none(), "{other:?}");
        }
        let found = tokens.find(&VerifiedTokens::digest("a.b.c")).await.expect("it was kept");
        assert!(found.is_by(&signed_by));
        assert!(
            !found.is_by(&key()),
            "the same key read anew is another one: a withdrawn or changed key ends the entry"
        );
    }

    #[tokio::test]
    async fn an_entry_is_of_no_use_once_its_token_has_expired() {
        let (tokens, clock) = (VerifiedTokens::new(), Clock::fixed("2026-11-23T09:00:00Z".parse().expect("a time")));
        let verified = keep(&tokens, "a.b.c", &key(), clock.now().timestamp() + 60).await;
        let rules = TokenRules::new("plumbline", 10);
        assert_eq!(verified.check_times(&rules, clock.now()), Ok(()));
        clock.advance(TimeDelta::seconds(70));
        assert_eq!(verified.check_times(&rules, clock.now()), Err(Refused::Expired));
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_by_its_weight() {
        let (tokens, signed_by) = (VerifiedTokens::new(), key());
        let padding = "x".repeat(8_000);
        for n in 0..4_000 {
            keep(&tokens, &format!("{n}{padding}"), &signed_by, 1_000).await;
        }
        tokens.by_digest.run_pending_tasks().await;
        assert!(tokens.by_digest.weighted_size() <= MOST_BYTES);
        assert!(tokens.by_digest.entry_count() > 1_000);
    }
}
