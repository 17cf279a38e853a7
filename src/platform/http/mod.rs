//! The manners of HTTP, for every room alike: how a refusal looks, how lists are cut into pages, how edits and retries stay safe.
//!
//! Knows no product. A handler uses it like this:
//! ```ignore
//! async fn get_agent(&self, caller: Caller, agent_id: Path<AgentId>) -> Result<Tagged<AgentView>, Refusal> {
//!     let grant = caller.may(Permission::ReadAgents)?;           // Denied → 403
//!     let agent = get(&self.db, &grant, agent_id.0).await?;      // the room's error → Refusal, by its own From
//!     Ok(Tagged::of(ETag::of(agent.agent_id.0, agent.revision), agent.into()))
//! }
//! ```
//! Request bodies are objects that say `#[oai(deny_unknown_fields)]`, so that a misspelt field is refused and not ignored.

pub mod answer;
pub mod body_limit;
pub mod etag;
pub mod idempotency;
pub mod page;
pub mod problem;
pub mod range;
pub mod refuse;
pub mod request_id;
pub mod serialized;
pub mod stream;
pub mod upload;

pub use self::{
    answer::{Accepted, Created},
    body_limit::{BodyLimit, TooLong},
    etag::{ETag, Fresh, IfMatch, IfNoneMatch, Tagged},
    idempotency::{IdempotencyKey, KeyError, Keyed, Once, is_remembered, once},
    page::{Cursor, Limit, Listing, Page, Position, is_sane},
    problem::{FieldProblem, Kind, Problem, Refusal},
    range::{FileAnswer, Slice, sized},
    request_id::record_tenant,
    serialized::Serialized,
    stream::{Measure, Measured, UploadError},
    upload::{SentFile, Upload},
};
