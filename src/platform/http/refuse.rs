//! Whatever poem itself raises becomes a problem like any other: bodies that cannot be parsed, unknown paths, wrong methods, panics.

use std::any::Any;

use poem::{
    Error, Response,
    error::{ParseMultipartError as MultipartSyntax, ReadBodyError},
    http::StatusCode,
};
use poem_openapi::error::{
    ContentTypeError, ParseMultipartError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};

use super::{
    body_limit::{Silent, TooLong, inside},
    problem::{Kind, Problem, Refusal},
};

/// The answer to an error. One that carries a problem already stays as it is.
pub async fn answer(error: Error) -> Response {
    let status = error.status();
    if !error.is_from_response() {
        return refusal(&error).response();
    }
    let response = error.into_response();
    if status.is_success() || status.is_redirection() || response.content_type() == Some("application/problem+json") {
        return response;
    }
    Refusal::new(kind_of(status), "the request was refused").response()
}

/// The answer to a panic. What it said goes to the log through the panic hook, and never to the caller.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request panicked");
    Refusal::new(Kind::Internal, "the request failed; the log has the reason under this request's id").response()
}

fn refusal(error: &Error) -> Refusal {
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return Problem::new(Kind::Validation, "a parameter has a value that is not allowed")
            .field(error.name, &error.reason)
            .into();
    }
    if error.downcast_ref::<ParsePathError>().is_some() {
        return Refusal::new(Kind::NotFound, "the path holds an id that is none");
    }
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return body(&error.reason);
    }
    if let Some(error) = error.downcast_ref::<ParseMultipartError>() {
        return body(&error.reason);
    }
    if let Some(error) = error.downcast_ref::<MultipartSyntax>() {
        return Refusal::new(Kind::BadRequest, format!("the multipart body is malformed: {error}"));
    }
    if let Some(error) = error.downcast_ref::<ContentTypeError>() {
        return Refusal::new(Kind::UnsupportedMediaType, error.to_string());
    }
    if let Some(ReadBodyError::Io(error)) = error.downcast_ref::<ReadBodyError>() {
        if let Some(silent) = inside::<Silent>(error) {
            return (*silent).into();
        }
        return match TooLong::inside(error) {
            Some(too_long) => (*too_long).into(),
            None => Refusal::new(Kind::BadRequest, "the body ended before it was complete"),
        };
    }
    let kind = kind_of(error.status());
    if kind == Kind::Internal {
        tracing::error!(error = %error, "a request failed");
        return Refusal::new(kind, "the request failed; the log has the reason under this request's id");
    }
    let detail = match kind {
        Kind::NotFound => "there is nothing at this path".to_owned(),
        Kind::MethodNotAllowed => "the path does not have this method".to_owned(),
        _ => error.to_string(),
    };
    Refusal::new(kind, detail)
}

/// What a body's parser complained about. An unknown field is its own kind, since it is most often a misspelt one.
pub(super) fn body(reason: &str) -> Refusal {
    let named = |before: &str, after: &str| {
        let (_, rest) = reason.split_once(before)?;
        rest.split_once('`').filter(|(_, rest)| rest.starts_with(after)).map(|(field, _)| field)
    };
    if let Some(field) = named("unknown field `", "") {
        let problem = Problem::new(Kind::UnknownField, "the body has a field that is not known");
        return problem.field(field, "is not known").into();
    }
    let field = named("field `", " verification failed").unwrap_or("body");
    Problem::new(Kind::Validation, "the body does not fit its schema").field(field, reason).into()
}

fn kind_of(status: StatusCode) -> Kind {
    let known = Kind::ALL.iter().copied().find(|kind| kind.status() == status);
    known.unwrap_or(if status.is_client_error() { Kind::BadRequest } else { Kind::Internal })
}
