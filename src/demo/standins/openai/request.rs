//! A chat completion's request: what is read of it, and the 400s that OpenAI gives for the rest.

use poem::http::StatusCode;
use serde_json::{Map, Value};

use super::{problem::Problem, strict};

const PARAMETERS: [&str; 36] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];
const ROLES: [&str; 6] = ["developer", "system", "user", "assistant", "tool", "function"];

/// What the stand-in needs of a request.
#[derive(Debug)]
pub struct ChatRequest {
    /// All user messages, one after the other.
    pub user: String,
    /// Characters of all messages, for the usage.
    pub characters: usize,
    /// The schema of the answer, when one is asked for.
    pub schema: Option<Value>,
    pub max_completion_tokens: Option<usize>,
}

impl ChatRequest {
    /// Reads and checks a request's body.
    ///
    /// # Errors
    /// The problem that OpenAI would answer.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
            return Err(Problem::invalid("We could not parse the JSON body of your request."));
        };
        if let Some(unknown) = body.keys().find(|name| !PARAMETERS.contains(&name.as_str())) {
            return Err(
                Problem::invalid(format!("Unknown parameter: '{unknown}'.")).about(unknown, "unknown_parameter")
            );
        }
        let Some(model) = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()) else {
            return Err(Problem::invalid("you must provide a model parameter"));
        };
        check_reasoning_model(model, &body)?;
        if body.get("stream").is_some_and(|stream| stream == true)
            || body.get("n").is_some_and(|n| *n != 1 && !n.is_null())
        {
            return Err(Problem::invalid(
                "This stand-in gives one answer, unstreamed: neither 'stream' nor 'n' is supported.",
            ));
        }
        let (user, characters) = read_messages(body.get("messages"))?;
        let max = body.get("max_completion_tokens").or_else(|| body.get("max_tokens")).and_then(Value::as_u64);
        let schema = read_schema(body.remove("response_format"))?;
        let max_completion_tokens = max.and_then(|max| usize::try_from(max).ok());
        Ok(Self { user, characters, schema, max_completion_tokens })
    }
}

/// Reasoning models refuse what older ones took.
fn check_reasoning_model(model: &str, body: &Map<String, Value>) -> Result<(), Problem> {
    let reasoning = model.starts_with("gpt-5")
        || model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if !reasoning {
        return Ok(());
    }
    if body.contains_key("max_tokens") {
        return Err(Problem::unsupported_parameter("max_tokens"));
    }
    match body.get("temperature").and_then(Value::as_f64) {
        Some(given) if (given - 1.0).abs() > f64::EPSILON => Err(Problem::invalid(format!(
            "Unsupported value: 'temperature' does not support {given} with this model. Only the default (1) value is supported."
        ))
        .about("temperature", "unsupported_value")),
        _ => Ok(()),
    }
}

fn read_messages(messages: Option<&Value>) -> Result<(String, usize), Problem> {
    let missing =
        || Problem::invalid("Missing required parameter: 'messages'.").about("messages", "missing_required_parameter");
    let messages = messages.and_then(Value::as_array).ok_or_else(missing)?;
    if messages.is_empty() {
        let said =
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        return Err(Problem::invalid(said).about("messages", "empty_array"));
    }
    let (mut user, mut characters) = (String::new(), 0);
    for (at, message) in messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if !ROLES.contains(&role) {
            let said = format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
            );
            return Err(Problem::invalid(said).about(&format!("messages[{at}].role"), "invalid_value"));
        }
        let content = text_of(message.get("content"));
        characters += content.chars().count();
        if role == "user" {
            if !user.is_empty() {
                user.push('\n');
            }
            user.push_str(&content);
        }
    }
    Ok((user, characters))
}

/// A content is a string, or parts of which the text ones count.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

fn read_schema(format: Option<Value>) -> Result<Option<Value>, Problem> {
    let Some(mut format) = format else { return Ok(None) };
    match format.get("type").and_then(Value::as_str) {
        Some("text" | "json_object") => return Ok(None),
        Some("json_schema") => {}
        _ => {
            let said = "Invalid value for 'response_format.type'. Supported values are: 'json_object', 'json_schema', and 'text'.";
            return Err(Problem::invalid(said).about("response_format.type", "invalid_value"));
        }
    }
    let missing = |name: &str| {
        let name = format!("response_format.json_schema{name}");
        Problem::invalid(format!("Missing required parameter: '{name}'.")).about(&name, "missing_required_parameter")
    };
    let Some(Value::Object(named)) = format.get_mut("json_schema") else { return Err(missing("")) };
    let name = named.get("name").and_then(Value::as_str).ok_or_else(|| missing(".name"))?.to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let said = "Invalid 'response_format.json_schema.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.";
        return Err(Problem::invalid(said).about("response_format.json_schema.name", "invalid_value"));
    }
    let strict = named.get("strict").is_some_and(|strict| *strict == true);
    let schema = named.remove("schema").ok_or_else(|| missing(".schema"))?;
    if strict {
        strict::check(&name, &schema).map_err(|message| Problem {
            status: StatusCode::BAD_REQUEST,
            message,
            kind: "invalid_request_error",
            param: Some("response_format".to_owned()),
            code: None,
        })?;
    }
    Ok(Some(schema))
}
