//! Small material that the tests share.

use serde_json::{Value, json};

pub const WAV_HEADER_BYTES: usize = 44;

/// Two sections; `insult` fails the whole evaluation, `refund` may be not applicable.
pub fn scorecard() -> Value {
    let criterion = |key: &str, weight: u32, auto_fail: &str, not_applicable: bool, guidance: &str| {
        json!({"key": key, "question": format!("Was {key} as it should be?"), "guidance": guidance, "weight": weight,
               "auto_fail": auto_fail, "not_applicable": not_applicable})
    };
    json!({
        "name": "Service", "description": "What the tests judge by.",
        "sections": [
            {"key": "opening", "name": "Opening", "weight": 1, "criteria": [
                criterion("greeting", 1, "none", false, "Yes if the agent says \"good morning\"."),
                criterion("name", 1, "none", false, "Yes if the agent says \"my name is\"."),
            ]},
            {"key": "handling", "name": "Handling", "weight": 3, "criteria": [
                criterion("refund", 1, "none", true,
                    "Not applicable unless the customer says \"refund\". Yes if the agent says \"pay it back\"."),
                criterion("next_step", 2, "none", false, "Yes if the agent says \"i will\"."),
                criterion("insult", 1, "evaluation", false,
                    "No if the agent says \"nonsense\". Yes if the agent says \"good morning\" or \"i will\"."),
            ]},
        ]
    })
}

/// A written conversation in which `name` fails and `refund` does not apply: 87.50 by [`scorecard`].
pub fn conversation(organization: &str) -> Value {
    json!({
        "organization_id": organization, "channel": "chat", "language": "en", "started_at": "2026-11-23T08:00:00Z",
        "utterances": [
            {"speaker": "agent", "text": "Good morning, Ana here.", "start_ms": 0, "end_ms": 1_500},
            {"speaker": "customer", "text": "My gateway is down.", "start_ms": 1_500, "end_ms": 3_000},
            {"speaker": "agent", "text": "I see. Then I will send you a new one.", "start_ms": 3_000, "end_ms": 6_000},
        ]
    })
}

/// A second of PCM audio, 8 kHz, 16 bit, one channel; `tone` makes it this recording and no other.
pub fn wav(tone: u16) -> Vec<u8> {
    pcm(1, tone)
}

/// The same with two channels.
pub fn stereo_wav(tone: u16) -> Vec<u8> {
    pcm(2, tone)
}

fn pcm(channels: u16, tone: u16) -> Vec<u8> {
    let samples: Vec<u8> =
        (0..8_000 * u32::from(channels)).flat_map(|n| ((n * u32::from(tone) % 2_000) as u16).to_le_bytes()).collect();
    let data = u32::try_from(samples.len()).unwrap();
    let mut bytes = Vec::with_capacity(WAV_HEADER_BYTES + samples.len());
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(data + 36).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes()); // PCM
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&8_000_u32.to_le_bytes());
    bytes.extend_from_slice(&(16_000 * u32::from(channels)).to_le_bytes()); // bytes a second
    bytes.extend_from_slice(&(2 * channels).to_le_bytes()); // bytes a sample of all channels
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    bytes.extend_from_slice(&samples);
    bytes
}
