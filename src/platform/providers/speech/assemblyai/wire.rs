//! AssemblyAI's bodies: what is sent, what comes, and what its error sentences mean.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    analysis::{FoundEntity, JudgedSentence},
    features::AssemblyAiFeatures,
};
use crate::platform::providers::{
    PermanentKind,
    refusal::{Refusal, Verdict},
    speech::{
        AudioSource, SpeechOptions, SpokenUtterance, Transcript, Voice, language,
        turns::{self, Word, confidence, milliseconds, milliseconds_of},
    },
};

/// Body of `POST /v2/transcript`. The provider refuses names that it does not know.
#[derive(Serialize)]
pub(super) struct Order<'a> {
    audio_url: &'a str,
    speech_models: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    language_code: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    language_detection: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    language_detection_options: Option<Detection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language_confidence_threshold: Option<f32>,
    #[serde(skip_serializing_if = "is_false")]
    multichannel: bool,
    #[serde(skip_serializing_if = "is_false")]
    speaker_labels: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    speakers_expected: Option<u8>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    keyterms_prompt: &'a [String],
    #[serde(skip_serializing_if = "is_false")]
    sentiment_analysis: bool,
    #[serde(skip_serializing_if = "is_false")]
    entity_detection: bool,
    #[serde(skip_serializing_if = "is_false")]
    redact_pii: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    redact_pii_policies: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    redact_pii_sub: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_auth_header_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_auth_header_value: Option<&'a str>,
}

/// Among which languages the provider is to decide.
#[derive(Serialize)]
struct Detection {
    expected_languages: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl<'a> Order<'a> {
    pub(super) fn new(
        audio_url: &'a str,
        speech_models: &'a [String],
        features: &'a AssemblyAiFeatures,
        audio: &AudioSource,
        options: &'a SpeechOptions,
    ) -> Self {
        let multichannel = options.channels.or(audio.channels).is_some_and(|channels| channels >= 2);
        let speaker_labels = options.speaker_labels && !multichannel;
        let detection = options.language.is_none();
        let expected: Vec<String> = features.expected_languages.iter().map(|tag| language::assemblyai(tag)).collect();
        let redaction = features.redaction.as_ref();
        Self {
            audio_url,
            speech_models,
            language_code: options.language.as_deref().map(language::assemblyai),
            language_detection: detection,
            language_detection_options: (detection && !expected.is_empty())
                .then_some(Detection { expected_languages: expected }),
            language_confidence_threshold: features.least_language_confidence.filter(|_| detection),
            multichannel,
            speaker_labels,
            speakers_expected: options.speakers_expected.filter(|_| speaker_labels),
            keyterms_prompt: &options.keyterms,
            sentiment_analysis: features.sentiment,
            entity_detection: features.entities,
            redact_pii: redaction.is_some(),
            redact_pii_policies: redaction.map_or(&[], |redaction| &redaction.policies),
            redact_pii_sub: redaction.map(|redaction| redaction.substitute.as_str()),
            webhook_url: options.webhook.as_ref().map(|webhook| webhook.url.as_str()),
            webhook_auth_header_name: options.webhook.as_ref().map(|webhook| webhook.header_name.as_str()),
            webhook_auth_header_value: options.webhook.as_ref().map(|webhook| webhook.secret.expose_secret()),
        }
    }
}

/// Answer of `POST /v2/upload`.
#[derive(Deserialize)]
pub(super) struct Uploaded {
    pub upload_url: String,
}

/// Answer about one transcript. Everything but id and status may be null or absent.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub id: String,
    pub status: Status,
    pub error: Option<String>,
    text: Option<String>,
    words: Option<Vec<Piece>>,
    utterances: Option<Vec<Piece>>,
    audio_duration: Option<f64>,
    confidence: Option<f64>,
    language_code: Option<String>,
    speech_model_used: Option<String>,
    sentiment_analysis_results: Option<Vec<JudgedSentence>>,
    entities: Option<Vec<FoundEntity>>,
    redact_pii: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Queued,
    Processing,
    Completed,
    Error,
    /// A status that came after this was written: the work goes on.
    #[serde(other)]
    Other,
}

/// A word or an utterance; both have the same shape.
#[derive(Deserialize)]
struct Piece {
    text: Option<String>,
    start: Option<f64>,
    end: Option<f64>,
    confidence: Option<f64>,
    speaker: Option<String>,
    /// A number, as text or not.
    #[serde(default)]
    channel: Value,
    #[serde(default)]
    words: Option<Vec<Piece>>,
}

