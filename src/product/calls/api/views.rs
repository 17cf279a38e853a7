//! Calls as the API takes and shows them.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use crate::{
    foundation::ids::{AgentId, CallId, OrganizationId, ScorecardId},
    platform::http::{Kind, Problem, Refusal, serialized},
    product::calls::{
        CallError,
        audio::AudioFault,
        correction::Correction,
        metrics::ConversationMetrics,
        model::{Call, CallDetails, CallStatus, Channel, Direction, Speaker, Stage, Utterance},
        redaction::Span,
        store::Transcript,
    },
};

/// A written conversation.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct NewConversation {
    /// Whose call it is.
    organization_id: OrganizationId,
    /// The person who spoke for the organization.
    agent_id: Option<AgentId>,
    /// The scorecard to evaluate it by; the one that fits it best when absent.
    scorecard_id: Option<ScorecardId>,
    /// Your own name for it, unique in the organization.
    #[oai(validator(min_length = 1, max_length = 200))]
    external_id: Option<String>,
    /// How it was held.
    channel: Channel,
    /// The queue that it came by: scorecards are chosen by it.
    #[oai(validator(min_length = 1, max_length = 200))]
    queue: Option<String>,
    /// Who called whom.
    direction: Option<Direction>,
    /// BCP 47: `en`, `en-GB`.
    #[oai(validator(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$"))]
    language: Option<String>,
    /// When it began.
    started_at: Option<DateTime<Utc>>,
    /// What was said, in order.
    #[oai(validator(min_items = 1, max_items = 20000))]
    utterances: Vec<NewUtterance>,
}

/// One speaker's turn.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct NewUtterance {
    /// Who speaks.
    speaker: Speaker,
    /// What was said.
    #[oai(validator(min_length = 1, max_length = 100000))]
    text: String,
    /// Start, in milliseconds from the beginning.
    #[oai(validator(minimum(value = "0")))]
    start_ms: Option<i64>,
    /// End, in milliseconds from the beginning.
    #[oai(validator(minimum(value = "0")))]
    end_ms: Option<i64>,
}

/// What is said about a recording.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct RecordingFields {
    /// Whose call it is.
    organization_id: OrganizationId,
    /// The person heard on it.
    agent_id: Option<AgentId>,
    /// The scorecard to evaluate it by; the one that fits it best when absent.
    scorecard_id: Option<ScorecardId>,
    /// Your own name for it, unique in the organization.
    #[oai(validator(min_length = 1, max_length = 200))]
    external_id: Option<String>,
    /// The queue that it came by: scorecards are chosen by it.
    #[oai(validator(min_length = 1, max_length = 200))]
    queue: Option<String>,
    /// Who called whom.
    direction: Option<Direction>,
    /// BCP 47: `en`, `en-GB`.
    #[oai(validator(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$"))]
    language: Option<String>,
    /// When it began.
    started_at: Option<DateTime<Utc>>,
    /// Which channel of a stereo recording the agent speaks on, from 1; 1 when absent.
    #[oai(validator(minimum(value = "1"), maximum(value = "2")))]
    agent_channel: Option<i16>,
}

impl NewConversation {
    /// Details and utterances apart.
    pub fn parts(self) -> (CallDetails, Vec<Utterance>) {
        let Self {
            organization_id,
            agent_id,
            scorecard_id,
            external_id,
            channel,
            queue,
            direction,
            language,
            started_at,
            utterances,
        } = self;
        let details = CallDetails {
            organization_id,
            agent_id,
            scorecard_id,
            external_id,
            channel,
            queue,
            direction,
            language,
            started_at,
            agent_channel: 1,
        };
        let utterances = (1..)
            .zip(utterances)
            .map(|(n, NewUtterance { speaker, text, start_ms, end_ms })| Utterance {
                n,
                speaker,
                start_ms,
                end_ms,
                text,
            })
            .collect();
        (details, utterances)
    }
}

impl RecordingFields {
    /// As the room takes them.
    pub fn details(&self) -> CallDetails {
        CallDetails {
            organization_id: self.organization_id,
            agent_id: self.agent_id,
            scorecard_id: self.scorecard_id,
            external_id: self.external_id.clone(),
            channel: Channel::Phone,
            queue: self.queue.clone(),
            direction: self.direction,
            language: self.language.clone(),
            started_at: self.started_at,
            agent_channel: self.agent_channel.unwrap_or(1),
        }
    }
}

