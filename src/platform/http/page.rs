//! Lists, cut into pages by keyset: a cursor says where the last page ended, so that pages stay right while rows come and go.
//!
//! ```ignore
//! async fn list_agents(&self, caller: Caller, organization_id: Query<Option<OrganizationId>>,
//!     limit: Query<Limit>, cursor: Query<Cursor>) -> Result<Json<Page<AgentView>>, Refusal> {
//!     let grant = caller.may(Permission::ReadAgents)?;
//!     let listing = Listing::new("list_agents", &organization_id.0, limit.0, &cursor)?;   // 400 for a cursor of other filters
//!     let agents = list(&self.db, &grant, organization_id.0, &listing).await?;            // at most listing.fetch() rows
//!     Ok(Json(listing.page(agents, |agent| Position::new(agent.created_at, agent.agent_id.0), AgentView::from)))
//! }
//! ```
//! The query: newest first, one row more than the page has, `$n` the position's parts:
//! ```sql
//! where … and ($2::timestamptz is null or (created_at, agent_id) < ($2, $3)) order by created_at desc, agent_id desc limit $4
//! ```
//! with `&[…, &listing.after_at(), &listing.after_id(), &listing.fetch()]`.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike, Utc};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::problem::{Kind, Refusal};

/// Items of a page when the client names no limit.
const DEFAULT_LIMIT: u16 = 50;
/// Items of the largest page.
const LARGEST_LIMIT: u16 = 200;
/// Characters of the longest cursor that is looked at.
const LONGEST_CURSOR: usize = 400;
/// Raised when the content of cursors changes; older ones are then refused.
const CURSOR_VERSION: u8 = 1;

/// How many items a page may hold: 1 to 200, 50 when the client does not say. A query parameter: `limit: Query<Limit>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u16);

/// Where the last page ended, as the client hands it back; empty for the first page. A query parameter: `cursor: Query<Cursor>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(Option<String>);

/// Where a row stands in a list: newest first, the id decides between equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The time that the list is ordered by. PostgreSQL keeps microseconds, and so does the cursor.
    pub at: DateTime<Utc>,
    /// The row's id.
    pub id: Uuid,
}

impl Position {
    /// The position of a row.
    pub fn new(at: DateTime<Utc>, id: Uuid) -> Self {
        Self { at, id }
    }
}

/// What a cursor holds, in base64. Nothing secret: the position of a row that the client has just seen.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    v: u8,
    at: i64,
    id: Uuid,
    of: String,
}

/// One request for a page: which list, after which row, how many.
#[derive(Clone, Debug)]
pub struct Listing {
    list: String,
    after: Option<Position>,
    limit: u16,
}

impl Listing {
    /// A page of the list that `operation` gives under `filters` (all of them, as a tuple of options).
    ///
    /// # Errors
    /// 400 `invalid-cursor` when the cursor is broken, or belongs to another operation or other filters.
    pub fn new(operation: &str, filters: &impl Serialize, limit: Limit, cursor: &Cursor) -> Result<Self, Refusal> {
        let list = digest_of(operation, filters).map_err(|error| Refusal::internal(&error))?;
        let after = match &cursor.0 {
            None => None,
            Some(text) => Some(open(text, &list).ok_or_else(|| {
                Refusal::new(Kind::InvalidCursor, "the cursor is broken or belongs to another list or other filters")
            })?),
        };
        Ok(Self { list, after, limit: limit.0 })
    }

    /// The row after which the page begins; `None` for the first page.
    pub fn after(&self) -> Option<Position> {
        self.after
    }

    /// The time of [`Listing::after`], as a query's parameter.
    pub fn after_at(&self) -> Option<DateTime<Utc>> {
        self.after.map(|after| after.at)
    }

    /// The id of [`Listing::after`], as a query's parameter.
    pub fn after_id(&self) -> Option<Uuid> {
        self.after.map(|after| after.id)
    }

    /// How many rows to fetch: one more than the page holds, to know whether another one follows.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Cuts what was fetched to the page, and makes the cursor of the next one.
    pub fn page<R, T>(&self, mut rows: Vec<R>, position: impl Fn(&R) -> Position, view: impl FnMut(R) -> T) -> Page<T> {
        let limit = usize::from(self.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| self.seal(position(row)));
        Page { items: rows.into_iter().map(view).collect(), next_cursor }
    }

    fn seal(&self, position: Position) -> String {
        let Position { at, id } = position;
        let opened = json!({"v": CURSOR_VERSION, "at": at.timestamp_micros(), "id": id, "of": self.list});
        URL_SAFE_NO_PAD.encode(opened.to_string())
    }
}

fn open(text: &str, list: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let opened: Opened = serde_json::from_slice(&bytes).ok()?;
    if opened.v != CURSOR_VERSION || opened.of != list {
        return None;
    }
    let at = DateTime::from_timestamp_micros(opened.at).filter(is_sane)?;
    Some(Position { at, id: opened.id })
}

/// Whether a time that a client names is one of ours, from 1900 to 9999: PostgreSQL does not take all that RFC 3339 can spell.
pub fn is_sane(time: &DateTime<Utc>) -> bool {
    (1900..=9999).contains(&time.year())
}

/// Sixteen characters: enough to notice a mistake; nobody gains anything by forging one.
fn digest_of(operation: &str, filters: &impl Serialize) -> Result<String, serde_json::Error> {
    let digest = Sha256::digest(serde_json::to_vec(&(operation, filters))?);
    Ok(URL_SAFE_NO_PAD.encode(&digest[..12]))
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The page's items, newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this is the last one.
    pub next_cursor: Option<String>,
}