impl Answer {
    /// The transcript of a completed answer, or `None` when it holds none at all, not even an empty text.
    pub(super) fn transcript(self) -> Option<Transcript> {
        let duration_ms = self.audio_duration.map(milliseconds_of);
        let utterances = match (self.utterances, self.words) {
            (Some(utterances), _) if !utterances.is_empty() => utterances.into_iter().map(Piece::utterance).collect(),
            (_, Some(words)) if !words.is_empty() => turns::from_words(in_time(words)),
            (utterances, words) => match self.text {
                Some(text) => vec![SpokenUtterance {
                    voice: Voice::Single,
                    start_ms: 0,
                    end_ms: duration_ms.unwrap_or(0),
                    text,
                    confidence: confidence(self.confidence),
                }],
                None if utterances.is_some() || words.is_some() => Vec::new(),
                None => return None,
            },
        };
        let judged = self.sentiment_analysis_results.unwrap_or_default();
        // Redaction leaves the words in the entities that it takes out of the text. What the text is to be free of is not
        // carried along beside it.
        let found = self.entities.filter(|_| self.redact_pii != Some(true)).unwrap_or_default();
        let transcript = Transcript {
            language: self.language_code.as_deref().and_then(language::tag),
            duration_ms,
            model: self.speech_model_used,
            utterances,
            sentiments: judged.into_iter().filter_map(JudgedSentence::sentiment).collect(),
            entities: found.into_iter().filter_map(FoundEntity::entity).collect(),
        };
        Some(transcript.ordered())
    }
}

/// Whose voice a channel, as text or number, and a speaker name.
pub(super) fn voice(channel: &Value, speaker: Option<&str>) -> Voice {
    let channel = match channel {
        Value::String(number) => turns::channel(number),
        Value::Number(number) => turns::channel(&number.to_string()),
        _ => None,
    };
    // With several channels and no field for them the speaker is the channel, alone ("1") or with a label ("1A").
    let speaker = speaker.filter(|speaker| !speaker.is_empty());
    let spoken = || {
        let speaker = speaker?;
        let digits = speaker.len() - speaker.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        turns::channel(&speaker[..digits])
    };
    channel.or_else(spoken).or_else(|| speaker.map(|label| Voice::Label(label.into()))).unwrap_or(Voice::Single)
}

impl Piece {
    fn voice(&self) -> Voice {
        voice(&self.channel, self.speaker.as_deref())
    }

    fn utterance(self) -> SpokenUtterance {
        let voice = self.voice();
        // The words know better where a turn begins and ends when the turn itself does not say.
        let words = self.words.unwrap_or_default();
        let start = self.start.or_else(|| words.iter().find_map(|word| word.start)).unwrap_or(0.0);
        let end = self.end.or_else(|| words.iter().rev().find_map(|word| word.end)).unwrap_or(start);
        let text = self
            .text
            .unwrap_or_else(|| words.iter().filter_map(|word| word.text.as_deref()).collect::<Vec<_>>().join(" "));
        let (start_ms, end_ms) = (milliseconds(start), milliseconds(end));
        SpokenUtterance { voice, start_ms, end_ms, text, confidence: confidence(self.confidence) }
    }
}

/// Words with times; one without takes the place right after the word before it.
fn in_time(words: Vec<Piece>) -> Vec<Word> {
    let mut last = 0;
    let timed = words.into_iter().map(|word| {
        let start_ms = word.start.map_or(last, milliseconds);
        let end_ms = word.end.map_or(start_ms, milliseconds).max(start_ms);
        last = end_ms;
        let (voice, confidence) = (word.voice(), confidence(word.confidence));
        Word { voice, start_ms, end_ms, text: word.text.unwrap_or_default(), confidence }
    });
    timed.filter(|word| !word.text.trim().is_empty()).collect()
}

/// What the error sentence of a failed transcript means: the kind, or `None` when handing the recording over again may
/// succeed. The sentence itself holds addresses of recordings and is not repeated.
pub(super) fn job_error(sentence: &str) -> (Option<PermanentKind>, &'static str) {
    use PermanentKind::*;
    let sentence = sentence.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| sentence.contains(word));
    if says(&["download error", "unable to download"]) {
        (None, "the recording could not be fetched by the provider")
    } else if says(&["too short"]) {
        (Some(BadAudio), "the recording is too short")
    } else if says(&[
        "does not appear to contain audio",
        "no spoken audio",
        "no audio",
        "transcod",
        "corrupt",
        "unsupported",
    ]) {
        (Some(BadAudio), "the file does not hold audio that the provider can read")
    } else if says(&["language", "model"]) {
        (Some(InvalidRequest), "the language or the models do not fit what was asked for")
    } else if says(&["balance"]) {
        (Some(Quota), "the account has no balance left")
    } else {
        (None, "the provider failed at this recording")
    }
}

/// Reads a refusal, `{"error": "sentence"}` or anything.
pub(super) fn judge(refusal: &Refusal) -> Verdict {
    use PermanentKind::*;
    let verdict = Verdict::of_status(refusal.status);
    let body: Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
    let sentence = body["error"].as_str().unwrap_or_default().to_lowercase();
    let says = |words: &str| sentence.contains(words);
    match verdict.kind {
        Some(_) if says("id not found") => {
            Verdict::permanent(UnknownReference, "the provider does not know this transcript")
        }
        Some(_) if says("balance") => Verdict::permanent(Quota, "the account has no balance left"),
        Some(_) if says("cannot access uploaded file") => {
            Verdict::permanent(Credentials, "the upload belongs to a key of another project")
        }
        Some(InvalidRequest) if says("not available in this language") => {
            Verdict::permanent(InvalidRequest, "a feature that was asked for is not available in this language")
        }
        Some(InvalidRequest) if says("speech_model") => {
            Verdict::permanent(InvalidRequest, "the speech models are not accepted")
        }
        _ => verdict,
    }
}