/// A call as the API shows it.
#[derive(Debug, Clone, Object, Serialize, Deserialize)]
#[oai(rename = "Call")]
pub struct CallView {
    /// Its id.
    pub call_id: CallId,
    /// Whose call it is.
    pub organization_id: OrganizationId,
    /// The person heard on it.
    pub agent_id: Option<AgentId>,
    /// The scorecard that the uploader chose.
    pub scorecard_id: Option<ScorecardId>,
    /// The uploader's own name for it.
    pub external_id: Option<String>,
    /// How it was held.
    pub channel: Channel,
    /// The queue that it came by, when known.
    pub queue: Option<String>,
    /// Who called whom, when known.
    pub direction: Option<Direction>,
    /// BCP 47, when known.
    pub language: Option<String>,
    /// How far it has come.
    pub status: CallStatus,
    /// What went wrong, when it failed.
    pub failure: Option<FailureView>,
    /// Its length, when known.
    pub duration_ms: Option<i64>,
    /// When the conversation began, when known.
    #[serde(serialize_with = "serialized::optional_time")]
    pub started_at: Option<DateTime<Utc>>,
    /// When Plumbline received it.
    #[serde(serialize_with = "serialized::time")]
    pub received_at: DateTime<Utc>,
    /// When the transcript was there.
    #[serde(serialize_with = "serialized::optional_time")]
    pub transcribed_at: Option<DateTime<Utc>>,
    /// When it was scored last.
    #[serde(serialize_with = "serialized::optional_time")]
    pub evaluated_at: Option<DateTime<Utc>>,
    /// 0 to 100 with two decimals, of the newest evaluation; absent while there is none and when no criterion applied.
    pub overall_score: Option<f64>,
}

/// Why a stage failed for good.
#[derive(Debug, Clone, Object, Serialize, Deserialize)]
#[oai(rename = "Failure")]
pub struct FailureView {
    /// Which stage.
    pub stage: Stage,
    /// Stable name of the cause.
    pub kind: String,
    /// What happened.
    pub reason: String,
}

impl From<Call> for CallView {
    fn from(call: Call) -> Self {
        Self {
            call_id: call.call_id,
            organization_id: call.organization_id,
            agent_id: call.agent_id,
            scorecard_id: call.scorecard_id,
            external_id: call.external_id,
            channel: call.channel,
            queue: call.queue,
            direction: call.direction,
            language: call.language,
            status: call.status,
            failure: call.failure.map(|failure| FailureView {
                stage: failure.stage,
                kind: failure.kind,
                reason: failure.reason,
            }),
            duration_ms: call.duration_ms,
            started_at: call.started_at,
            received_at: call.received_at,
            transcribed_at: call.transcribed_at,
            evaluated_at: call.evaluated_at,
            overall_score: call.overall_score.and_then(|score| score.to_f64()),
        }
    }
}

/// A whole transcript.
#[derive(Debug, Object)]
#[oai(rename = "Transcript")]
pub struct TranscriptView {
    /// Whose it is.
    pub call_id: CallId,
    /// Who recognised the speech; `written` for a conversation that came as text.
    pub provider: String,
    /// The recogniser's model.
    pub model: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// SHA-256 of the utterances without personal data, as receipts name it.
    pub digest: Option<String>,
    /// SHA-256 of the utterances as they were said; with `raw` alone, because what a short placeholder stands for can be tried out against it.
    pub raw_digest: Option<String>,
    /// Whether the utterances are as they were said; otherwise personal data is replaced by placeholders such as `[CARD_1]`.
    pub raw: bool,
    /// What is replaced where, in characters of the raw text.
    pub personal_data: Vec<Span>,
    /// How the talking was shared.
    pub metrics: Option<ConversationMetrics>,
    /// When it was there.
    pub completed_at: DateTime<Utc>,
    /// Which version of the call's transcript this is, from 1: a correction makes the next.
    pub version: i32,
    /// Who corrected the version before; absent when a recogniser or the uploader made this one.
    pub corrected_by: Option<String>,
    /// When it was corrected.
    pub corrected_at: Option<DateTime<Utc>>,
    /// What was said, in order.
    pub utterances: Vec<UtteranceView>,
}

