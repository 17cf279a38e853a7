//! OpenAI's chat completions, and servers that speak the same form.

use std::{collections::HashMap, time::Duration};

use reqwest::{Client, Method};
use secrecy::SecretString;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use url::Url;

use super::{Completed, Completion, LanguageModel};
use crate::platform::providers::{
    PermanentKind, ProviderError, QuickRetries, Tokens,
    exchange::{Line, Payload, Question, Repeat},
    refusal,
};

/// Longest answer that is read.
const LONGEST_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// How to reach a language model in OpenAI's form.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// Address up to and including the version: `https://api.openai.com/v1`.
    pub base_url: Url,
    /// Sent as a bearer token.
    pub api_key: SecretString,
    /// Model to ask. Models are withdrawn within months: always a setting.
    pub model: String,
    /// `OpenAI-Organization`, where an account has several.
    pub organization: Option<String>,
    /// `OpenAI-Project`, where an account has several.
    pub project: Option<String>,
    /// Sent only when set: reasoning models refuse it.
    pub temperature: Option<f64>,
    /// Sent only when set: asks the provider to answer equal questions equally, as far as it can.
    pub seed: Option<i64>,
    /// Most tokens of an answer, reasoning included, where the question sets none. Sent only when set.
    pub max_completion_tokens: Option<u32>,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// Retries inside one call.
    pub retries: QuickRetries,
}

/// A client of OpenAI's chat completions.
pub struct OpenAi {
    line: Line,
    settings: OpenAiSettings,
}

impl OpenAi {
    /// A client on the shared HTTP client of [`http_client`](crate::platform::providers::http_client). Fails when the
    /// address or the key cannot be one.
    pub fn new(settings: OpenAiSettings, http: Client) -> Result<Self, ProviderError> {
        let OpenAiSettings { base_url, api_key, timeout, retries, .. } = &settings;
        let mut line = Line::new("openai", http, base_url, "Bearer ", Some(api_key), *timeout, refusal::openai)?
            .retrying(*retries);
        if let Some(organization) = &settings.organization {
            line = line.header("openai-organization", organization)?;
        }
        if let Some(project) = &settings.project {
            line = line.header("openai-project", project)?;
        }
        Ok(Self { line, settings })
    }

    fn body(&self, request: &Completion) -> Value {
        let mut body = json!({
            "model": self.settings.model,
            "messages": [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": request.schema_name, "strict": true, "schema": request.schema},
            },
            // Words of callers are not to be kept for the provider's own tools.
            "store": false,
        });
        // The setting is a cap: what a prompt builder expects may be less, never more.
        let wanted = [request.max_output_tokens, self.settings.max_completion_tokens];
        if let Some(most) = wanted.into_iter().flatten().min() {
            body["max_completion_tokens"] = json!(most);
        }
        if let Some(temperature) = self.settings.temperature {
            body["temperature"] = json!(temperature);
        }
        if let Some(seed) = self.settings.seed {
            body["seed"] = json!(seed);
        }
        body
    }
}

#[async_trait::async_trait]
impl LanguageModel for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn model(&self) -> &str {
        &self.settings.model
    }

    fn parameters(&self, request: &Completion) -> Value {
        let mut parameters = self.body(request);
        if let Some(sent) = parameters.as_object_mut() {
            // The question itself has digests of its own.
            sent.retain(|name, _| !matches!(name.as_str(), "messages" | "response_format"));
        }
        parameters
    }

    async fn complete(&self, request: &Completion) -> Result<Completed, ProviderError> {
        let question = Question {
            name: "completion",
            method: Method::POST,
            path: &["chat", "completions"],
            payload: Payload::Json(self.body(request).to_string().into()),
            repeat: Repeat::Freely,
            longest_answer_bytes: LONGEST_ANSWER_BYTES,
        };
        let answer = self.line.ask(&question).await?;
        let request_id = answer.request_id;
        // serde's own message would quote the answer, so it is dropped.
        let parsed = serde_json::from_slice::<Answer>(&answer.body);
        // What is cut, filtered or refused is paid like any other answer.
        let spent = parsed.as_ref().map(Answer::spent).unwrap_or_default();
        let completed = parsed
            .map_err(|_| (PermanentKind::Garbage, "the answer is not a chat completion"))
            .and_then(|answer| answer.completed(&self.settings.model));
        let completed = completed.map_err(|(kind, reason)| {
            let request = request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
            self.line.paid(kind, format!("completion: {reason}{request}"), spent)
        });
        let completed = Completed { request_id, ..completed? };
        let Completed { prompt_tokens, completion_tokens, request_id, model, .. } = &completed;
        tracing::info!(provider = "openai", model, prompt_tokens, completion_tokens, request_id, "model answered");
        Ok(completed)
    }
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    system_fingerprint: Option<String>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl Answer {
    /// What the provider counted; nothing when it does not say.
    fn spent(&self) -> Tokens {
        let usage = self.usage.as_ref();
        usage.map_or_else(Tokens::default, |usage| Tokens {
            prompt: usage.prompt_tokens,
            completion: usage.completion_tokens,
        })
    }

    /// The order matters: a cut answer can look like a short valid one, so why it ended is asked before what it says.
    fn completed(self, asked_model: &str) -> Result<Completed, (PermanentKind, &'static str)> {
        use PermanentKind::*;
        let spent = self.spent();
        let [choice] = <[Choice; 1]>::try_from(self.choices).map_err(|_| (Garbage, "not exactly one choice"))?;
        match choice.finish_reason.as_deref() {
            Some("length") => return Err((Truncated, "the answer was cut at the token limit")),
            Some("content_filter") => return Err((ContentFilter, "the content filter stopped the answer")),
            _ if choice.message.refusal.is_some_and(|refusal| !refusal.is_empty()) => {
                return Err((Refused, "the model refused to answer"));
            }
            Some("stop") => {}
            _ => return Err((Garbage, "the answer ended for a reason that was not asked for")),
        }
        let content = choice.message.content.unwrap_or_default();
        if serde_json::from_str::<HashMap<String, IgnoredAny>>(&content).is_err() {
            return Err((Garbage, "the model's text is not a JSON object"));
        }
        Ok(Completed {
            content,
            model: self.model.filter(|model| !model.is_empty()).unwrap_or_else(|| asked_model.into()),
            fingerprint: self.system_fingerprint.filter(|fingerprint| !fingerprint.is_empty()),
            prompt_tokens: spent.prompt,
            completion_tokens: spent.completion,
            request_id: None,
        })
    }
}

#[cfg(test)]
mod tests;
