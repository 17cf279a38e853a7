//! A recogniser of one's own that speaks the form of OpenAI's `/v1/audio/transcriptions`. It answers at once, and no
//! recording leaves the house. Times are seconds here.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{
    AudioSource, SpeechOptions, SpeechToText, SpokenUtterance, Submission, Transcript, Voice, language,
    turns::{self, Word, milliseconds_of},
    wav,
};
use crate::platform::providers::{
    PermanentKind, ProviderError, QuickRetries,
    exchange::{Line, Payload, Question, Repeat},
    refusal,
};

/// Longest transcript that is read.
const LONGEST_TRANSCRIPT_BYTES: usize = 64 * 1024 * 1024;
/// What the voices of the channels are to be called, so that an answer names channels and not guessed speakers.
const CHANNEL_NAME: &str = "channel_";
/// The speaker of a recording in which voices cannot be told apart.
const UNKNOWN_SPEAKER: &str = "unknown";

/// How to reach a recogniser in OpenAI's form.
#[derive(Debug, Clone)]
pub struct RecogniserSettings {
    /// Address up to and including the version: `http://127.0.0.1:8931/v1`.
    pub base_url: Url,
    /// Sent as a bearer token; none where the recogniser wants none.
    pub api_key: Option<SecretString>,
    /// Model to use, as the recogniser names it.
    pub model: String,
    /// It tells channels apart by itself (`diarized_json` with named speakers), as `script/speech` does. Otherwise each
    /// channel of a WAV is sent alone.
    pub splits_channels: bool,
    /// Largest recording that it takes; OpenAI's own limit is 25 MB.
    pub max_audio_bytes: Option<u64>,
    /// Longest time for one attempt, recognition included: about a fifth of the recording's length on two cores. The
    /// upload has a second more for every 128 KiB.
    pub timeout: Duration,
    /// Retries inside one call.
    pub retries: QuickRetries,
}

/// A client of a recogniser in OpenAI's form.
pub struct Recogniser {
    line: Line,
    model: String,
    splits_channels: bool,
    max_audio_bytes: Option<u64>,
}

impl Recogniser {
    /// A client on the shared HTTP client of [`http_client`](crate::platform::providers::http_client). Fails when the
    /// address or the key cannot be one.
    pub fn new(settings: RecogniserSettings, http: Client) -> Result<Self, ProviderError> {
        let RecogniserSettings { base_url, api_key, model, splits_channels, max_audio_bytes, timeout, retries } =
            settings;
        let line = Line::new("recogniser", http, &base_url, "Bearer ", api_key.as_ref(), timeout, refusal::openai)?
            .retrying(retries);
        Ok(Self { line, model, splits_channels, max_audio_bytes })
    }

    fn fields(&self, channels: u16, options: &SpeechOptions) -> Vec<(&'static str, String)> {
        let mut fields = vec![("model", self.model.clone())];
        if let Some(language) = &options.language {
            // The form knows languages only, no regions.
            fields.push(("language", language::primary(language)));
        }
        if !options.keyterms.is_empty() {
            fields.push(("prompt", options.keyterms.join(", ")));
        }
        if channels >= 2 {
            fields.push(("response_format", "diarized_json".into()));
            fields.extend((1..=channels).map(|n| ("known_speaker_names[]", format!("{CHANNEL_NAME}{n}"))));
        } else {
            fields.push(("response_format", "verbose_json".into()));
            fields.extend(["word", "segment"].map(|what| ("timestamp_granularities[]", what.into())));
        }
        // Models that tell voices apart want it whatever is asked of them.
        if channels >= 2 || self.model.contains("diarize") {
            fields.push(("chunking_strategy", "auto".into()));
        }
        fields
    }

    /// One recording, by one request.
    async fn heard(
        &self,
        audio: &AudioSource,
        channels: u16,
        options: &SpeechOptions,
    ) -> Result<Transcript, ProviderError> {
        if let Some(most) = self.max_audio_bytes.filter(|most| audio.length_bytes > *most) {
            let reason = format!("the recording has {} bytes and the recogniser takes {most}", audio.length_bytes);
            return Err(self.line.permanent(PermanentKind::TooLarge, reason));
        }
        let fields = self.fields(channels, options);
        let question = Question {
            name: "transcription",
            method: Method::POST,
            path: &["audio", "transcriptions"],
            payload: Payload::Form { fields: &fields, audio },
            repeat: Repeat::Freely,
            longest_answer_bytes: LONGEST_TRANSCRIPT_BYTES,
        };
        let answer = self.line.ask(&question).await?;
        // serde's own message would quote the answer, so it is dropped.
        let transcript = serde_json::from_slice::<Answer>(&answer.body)
            .map_err(|_| "the answer is not in the promised form")
            .and_then(|answer| if channels >= 2 { answer.voices() } else { answer.single() });
        transcript.map_err(|reason| self.line.permanent(PermanentKind::Garbage, reason))
    }

    /// Each channel by a request of its own, so that whose voice it is is certain.
    async fn apart(&self, audio: AudioSource, options: &SpeechOptions) -> Result<Transcript, ProviderError> {
        let audio = Arc::new(audio);
        let layout = if audio.content.reopens() { wav::layout(&audio).await } else { Ok(None) };
        let layout = layout.map_err(|_| ProviderError::Temporary {
            provider: "recogniser",
            reason: "the recording could not be read".into(),
            retry_after: None,
        })?;
        let Some(layout) = layout else {
            let reason = "only a WAV can be taken apart into channels, and this recogniser does not do so by itself";
            return Err(self.line.permanent(PermanentKind::InvalidRequest, reason));
        };
        let mut whole = Transcript::default();
        for n in 1..=layout.channels {
            let channel = self.heard(&wav::channel(&audio, layout, n), 1, options).await?;
            let said = channel.utterances.into_iter();
            whole.utterances.extend(said.map(|said| SpokenUtterance { voice: Voice::Channel(n), ..said }));
            whole.duration_ms = whole.duration_ms.max(channel.duration_ms);
            // A silent channel has no language worth telling.
            whole.language = whole.language.or(channel.language);
        }
        Ok(whole.ordered())
    }
}