/// One speaker's turn.
#[derive(Debug, Object)]
#[oai(rename = "Utterance")]
pub struct UtteranceView {
    /// Its position, from 1.
    pub n: i32,
    /// Who speaks.
    pub speaker: Speaker,
    /// Start, in milliseconds from the beginning.
    pub start_ms: Option<i64>,
    /// End, in milliseconds from the beginning.
    pub end_ms: Option<i64>,
    /// What was said.
    pub text: String,
}

impl TranscriptView {
    /// The transcript of a call.
    pub fn of(call_id: CallId, raw: bool, transcript: Transcript) -> Self {
        let utterances = transcript
            .utterances
            .into_iter()
            .map(|Utterance { n, speaker, start_ms, end_ms, text }| UtteranceView {
                n,
                speaker,
                start_ms,
                end_ms,
                text,
            })
            .collect();
        Self {
            call_id,
            provider: transcript.provider,
            model: transcript.model,
            language: transcript.language,
            digest: transcript.redacted_digest,
            raw_digest: transcript.digest.filter(|_| raw),
            raw,
            personal_data: transcript.redaction,
            metrics: transcript.metrics,
            completed_at: transcript.completed_at,
            version: transcript.version,
            corrected_by: transcript.corrected_by,
            corrected_at: transcript.corrected_at,
            utterances,
        }
    }
}

/// What should stand in a transcript.
#[derive(Debug, Object)]
#[oai(rename = "TranscriptCorrections", deny_unknown_fields)]
pub struct CorrectionsBody {
    /// The version of the transcript that was read and is corrected.
    pub version: i32,
    /// One for each utterance that changes: 1 to 500.
    pub corrections: Vec<CorrectionBody>,
}

/// What one utterance should say, or who says it.
#[derive(Debug, Object)]
#[oai(rename = "UtteranceCorrection", deny_unknown_fields)]
pub struct CorrectionBody {
    /// The utterance's position, from 1.
    pub utterance: i32,
    /// The words; when absent they stay.
    pub text: Option<String>,
    /// Who speaks; when absent that stays.
    pub speaker: Option<Speaker>,
}

impl From<CorrectionBody> for Correction {
    fn from(CorrectionBody { utterance, text, speaker }: CorrectionBody) -> Self {
        Self { utterance, text, speaker }
    }
}

/// A corrected transcript.
#[derive(Debug, Object)]
#[oai(rename = "CorrectedTranscript")]
pub struct CorrectedView {
    /// The transcript as it is now.
    pub transcript: TranscriptView,
    /// Whether an evaluation judges an older version. `rerun_call` from the stage `assess` makes a new one.
    pub evaluation_is_outdated: bool,
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotFound => Refusal::not_found("call"),
            CallError::Absent(what) => Refusal::new(Kind::NotFound, format!("the call has no {what}")),
            CallError::Unknown(field) => Problem::new(Kind::Unprocessable, error.to_string())
                .field(field, "names nothing that exists, is active, and is yours to use")
                .into(),
            CallError::Invalid { field, reason } => Refusal::invalid(field, reason),
            CallError::Audio(fault @ AudioFault::NotAudio) => Refusal::new(Kind::NotAudio, fault.to_string()),
            CallError::Audio(fault @ AudioFault::Truncated) => Refusal::new(Kind::TruncatedAudio, fault.to_string()),
            CallError::Upload(error) => error.into(),
            CallError::Silent | CallError::Swept => Refusal::new(Kind::RequestTimeout, error.to_string()),
            CallError::SameAudio(call_id) => {
                Problem::new(Kind::DuplicateAudio, error.to_string()).resource(call_id.0).into()
            }
            CallError::SameExternalId(call_id) => Problem::new(Kind::Conflict, error.to_string())
                .field("external_id", "is taken")
                .resource(call_id.0)
                .into(),
            CallError::StaleTranscript => Refusal::new(Kind::StaleRevision, error.to_string()),
            CallError::NotFailed(_) | CallError::Conflict | CallError::NotAtRest(_) | CallError::NothingToRerun(_) => {
                Refusal::new(Kind::IllegalState, error.to_string())
            }
            CallError::Store(error) => Refusal::internal(&error),
            CallError::Exceeded(exceeded) => exceeded.into(),
            CallError::UnreadableQuotas(error) => Refusal::internal(&error),
            CallError::Key(error) => error.into(),
            CallError::Db(error) => error.into(),
        }
    }
}
