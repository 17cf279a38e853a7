//! `Idempotency-Key`: a client that did not see the answer may ask again, and the thing is not created twice.
//!
//! The key is claimed, the thing made and the answer kept in ONE transaction: all of it is there, or nothing. A second request with the same
//! key waits for the first one's transaction, then gets its answer. A refused request keeps nothing, so its key may be used again.
//!
//! The room's operation, in `mod.rs` (`Agent: Serialize + Deserialize`; `AgentError` has `Db(#[from] DbError)` and `Key(#[from] KeyError)`):
//! ```ignore
//! pub async fn create(db: &Db, grant: &Grant, keyed: &Keyed, new: NewAgent, now: DateTime<Utc>) -> Result<Once<Agent>, AgentError> {
//!     db.tenant(grant, "agents.create", async |tx| {
//!         once(tx, keyed, now, async || {
//!             let agent = Agent::new(new, now)?;
//!             store::insert(tx, &agent).await?;
//!             Ok(agent)
//!         })
//!         .await
//!     })
//!     .await
//! }
//! ```
//! The handler, in `api.rs`:
//! ```ignore
//! #[oai(path = "/", method = "post", operation_id = "create_agent")]
//! async fn create_agent(&self, caller: Caller, #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>, new: Json<NewAgentView>)
//!     -> Result<Created<AgentView>, Refusal> {
//!     let grant = caller.may(Permission::ManageAgents)?;
//!     let keyed = key.0.request("create_agent").with(&new.0);     // also `.with(&path_parameter)`: everything that decides what is made
//!     let Once { value: agent, replayed } = create(&self.db, &grant, &keyed, new.0.into(), self.clock.now()).await?;
//!     Ok(Created::of(replayed, format!("/api/agents/{}", agent.agent_id), ETag::of(agent.agent_id.0, agent.revision), agent.into()))
//! }
//! ```
//! `impl From<AgentError> for Refusal` passes `AgentError::Key(error) => error.into()` on.
//!
//! An upload adds its metadata, and the SHA-256 of what was streamed once that is known: the body itself is never held to be compared.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::problem::{Kind, Problem, Refusal};
use crate::{
    foundation::digest,
    platform::db::{DbError, InTenant, Params, Statements, TenantTx},
    sql,
};

/// How long a key is remembered.
pub const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// Characters of the longest key.
const LONGEST_KEY: usize = 255;

/// The header `Idempotency-Key`: 1 to 255 printable ASCII characters, or absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// The request that the key stands for; `operation` is the `operation_id`.
    pub fn request(&self, operation: &'static str) -> Keyed {
        Keyed { key: self.0.clone(), operation, digest: Sha256::new() }
    }
}

/// One request under its key.
#[derive(Clone, Debug)]
pub struct Keyed {
    key: Option<String>,
    operation: &'static str,
    digest: Sha256,
}

impl Keyed {
    /// Adds a part of the request: the same key with another part is a mistake of the client's.
    #[must_use]
    pub fn with(mut self, part: &impl ToJSON) -> Self {
        let part = part.to_json_string();
        self.digest.update(part.len().to_be_bytes());
        self.digest.update(part);
        self
    }

    /// The key and the digest of the request, if there is a key: for requests that are kept elsewhere than in a tenant.
    pub fn named(&self) -> Option<(&str, String)> {
        self.key.as_deref().map(|key| (key, self.digest()))
    }

    fn digest(&self) -> String {
        digest::hexadecimal(&self.digest.clone().finalize())
    }
}

/// What a request gave, and whether it was done now or before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once<T> {
    /// What was made.
    pub value: T,
    /// `true` when the same request had been answered before, and nothing was done now.
    pub replayed: bool,
}

/// Why an idempotency key does not work.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    Reused,
    /// The answer cannot be kept.
    #[error("the answer cannot be written down")]
    Unwritable(#[source] serde_json::Error),
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Reused => Problem::new(Kind::IdempotencyKeyReused, error.to_string())
                .field("Idempotency-Key", "was used with other content; take a fresh key")
                .into(),
            KeyError::Unwritable(_) => Self::internal(&error),
        }
    }
}

/// Does `work` unless the same request was answered before; then gives what it gave. Without a key it is always done.
///
/// `now` decides whether an old key is forgotten ([`REMEMBERED`]).
///
/// # Errors
/// What `work` returns (the transaction must then be rolled back, which frees the key); [`KeyError::Reused`] when the key was used for another
/// request; [`DbError`].
pub async fn once<T, E>(
    tx: &TenantTx<'_>,
    keyed: &Keyed,
    now: DateTime<Utc>,
    work: impl AsyncFnOnce() -> Result<T, E>,
) -> Result<Once<T>, E>
where
    T: Serialize + DeserializeOwned,
    E: From<DbError> + From<KeyError>,
{
    let Some(key) = &keyed.key else {
        return Ok(Once { value: work().await?, replayed: false });
    };
    let (root, actor, digest) = (tx.root(), tx.grant().actor(), keyed.digest());
    let expired = now - REMEMBERED;
    let claim: Params<'_> = &[&root, &actor, &keyed.operation, key, &digest, &now, &expired];
    let old: Params<'_> = &[&root, &expired];
    let (claimed, _) = tokio::try_join!(
        biased;
        tx.opt(sql!("http/claim_key"), claim),
        tx.execute(sql!("http/forget_keys"), old),
    )?;
    if claimed.is_none() {
        let value = answered(tx, keyed, key, &digest).await?.ok_or(KeyError::Reused)?;
        return Ok(Once { value, replayed: true });
    }
    let value = work().await?;
    let body = serde_json::to_string(&value).map_err(KeyError::Unwritable)?;
    tx.execute(sql!("http/keep_answer"), &[&root, &actor, &keyed.operation, key, &body]).await?;
    Ok(Once { value, replayed: false })
}