#[async_trait::async_trait]
impl SpeechToText for Recogniser {
    fn name(&self) -> &'static str {
        "recogniser"
    }

    async fn submit(&self, audio: AudioSource, options: &SpeechOptions) -> Result<Submission, ProviderError> {
        let channels = options.channels.or(audio.channels).unwrap_or(1);
        let mut transcript = if channels >= 2 && !self.splits_channels {
            self.apart(audio, options).await?
        } else {
            self.heard(&audio, channels, options).await?
        };
        transcript.model = Some(self.model.clone());
        Ok(Submission::Done(transcript))
    }

    async fn fetch(&self, _reference: &str) -> Result<Submission, ProviderError> {
        Err(self.line.permanent(PermanentKind::UnknownReference, "the recogniser answers at once and keeps nothing"))
    }
}

#[derive(Deserialize)]
struct Answer {
    text: Option<String>,
    duration: Option<f64>,
    language: Option<String>,
    segments: Option<Vec<Segment>>,
    words: Option<Vec<TimedWord>>,
}

#[derive(Deserialize)]
struct Segment {
    start: f64,
    end: f64,
    text: String,
    speaker: Option<String>,
}

#[derive(Deserialize)]
struct TimedWord {
    word: String,
    start: f64,
    end: f64,
}

impl Answer {
    /// `diarized_json`. Missing segments are an error and not a single speaker: some servers leave them out.
    fn voices(self) -> Result<Transcript, &'static str> {
        let segments = self.segments.as_ref().ok_or("the answer names no speakers")?;
        let utterances = segments.iter().map(|segment| {
            let speaker = segment.speaker.as_deref().filter(|speaker| !speaker.is_empty());
            let speaker = speaker.ok_or("the answer leaves a speaker out")?;
            let channel = speaker.strip_prefix(CHANNEL_NAME).and_then(turns::channel);
            Ok(segment.utterance(match channel {
                Some(voice) => voice,
                // What a recogniser says of two channels that carry the same.
                None if speaker == UNKNOWN_SPEAKER => Voice::Single,
                None => Voice::Label(speaker.into()),
            }))
        });
        let utterances = utterances.collect::<Result<_, &'static str>>()?;
        Ok(self.transcript(utterances))
    }

    /// `verbose_json` with words. Segments have the sentences but wrong times across silences; words have the times.
    fn single(mut self) -> Result<Transcript, &'static str> {
        let words: Vec<Word> = self.words.take().unwrap_or_default().into_iter().map(TimedWord::single).collect();
        let segments = self.segments.take().unwrap_or_default();
        let text = self.text.as_deref().map(str::trim);
        let utterances = match (words.is_empty(), segments.is_empty()) {
            (false, false) => by_words(&segments, &words).unwrap_or_else(|| turns::from_words(words)),
            (false, true) => turns::from_words(words),
            (true, false) => {
                tracing::warn!(provider = "recogniser", "no word times: turns have the coarse times of segments");
                segments.iter().map(|segment| segment.utterance(Voice::Single)).collect()
            }
            (true, true) if text == Some("") => Vec::new(),
            (true, true) => return Err("the answer has neither words nor segments"),
        };
        Ok(self.transcript(utterances))
    }

    fn transcript(self, utterances: Vec<SpokenUtterance>) -> Transcript {
        let duration_ms = self.duration.map(milliseconds_of);
        // A name in OpenAI's answers ("english"), a code in those of other servers.
        let language = self.language.as_deref().and_then(language::tag);
        let (sentiments, entities) = (Vec::new(), Vec::new());
        Transcript { language, duration_ms, model: None, utterances, sentiments, entities }.ordered()
    }
}

impl Segment {
    fn utterance(&self, voice: Voice) -> SpokenUtterance {
        let (start_ms, end_ms) = (milliseconds_of(self.start), milliseconds_of(self.end));
        SpokenUtterance { voice, start_ms, end_ms, text: self.text.clone(), confidence: None }
    }
}

impl TimedWord {
    fn single(self) -> Word {
        let (start_ms, end_ms) = (milliseconds_of(self.start), milliseconds_of(self.end));
        Word { voice: Voice::Single, start_ms, end_ms, text: self.word, confidence: None }
    }
}

/// The segments' sentences with the times of their words. Words and sentences are the same letters in the same order;
/// where they are not, there is no result.
fn by_words(segments: &[Segment], words: &[Word]) -> Option<Vec<SpokenUtterance>> {
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let mut rest = words;
    let mut utterances = Vec::with_capacity(segments.len());
    for segment in segments {
        let wanted = letters(&segment.text);
        let (mut found, mut count) = (String::new(), 0);
        while found.len() < wanted.len() {
            found.push_str(&letters(&rest.get(count)?.text));
            count += 1;
        }
        if found != wanted {
            return None;
        }
        if let Some(turn) = turns::turn(&rest[..count]) {
            utterances.push(SpokenUtterance { text: segment.text.clone(), ..turn });
        }
        rest = &rest[count..];
    }
    rest.iter().all(|word| letters(&word.text).is_empty()).then_some(utterances)
}

#[cfg(test)]
mod tests;
