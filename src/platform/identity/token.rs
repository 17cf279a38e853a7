//! One bearer token: what it says before it is believed, and whether it may be. No I/O: keys and the time are passed in.

use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous};
use serde::Deserialize;

use super::claims::Claims;

/// A longer token is none.
const MOST_BYTES: usize = 8 * 1024;
/// No tenant's issuer is longer; what cannot be one is not looked up.
const MOST_ISSUER_CHARS: usize = 500;
const MOST_LEEWAY_S: u8 = 30;
/// As `users.subject` bounds it.
const MOST_SUBJECT_CHARS: usize = 255;

/// What a token must fulfil beside a signature of its tenant's issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    audience: String,
    leeway_s: u8,
}

impl TokenRules {
    /// Tokens must name `audience`. Clocks may differ by `leeway_s` seconds, of which no more than 30 count.
    pub fn new(audience: impl Into<String>, leeway_s: u8) -> Self {
        Self { audience: audience.into(), leeway_s: leeway_s.min(MOST_LEEWAY_S) }
    }

    /// Whether the claims hold at this time.
    pub(super) fn check_times(&self, claims: &Claims, now: DateTime<Utc>) -> Result<(), Refused> {
        let leeway_s = f64::from(self.leeway_s);
        #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits")]
        let now = now.timestamp_millis() as f64 / 1_000.0;
        if now >= claims.exp + leeway_s {
            return Err(Refused::Expired);
        }
        let not_before = [claims.nbf, claims.iat].into_iter().flatten();
        if not_before.into_iter().any(|from| now + leeway_s < from) {
            return Err(Refused::NotYetValid);
        }
        Ok(())
    }
}

impl Default for TokenRules {
    /// The audience `plumbline` and 10 seconds.
    fn default() -> Self {
        Self::new("plumbline", 10)
    }
}

/// Trust in development issuers was asked for by a server that others can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("development issuers are trusted only by a server that listens on loopback; it listens on {0}")]
pub struct DevelopmentTrustRefused(pub SocketAddr);

/// Whether tokens of development issuers count: when the settings ask for it, and only on a server that nobody else can reach.
///
/// # Errors
/// [`DevelopmentTrustRefused`] when it was asked for on another address.
pub fn trust_development_issuer(asked: bool, listens_on: SocketAddr) -> Result<bool, DevelopmentTrustRefused> {
    if asked && !listens_on.ip().is_loopback() {
        return Err(DevelopmentTrustRefused(listens_on));
    }
    Ok(asked)
}

/// Why a token is refused: for logs. The caller learns only that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("too long")]
    TooLong,
    #[error("malformed")]
    Malformed,
    #[error("signed with an algorithm that is not allowed")]
    Algorithm,
    #[error("not an access token")]
    NotAnAccessToken,
    #[error("the signature, the issuer or the audience is wrong, or a required claim is missing")]
    Unproved,
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    NotYetValid,
    #[error("no usable subject")]
    Subject,
}

/// What a token says of itself before its signature is checked: enough to find the key, and nothing to be believed.
#[derive(Debug)]
pub(super) struct Stated {
    pub(super) issuer: String,
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
}

impl Stated {
    /// By a bounded, well-formed token with an allowed algorithm and type.
    pub(super) fn read(token: &str) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Malformed)?;
        if !is_allowed(header.alg) {
            return Err(Refused::Algorithm);
        }
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        if !matches!(typ.trim_start_matches("application/"), "jwt" | "at+jwt") {
            return Err(Refused::NotAnAccessToken);
        }
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(Refused::Malformed);
        }
        let kid = header.kid.ok_or(Refused::Malformed)?;
        let Issuer { iss } = dangerous::insecure_decode_claims(token).map_err(|_| Refused::Malformed)?;
        if iss.chars().count() > MOST_ISSUER_CHARS || iss.chars().any(char::is_control) {
            return Err(Refused::Malformed);
        }
        Ok(Self { issuer: iss, kid, algorithm: header.alg })
    }

    /// Checks signature, issuer, audience, times and kind of the token that stated this. `key` must be one that may verify its algorithm.
    pub(super) fn verify(
        &self,
        token: &str,
        key: &DecodingKey,
        rules: &TokenRules,
        now: DateTime<Utc>,
    ) -> Result<Claims, Refused> {
        let mut validation = Validation::new(self.algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&rules.audience]);
        validation.validate_aud = true;
        // Times are compared below, with the time that was passed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|_| Refused::Unproved)?.claims;
        if claims.iss != self.issuer {
            return Err(Refused::Unproved);
        }
        rules.check_times(&claims, now)?;
        if !claims.is_access_token() {
            return Err(Refused::NotAnAccessToken);
        }
        let length = claims.sub.chars().count();
        if length == 0 || length > MOST_SUBJECT_CHARS || claims.sub.chars().any(char::is_control) {
            return Err(Refused::Subject);
        }
        Ok(claims)
    }
}

