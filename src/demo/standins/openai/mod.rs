//! The OpenAI stand-in: chat completions under a strict JSON schema, and models.

mod compose;
mod problem;
mod request;
mod strict;

use std::{sync::Arc, time::Instant};

use poem::{
    Request, Response, Route,
    endpoint::make,
    get,
    http::{HeaderValue, StatusCode, header},
    post,
};
use serde_json::{Value, json};

use self::{compose::compose, problem::Problem, request::ChatRequest};
use super::{
    House, MODEL,
    faults::ChatFault,
    server::{self, count},
};
use crate::foundation::clock::Clock;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 64 << 20;
/// Prompts above this many characters are judged off the async threads.
const LONG_PROMPT: usize = 200_000;

/// The routes below `http://127.0.0.1:port`.
pub fn routes(house: Arc<House>) -> Route {
    let chat = house.clone();
    let chat = make(move |request| complete(chat.clone(), request));
    let models = make(move |request| model(house.clone(), request));
    Route::new().at("/v1/chat/completions", post(chat)).at("/v1/models/:id", get(models))
}

/// The suffix of the bearer key, or the 401.
fn admitted(house: &House, request: &Request) -> Result<String, Problem> {
    let given = request.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let suffix = given.and_then(|given| house.openai_key.suffix(given));
    suffix.map(str::to_owned).ok_or_else(|| Problem::of_key(given))
}

async fn complete(house: Arc<House>, mut request: Request) -> poem::Result<Response> {
    count(&house.counters.chat_completions);
    let started = Instant::now();
    let fault = match admitted(&house, &request) {
        Ok(suffix) => ChatFault::named(&suffix).or_else(|| house.faults.chat()),
        Err(problem) => return Ok(stamped(problem.into(), started)),
    };
    if let Some(refused) = fault.as_ref().and_then(refusal) {
        return Ok(stamped(refused, started));
    }
    let body = request.take_body().into_bytes_limit(LONGEST_BODY).await?;
    let mut response = stamped(answer(&body, fault.as_ref()).await.unwrap_or_else(Response::from), started);
    if let Some(ChatFault::Http(fault)) = fault {
        response = fault.distort(response).await;
    }
    Ok(response)
}

async fn answer(body: &[u8], fault: Option<&ChatFault>) -> Result<Response, Problem> {
    let request = ChatRequest::read(body)?;
    let prompt_tokens = request.characters.div_ceil(4);
    let limit = request.max_completion_tokens;
    let content = if request.characters > LONG_PROMPT {
        let judged = tokio::task::spawn_blocking(move || content_of(&request)).await;
        judged.map_err(|_| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The judgement broke off.", "server_error", None)
        })?
    } else {
        content_of(&request)
    };
    Ok(server::json(StatusCode::OK, &Completion::new(content, limit, fault).body(prompt_tokens)))
}

fn content_of(request: &ChatRequest) -> Value {
    match &request.schema {
        Some(schema) => compose(schema, &request.user),
        None => json!({"stand_in": "This stand-in answers by JSON schema only."}),
    }
}

/// What was generated, and why the generation ended.
struct Completion {
    content: Option<String>,
    refusal: Option<&'static str>,
    finish_reason: &'static str,
    tokens: usize,
}

impl Completion {
    fn new(mut content: Value, limit: Option<usize>, fault: Option<&ChatFault>) -> Self {
        match fault {
            Some(ChatFault::NumberOutOfRange) => replace(&mut content, "confidence", &json!(7.5)),
            Some(ChatFault::InventedQuote) => {
                let invented = json!([{"utterance": 1, "quote": "Nobody on this call ever said these words."}]);
                replace(&mut content, "evidence", &invented);
            }
            _ => {}
        }
        let mut text = content.to_string();
        let (mut refusal, mut finish_reason) = (None, "stop");
        let tokens = text.len().div_ceil(4);
        match fault {
            Some(ChatFault::CutAnswer) => {
                cut(&mut text, tokens * 2);
                finish_reason = "length";
            }
            Some(ChatFault::EmptyAnswer) => {
                text.clear();
                finish_reason = "length";
            }
            Some(ChatFault::Refusal) => refusal = Some("I'm sorry, but I cannot assist with that request."),
            Some(ChatFault::ContentFilter) => {
                text.clear();
                finish_reason = "content_filter";
            }
            Some(ChatFault::NotJson) => "Sure! Here is the evaluation you asked for:".clone_into(&mut text),
            _ => {}
        }
        if let Some(limit) = limit.filter(|limit| *limit < tokens) {
            cut(&mut text, limit * 4);
            finish_reason = "length";
        }
        let tokens = limit.map_or(tokens, |limit| tokens.min(limit));
        Self { content: refusal.is_none().then_some(text), refusal, finish_reason, tokens }
    }

    fn body(&self, prompt_tokens: usize) -> Value {
        json!({
            "id": format!("chatcmpl-{}", server::fresh_id().simple()),
            "object": "chat.completion",
            "created": Clock::system().now().timestamp(),
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": self.content, "refusal": self.refusal, "annotations": []},
                "logprobs": null,
                "finish_reason": self.finish_reason,
            }],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": self.tokens,
                "total_tokens": prompt_tokens + self.tokens,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_stand_in",
        })
    }
}

fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes.min(text.len())));
}

/// Puts a value in the place of every field of that name.
fn replace(value: &mut Value, name: &str, with: &Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field == name { with.clone_into(value) } else { replace(value, name, with) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, name, with)),
        _ => {}
    }
}

fn refusal(fault: &ChatFault) -> Option<Response> {
    let problem = match fault {
        ChatFault::Http(fault) => return fault.refusal(Problem::of_status),
        ChatFault::InsufficientQuota => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            Some("insufficient_quota"),
        ),
        ChatFault::Overloaded => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The server is currently overloaded. Please try again later.",
            "service_unavailable_error",
            Some("server_is_overloaded"),
        ),
        ChatFault::UnsupportedParameter(name) => Problem::unsupported_parameter(name),
        ChatFault::ModelNotFound => model_not_found("that model"),
        _ => return None,
    };
    Some(problem.into())
}

fn model_not_found(id: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("The model `{id}` does not exist or you do not have access to it."),
        "invalid_request_error",
        Some("model_not_found"),
    )
}

async fn model(house: Arc<House>, request: Request) -> poem::Result<Response> {
    count(&house.counters.models);
    let started = Instant::now();
    if let Err(problem) = admitted(&house, &request) {
        return Ok(stamped(problem.into(), started));
    }
    let fault = house.faults.model();
    if let Some(refused) = fault.as_ref().and_then(|fault| fault.refusal(Problem::of_status)) {
        return Ok(stamped(refused, started));
    }
    let id: String = request.path_params()?;
    let shutdown: Option<i64> = None;
    let found = json!({"id": id, "object": "model", "created": 1_767_225_600, "owned_by": "plumbline-stand-in", "shutdown_date": shutdown});
    let response = stamped(server::json(StatusCode::OK, &found), started);
    Ok(match fault {
        Some(fault) => fault.distort(response).await,
        None => response,
    })
}

/// The headers of every OpenAI answer.
fn stamped(mut response: Response, started: Instant) -> Response {
    let taken = started.elapsed().as_millis().to_string();
    let id = format!("req_{}", server::fresh_id().simple());
    let headers = response.headers_mut();
    for (name, value) in [("x-request-id", id.as_str()), ("openai-processing-ms", &taken)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    for (name, value) in [
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-limit-tokens", "30000000"),
        ("x-ratelimit-remaining-tokens", "29999000"),
        ("x-ratelimit-reset-tokens", "2ms"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
