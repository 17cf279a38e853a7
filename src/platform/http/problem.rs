//! What a refused request gets: RFC 9457 problem details with a stable type, the same from every room and from poem itself.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{ApiResponse, Object, payload::Json, types::Any};
use serde_json::Value;
use uuid::Uuid;

use super::request_id;
use crate::{foundation::access::Denied, platform::db::DbError};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $slug:literal, $status:literal, $title:literal;)+) => {
        /// Every kind of refusal. Its slug is part of the API: clients branch on it, so it never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[doc = $doc])+ $kind,)+ }

        impl Kind {
            /// All kinds, in the order in which they are documented.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),+];

            /// The last part of the problem's `type`.
            pub fn slug(self) -> &'static str {
                match self { $(Kind::$kind => $slug),+ }
            }

            /// The HTTP status that it is answered with.
            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Kind::$kind => $status),+ };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// A few words for a person.
            pub fn title(self) -> &'static str {
                match self { $(Kind::$kind => $title),+ }
            }

            /// When it happens and what to do about it.
            pub fn meaning(self) -> &'static str {
                match self { $(Kind::$kind => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

kinds! {
    /// The request cannot be read: broken JSON, a missing part, a malformed header.
    BadRequest = "bad-request", 400, "The request cannot be read";
    /// A field or parameter has a value that is not allowed; `errors` names it.
    Validation = "validation", 400, "A value is not allowed";
    /// The request body has a field that the operation does not know; `errors` names it. Nothing was done.
    UnknownField = "unknown-field", 400, "Unknown field";
    /// The cursor is broken, or belongs to another operation or other filters. Start again without one.
    InvalidCursor = "invalid-cursor", 400, "The cursor does not fit this list";
    /// No credential, or one that is malformed, expired, foreign or revoked. Send `Authorization: Bearer <token>`.
    Unauthorized = "unauthorized", 401, "A valid credential is needed";
    /// The credential is good, but its holder's user was deactivated. Ask an administrator of the organization.
    UserDeactivated = "user-deactivated", 401, "The user is deactivated";
    /// The credential is good, but none of its roles may do this.
    Forbidden = "forbidden", 403, "Not allowed";
    /// The credential is good and its only role is `agent`, but no active agent is linked to its holder's user, so there is nothing to see.
    AgentNotLinked = "agent-not-linked", 403, "No agent is linked to the user";
    /// The tenant was suspended by the platform's operators. Nothing of it can be read or changed meanwhile.
    TenantSuspended = "tenant-suspended", 403, "The tenant is suspended";
    /// The tenant is leaving: until its data is destroyed only operators reach it, who can call that off.
    TenantLeaving = "tenant-leaving", 403, "The tenant is leaving";
    /// The tenant has as much of this as its quota allows; `detail` names the quota, `GET /api/tenants/{tenant_id}/usage` shows all.
    QuotaExceeded = "quota-exceeded", 403, "A quota is used up";
    /// There is no such thing, or the caller may not know of it.
    NotFound = "not-found", 404, "Not found";
    /// The path exists, but not with this method; the `Allow` header lists those that do.
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed";
    /// The client took too long to send its request.
    RequestTimeout = "request-timeout", 408, "The request took too long";
    /// Something with the same unique value exists; `resource_id` names it where the caller may know.
    Conflict = "conflict", 409, "It exists already";
    /// The same recording was uploaded before; `resource_id` is its call. It was not stored again.
    DuplicateAudio = "duplicate-audio", 409, "This recording was uploaded before";
    /// What was asked is not possible in the state that the thing is in.
    IllegalState = "illegal-state", 409, "Not possible in this state";
    /// A tenant under legal hold is not destroyed. Lift the hold first.
    LegalHold = "legal-hold", 409, "The tenant is under legal hold";
    /// The organization's policy asks for a finished back-test of the plugin and its settings before it may score. Make one, then bind it again.
    BacktestRequired = "backtest-required", 409, "A back-test is needed first";
    /// An operation of this kind is open about the tenant; `resource_id` names it where the caller may know.
    OperationOpen = "operation-open", 409, "Such an operation is open already";
    /// Somebody changed it since it was read. Read it again, then repeat the edit with the new `ETag`.
    StaleRevision = "stale-revision", 412, "It was changed since it was read";
    /// The body is larger than the operation takes.
    TooLarge = "too-large", 413, "The body is too large";
    /// The operation does not take this `Content-Type`.
    UnsupportedMediaType = "unsupported-media-type", 415, "Unsupported media type";
    /// The upload is not a recording in a format that is understood, whatever its name says.
    NotAudio = "not-audio", 415, "Not a recording";
    /// The requested range lies outside of the file; `Content-Range` tells its size.
    RangeNotSatisfiable = "range-not-satisfiable", 416, "The range lies outside of the file";
    /// The request can be read, but what it asks for makes no sense; `errors` says why.
    Unprocessable = "unprocessable", 422, "The content makes no sense";
    /// The recording ends before its own header says that it does.
    TruncatedAudio = "truncated-audio", 422, "The recording is incomplete";
    /// The scorecard cannot be published as it is: weights, keys or rules contradict each other; `errors` lists what.
    InvalidScorecard = "invalid-scorecard", 422, "The scorecard makes no sense";
    /// The component did not pass its validation; `detail` says why in a sentence, `report` all that was found. Nothing of it was kept.
    PluginRefused = "plugin-refused", 422, "The plugin is refused";
    /// The settings do not fit the plugin's schema, or the plugin itself refuses them; `errors` says why.
    InvalidPluginSettings = "invalid-plugin-settings", 422, "The plugin does not take these settings";
    /// The archive is damaged, incomplete, or none: a digest or a count in it is wrong. Nothing of it was kept.
    InvalidArchive = "invalid-archive", 422, "The archive cannot be restored";
    /// The archive was made by a newer version of Plumbline than this one. Restore it there, or bring this one up to date.
    ArchiveTooNew = "archive-too-new", 422, "The archive is of a newer version";
    /// The idempotency key was used for a different request. Use a fresh key for each thing that you create.
    IdempotencyKeyReused = "idempotency-key-reused", 422, "The idempotency key belongs to another request";
    /// An edit must say which revision it edits: send `If-Match` with the `ETag` of what was read, or `*`.
    PreconditionRequired = "precondition-required", 428, "If-Match is needed";
    /// Too many requests in a short time. Try again after `Retry-After` seconds.
    RateLimited = "rate-limited", 429, "Too many requests";
    /// The tenant has used up a quota of the day, which begins anew at midnight UTC: `Retry-After` says in how many seconds.
    DailyQuotaExceeded = "daily-quota-exceeded", 429, "A quota of the day is used up";
    /// As many jobs of the tenant wait as its quota allows. Try again after `Retry-After` seconds, when some are done.
    TooManyWaitingJobs = "too-many-waiting-jobs", 429, "Too many jobs wait";
    /// Something went wrong that is not the caller's fault. `instance` helps to find it in the log.
    Internal = "internal", 500, "Internal error";
    /// A needed part is overloaded or away for a moment. Try again after `Retry-After` seconds.
    Busy = "busy", 503, "Try again in a moment";
    /// The tenant's data is being brought to this server's version. Try again after `Retry-After` seconds.
    TenantNotReady = "tenant-not-ready", 503, "The tenant is being prepared";
    /// The keys that prove the credential cannot be read from its issuer now. Try again after `Retry-After` seconds.
    IssuerUnavailable = "issuer-unavailable", 503, "The issuer cannot be reached";
}

impl Kind {
    /// The kind with this slug.
    pub fn by_slug(slug: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }

    /// The problem's `type`: a relative reference that this server answers with the kind's meaning.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.slug())
    }
}

/// RFC 9457 problem details.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Problem {
    /// URI reference of the kind of problem; stable, made for programs to compare. `GET` it for an explanation.
    #[oai(rename = "type", validator(max_length = 100))]
    pub type_uri: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status, repeated.
    #[oai(validator(minimum(value = "400"), maximum(value = "599")))]
    pub status: u16,
    /// What happened this time.
    pub detail: Option<String>,
    /// The request's id, as in the `X-Request-Id` header.
    pub instance: Option<String>,
    /// What is wrong with which field.
    #[oai(skip_serializing_if_is_empty, default)]
    pub errors: Vec<FieldProblem>,
    /// The thing that the request collides with.
    pub resource_id: Option<Uuid>,
    /// What a validation found; with `plugin-refused` alone.
    pub report: Option<Any<Value>>,
    #[oai(skip)]
    retry_after_s: Option<u32>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct FieldProblem {
    /// Name of the field or parameter, or a path such as `utterances[3].text`; `body` when it is the body as a whole.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The longest detail or message that is sent; what a client sent must not come back at full length.
const LONGEST_TEXT: usize = 500;
/// Seconds after which it is worth trying again, where nothing more exact is known.
const RETRY_AFTER_S: u32 = 2;

impl Problem {
    /// A problem of one kind. `detail` is shown to the caller: it names no one, quotes no secret, and nothing of another tenant.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            type_uri: kind.uri(),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: Some(shortened(detail.into())),
            instance: request_id::current(),
            errors: Vec::new(),
            resource_id: None,
            report: None,
            retry_after_s: None,
        }
    }

    /// Adds what is wrong with one field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldProblem { field: shortened(field.into()), message: shortened(message.into()) });
        self
    }

    /// Names the thing that the request collides with; only where the caller may see it.
    #[must_use]
    pub fn resource(mut self, id: Uuid) -> Self {
        self.resource_id = Some(id);
        self
    }

    /// Adds what a validation found.
    #[must_use]
    pub fn report(mut self, report: Value) -> Self {
        self.report = Some(Any(report));
        self
    }

    /// As the error of an extractor or a middleware.
    pub fn into_error(self) -> poem::Error {
        Refusal::from(self).into()
    }

    /// Says after how many seconds it is worth trying again; told with 429 and 503 alone.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        let mut end = LONGEST_TEXT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Every way in which an operation says no; the error type of all handlers. Rooms write `impl From<TheirError> for Refusal`:
