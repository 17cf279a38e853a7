//! Entity tags: an edit names the revision that it edits, so that nobody overwrites what they have not seen.
//!
//! ```text
//! // Reading: 200 with `ETag`, or 304 when the client has it already.
//! async fn get_agent(&self, caller: Caller, agent_id: Path<AgentId>,
//!     #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>) -> Result<Fresh<AgentView>, Refusal> {
//!     let agent = get(&self.db, &caller.may(Permission::ReadAgents)?, agent_id.0).await?;
//!     Ok(known.answer(ETag::of(agent.agent_id.0, agent.revision), || agent.into()))
//! }
//! // Editing: 428 without `If-Match`, 412 when the revision is another one.
//! async fn update_agent(&self, caller: Caller, agent_id: Path<AgentId>,
//!     #[oai(name = "If-Match")] expected: Header<IfMatch>, change: Json<AgentChange>) -> Result<Tagged<AgentView>, Refusal> {
//!     expected.required()?; // before anything is looked up
//!     …in the transaction: let agent = store::find(tx, id)…; expected.allows(&agent_etag)?;
//!     …then compare-and-set `where revision = $loaded`; no row: `return Err(etag::stale())`
//! }
//! ```

use std::borrow::Cow;

use poem::http::HeaderValue;
use poem_openapi::{
    ApiResponse,
    payload::Json,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, ToHeader, ToJSON, Type},
};
use uuid::Uuid;

use super::problem::{Kind, Refusal};

/// A strong entity tag, with its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// The tag of one revision of a thing.
    pub fn of(id: Uuid, revision: i32) -> Self {
        Self(format!("\"{}.{revision}\"", id.simple()))
    }

    /// The tag of something immutable or derived, by a digest of its content (hexadecimal, or other plain characters).
    pub fn of_digest(digest: &str) -> Self {
        let plain: String =
            digest.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
        Self(format!("\"{plain}\""))
    }

    /// As it stands in a header, with quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The refusal of an edit whose thing was changed since it was read.
pub fn stale() -> Refusal {
    Refusal::new(Kind::StaleRevision, "it was changed since it was read; read it again and repeat the edit")
}

/// What a conditional header names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Tags {
    #[default]
    Absent,
    Any,
    These(Vec<String>),
}

impl Tags {
    /// `weak` tags compare equal to strong ones where `If-None-Match` is asked, and never where `If-Match` is.
    fn parse(value: &str, weak: bool) -> Result<Self, &'static str> {
        let value = value.trim();
        if value == "*" {
            return Ok(Tags::Any);
        }
        let mut tags = Vec::new();
        for tag in value.split(',').map(str::trim) {
            let (is_weak, quoted) = tag.strip_prefix("W/").map_or((false, tag), |rest| (true, rest));
            let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            match inner {
                Some(inner) if !inner.contains('"') => {
                    if weak || !is_weak {
                        tags.push(quoted.to_owned());
                    }
                }
                _ => return Err("must be * or a list of entity tags in double quotes"),
            }
        }
        Ok(Tags::These(tags))
    }

    fn name(&self, etag: &ETag) -> bool {
        match self {
            Tags::Absent => false,
            Tags::Any => true,
            Tags::These(tags) => tags.contains(&etag.0),
        }
    }
}

/// `If-Match`: the revision that an edit is meant for. Needed on every edit.
#[derive(Clone, Debug)]
pub struct IfMatch(Tags);

