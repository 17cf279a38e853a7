//! The call, its states, and what was said. No I/O.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    foundation::ids::{AgentId, AudioFileId, CallId, OrganizationId, ScorecardId},
    words,
};

words! {
    /// How far a call has come.
    pub enum CallStatus {
        /// The recording is stored and waits for its transcription.
        Received = "received",
        /// The transcript is there and waits for its assessment.
        Transcribed = "transcribed",
        /// The language model has answered; the answer is stored and waits for its score.
        Assessed = "assessed",
        /// Scores, insights and the overall score are there.
        Evaluated = "evaluated",
        /// A stage failed for good; a retry continues where it stopped.
        Failed = "failed",
    }

    /// One step of the pipeline.
    pub enum Stage {
        /// Speech becomes a transcript.
        Transcribe = "transcribe",
        /// The language model answers the scorecard's questions.
        Assess = "assess",
        /// The scorer turns answers into scores.
        Score = "score",
        /// What follows from a score.
        FollowUp = "follow_up",
    }

    /// How the conversation was held.
    pub enum Channel {
        /// Spoken.
        Phone = "phone",
        /// Written, turn by turn.
        Chat = "chat",
        /// Written, as letters.
        Email = "email",
    }

    /// Who called whom.
    pub enum Direction {
        /// The customer called.
        Inbound = "inbound",
        /// The organization called.
        Outbound = "outbound",
    }

    /// Who speaks.
    pub enum Speaker {
        /// The contact centre's side.
        Agent = "agent",
        /// The other side.
        Customer = "customer",
        /// An announcement, a bot, a note.
        System = "system",
        /// The recogniser could not tell whose voice it is.
        Unknown = "unknown",
    }
}

impl CallStatus {
    /// Received → transcribed → assessed → evaluated; any step may fail, and a failed call goes on from where it stopped. Any stage of an
    /// evaluated call may run again.
    pub fn leads_to(self, next: Self) -> bool {
        use CallStatus::*;
        matches!(
            (self, next),
            (Received, Transcribed)
                | (Transcribed, Assessed)
                | (Assessed, Evaluated)
                | (Received | Transcribed | Assessed, Failed)
                | (Failed | Evaluated, Received | Transcribed | Assessed)
        )
    }
}

/// One recorded or written conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id.
    pub call_id: CallId,
    /// Whose call it is.
    pub organization_id: OrganizationId,
    /// The person heard on it, when known.
    pub agent_id: Option<AgentId>,
    /// The scorecard that it is to be evaluated by, when not the one that fits it best.
    pub scorecard_id: Option<ScorecardId>,
    /// The uploader's own name for it.
    pub external_id: Option<String>,
    /// How it was held.
    pub channel: Channel,
    /// The queue that it came by, when known.
    pub queue: Option<String>,
    /// Who called whom, when known.
    pub direction: Option<Direction>,
    /// Its language (BCP 47), when known.
    pub language: Option<String>,
    /// How far it has come.
    pub status: CallStatus,
    /// What went wrong, when it failed.
    pub failure: Option<Failure>,
    /// Its length, when known.
    pub duration_ms: Option<i64>,
    /// When the conversation began, when known.
    pub started_at: Option<DateTime<Utc>>,
    /// When Plumbline received it.
    pub received_at: DateTime<Utc>,
    /// When the transcript was there.
    pub transcribed_at: Option<DateTime<Utc>>,
    /// When it was scored last.
    pub evaluated_at: Option<DateTime<Utc>>,
    /// 0 to 100, of the newest evaluation; none when no criterion applied.
    pub overall_score: Option<Decimal>,
}

/// Why a stage failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which stage.
    pub stage: Stage,
    /// Stable name of the cause.
    pub kind: String,
    /// What happened, for people.
    pub reason: String,
}

/// What an uploader says about a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallDetails {
    /// Whose call it is.
    pub organization_id: OrganizationId,
    /// The person heard on it.
    pub agent_id: Option<AgentId>,
    /// The scorecard to evaluate it by; none for the one that fits best.
    pub scorecard_id: Option<ScorecardId>,
    /// The uploader's own name for it, unique in the organization.
    pub external_id: Option<String>,
    /// How it was held.
    pub channel: Channel,
    /// The queue that it came by.
    pub queue: Option<String>,
    /// Who called whom.
    pub direction: Option<Direction>,
    /// Its language (BCP 47).
    pub language: Option<String>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// Which channel of a recording with two the agent speaks on, from 1.
    pub agent_channel: i16,
}

/// One speaker's turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utterance {
    /// Its position, from 1.
    pub n: i32,
    /// Who speaks.
    pub speaker: Speaker,
    /// Start, from the beginning of the recording.
    pub start_ms: Option<i64>,
    /// End, from the beginning of the recording.
    pub end_ms: Option<i64>,
    /// What was said.
    pub text: String,
}

/// A stored recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFile {
    /// Its id.
    pub audio_file_id: AudioFileId,
    /// Digest of its bytes, hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: i64,
    /// Its media type, as its bytes tell.
    pub content_type: String,
    /// How many channels it has, when its header tells.
    pub channels: Option<i16>,
    /// Which channel the agent speaks on, from 1.
    pub agent_channel: i16,
    /// Where it lies in the object store.
    pub object_key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_status_skips_a_stage() {
        use CallStatus::*;
        assert!(Received.leads_to(Transcribed));
        assert!(!Received.leads_to(Assessed));
        assert!(!Evaluated.leads_to(Failed));
        assert!(Evaluated.leads_to(Transcribed));
        assert!(Failed.leads_to(Assessed));
        assert!(!Failed.leads_to(Evaluated));
    }
}