/// Whether the token is short enough to be looked at.
pub(super) fn is_bounded(token: &str) -> Result<(), Refused> {
    if token.len() > MOST_BYTES { Err(Refused::TooLong) } else { Ok(()) }
}

/// Public-key signatures alone: with a shared secret, whoever can check a token can make one.
fn is_allowed(algorithm: Algorithm) -> bool {
    use Algorithm::*;
    matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512 | ES256 | ES384 | EdDSA)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    fn unsigned(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    fn refused(header: Value) -> Option<Refused> {
        Stated::read(&unsigned(&header, &json!({"iss": "i"}))).err()
    }

    #[test]
    fn headers_are_checked_before_anything_is_looked_up() {
        assert_eq!(refused(json!({"alg": "RS256", "typ": "JWT", "kid": "k"})), None);
        assert_eq!(refused(json!({"alg": "ES256", "typ": "at+jwt", "kid": "k"})), None);
        assert_eq!(refused(json!({"alg": "EdDSA", "typ": "application/AT+JWT", "kid": "k"})), None);
        assert_eq!(refused(json!({"alg": "none", "typ": "JWT", "kid": "k"})), Some(Refused::Malformed));
        assert_eq!(refused(json!({"alg": "HS256", "typ": "JWT", "kid": "k"})), Some(Refused::Algorithm));
        assert_eq!(refused(json!({"alg": "RS256", "typ": "JWT"})), Some(Refused::Malformed));
        assert_eq!(refused(json!({"alg": "RS256", "kid": "k"})), Some(Refused::NotAnAccessToken));
        assert_eq!(refused(json!({"alg": "RS256", "typ": "logout+jwt", "kid": "k"})), Some(Refused::NotAnAccessToken));
        assert_eq!(
            refused(json!({"alg": "RS256", "typ": "JWT", "kid": "k", "crit": ["b64"]})),
            Some(Refused::Malformed)
        );
    }

    #[test]
    fn garbage_is_refused() {
        for garbage in ["", ".", "..", "a.b.c", "ey.ey.ey", "\u{0}", "eyJhbGciOiJSUzI1NiJ9"] {
            assert!(Stated::read(garbage).is_err(), "{garbage:?}");
        }
        let long = unsigned(&json!({"alg": "RS256", "typ": "JWT", "kid": "k"}), &json!({"iss": "i".repeat(9_000)}));
        assert_eq!(is_bounded(&long), Err(Refused::TooLong));
    }

    #[test]
    fn an_issuer_that_can_be_no_tenants_is_not_looked_up() {
        let read = |iss: &str| {
            let token = unsigned(&json!({"alg": "RS256", "typ": "JWT", "kid": "k"}), &json!({ "iss": iss }));
            Stated::read(&token).err()
        };
        assert_eq!(read(&"i".repeat(500)), None);
        for bad in ["a\u{0}b", "a\nb", "\u{7f}", &"i".repeat(501)] {
            assert_eq!(read(bad), Some(Refused::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn times_have_a_small_leeway() {
        let at = |s: i64| DateTime::from_timestamp(s, 0).expect("a time");
        let claims = |more: Value| {
            let mut all = json!({"iss": "i", "sub": "s", "exp": 1_000});
            all.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            serde_json::from_value::<Claims>(all).expect("claims")
        };
        let rules = TokenRules::default();
        let issued_later = claims(json!({"iat": 700}));
        let claims = claims(json!({"nbf": 500, "iat": 500.0}));
        assert_eq!(rules.check_times(&claims, at(1_009)), Ok(()));
        assert_eq!(rules.check_times(&claims, at(1_010)), Err(Refused::Expired));
        assert_eq!(rules.check_times(&claims, at(490)), Ok(()));
        assert_eq!(rules.check_times(&claims, at(489)), Err(Refused::NotYetValid));
        assert_eq!(rules.check_times(&issued_later, at(600)), Err(Refused::NotYetValid));
        assert_eq!(TokenRules::new("a", 200), TokenRules::new("a", 30));
    }

    #[test]
    fn development_issuers_are_for_loopback() {
        let loopback = "127.0.0.1:8080".parse().expect("an address");
        let everywhere = "0.0.0.0:8080".parse().expect("an address");
        assert_eq!(trust_development_issuer(true, loopback), Ok(true));
        assert_eq!(trust_development_issuer(false, everywhere), Ok(false));
        assert_eq!(trust_development_issuer(true, everywhere), Err(DevelopmentTrustRefused(everywhere)));
    }
}