impl IfMatch {
    /// Refuses an edit that does not say which revision it edits.
    ///
    /// # Errors
    /// 428 `precondition-required`.
    pub fn required(&self) -> Result<(), Refusal> {
        match self.0 {
            Tags::Absent => Err(Refusal::new(
                Kind::PreconditionRequired,
                "send If-Match with the ETag of what was read, or * to edit whatever is there",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses the edit unless it was meant for the revision with this tag.
    ///
    /// # Errors
    /// 428 when the header is absent, 412 `stale-revision` when it names another revision.
    pub fn allows(&self, current: &ETag) -> Result<(), Refusal> {
        self.required()?;
        if self.0.name(current) { Ok(()) } else { Err(stale()) }
    }
}

/// `If-None-Match`: the revision that a client has already.
#[derive(Clone, Debug)]
pub struct IfNoneMatch(Tags);

impl IfNoneMatch {
    /// Whether the client has this revision.
    pub fn has(&self, current: &ETag) -> bool {
        self.0.name(current)
    }

    /// 304 when the client has this revision, else 200 with what `view` makes.
    pub fn answer<T: Type + ToJSON>(&self, current: ETag, view: impl FnOnce() -> T) -> Fresh<T> {
        if self.has(&current) { Fresh::NotModified(current) } else { Fresh::Ok(Json(view()), current) }
    }
}

/// One thing and its revision.
#[derive(Debug, ApiResponse)]
pub enum Tagged<T: Type + ToJSON> {
    /// Done; the thing as it is now.
    #[oai(status = 200)]
    Ok(
        Json<T>,
        /// The revision, to be sent back as `If-Match`.
        #[oai(header = "ETag")]
        ETag,
    ),
}

impl<T: Type + ToJSON> Tagged<T> {
    /// The thing with its tag.
    pub fn of(etag: ETag, thing: T) -> Self {
        Self::Ok(Json(thing), etag)
    }
}

/// One thing and its revision, unless the client has it already.
#[derive(Debug, ApiResponse)]
pub enum Fresh<T: Type + ToJSON> {
    /// The thing.
    #[oai(status = 200)]
    Ok(
        Json<T>,
        /// The revision, to be sent back as `If-Match` or `If-None-Match`.
        #[oai(header = "ETag")]
        ETag,
    ),
    /// The client has this revision already.
    #[oai(status = 304)]
    NotModified(
        /// The revision.
        #[oai(header = "ETag")]
        ETag,
    ),
}

macro_rules! text_type {
    ($type:ty, $name:literal, required: $required:literal) => {
        impl Type for $type {
            const IS_REQUIRED: bool = $required;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema { max_length: Some(1_000), ..MetaSchema::new("string") }))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

macro_rules! conditional_header {
    ($type:ident, $name:literal, weak: $weak:literal) => {
        text_type!($type, $name, required: false);

        impl ParseFromParameter for $type {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                Tags::parse(value, $weak).map(Self).map_err(ParseError::custom)
            }

            fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(values: I) -> ParseResult<Self> {
                let joined = values.into_iter().map(|value| value.as_ref().to_owned()).collect::<Vec<_>>().join(",");
                if joined.is_empty() { Ok(Self(Tags::Absent)) } else { Self::parse_from_parameter(&joined) }
            }
        }
    };
}

text_type!(ETag, "etag", required: true);
conditional_header!(IfMatch, "if_match", weak: false);
conditional_header!(IfNoneMatch, "if_none_match", weak: true);

impl ToHeader for ETag {
    fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(value: &str) -> IfMatch {
        IfMatch(Tags::parse(value, false).expect("well-formed"))
    }

    #[test]
    fn an_edit_must_name_the_revision_that_is_there() {
        let id = Uuid::from_u128(7);
        let (old, new) = (ETag::of(id, 1), ETag::of(id, 2));
        let status = |outcome: Result<(), Refusal>| outcome.map_err(|refusal| refusal.problem().status);
        assert_eq!(status(IfMatch(Tags::Absent).allows(&new)), Err(428));
        assert_eq!(status(if_match(old.as_str()).allows(&new)), Err(412));
        assert_eq!(status(if_match(new.as_str()).allows(&new)), Ok(()));
        assert_eq!(status(if_match(&format!("{}, {}", old.as_str(), new.as_str())).allows(&new)), Ok(()));
        assert_eq!(status(if_match("*").allows(&new)), Ok(()));
        assert_eq!(status(if_match(&format!("W/{}", new.as_str())).allows(&new)), Err(412));
        assert_eq!(status(if_match(ETag::of(Uuid::from_u128(8), 2).as_str()).allows(&new)), Err(412));
    }

    #[test]
    fn a_reader_may_have_a_weak_copy() {
        let etag = ETag::of_digest("ab12");
        assert!(IfNoneMatch(Tags::parse("W/\"ab12\"", true).expect("well-formed")).has(&etag));
        assert!(!IfNoneMatch(Tags::Absent).has(&etag));
    }

    #[test]
    fn tags_without_quotes_are_refused() {
        for bad in ["abc", "\"a", "a\"", "\"a\"b\"", "\"a\",", ""] {
            assert!(Tags::parse(bad, false).is_err(), "{bad:?}");
        }
    }
}
