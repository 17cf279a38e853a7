//! What `POST /v2/transcript` accepts: known names of the right type, nothing else.

use serde_json::{Map, Value};
use url::Url;

/// A transcription as it was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub audio_url: Url,
    pub speech_models: Vec<String>,
    pub speaker_labels: bool,
    pub multichannel: bool,
    /// The language to recognise; `None` to detect it.
    pub language_code: Option<String>,
    pub sentiment_analysis: bool,
    pub entity_detection: bool,
    /// Redaction of personal data was asked for.
    pub redact: Option<Redact>,
    pub webhook: Option<Webhook>,
}

/// Which personal data is to be taken out of the words.
#[derive(Debug, Clone)]
pub struct Redact {
    pub policies: Vec<String>,
    /// The sort stands in the place of the words, instead of a `#` for each letter.
    pub named: bool,
    /// The recording is to be redacted as well.
    pub audio: bool,
}

/// Where to report the end of the job, and the header that proves who reports.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub url: Url,
    pub header: Option<(String, String)>,
}

const BOOLS: [&str; 21] = [
    "auto_chapters",
    "auto_highlights",
    "content_safety",
    "disfluencies",
    "dual_channel",
    "entity_detection",
    "filter_profanity",
    "format_text",
    "iab_categories",
    "language_detection",
    "multichannel",
    "punctuate",
    "redact_pii",
    "redact_pii_audio",
    "redact_pii_return_unredacted",
    "remove_audio_tags",
    "sentiment_analysis",
    "speaker_labels",
    "summarization",
    "domain",
    "throttled",
];
const NUMBERS: [&str; 7] = [
    "audio_end_at",
    "audio_start_from",
    "content_safety_confidence",
    "language_confidence_threshold",
    "speakers_expected",
    "speech_threshold",
    "temperature",
];
const STRINGS: [&str; 15] = [
    "audio_url",
    "boost_param",
    "language_code",
    "prompt",
    "redact_pii_audio_quality",
    "redact_pii_sub",
    "speech_model",
    "summary_model",
    "summary_type",
    "topics",
    "webhook_auth_header_name",
    "webhook_auth_header_value",
    "webhook_url",
    "acoustic_model",
    "language_model",
];
const LISTS: [&str; 6] =
    ["custom_spelling", "keyterms_prompt", "language_codes", "redact_pii_policies", "speech_models", "word_boost"];
const OBJECTS: [&str; 4] =
    ["language_detection_options", "redact_pii_audio_options", "speaker_options", "speech_understanding"];

impl Asked {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The text of the 400.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return Err("Invalid JSON in request body".to_owned());
        };
        for (name, value) in &body {
            check(name, value)?;
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let flag = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or(false);
        let audio_url = text("audio_url").ok_or("audio_url is required")?;
        let audio_url = Url::parse(audio_url).map_err(|_| "audio_url is not a valid URL".to_owned())?;
        let speech_models = models(&body)?;
        Ok(Self {
            audio_url,
            speech_models,
            speaker_labels: flag("speaker_labels"),
            multichannel: flag("multichannel"),
            language_code: (!flag("language_detection")).then(|| text("language_code").unwrap_or("en_us").to_owned()),
            sentiment_analysis: flag("sentiment_analysis"),
            entity_detection: flag("entity_detection"),
            redact: redact(&body)?,
            webhook: webhook(&body)?,
        })
    }
}

fn check(name: &str, value: &Value) -> Result<(), String> {
    let lists = |names: &[&str]| names.contains(&name);
    let right = value.is_null()
        || if lists(&BOOLS) {
            value.is_boolean()
        } else if lists(&NUMBERS) {
            value.is_number()
        } else if lists(&STRINGS) {
            value.is_string()
        } else if lists(&LISTS) {
            value.is_array()
        } else if lists(&OBJECTS) {
            value.is_object()
        } else {
            return Err(format!("Invalid endpoint schema, unknown parameter: {name}"));
        };
    right.then_some(()).ok_or_else(|| format!("Invalid endpoint schema, wrong type of parameter: {name}"))
}

fn models(body: &Map<String, Value>) -> Result<Vec<String>, String> {
    let models: Vec<String> = body
        .get("speech_models")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|model| model.as_str().map(str::to_owned))
        .collect();
    if models.is_empty() { Err("speech_models is required: there is no default model".to_owned()) } else { Ok(models) }
}

fn redact(body: &Map<String, Value>) -> Result<Option<Redact>, String> {
    let flag = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or(false);
    let audio = flag("redact_pii_audio");
    if !flag("redact_pii") {
        return if audio { Err("redact_pii_audio needs redact_pii".to_owned()) } else { Ok(None) };
    }
    let policies: Vec<String> = body
        .get("redact_pii_policies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|policy| policy.as_str().map(str::to_owned))
        .collect();
    if policies.is_empty() {
        return Err("redact_pii needs redact_pii_policies".to_owned());
    }
    let named = match body.get("redact_pii_sub").and_then(Value::as_str) {
        None | Some("hash") => false,
        Some("entity_name") => true,
        Some(other) => return Err(format!("Invalid value of redact_pii_sub: {other}")),
    };
    Ok(Some(Redact { policies, named, audio }))
}

fn webhook(body: &Map<String, Value>) -> Result<Option<Webhook>, String> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let Some(url) = text("webhook_url") else { return Ok(None) };
    let url = Url::parse(url).map_err(|_| "webhook_url is not a valid URL".to_owned())?;
    let header = match (text("webhook_auth_header_name"), text("webhook_auth_header_value")) {
        (Some(name), Some(value)) => Some((name.to_owned(), value.to_owned())),
        (None, None) => None,
        _ => return Err("webhook_auth_header_name and webhook_auth_header_value belong together".to_owned()),
    };
    Ok(Some(Webhook { url, header }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_names_wrong_types_and_missing_models_are_refused() {
        let read = |body: Value| Asked::read(body.to_string().as_bytes()).map(|_| ());
        let good =
            json!({"audio_url": "http://127.0.0.1/a", "speech_models": ["universal-2"], "speakers_expected": null});
        read(good.clone()).unwrap();
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            read(body).unwrap_err()
        };
        assert!(with("speaker_lables", json!(true)).contains("unknown parameter: speaker_lables"));
        assert!(with("speaker_labels", json!("yes")).contains("wrong type of parameter: speaker_labels"));
        assert!(with("speech_models", json!([])).contains("speech_models is required"));
        assert!(with("audio_url", json!("not a url")).contains("audio_url"));
        assert!(with("redact_pii", json!(true)).contains("redact_pii_policies"));
        assert!(with("redact_pii_audio", json!(true)).contains("redact_pii"));
        assert!(Asked::read(b"[").is_err());
    }
}