/// Named after its items: a page of `Call` is a `CallPage`, and not the `Page_Call` that a derived object would be.
impl<T: Type> Type for Page<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(Self::name().into_owned(), |registry| {
            T::register(registry);
            let items = MetaSchema {
                description: Some("The page's items, newest first."),
                items: Some(Box::new(T::schema_ref())),
                max_items: Some(usize::from(LARGEST_LIMIT)),
                ..MetaSchema::new("array")
            };
            let next_cursor = MetaSchema {
                description: Some(
                    "Where the next page begins: send it as `cursor`, with the same filters. Null on the last page.",
                ),
                nullable: true,
                ..MetaSchema::new("string")
            };
            MetaSchema {
                description: Some("One page of a list."),
                required: vec!["items", "next_cursor"],
                properties: vec![
                    ("items", MetaSchemaRef::Inline(Box::new(items))),
                    ("next_cursor", MetaSchemaRef::Inline(Box::new(next_cursor))),
                ],
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: ToJSON> ToJSON for Page<T> {
    fn to_json(&self) -> Option<Value> {
        let items: Vec<Value> = self.items.iter().map(|item| item.to_json().unwrap_or_default()).collect();
        Some(json!({"items": items, "next_cursor": self.next_cursor}))
    }
}

impl Type for Limit {
    const IS_REQUIRED: bool = false;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "limit".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some("How many items the page may hold."),
            default: Some(json!(DEFAULT_LIMIT)),
            minimum: Some(1.0),
            maximum: Some(f64::from(LARGEST_LIMIT)),
            ..MetaSchema::new_with_format("integer", "int32")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl ParseFromParameter for Limit {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        match value.parse() {
            Ok(limit @ 1..=LARGEST_LIMIT) => Ok(Self(limit)),
            _ => Err(ParseError::custom(format!("must be a whole number from 1 to {LARGEST_LIMIT}"))),
        }
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(values: I) -> ParseResult<Self> {
        match values.into_iter().next() {
            Some(value) => Self::parse_from_parameter(value.as_ref()),
            None => Ok(Self::default()),
        }
    }
}

impl Type for Cursor {
    const IS_REQUIRED: bool = false;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "cursor".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            description: Some("`next_cursor` of the page before, with the same filters; absent for the first page."),
            max_length: Some(LONGEST_CURSOR),
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

impl ParseFromParameter for Cursor {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        if value.len() > LONGEST_CURSOR {
            return Err(ParseError::custom("is too long to be a cursor"));
        }
        Ok(Self(Some(value.to_owned())))
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(values: I) -> ParseResult<Self> {
        match values.into_iter().next() {
            Some(value) => Self::parse_from_parameter(value.as_ref()),
            None => Ok(Self::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(filters: Option<u8>, cursor: Cursor) -> Result<Listing, u16> {
        Listing::new("list_things", &filters, Limit(2), &cursor).map_err(|refusal| refusal.problem().status)
    }

    fn rows(n: i64) -> Vec<Position> {
        (0..n)
            .map(|i| Position {
                at: DateTime::from_timestamp_micros(1_700_000_000_000_123 - i).unwrap_or_default(),
                id: Uuid::from_u128(n as u128),
            })
            .collect()
    }

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let first = listing(Some(1), Cursor(None)).expect("no cursor is fine");
        assert_eq!((first.fetch(), first.after()), (3, None));
        let all = rows(3);
        let page = first.page(all.clone(), |row| *row, |row| row.at);
        assert_eq!(page.items, vec![all[0].at, all[1].at]);
        let next = listing(Some(1), Cursor(page.next_cursor)).expect("its own cursor");
        assert_eq!(next.after(), Some(all[1]));
        assert_eq!(next.page(rows(2), |row| *row, |row| row).next_cursor, None);
    }

    #[test]
    fn a_cursor_of_another_list_or_garbage_is_refused() {
        let first = listing(Some(1), Cursor(None)).expect("no cursor is fine");
        let next = first.page(rows(3), |row| *row, |_| ()).next_cursor;
        assert_eq!(listing(Some(2), Cursor(next.clone())).err(), Some(400));
        assert_eq!(
            Listing::new("other", &Some(1), Limit(2), &Cursor(next)).err().map(|r| r.problem().status),
            Some(400)
        );
        for garbage in ["", "!", "e30", "bm90IGpzb24"] {
            assert_eq!(listing(Some(1), Cursor(Some(garbage.to_owned()))).err(), Some(400), "{garbage:?}");
        }
    }

    #[test]
    fn a_cursor_of_no_sane_time_is_refused() {
        let sealed = |micros: i64| {
            let first = listing(Some(1), Cursor(None)).expect("no cursor is fine");
            let at = DateTime::from_timestamp_micros(micros).expect("chrono has it");
            listing(Some(1), Cursor(Some(first.seal(Position { at, id: Uuid::nil() })))).err()
        };
        assert_eq!(sealed(1_700_000_000_000_000), None);
        for micros in [-8_200_000_000_000_000_000, -300_000_000_000_000_000, 8_200_000_000_000_000_000] {
            assert_eq!(sealed(micros), Some(400), "{micros}");
        }
    }

    #[test]
    fn a_limit_is_1_to_200() {
        let parse = |text: &str| Limit::parse_from_parameters([text]).ok();
        assert_eq!((parse("1"), parse("200")), (Some(Limit(1)), Some(Limit(200))));
        for bad in ["0", "201", "-1", "", "x", "1.5", "65537"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(Limit::parse_from_parameters::<_, &str>([]).ok(), Some(Limit(50)));
    }
}
