//! What an issuer publishes about itself: its discovery document, and the keys that it signs with.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use reqwest::{Client, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use url::{Host, Url};

/// An issuer that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(5);
/// A discovery document or key set that is longer is not one.
const MOST_BYTES: usize = 256 * 1024;
/// Keys beyond these are ignored.
const MOST_KEYS: usize = 64;

/// One key that an issuer signs access tokens with.
pub(super) struct SigningKey {
    pub(super) kid: String,
    /// The algorithms that this key may verify: those of its own family, and of its own `alg` when it names one.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

/// What an issuer publishes.
pub(super) struct Published {
    pub(super) keys: Vec<Arc<SigningKey>>,
    /// Whether it says of itself that it is a development issuer, whose tokens prove nothing.
    pub(super) development: bool,
}

/// Why an issuer's keys could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    #[error("the address is neither https nor http on loopback")]
    Address,
    #[error("the discovery document is of another issuer")]
    OtherIssuer,
    #[error("the answer is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("the answer is not the document that was expected")]
    Malformed(#[from] serde_json::Error),
    #[error("answered {0}")]
    Status(u16),
    #[error("not reached")]
    Unreachable(#[source] reqwest::Error),
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    plumbline_development: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// Reads what issuers publish. Redirects are not followed: an issuer's own address is all that was agreed on.
pub(super) struct Discovery {
    outside: Client,
    /// No proxy stands between this machine and itself.
    loopback: Client,
}

impl Discovery {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = || Client::builder().redirect(Policy::none()).timeout(PATIENCE).connect_timeout(PATIENCE);
        Ok(Self { outside: client().build()?, loopback: client().no_proxy().build()? })
    }

    /// The issuer's keys, by its discovery document.
    pub(super) async fn read(&self, issuer: &str) -> Result<Published, DiscoveryError> {
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let near = Url::parse(issuer).is_ok_and(|url| is_loopback(&url));
        let document: Document = self.get(&address, near).await?;
        if document.issuer != issuer {
            return Err(DiscoveryError::OtherIssuer);
        }
        let set: KeySet = self.get(&document.jwks_uri, near).await?;
        let keys = set.keys.into_iter().take(MOST_KEYS).filter_map(signing_key).map(Arc::new).collect();
        Ok(Published { keys, development: document.plumbline_development })
    }

    /// `near` is whether the issuer is on this machine: nobody else's documents lead there.
    async fn get<T: DeserializeOwned>(&self, address: &str, near: bool) -> Result<T, DiscoveryError> {
        let url = Url::parse(address).map_err(|_| DiscoveryError::Address)?;
        let client = match (url.scheme(), is_loopback(&url)) {
            (_, true) if near => &self.loopback,
            ("https", false) => &self.outside,
            _ => return Err(DiscoveryError::Address),
        };
        let answer = client.get(url).send().await.map_err(DiscoveryError::Unreachable)?;
        if !answer.status().is_success() {
            return Err(DiscoveryError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        let mut stream = answer.bytes_stream();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(DiscoveryError::Unreachable)?);
            if body.len() > MOST_BYTES {
                return Err(DiscoveryError::TooLong);
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Whether the address is http or https on this machine itself.
fn is_loopback(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

/// `None` for keys that are not for signing access tokens: encryption keys (Keycloak publishes one), shared secrets, unknown families.
fn signing_key(key: serde_json::Value) -> Option<SigningKey> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let for_signing = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && jwk.common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !for_signing {
        return None;
    }
    let mut algorithms = of_family(&jwk.algorithm);
    if let Some(only) = jwk.common.key_algorithm {
        algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == only);
    }
    if algorithms.is_empty() {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(SigningKey { kid: jwk.common.key_id?, algorithms, key })
}

fn of_family(key: &AlgorithmParameters) -> Vec<Algorithm> {
    use Algorithm::*;
    match key {
        AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => vec![ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![EdDSA],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn only_signing_keys_of_known_families_are_kept() {
        let rsa = |more: serde_json::Value| {
            let mut key = json!({"kty": "RSA", "kid": "k", "n": MODULUS, "e": "AQAB"});
            key.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            signing_key(key)
        };
        assert_eq!(rsa(json!({"use": "sig", "alg": "RS256"})).expect("kept").algorithms, [Algorithm::RS256]);
        assert_eq!(rsa(json!({})).expect("kept").algorithms.len(), 6);
        assert!(rsa(json!({"use": "enc", "alg": "RSA-OAEP"})).is_none());
        assert!(rsa(json!({"alg": "RSA-OAEP"})).is_none());
        assert!(rsa(json!({"alg": "HS256"})).is_none());
        assert!(rsa(json!({"key_ops": ["encrypt"]})).is_none());
        assert!(rsa(json!({"kid": null})).is_none());
        assert!(signing_key(json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": "c2VjcmV0"})).is_none());
        assert!(signing_key(json!("not a key")).is_none());
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let loopback = |text: &str| is_loopback(&Url::parse(text).expect("an address"));
        assert!(loopback("http://127.0.0.1:8080/realms/a"));
        assert!(loopback("http://[::1]:8080/"));
        assert!(loopback("http://localhost/"));
        assert!(!loopback("http://127.0.0.1.example/"));
        assert!(!loopback("http://localhost.example/"));
        assert!(!loopback("ftp://127.0.0.1/"));
        assert!(!loopback("http://10.0.0.1/"));
    }

    #[tokio::test]
    async fn an_issuer_elsewhere_needs_https() {
        let discovery = Discovery::new().expect("clients");
        assert!(matches!(discovery.read("http://id.example/realms/a").await, Err(DiscoveryError::Address)));
        assert!(matches!(discovery.read("not an address").await, Err(DiscoveryError::Address)));
    }
}
