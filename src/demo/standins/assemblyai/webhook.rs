//! Webhook delivery: the customer's header, ten attempts, and a 4xx that ends it for good.

use std::{sync::atomic::AtomicU64, time::Duration};

use serde_json::{Value, json};

use super::params::Webhook;
use crate::demo::standins::server::count;

const ATTEMPTS: u32 = 10;
/// Between two attempts.
pub const PAUSE: Duration = Duration::from_secs(10);
/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of the notification.
pub fn notification(id: &str, status: &str) -> Value {
    json!({"transcript_id": id, "status": status})
}

/// The body of the second notification, about a redacted recording: it names no transcript.
pub fn redacted_audio() -> Value {
    json!({"status": "redacted_audio_ready", "redacted_audio_url": "https://cdn.example/redacted.mp3"})
}

/// Delivers until a 2xx, a 4xx or the last attempt; gives the last status, if there was any answer.
pub async fn deliver(
    http: &reqwest::Client,
    webhook: &Webhook,
    body: &Value,
    pause: Duration,
    counter: &AtomicU64,
) -> Option<u16> {
    let mut last = None;
    for attempt in 1..=ATTEMPTS {
        count(counter);
        let mut request = http.post(webhook.url.clone()).timeout(PATIENCE).json(body);
        if let Some((name, value)) = &webhook.header {
            request = request.header(name, value);
        }
        if let Ok(answer) = request.send().await {
            last = Some(answer.status().as_u16());
            if answer.status().is_success() || answer.status().is_client_error() {
                return last;
            }
        }
        if attempt < ATTEMPTS {
            tokio::time::sleep(pause).await;
        }
    }
    last
}
