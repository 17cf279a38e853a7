//! Speech to text: a recording becomes utterances with voices and times.

mod assemblyai;
mod audio;
mod language;
mod recogniser;
mod turns;
mod wav;

pub use assemblyai::{AssemblyAi, AssemblyAiFeatures, AssemblyAiSettings, PiiRedaction, PiiSubstitute};
pub use audio::{AudioContent, AudioSource, AudioStream};
pub use recogniser::{Recogniser, RecogniserSettings};

use secrecy::SecretString;
use url::Url;

use super::ProviderError;

/// A service that turns recordings into utterances.
#[async_trait::async_trait]
pub trait SpeechToText: Send + Sync {
    /// Name of the provider, stable: it is stored beside what it transcribed.
    fn name(&self) -> &'static str;

    /// Hands a recording over. A provider that works in the background answers `Waiting` with the reference to ask by;
    /// one that answers at once answers `Done`.
    async fn submit(&self, audio: AudioSource, options: &SpeechOptions) -> Result<Submission, ProviderError>;

    /// Asks for the result of an earlier `submit`. Costs nothing and changes nothing.
    async fn fetch(&self, reference: &str) -> Result<Submission, ProviderError>;
}

/// Where a recording stands at the provider.
#[derive(Debug, Clone, PartialEq)]
pub enum Submission {
    /// The provider works on it; ask again by this reference.
    Waiting {
        /// The provider's own name for the work.
        reference: String,
    },
    /// It is transcribed.
    Done(Transcript),
    /// The provider gave this work up for a reason that may pass. The reference is spent: asking by it gives the same
    /// answer for ever, only handing the recording over again can succeed.
    Abandoned {
        /// What happened, in our words; safe to store and show.
        reason: String,
    },
}

/// How a recording is to be transcribed.
#[derive(Debug, Clone, Default)]
pub struct SpeechOptions {
    /// Language of the recording (BCP 47, such as `en`, `en-US`, `de`); none lets the provider find out.
    pub language: Option<String>,
    /// How many channels carry one voice each; none takes the channels of the audio. From two on the channels are
    /// transcribed apart, and speaker labels, which would only be guesses, are not asked for.
    pub channels: Option<u16>,
    /// Tell voices on a single channel apart.
    pub speaker_labels: bool,
    /// How many voices there are, only if that is certain.
    pub speakers_expected: Option<u8>,
    /// Where the provider may report that the work is done, if it can.
    pub webhook: Option<Webhook>,
    /// Names and terms that are likely to be said.
    pub keyterms: Vec<String>,
}

/// Where and how a provider reports. The report is only a hint to `fetch`: it proves nothing about the result.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Address that the provider posts to.
    pub url: Url,
    /// Header in which the provider sends the secret back.
    pub header_name: String,
    /// Random value for this one piece of work.
    pub secret: SecretString,
}

/// A recording as text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    /// Language (BCP 47), whatever form the provider names it in; none where it names none that is known.
    pub language: Option<String>,
    /// Length of the recording as the provider heard it. Shorter than the file means that part of it is missing.
    pub duration_ms: Option<u64>,
    /// Model that was used, as the provider names it.
    pub model: Option<String>,
    /// What was said, ordered by start. Empty when nobody speaks.
    pub utterances: Vec<SpokenUtterance>,
    /// How each sentence sounded; empty where the provider does not say.
    pub sentiments: Vec<SpokenSentiment>,
    /// Names, numbers and the like that the provider found in the words; empty where it does not say. Personal data: for
    /// the redaction of the utterances alone.
    pub entities: Vec<SpokenEntity>,
}

/// How one sentence sounded, by the provider's judgement.
#[derive(Debug, Clone, PartialEq)]
pub struct SpokenSentiment {
    /// Who said it, as far as the provider can tell.
    pub voice: Voice,
    /// Its start, from the beginning of the recording, where the provider says so.
    pub start_ms: Option<u64>,
    /// Its end, from the beginning of the recording, where the provider says so.
    pub end_ms: Option<u64>,
    /// How it sounded.
    pub sentiment: Sentiment,
    /// 0 to 1, where the provider says so.
    pub confidence: Option<f32>,
}

/// How a sentence sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sentiment {
    /// Pleased, thankful, friendly.
    Positive,
    /// Neither.
    Neutral,
    /// Angry, sad, worried.
    Negative,
}

/// A name, a number or the like in the words of a recording.
#[derive(Clone, PartialEq)]
pub struct SpokenEntity {
    /// The sort, in the provider's word: `person_name`, `credit_card_number`, …
    pub kind: String,
    /// The words, as they were said.
    pub text: String,
    /// First word's start, from the beginning of the recording.
    pub start_ms: u64,
    /// Last word's end, never before the start.
    pub end_ms: u64,
}

impl std::fmt::Debug for SpokenEntity {
    /// Without the words: they are personal data by definition.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SpokenEntity({}, {}..{} ms)", self.kind, self.start_ms, self.end_ms)
    }
}

/// What one voice says in one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct SpokenUtterance {
    /// Who speaks, as far as the provider can tell.
    pub voice: Voice,
    /// First word's start, from the beginning of the recording.
    pub start_ms: u64,
    /// Last word's end, never before the start.
    pub end_ms: u64,
    /// The words.
    pub text: String,
    /// 0 to 1, where the provider says so.
    pub confidence: Option<f32>,
}

/// Whose voice it is. Which voice is the agent's is not known here: the tenant's settings say that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Voice {
    /// The voice on this channel of the recording, counted from 1: exact.
    Channel(u16),
    /// A label that the provider gave to a voice (`A`, `B`): a guess.
    Label(String),
    /// Voices were not told apart.
    Single,
}
