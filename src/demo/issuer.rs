//! A development issuer: OIDC discovery, key sets and RS256 tokens for any holder one likes, on loopback. It proves nothing and says so.

use std::{
    collections::HashMap,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use poem::{
    EndpointExt, IntoResponse, Response, Route, Server, get, handler,
    http::StatusCode,
    listener::TcpAcceptor,
    web::{Data, Json, Path as PathParam},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::foundation::clock::Clock;

/// What can go wrong in the development issuer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The port is taken, or a key's file cannot be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A key cannot be made, or a key's file holds none.
    #[error("no usable RSA key")]
    Key,
    /// No realm of that name was opened.
    #[error("no realm {0:?}")]
    NoRealm(String),
    /// A realm's name is not made of lower-case letters, digits and hyphens.
    #[error("a realm cannot be called {0:?}")]
    RealmName(String),
}

/// Whom a token is for.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The holder: `sub`.
    pub subject: String,
    /// Role names, as `realm_access.roles`.
    pub roles: Vec<String>,
    /// Slugs, as groups `/organizations/<slug>`.
    pub organizations: Vec<String>,
    /// `aud`.
    pub audience: String,
    /// From now.
    pub lifetime: Duration,
}

/// A running issuer with its realms; it stops when dropped.
pub struct DevIssuer {
    address: SocketAddr,
    realms: Realms,
    keys_in: Option<PathBuf>,
    clock: Clock,
    server: JoinHandle<()>,
}

type Realms = Arc<RwLock<HashMap<String, Realm>>>;

#[derive(Clone)]
struct Realm {
    issuer: String,
    /// The newest signs; all are published, so that tokens of before a rotation stay good.
    keys: Vec<RealmKey>,
}

#[derive(Clone)]
struct RealmKey {
    kid: String,
    private: EncodingKey,
    public: Jwk,
}

impl DevIssuer {
    /// Listens on loopback, on any free port if `port` is 0. With `keys_in`, each realm's key is kept in a file there, for the owner's
    /// eyes only, and tokens survive a restart on the same port.
    ///
    /// # Errors
    /// [`IssuerError::Io`] when the port is taken.
    pub async fn start(port: u16, keys_in: Option<PathBuf>, clock: Clock) -> Result<Self, IssuerError> {
        let io = |source| IssuerError::Io { what: "listening on loopback", source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let acceptor = TcpAcceptor::from_tokio(listener).map_err(io)?;
        let realms = Realms::default();
        let routes = Route::new()
            .at("/realms/:realm/.well-known/openid-configuration", get(discovery))
            .at("/realms/:realm/protocol/openid-connect/certs", get(certs))
            .data(realms.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = Server::new_with_acceptor(acceptor).run(routes).await {
                tracing::error!(%error, "the development issuer ended");
            }
        });
        Ok(Self { address, realms, keys_in, clock, server })
    }

    /// Opens a realm and returns its issuer, as tokens and the tenants table name it. Opening it again changes nothing.
    ///
    /// # Errors
    /// [`IssuerError::RealmName`], or [`IssuerError::Key`] and [`IssuerError::Io`] when there is no key for it.
    pub fn open_realm(&self, realm: &str) -> Result<String, IssuerError> {
        if realm.is_empty() || !realm.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err(IssuerError::RealmName(realm.to_owned()));
        }
        let issuer = format!("http://{}/realms/{realm}", self.address);
        let mut realms = self.realms.write().unwrap_or_else(PoisonError::into_inner);
        if !realms.contains_key(realm) {
            let keys = vec![self.kept_key(realm)?];
            realms.insert(realm.to_owned(), Realm { issuer: issuer.clone(), keys });
        }
        Ok(issuer)
    }

    /// A signed access token of the realm.
    ///
    /// # Errors
    /// [`IssuerError::NoRealm`]; [`IssuerError::Key`] when signing fails.
    pub fn token(&self, realm: &str, request: &TokenRequest) -> Result<String, IssuerError> {
        let realm = self.realm(realm)?;
        let key = realm.keys.last().ok_or(IssuerError::Key)?;
        let now = self.clock.now().timestamp();
        let groups: Vec<String> = request.organizations.iter().map(|slug| format!("/organizations/{slug}")).collect();
        let claims = json!({
            "iss": realm.issuer,
            "sub": request.subject,
            "aud": request.audience,
            "typ": "Bearer",
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add_unsigned(request.lifetime.as_secs()),
            "realm_access": { "roles": request.roles },
            "groups": groups,
        });
        let mut header = Header::new(Algorithm::RS256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, &claims, &key.private).map_err(|_| IssuerError::Key)
    }

    /// Signs with a new key from now on; the ones before it stay published.
    ///
    /// # Errors
    /// As [`DevIssuer::open_realm`]; [`IssuerError::NoRealm`].
    pub fn rotate(&self, realm: &str) -> Result<(), IssuerError> {
        let der = generate()?;
        let key = RealmKey::of(&der)?;
        let mut realms = self.realms.write().unwrap_or_else(PoisonError::into_inner);
        let opened = realms.get_mut(realm).ok_or_else(|| IssuerError::NoRealm(realm.to_owned()))?;
        if let Some(file) = self.key_file(realm) {
            write_private(&file, &der)?;
        }
        opened.keys.push(key);
        Ok(())
    }

    fn realm(&self, name: &str) -> Result<Realm, IssuerError> {
        let realms = self.realms.read().unwrap_or_else(PoisonError::into_inner);
        realms.get(name).cloned().ok_or_else(|| IssuerError::NoRealm(name.to_owned()))
    }

    fn key_file(&self, realm: &str) -> Option<PathBuf> {
        self.keys_in.as_ref().map(|directory| directory.join(format!("issuer-{realm}.key")))
    }

    /// The realm's key from its file, or a new one, which is written there.
    fn kept_key(&self, realm: &str) -> Result<RealmKey, IssuerError> {
        let Some(file) = self.key_file(realm) else { return RealmKey::of(&generate()?) };
        match std::fs::read(&file) {
            Ok(der) => RealmKey::of(&der),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let der = generate()?;
                write_private(&file, &der)?;
                RealmKey::of(&der)
            }
            Err(source) => Err(IssuerError::Io { what: "reading an issuer key", source }),
        }
    }
}

