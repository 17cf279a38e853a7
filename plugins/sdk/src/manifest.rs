//! What a plugin says of itself: its name, and what it reads and takes. The manifest travels in the description's metadata.

use crate::Description;

/// A part of the input that a plugin reads. The structure (keys, weights, verdicts, positions) is always given; what is not
/// named arrives empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The call's id.
    CallId,
    /// `phone`, `chat`, `email`, or a later one.
    CallChannel,
    /// BCP 47.
    CallLanguage,
    /// When the call began and how long it took.
    CallTimes,
    /// What is said, redacted.
    UtterancesText,
    /// Who speaks.
    UtterancesSpeaker,
    /// When each utterance begins and ends.
    UtterancesTimes,
    /// Conversation metrics.
    Metrics,
    /// The names, questions and guidance of the scorecard.
    ScorecardText,
    /// How sure the judge is.
    AnswersConfidence,
    /// Why the judge answers so.
    AnswersRationale,
    /// The quotes on which an answer rests.
    AnswersEvidence,
    /// The input's metadata.
    Metadata,
}

impl Field {
    /// Its name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallId => "call.id",
            Self::CallChannel => "call.channel",
            Self::CallLanguage => "call.language",
            Self::CallTimes => "call.times",
            Self::UtterancesText => "utterances.text",
            Self::UtterancesSpeaker => "utterances.speaker",
            Self::UtterancesTimes => "utterances.times",
            Self::Metrics => "metrics",
            Self::ScorecardText => "scorecard.text",
            Self::AnswersConfidence => "answers.confidence",
            Self::AnswersRationale => "answers.rationale",
            Self::AnswersEvidence => "answers.evidence",
            Self::Metadata => "metadata",
        }
    }
}

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    name: &'static str,
    version: &'static str,
    summary: &'static str,
    settings_schema: Option<&'static str>,
    metadata: Vec<(String, String)>,
}

impl About {
    /// A name of 1 to 64 of `a-z`, `0-9`, `_` and `-`; the author's version (`env!("CARGO_PKG_VERSION")`); one or two sentences for the
    /// person who binds it.
    pub fn new(name: &'static str, version: &'static str, summary: &'static str) -> Self {
        Self { name, version, summary, settings_schema: None, metadata: Vec::new() }
    }

    /// A JSON Schema of the settings, for the form in which they are entered.
    #[must_use]
    pub fn settings_schema(mut self, schema: &'static str) -> Self {
        self.settings_schema = Some(schema);
        self
    }

    /// Reads these fields and no other. Without this the plugin is given all of them; the privacy officer sees which.
    #[must_use]
    pub fn reads(self, fields: &[Field]) -> Self {
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        self.with("reads", names.join(" "))
    }

    /// Takes at most so many bytes of memory.
    #[must_use]
    pub fn memory_bytes(self, bytes: u64) -> Self {
        self.with("limit.memory_bytes", bytes.to_string())
    }

    /// Takes at most so many milliseconds for one call.
    #[must_use]
    pub fn time_ms(self, ms: u64) -> Self {
        self.with("limit.time_ms", ms.to_string())
    }

    /// Takes at most so much fuel (instructions, as the engine counts them) for one call.
    #[must_use]
    pub fn fuel(self, fuel: u64) -> Self {
        self.with("limit.fuel", fuel.to_string())
    }

    fn with(mut self, key: &str, value: String) -> Self {
        self.metadata.retain(|(known, _)| known != key);
        self.metadata.push((key.to_owned(), value));
        self
    }
}

impl From<About> for Description {
    fn from(about: About) -> Self {
        Self {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            summary: about.summary.to_owned(),
            settings_schema: about.settings_schema.map(str::to_owned),
            metadata: about.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_in_the_metadata() {
        let about =
            About::new("a", "1", "b").reads(&[Field::CallLanguage, Field::UtterancesText]).time_ms(5).time_ms(6);
        let description = Description::from(about.fuel(7).memory_bytes(8));
        let expected = [
            ("reads", "call.language utterances.text"),
            ("limit.time_ms", "6"),
            ("limit.fuel", "7"),
            ("limit.memory_bytes", "8"),
        ];
        assert_eq!(description.metadata, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(Description::from(About::new("a", "1", "b").reads(&[])).metadata[0].1, "");
        assert!(Description::from(About::new("a", "1", "b")).metadata.is_empty(), "nothing said is everything read");
    }
}
