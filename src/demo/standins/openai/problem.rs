//! OpenAI's error form.

use poem::{Response, http::StatusCode};
use serde_json::{Value, json};

use crate::demo::standins::server;

/// An error answer: `{"error":{"message","type","param","code"}}`.
#[derive(Debug, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub message: String,
    pub kind: &'static str,
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

impl Problem {
    /// A 400 without parameter and code.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, "invalid_request_error", None)
    }

    /// A problem of any status.
    pub fn new(status: StatusCode, message: impl Into<String>, kind: &'static str, code: Option<&'static str>) -> Self {
        Self { status, message: message.into(), kind, param: None, code }
    }

    /// Names the parameter and the code.
    pub fn about(self, param: &str, code: &'static str) -> Self {
        Self { param: Some(param.to_owned()), code: Some(code), ..self }
    }

    /// What reasoning models say about older parameters.
    pub fn unsupported_parameter(name: &str) -> Self {
        let instead = if name == "max_tokens" { " Use 'max_completion_tokens' instead." } else { "" };
        Self::invalid(format!("Unsupported parameter: '{name}' is not supported with this model.{instead}"))
            .about(name, "unsupported_parameter")
    }

    /// No key, or one that is not ours; the message shows as little of it as the real one.
    pub fn of_key(given: Option<&str>) -> Self {
        let Some(given) = given else {
            return Self::new(
                StatusCode::UNAUTHORIZED,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth \
                 (i.e. Authorization: Bearer YOUR_KEY).",
                "invalid_request_error",
                None,
            );
        };
        let tail: String = given.chars().skip(given.chars().count().saturating_sub(4)).collect();
        Self::new(
            StatusCode::UNAUTHORIZED,
            format!("Incorrect API key provided: ***{tail}."),
            "invalid_request_error",
            Some("invalid_api_key"),
        )
    }

    /// The body of a fault of that status.
    pub fn of_status(status: StatusCode) -> Value {
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Self::new(
                status,
                "Rate limit reached. Please try again later.",
                "requests",
                Some("rate_limit_exceeded"),
            )
            .body();
        }
        Self::new(
            status,
            "The server had an error while processing your request. Sorry about that!",
            "server_error",
            None,
        )
        .body()
    }

    fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        server::json(problem.status, &problem.body())
    }
}