/// Whether the request's key is remembered: this request, or another one, was answered under it.
///
/// # Errors
/// [`DbError`].
pub async fn is_remembered(tx: &TenantTx<'_>, keyed: &Keyed) -> Result<bool, DbError> {
    let Some(key) = &keyed.key else { return Ok(false) };
    let row = tx.opt(sql!("http/find_key"), &[&tx.root(), &tx.grant().actor(), &keyed.operation, key]).await?;
    Ok(row.is_some())
}

/// What the key's first request gave; `None` when that was another request.
async fn answered<T: DeserializeOwned>(
    tx: &TenantTx<'_>,
    keyed: &Keyed,
    key: &str,
    digest: &str,
) -> Result<Option<T>, DbError> {
    let row = tx.one(sql!("http/find_key"), &[&tx.root(), &tx.grant().actor(), &keyed.operation, &key]).await?;
    if row.try_get::<_, &str>("request_digest")? != digest {
        return Ok(None);
    }
    let body: &str = row.try_get("body")?;
    serde_json::from_str(body)
        .map(Some)
        .map_err(|source| DbError::Stored { what: "answer of an idempotency key", source })
}

impl Type for IdempotencyKey {
    const IS_REQUIRED: bool = false;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "idempotency_key".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some(
                "Any fresh value, a UUID for example. The same request with the same key is answered as the first time, for 24 hours.",
            ),
            min_length: Some(1),
            max_length: Some(LONGEST_KEY),
            pattern: Some("^[ -~]+$".to_owned()),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for IdempotencyKey {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let printable = value.bytes().all(|b| (b' '..=b'~').contains(&b));
        if (1..=LONGEST_KEY).contains(&value.len()) && printable {
            Ok(Self(Some(value.to_owned())))
        } else {
            Err(ParseError::custom("must be 1 to 255 printable ASCII characters"))
        }
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(values: I) -> ParseResult<Self> {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => Self::parse_from_parameter(value.as_ref()),
            (Some(_), Some(_)) => Err(ParseError::custom("must be sent once")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum RoomError {
        #[error(transparent)]
        Db(#[from] DbError),
        #[error(transparent)]
        Key(#[from] KeyError),
    }

    /// Never run: it compiles, so the documented shape of an operation holds.
    #[allow(dead_code)]
    async fn operation(
        db: &crate::platform::db::Db,
        grant: &crate::foundation::access::Grant,
        keyed: &Keyed,
        now: DateTime<Utc>,
    ) -> Result<Once<String>, RoomError> {
        db.tenant(grant, "things.create", async |tx| {
            once(tx, keyed, now, async || {
                let row = tx.one(sql!("http/find_key"), &[]).await?;
                Ok(row.try_get(0).map_err(DbError::from)?)
            })
            .await
        })
        .await
    }

    /// Handlers need futures that can move between threads.
    #[allow(dead_code)]
    fn operation_is_send(db: &crate::platform::db::Db, grant: &crate::foundation::access::Grant, keyed: &Keyed) {
        fn needs(_: impl Send) {}
        needs(operation(db, grant, keyed, DateTime::UNIX_EPOCH));
    }

    #[test]
    fn a_key_is_printable_and_short() {
        let parse = |values: &[&str]| IdempotencyKey::parse_from_parameters(values).ok();
        assert_eq!(parse(&["a b~"]), Some(IdempotencyKey(Some("a b~".to_owned()))));
        assert_eq!(parse(&[]), Some(IdempotencyKey(None)));
        assert_eq!(parse(&["a", "b"]), None);
        for bad in ["", "é", "a\tb", &"x".repeat(256)] {
            assert_eq!(parse(&[bad]), None, "{bad:?}");
        }
    }

    #[test]
    fn every_part_of_the_request_counts_and_parts_do_not_run_together() {
        let keyed = || IdempotencyKey(Some("k".to_owned())).request("create_thing");
        let text = |s: &str| s.to_owned();
        let same = keyed().with(&text("a")).with(&text("b")).digest();
        assert_eq!(same, keyed().with(&text("a")).with(&text("b")).digest());
        assert_ne!(same, keyed().with(&text("ab")).digest());
        assert_ne!(same, keyed().with(&text("a")).with(&text("c")).digest());
        assert_eq!(same.len(), 64);
    }
}