/// ```ignore
/// AgentError::NotFound => Refusal::new(Kind::NotFound, "no such agent"),
/// AgentError::Exists(id) => Problem::new(Kind::Conflict, "the external id is taken").field("external_id", "is taken").resource(id.0).into(),
/// AgentError::Db(error) => error.into(),
/// ```
#[derive(Debug, ApiResponse)]
pub enum Refusal {
    /// The request cannot be read, or a value is not allowed.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Box<Problem>>),
    /// A valid credential is needed.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unauthorized(
        Json<Box<Problem>>,
        /// The scheme that is understood.
        #[oai(header = "WWW-Authenticate")]
        String,
    ),
    /// The caller's roles do not allow it.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Json<Box<Problem>>),
    /// There is no such thing, or the caller may not know of it.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Box<Problem>>),
    /// The path does not have this method.
    #[oai(status = 405, content_type = "application/problem+json")]
    MethodNotAllowed(
        Json<Box<Problem>>,
        /// The methods that the path has.
        #[oai(header = "Allow")]
        Option<String>,
    ),
    /// The client took too long to send its request.
    #[oai(status = 408, content_type = "application/problem+json")]
    RequestTimeout(Json<Box<Problem>>),
    /// It collides with what exists, or with the state that it is in.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Box<Problem>>),
    /// It was changed since it was read.
    #[oai(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(Json<Box<Problem>>),
    /// The body is too large.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<Box<Problem>>),
    /// The content type is not supported.
    #[oai(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Json<Box<Problem>>),
    /// The range lies outside of the file.
    #[oai(status = 416, content_type = "application/problem+json")]
    RangeNotSatisfiable(
        Json<Box<Problem>>,
        /// The file's size: `bytes */<size>`.
        #[oai(header = "Content-Range")]
        Option<String>,
    ),
    /// The content makes no sense.
    #[oai(status = 422, content_type = "application/problem+json")]
    Unprocessable(Json<Box<Problem>>),
    /// An edit must say which revision it edits.
    #[oai(status = 428, content_type = "application/problem+json")]
    PreconditionRequired(Json<Box<Problem>>),
    /// Too many requests in a short time.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyRequests(
        Json<Box<Problem>>,
        /// Seconds after which to try again.
        #[oai(header = "Retry-After")]
        u32,
    ),
    /// Something went wrong that is not the caller's fault.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<Box<Problem>>),
    /// A needed part is overloaded or away for a moment.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<Box<Problem>>,
        /// Seconds after which to try again.
        #[oai(header = "Retry-After")]
        u32,
    ),
}

