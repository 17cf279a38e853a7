//! AssemblyAI's transcription of recordings (v2): the recording is uploaded, a transcript ordered and fetched later.

use std::time::Duration;

use reqwest::{Client, Method};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

use self::wire::{Answer, Order, Status, Uploaded};
use super::{AudioSource, SpeechOptions, SpeechToText, Submission};
use crate::platform::providers::{
    PermanentKind, ProviderError, QuickRetries,
    exchange::{Line, Payload, Question, Repeat},
};

mod analysis;
mod features;
mod wire;

pub use features::{AssemblyAiFeatures, PiiRedaction, PiiSubstitute};

/// Longest transcript that is read: words with times of ten hours of talk.
const LONGEST_TRANSCRIPT_BYTES: usize = 64 * 1024 * 1024;
/// Longest answer to an upload.
const LONGEST_RECEIPT_BYTES: usize = 64 * 1024;
/// Longest name of a transcript; theirs have 36 letters.
const LONGEST_REFERENCE_BYTES: usize = 128;

/// How to reach AssemblyAI.
#[derive(Debug, Clone)]
pub struct AssemblyAiSettings {
    /// `https://api.assemblyai.com`, or `https://api.eu.assemblyai.com` to stay in the European Union.
    pub base_url: Url,
    /// Sent as it is, without "Bearer".
    pub api_key: SecretString,
    /// Models in the order of preference; at least one, because the provider has no default.
    pub speech_models: Vec<String>,
    /// What is asked for beyond the words.
    pub features: AssemblyAiFeatures,
    /// Longest time for one attempt; an upload has a second more for every 128 KiB.
    pub timeout: Duration,
    /// Retries inside one call.
    pub retries: QuickRetries,
}

/// A client of AssemblyAI.
pub struct AssemblyAi {
    line: Line,
    speech_models: Vec<String>,
    features: AssemblyAiFeatures,
}

impl AssemblyAi {
    /// A client on the shared HTTP client of [`http_client`](crate::platform::providers::http_client). Fails when the
    /// address or the key cannot be one, no model is named, or a feature is asked for in a way that would be refused.
    pub fn new(settings: AssemblyAiSettings, http: Client) -> Result<Self, ProviderError> {
        let AssemblyAiSettings { base_url, api_key, speech_models, features, timeout, retries } = settings;
        let line =
            Line::new("assemblyai", http, &base_url, "", Some(&api_key), timeout, wire::judge)?.retrying(retries);
        if speech_models.iter().all(|model| model.trim().is_empty()) {
            return Err(line.permanent(PermanentKind::InvalidRequest, "no speech model is configured"));
        }
        features.check().map_err(|reason| line.permanent(PermanentKind::InvalidRequest, reason))?;
        Ok(Self { line, speech_models, features })
    }

    /// Refuses a vocabulary that the provider would refuse of every recording.
    pub fn accepts(&self, keyterms: &[String]) -> Result<(), ProviderError> {
        features::check_keyterms(keyterms, &self.speech_models)
            .map_err(|reason| self.line.permanent(PermanentKind::InvalidRequest, reason))
    }

    async fn upload(&self, audio: &AudioSource) -> Result<String, ProviderError> {
        let question = Question {
            name: "upload",
            method: Method::POST,
            path: &["v2", "upload"],
            payload: Payload::Audio(audio),
            // An upload that nobody orders a transcript of costs nothing and is deleted after some days.
            repeat: Repeat::Freely,
            longest_answer_bytes: LONGEST_RECEIPT_BYTES,
        };
        let uploaded: Uploaded = self.ask(&question).await?;
        Ok(uploaded.upload_url)
    }

    async fn ask<T: DeserializeOwned>(&self, question: &Question<'_>) -> Result<T, ProviderError> {
        let answer = self.line.ask(question).await?;
        // serde's own message would quote the answer, so it is dropped.
        serde_json::from_slice(&answer.body).map_err(|_| {
            let reason = format!("{}: the answer is not in the promised form", question.name);
            self.line.permanent(PermanentKind::Garbage, reason)
        })
    }

    fn submission(&self, answer: Answer) -> Result<Submission, ProviderError> {
        let fits = !answer.id.is_empty() && answer.id.len() <= LONGEST_REFERENCE_BYTES;
        if !fits {
            return Err(self.line.permanent(PermanentKind::Garbage, "the transcript has no proper id"));
        }
        match &answer.status {
            Status::Queued | Status::Processing => Ok(Submission::Waiting { reference: answer.id }),
            Status::Other => {
                tracing::warn!(provider = "assemblyai", reference = answer.id, "transcript in an unknown status");
                Ok(Submission::Waiting { reference: answer.id })
            }
            Status::Error => match wire::job_error(answer.error.as_deref().unwrap_or_default()) {
                (Some(kind), reason) => Err(self.line.permanent(kind, reason)),
                (None, reason) => Ok(Submission::Abandoned { reason: reason.into() }),
            },
            Status::Completed => answer.transcript().map(Submission::Done).ok_or_else(|| {
                self.line.permanent(PermanentKind::Garbage, "the transcript is completed and holds no text")
            }),
        }
    }
}

#[async_trait::async_trait]
impl SpeechToText for AssemblyAi {
    fn name(&self) -> &'static str {
        "assemblyai"
    }

    async fn submit(&self, audio: AudioSource, options: &SpeechOptions) -> Result<Submission, ProviderError> {
        self.accepts(&options.keyterms)?;
        let audio_url = self.upload(&audio).await?;
        let order = Order::new(&audio_url, &self.speech_models, &self.features, &audio, options);
        let order = serde_json::to_vec(&order)
            .map_err(|_| self.line.permanent(PermanentKind::InvalidRequest, "the order cannot be written"))?;
        let question = Question {
            name: "order",
            method: Method::POST,
            path: &["v2", "transcript"],
            payload: Payload::Json(order.into()),
            repeat: Repeat::OnlyUntaken,
            longest_answer_bytes: LONGEST_TRANSCRIPT_BYTES,
        };
        self.submission(self.ask(&question).await?)
    }

    async fn fetch(&self, reference: &str) -> Result<Submission, ProviderError> {
        let question = Question {
            name: "transcript",
            method: Method::GET,
            path: &["v2", "transcript", reference],
            payload: Payload::Nothing,
            repeat: Repeat::Freely,
            longest_answer_bytes: LONGEST_TRANSCRIPT_BYTES,
        };
        let answer: Answer = self.ask(&question).await?;
        if answer.id != reference {
            return Err(self.line.permanent(PermanentKind::Garbage, "the answer is about another transcript"));
        }
        self.submission(answer)
    }
}

#[cfg(test)]
mod tests;
