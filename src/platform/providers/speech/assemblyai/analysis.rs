//! What AssemblyAI tells beyond the words: how sentences sound, and what names and numbers there are.

use serde::Deserialize;
use serde_json::Value;

use super::wire;
use crate::platform::providers::speech::{
    Sentiment, SpokenEntity, SpokenSentiment,
    turns::{confidence, milliseconds},
};

/// A sentence and how it sounds.
#[derive(Deserialize)]
pub(super) struct JudgedSentence {
    /// Null at times.
    start: Option<f64>,
    end: Option<f64>,
    sentiment: Option<String>,
    confidence: Option<f64>,
    speaker: Option<String>,
    #[serde(default)]
    channel: Value,
}

impl JudgedSentence {
    /// None when the sentence has no sentiment, or one that came after this was written.
    pub(super) fn sentiment(self) -> Option<SpokenSentiment> {
        let sentiment = match self.sentiment.as_deref()? {
            "POSITIVE" => Sentiment::Positive,
            "NEUTRAL" => Sentiment::Neutral,
            "NEGATIVE" => Sentiment::Negative,
            _ => {
                tracing::warn!(provider = "assemblyai", "a sentence with an unknown sentiment is left out");
                return None;
            }
        };
        let start_ms = self.start.map(milliseconds);
        let end_ms = self.end.map(milliseconds).map(|end| end.max(start_ms.unwrap_or(0)));
        let voice = wire::voice(&self.channel, self.speaker.as_deref());
        Some(SpokenSentiment { voice, start_ms, end_ms, sentiment, confidence: confidence(self.confidence) })
    }
}

/// A name, a number or the like, and where it was said.
#[derive(Deserialize)]
pub(super) struct FoundEntity {
    entity_type: Option<String>,
    text: Option<String>,
    start: Option<f64>,
    end: Option<f64>,
}

impl FoundEntity {
    /// None when it has no sort or no words.
    pub(super) fn entity(self) -> Option<SpokenEntity> {
        let kind = self.entity_type.filter(|kind| !kind.is_empty())?;
        let text = self.text.filter(|text| !text.trim().is_empty())?;
        let start_ms = self.start.map_or(0, milliseconds);
        let end_ms = self.end.map_or(start_ms, milliseconds).max(start_ms);
        Some(SpokenEntity { kind, text, start_ms, end_ms })
    }
}