impl Refusal {
    /// A refusal of one kind; see [`Problem::new`] for what `detail` may say.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Problem::new(kind, detail).into()
    }

    /// A value that is not allowed, and in which field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Problem::new(Kind::Validation, "a value is not allowed").field(field, message).into()
    }

    /// No such thing, or none that the caller may know of. `what` is a noun: `call`.
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("no such {what}"))
    }

    /// Something went wrong that is not the caller's fault. `error` goes to the log and is never shown, so it must carry no personal data.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %error, "a request failed");
        Self::new(Kind::Internal, "the request failed; the log has the reason under this request's id")
    }

    /// The problem inside.
    pub fn problem(&self) -> &Problem {
        match self {
            Refusal::BadRequest(problem)
            | Refusal::Unauthorized(problem, _)
            | Refusal::Forbidden(problem)
            | Refusal::NotFound(problem)
            | Refusal::MethodNotAllowed(problem, _)
            | Refusal::RequestTimeout(problem)
            | Refusal::Conflict(problem)
            | Refusal::PreconditionFailed(problem)
            | Refusal::TooLarge(problem)
            | Refusal::UnsupportedMediaType(problem)
            | Refusal::RangeNotSatisfiable(problem, _)
            | Refusal::Unprocessable(problem)
            | Refusal::PreconditionRequired(problem)
            | Refusal::TooManyRequests(problem, _)
            | Refusal::Internal(problem)
            | Refusal::Unavailable(problem, _) => &problem.0,
        }
    }

    /// The ready answer, for middleware and extractors.
    pub fn response(self) -> Response {
        self.into_response()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let retry_after_s = problem.retry_after_s.unwrap_or(RETRY_AFTER_S);
        let status = problem.status;
        let problem = Json(Box::new(problem));
        match status {
            400 => Self::BadRequest(problem),
            401 => Self::Unauthorized(problem, "Bearer".to_owned()),
            403 => Self::Forbidden(problem),
            404 => Self::NotFound(problem),
            405 => Self::MethodNotAllowed(problem, None),
            408 => Self::RequestTimeout(problem),
            409 => Self::Conflict(problem),
            412 => Self::PreconditionFailed(problem),
            413 => Self::TooLarge(problem),
            415 => Self::UnsupportedMediaType(problem),
            416 => Self::RangeNotSatisfiable(problem, None),
            422 => Self::Unprocessable(problem),
            428 => Self::PreconditionRequired(problem),
            429 => Self::TooManyRequests(problem, retry_after_s),
            503 => Self::Unavailable(problem, retry_after_s),
            _ => Self::Internal(problem),
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(Kind::Forbidden, denied.to_string())
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        if error.is_temporary() {
            tracing::warn!(error = %error, "the database is busy");
            Self::new(Kind::Busy, "the database is busy")
        } else {
            Self::internal(&error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use poem_openapi::types::ToJSON;

    use super::*;
    use crate::foundation::access::Permission;

    #[test]
    fn every_kind_has_its_own_slug_and_becomes_its_status() {
        let slugs: HashSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(Kind::by_slug(kind.slug()), Some(*kind));
            let response = Refusal::new(*kind, "x").response();
            assert_eq!(response.status(), kind.status(), "{kind:?}");
            assert_eq!(response.content_type(), Some("application/problem+json"));
            assert!(kind.meaning().len() > 20 && !kind.meaning().starts_with(' '));
        }
    }

    #[test]
    fn the_table_for_people_has_every_kind_as_it_is() {
        let table = include_str!("../../../docs/ERRORS.md");
        let rows = table.lines().filter(|line| line.starts_with("| `/problems/"));
        let kinds = Kind::ALL.iter().map(|kind| {
            format!("| `{}` | {} | {} | {} |", kind.uri(), kind.status().as_u16(), kind.title(), kind.meaning())
        });
        assert_eq!(rows.collect::<Vec<_>>(), kinds.collect::<Vec<_>>());
    }

    #[test]
    fn waiting_is_told_in_a_header_and_credentials_are_asked_for() {
        let busy = Refusal::from(Problem::new(Kind::Busy, "x").retry_after(7)).response();
        assert_eq!(busy.header("retry-after"), Some("7"));
        assert_eq!(Refusal::new(Kind::Unauthorized, "x").response().header("www-authenticate"), Some("Bearer"));
    }

    #[test]
    fn a_problem_says_no_more_than_it_must() {
        let shown = Problem::new(Kind::NotFound, "no such call").to_json().unwrap_or_default();
        assert_eq!(
            shown,
            serde_json::json!({"type": "/problems/not-found", "title": "Not found", "status": 404, "detail": "no such call"})
        );
        let long = Problem::new(Kind::BadRequest, "é".repeat(10_000));
        assert!(long.detail.is_some_and(|detail| detail.len() < LONGEST_TEXT + 8));
    }

    #[test]
    fn a_missing_permission_is_403_and_a_broken_query_hides_its_reason() {
        assert_eq!(Refusal::from(Denied(Permission::ReadCalls)).problem().status, 403);
        let refusal = Refusal::from(DbError::NoRow("secret/query"));
        assert_eq!(refusal.problem().status, 500);
        assert!(!format!("{refusal:?}").contains("secret/query"));
    }
}