impl Drop for DevIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RealmKey {
    /// `der` is a private key in PKCS #8. The key id is a digest of the public key, so that it is the same after a restart.
    fn of(der: &[u8]) -> Result<Self, IssuerError> {
        let private = EncodingKey::from_rsa_der(rsa_key_in(der).ok_or(IssuerError::Key)?);
        let mut public = Jwk::from_encoding_key(&private, Algorithm::RS256).map_err(|_| IssuerError::Key)?;
        let bytes = serde_json::to_vec(&public.algorithm).map_err(|_| IssuerError::Key)?;
        let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..16]);
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        Ok(Self { kid, private, public })
    }
}

fn generate() -> Result<Vec<u8>, IssuerError> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| IssuerError::Key)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| IssuerError::Key)?;
    Ok(der.as_ref().to_vec())
}

/// The RSA key inside a PKCS #8 document of 2048 bits, whose header is always the same: jsonwebtoken takes the bare key alone.
fn rsa_key_in(pkcs8: &[u8]) -> Option<&[u8]> {
    const VERSION_AND_ALGORITHM: &[u8] = b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let rest = pkcs8.strip_prefix(b"\x30\x82")?.get(2..)?.strip_prefix(VERSION_AND_ALGORITHM)?;
    rest.strip_prefix(b"\x04\x82")?.get(2..)
}

/// Whole or not at all, and readable by nobody else from the first moment on.
fn write_private(file: &Path, bytes: &[u8]) -> Result<(), IssuerError> {
    use std::os::unix::fs::OpenOptionsExt;

    let write = || {
        let fresh = file.with_extension("new");
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        open.write_all(bytes)?;
        open.sync_all()?;
        std::fs::rename(&fresh, file)
    };
    write().map_err(|source| IssuerError::Io { what: "writing an issuer key", source })
}

#[handler]
fn discovery(PathParam(realm): PathParam<String>, realms: Data<&Realms>) -> Response {
    answer(&realms, &realm, |realm| {
        let at = |path: &str| format!("{}/protocol/openid-connect/{path}", realm.issuer);
        json!({
            "issuer": realm.issuer,
            "authorization_endpoint": at("auth"),
            "token_endpoint": at("token"),
            "jwks_uri": at("certs"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "plumbline_development": true,
        })
    })
}

#[handler]
fn certs(PathParam(realm): PathParam<String>, realms: Data<&Realms>) -> Response {
    answer(&realms, &realm, |realm| json!({ "keys": realm.keys.iter().map(|key| &key.public).collect::<Vec<_>>() }))
}

fn answer(realms: &Realms, realm: &str, document: impl FnOnce(&Realm) -> serde_json::Value) -> Response {
    match realms.read().unwrap_or_else(PoisonError::into_inner).get(realm) {
        Some(realm) => Json(document(realm)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn request() -> TokenRequest {
        TokenRequest {
            subject: "ann".to_owned(),
            roles: vec!["evaluator".to_owned()],
            organizations: vec!["sales".to_owned()],
            audience: "plumbline".to_owned(),
            lifetime: Duration::from_secs(60),
        }
    }

    fn kid(token: &str) -> Option<String> {
        jsonwebtoken::decode_header(token).expect("a token").kid
    }

    #[tokio::test]
    async fn a_kept_key_is_private_and_survives_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let start = || DevIssuer::start(0, Some(directory.path().to_owned()), Clock::system());
        let first = start().await.expect("an issuer");
        first.open_realm("acme").expect("a realm");
        let before = kid(&first.token("acme", &request()).expect("a token"));
        drop(first);
        let mode = std::fs::metadata(directory.path().join("issuer-acme.key")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = start().await.expect("an issuer");
        second.open_realm("acme").expect("a realm");
        assert_eq!(kid(&second.token("acme", &request()).expect("a token")), before);
        second.rotate("acme").expect("rotated");
        assert_ne!(kid(&second.token("acme", &request()).expect("a token")), before);
    }

    #[tokio::test]
    async fn realms_have_sound_names_and_must_be_open() {
        let issuer = DevIssuer::start(0, None, Clock::system()).await.expect("an issuer");
        for name in ["", "../acme", "Acme", "a/b"] {
            assert!(matches!(issuer.open_realm(name), Err(IssuerError::RealmName(_))), "{name:?}");
        }
        assert!(matches!(issuer.token("nobody", &request()), Err(IssuerError::NoRealm(_))));
    }
}
