//! What we do not own: speech to text and language models. Providers know no product.
//!
//! Every client tells temporary trouble from permanent trouble, because the queue decides by it whether a job comes
//! back. No error and no log line carries a key, a word of a transcript or a word of a model's answer: reasons are
//! written here, and of what a provider says about its refusal only short codes are repeated.

pub mod llm;
pub mod speech;

mod exchange;
#[cfg(test)]
mod faults;
mod refusal;
mod retries;

pub use exchange::http_client;
pub use retries::QuickRetries;

use std::time::Duration;

/// Why a provider gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Asking again later may work: too many requests, an overloaded server, a broken connection, a timeout.
    #[error("{provider}, temporary: {reason}")]
    Temporary {
        /// Name of the provider, as its client gives it.
        provider: &'static str,
        /// What happened, in our words; safe to store and show.
        reason: String,
        /// How long the provider asked to be left alone, where it did.
        retry_after: Option<Duration>,
    },
    /// Asking again with the same input, settings and account gives the same refusal.
    #[error("{provider}, {}: {reason}", .kind.code())]
    Permanent {
        /// Name of the provider, as its client gives it.
        provider: &'static str,
        /// What happened, in our words; safe to store and show.
        reason: String,
        /// Who can do something about it.
        kind: PermanentKind,
        /// What was paid for it all the same.
        spent: Tokens,
    },
}

/// Tokens that a language model counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the question.
    pub prompt: u64,
    /// Of the answer.
    pub completion: u64,
}

impl ProviderError {
    /// Name of the provider that failed.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Temporary { provider, .. } | Self::Permanent { provider, .. } => provider,
        }
    }

    /// A stable word for tables, metrics and the API: `temporary`, or the code of the permanent kind.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Temporary { .. } => "temporary",
            Self::Permanent { kind, .. } => kind.code(),
        }
    }

    /// What was paid: a language model counts also an answer that it cuts, filters or refuses.
    pub fn spent(&self) -> Tokens {
        match self {
            Self::Temporary { .. } => Tokens::default(),
            Self::Permanent { spent, .. } => *spent,
        }
    }

    /// Whether the job should come back by itself.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary { .. })
    }
}

/// What a permanent refusal is about; decides whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PermanentKind {
    /// The key is missing, wrong, or not allowed to do this: the operator's settings.
    Credentials,
    /// The account has no money or quota left: the operator's contract. Waiting does not help.
    Quota,
    /// The provider refused for a reason of its own; a model's refusal to answer among them.
    Refused,
    /// The provider's content filter stopped the answer.
    ContentFilter,
    /// The answer was cut at the token limit: ask for less or allow more.
    Truncated,
    /// The answer is not what the protocol promises: HTML, broken JSON, parts missing, far too long.
    Garbage,
    /// The file holds no audio that can be transcribed.
    BadAudio,
    /// The request is larger than the provider takes.
    TooLarge,
    /// The provider does not know the reference of the work that was asked for.
    UnknownReference,
    /// The request does not fit the provider: an unknown model, a refused parameter or schema, a wrong address.
    InvalidRequest,
}

impl PermanentKind {
    /// The kind as a stable word for tables, metrics and the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Quota => "quota",
            Self::Refused => "refused",
            Self::ContentFilter => "content_filter",
            Self::Truncated => "truncated",
            Self::Garbage => "garbage",
            Self::BadAudio => "bad_audio",
            Self::TooLarge => "too_large",
            Self::UnknownReference => "unknown_reference",
            Self::InvalidRequest => "invalid_request",
        }
    }
}
