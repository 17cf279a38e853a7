//! AssemblyAI's Transcript object: milliseconds for words and utterances, whole seconds for the audio's duration.

use serde_json::{Value, json};

use super::{
    analysis,
    job::{Job, Status},
    params::Asked,
    recogniser::{Recognised, Turn},
};
use crate::demo::standins::faults::JobFault;

/// The object that create, read and delete answer with.
pub fn body(id: &str, job: &Job) -> Value {
    let asked = &job.asked;
    let mut body = json!({
        "id": id,
        "status": job.status.as_str(),
        "audio_url": if job.deleted { "http://deleted_by_user" } else { asked.audio_url.as_str() },
        "speech_models": asked.speech_models,
        "speech_model_used": null,
        "language_code": asked.language_code,
        "language_confidence": null,
        "language_confidence_threshold": null,
        "language_detection": asked.language_code.is_none(),
        "text": null,
        "words": null,
        "utterances": null,
        "confidence": null,
        "audio_duration": null,
        "audio_channels": null,
        "multichannel": asked.multichannel,
        "speaker_labels": asked.speaker_labels,
        "sentiment_analysis": asked.sentiment_analysis,
        "sentiment_analysis_results": null,
        "entities": null,
        "auto_highlights": false,
        "entity_detection": asked.entity_detection,
        "redact_pii": asked.redact.is_some(),
        "summarization": false,
        "webhook_url": asked.webhook.as_ref().map(|webhook| webhook.url.as_str()),
        "webhook_auth": asked.webhook.as_ref().is_some_and(|webhook| webhook.header.is_some()),
        "webhook_auth_header_name": asked.webhook.as_ref().and_then(|webhook| webhook.header.as_ref().map(|(name, _)| name)),
        "webhook_status_code": job.webhook_status,
    });
    match &job.status {
        Status::Error(reason) => body["error"] = json!(reason),
        Status::Completed(heard) if !job.deleted => {
            // As with the service, entities hold what redaction takes out of the words.
            if asked.entity_detection {
                body["entities"] = analysis::entities(heard).into();
            }
            let redacted =
                asked.redact.as_ref().map(|redact| analysis::redacted(heard, &redact.policies, redact.named));
            fill(&mut body, asked, redacted.as_ref().unwrap_or(heard), job.fault.as_ref());
        }
        _ => {}
    }
    body
}

fn fill(body: &mut Value, asked: &Asked, heard: &Recognised, fault: Option<&JobFault>) {
    let texts: Vec<&str> = heard.turns.iter().map(|turn| turn.text.as_str()).collect();
    let channels = heard.turns.iter().filter_map(|turn| turn.channel).max();
    body["text"] = json!(texts.join(" "));
    body["words"] = heard.turns.iter().flat_map(|turn| words(asked, turn)).collect();
    body["confidence"] = json!(mean(heard.turns.iter().filter_map(|turn| turn.confidence)));
    body["audio_duration"] = json!((heard.duration_ms + 500) / 1000);
    body["audio_channels"] = json!(channels.unwrap_or(1));
    body["speech_model_used"] = json!("stand-in-recogniser");
    if asked.language_code.is_none() {
        body["language_code"] = json!(heard.language);
    }
    if asked.speaker_labels || asked.multichannel {
        body["utterances"] = heard.turns.iter().map(|turn| utterance(asked, turn)).collect();
    }
    if asked.sentiment_analysis {
        body["sentiment_analysis_results"] =
            analysis::sentiments(heard, |turn| (speaker(asked, turn), channel(asked, turn))).into();
    }
    let first = heard.turns.first();
    match fault {
        Some(JobFault::NoUtterances) => body["utterances"] = Value::Null,
        Some(JobFault::Duration(seconds)) => body["audio_duration"] = json!(seconds),
        Some(JobFault::SentimentWithoutStart) => body["sentiment_analysis_results"] = sentiment(first, "NEUTRAL", None),
        Some(JobFault::UnknownSentiment) => {
            body["sentiment_analysis_results"] = sentiment(first, "MIXED", first.map(|turn| turn.start_ms));
        }
        _ => {}
    }
}

/// One channel is one speaker: "1" by channel, "A" by label, "1A" by both. Mono audio has the one speaker "A".
fn speaker(asked: &Asked, turn: &Turn) -> Option<String> {
    let channel = turn.channel.unwrap_or(1);
    let letter = || u8::try_from(channel).map_or('A', |channel| char::from(b'A' + (channel - 1).min(25)));
    match (asked.multichannel, asked.speaker_labels) {
        (true, true) => Some(format!("{channel}A")),
        (true, false) => Some(channel.to_string()),
        (false, true) => Some(letter().to_string()),
        (false, false) => None,
    }
}

fn channel(asked: &Asked, turn: &Turn) -> Option<String> {
    asked.multichannel.then(|| turn.channel.unwrap_or(1).to_string())
}

fn words<'a>(asked: &'a Asked, turn: &'a Turn) -> impl Iterator<Item = Value> + 'a {
    turn.words.iter().map(move |word| {
        let mut said = json!({"text": word.text, "start": word.start_ms, "end": word.end_ms, "confidence": turn.confidence,
            "speaker": speaker(asked, turn)});
        if let Some(channel) = channel(asked, turn) {
            said["channel"] = json!(channel);
        }
        said
    })
}

fn utterance(asked: &Asked, turn: &Turn) -> Value {
    let mut said = json!({"speaker": speaker(asked, turn), "text": turn.text, "start": turn.start_ms, "end": turn.end_ms,
        "confidence": turn.confidence, "words": words(asked, turn).collect::<Vec<_>>()});
    if let Some(channel) = channel(asked, turn) {
        said["channel"] = json!(channel);
    }
    said
}

fn sentiment(turn: Option<&Turn>, sentiment: &str, start: Option<u64>) -> Value {
    let text = turn.map_or("", |turn| &turn.text);
    json!([{"text": text, "start": start, "end": turn.map_or(0, |turn| turn.end_ms), "sentiment": sentiment,
        "confidence": 0.5, "speaker": null, "channel": null}])
}

#[expect(clippy::cast_precision_loss, reason = "a count of turns")]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
