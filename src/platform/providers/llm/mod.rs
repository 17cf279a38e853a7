//! Language models: a question with a strict answer schema becomes JSON text.

mod openai;

pub use openai::{OpenAi, OpenAiSettings};

use super::ProviderError;

/// A language model that answers in JSON of a given schema.
#[async_trait::async_trait]
pub trait LanguageModel: Send + Sync {
    /// Name of the provider, stable: it is stored beside what it answered.
    fn name(&self) -> &'static str;

    /// The model that is asked, as configured.
    fn model(&self) -> &str;

    /// What besides the question decides the answer, as it is sent: a receipt names it.
    fn parameters(&self, _request: &Completion) -> serde_json::Value {
        serde_json::json!({ "model": self.model() })
    }

    /// Asks once and pays once. An answer that was cut, filtered, refused or is not JSON is an error and never repaired.
    async fn complete(&self, request: &Completion) -> Result<Completed, ProviderError>;
}

/// One question to a language model. Holds words of callers, so it has no `Debug`.
#[derive(Clone)]
pub struct Completion {
    /// Instructions.
    pub system: String,
    /// Material to judge.
    pub user: String,
    /// Name of the answer's schema: 1 to 64 letters, digits, `_` and `-`.
    pub schema_name: String,
    /// Strict JSON schema of the answer.
    pub schema: serde_json::Value,
    /// Most tokens the answer may cost, reasoning included; none takes the setting of the client.
    pub max_output_tokens: Option<u32>,
}

/// The model's answer. Holds words of callers, so it has no `Debug`.
#[derive(Clone)]
pub struct Completed {
    /// JSON text as it came. Parses as JSON; whether it fits the schema is for the asker to check.
    pub content: String,
    /// The model that answered, as the provider names it (often more exact than the one asked for).
    pub model: String,
    /// The provider's name for the configuration that answered, where it gives one: another one may answer otherwise.
    pub fingerprint: Option<String>,
    /// Tokens of the question; 0 when the provider does not say.
    pub prompt_tokens: u64,
    /// Tokens of the answer; 0 when the provider does not say.
    pub completion_tokens: u64,
    /// The provider's name for this exchange, for its support.
    pub request_id: Option<String>,
}
