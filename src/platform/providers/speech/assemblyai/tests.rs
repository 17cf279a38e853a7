use futures_util::StreamExt;
use serde_json::{Value, json as value};

use super::*;
use crate::platform::providers::{
    faults::{Faults, KEY, Reply, SAID, code, json, key, reply, short_pauses},
    http_client,
    speech::{AudioContent, Sentiment, SpokenEntity, SpokenSentiment, SpokenUtterance, Transcript, Voice, Webhook},
};

fn client(server: &Faults) -> AssemblyAi {
    client_with(server, AssemblyAiFeatures::default())
}

fn client_with(server: &Faults, features: AssemblyAiFeatures) -> AssemblyAi {
    let settings = AssemblyAiSettings {
        base_url: server.url.clone(),
        api_key: key(),
        speech_models: vec!["universal-3-5-pro".into(), "universal-2".into()],
        features,
        timeout: Duration::from_secs(5),
        retries: short_pauses(),
    };
    AssemblyAi::new(settings, http_client().unwrap()).unwrap()
}

fn recording(channels: u16) -> AudioSource {
    AudioSource {
        length_bytes: 8,
        content_type: "audio/wav".into(),
        file_name: "call.wav".into(),
        channels: Some(channels),
        content: AudioContent::memory("RIFFdata"),
    }
}

fn uploaded() -> Reply {
    json(200, value!({"upload_url": "https://cdn.example/upload/1"}))
}

/// An answer with the fields that the provider always sends, and those given.
fn answer(status: &str, more: Value) -> Value {
    let mut answer = value!({"id": "t1", "status": status, "audio_url": "u", "webhook_auth": false, "auto_highlights": false,
        "redact_pii": false, "summarization": false, "language_confidence": null, "unknown_field": [1]});
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer
}

async fn submit(server: &Faults, channels: u16, options: &SpeechOptions) -> Result<Submission, ProviderError> {
    client(server).submit(recording(channels), options).await
}

async fn fetched(answer: Value) -> Result<Submission, ProviderError> {
    let server = Faults::new([json(200, answer)]).await;
    let result = client(&server).fetch("t1").await;
    assert_eq!((server.count(), server.asked()[0].path.as_str()), (1, "/v2/transcript/t1"));
    result
}

async fn transcript(more: Value) -> Transcript {
    match fetched(answer("completed", more)).await.unwrap() {
        Submission::Done(transcript) => transcript,
        other => panic!("{other:?}"),
    }
}

fn said(voice: Voice, start_ms: u64, end_ms: u64, text: &str) -> SpokenUtterance {
    SpokenUtterance { voice, start_ms, end_ms, text: text.into(), confidence: None }
}

#[tokio::test]
async fn a_recording_is_uploaded_and_ordered() {
    let server = Faults::new([uploaded(), json(200, answer("queued", value!({})))]).await;
    let webhook = Webhook {
        url: Url::parse("https://plumbline.example/hook?job=7").unwrap(),
        header_name: "x-hook".into(),
        secret: "s3cret".into(),
    };
    let options = SpeechOptions {
        language: Some("en".into()),
        speaker_labels: true,
        speakers_expected: Some(2),
        webhook: Some(webhook),
        keyterms: vec!["Plumbline".into()],
        channels: None,
    };
    assert_eq!(submit(&server, 1, &options).await.unwrap(), Submission::Waiting { reference: "t1".into() });
    let asked = server.asked();
    assert_eq!(asked[0].path, "/v2/upload");
    assert_eq!(
        (asked[0].body.as_ref(), asked[0].header("content-type")),
        (&b"RIFFdata"[..], "application/octet-stream")
    );
    assert!(asked.iter().all(|asked| asked.header("authorization") == KEY));
    assert_eq!((asked[1].method.as_str(), asked[1].path.as_str()), ("POST", "/v2/transcript"));
    assert_eq!(
        asked[1].json(),
        value!({"audio_url": "https://cdn.example/upload/1", "speech_models": ["universal-3-5-pro", "universal-2"],
            "language_code": "en", "speaker_labels": true, "speakers_expected": 2, "keyterms_prompt": ["Plumbline"],
            "webhook_url": "https://plumbline.example/hook?job=7", "webhook_auth_header_name": "x-hook",
            "webhook_auth_header_value": "s3cret"})
    );
    assert!(!format!("{options:?}").contains("s3cret"));
}

#[tokio::test]
async fn two_channels_are_ordered_apart_without_guessed_speakers() {
    let server = Faults::new([uploaded(), json(200, answer("queued", value!({})))]).await;
    let options = SpeechOptions { speaker_labels: true, speakers_expected: Some(2), ..SpeechOptions::default() };
    submit(&server, 2, &options).await.unwrap();
    let order = server.asked()[1].json();
    assert_eq!((&order["multichannel"], &order["language_detection"]), (&value!(true), &value!(true)));
    assert!(order.get("speaker_labels").is_none() && order.get("speakers_expected").is_none());
}

#[tokio::test]
async fn an_upload_is_repeated_and_a_costly_order_only_if_not_taken() {
    let options = SpeechOptions::default();
    let html = || reply(503, "<html></html>");
    let server = Faults::new([
        html(),
        uploaded(),
        reply(429, "").with("retry-after-ms", "3"),
        json(200, answer("queued", value!({}))),
    ])
    .await;
    assert!(submit(&server, 1, &options).await.is_ok());
    assert_eq!(server.count(), 4);
    for fault in [html(), json(200, answer("queued", value!({}))).broken()] {
        let server = Faults::new([uploaded(), fault]).await;
        assert_eq!(code(submit(&server, 1, &options).await), "temporary");
        assert_eq!(server.count(), 2);
    }
    let server = Faults::new([html()]).await;
    let once = AudioContent::once(futures_util::stream::iter([Ok("RIFFdata".into())]).boxed());
    let result = client(&server).submit(AudioSource { content: once, ..recording(1) }, &options).await;
    assert_eq!((code(result), server.count()), ("temporary", 1));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (status, sentence, kind) in [
        (401, "Authentication error, API token missing/invalid", "credentials"),
        (403, "Cannot access uploaded file", "credentials"),
        (400, "Transcript lookup error, transcript id not found", "unknown_reference"),
        (400, "Your account balance is negative", "quota"),
        (400, "The following models are not available in this language: speaker_labels", "invalid_request"),
        (400, SAID, "invalid_request"),
    ] {
        let server = Faults::new([json(status, value!({"error": sentence}))]).await;
        assert_eq!(code(client(&server).fetch("t1").await), kind, "{sentence}");
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn unfinished_work_is_waited_for_whatever_it_is_called() {
    for status in ["queued", "processing", "postprocessing_2027"] {
        let waiting = Submission::Waiting { reference: "t1".into() };
        assert_eq!(fetched(answer(status, value!({}))).await.unwrap(), waiting);
    }
}

#[tokio::test]
async fn failed_work_is_told_apart() {
    let failed = async |sentence: &str| fetched(answer("error", value!({"error": sentence}))).await;
    let text = "File does not appear to contain audio. File type is text/html (HTML document, ASCII text).";
    assert_eq!(code(failed(text).await), "bad_audio");
    assert_eq!(code(failed("Audio duration is too short.").await), "bad_audio");
    for sentence in [&format!("Download error, unable to download https://s3.example/?sig={SAID}"), "Server error", ""]
    {
        let Submission::Abandoned { reason } = failed(sentence).await.unwrap() else { panic!("{sentence}") };
        assert!(!reason.contains("sig") && !reason.contains(SAID));
    }
    assert!(matches!(fetched(answer("error", value!({"error": null}))).await, Ok(Submission::Abandoned { .. })));
}

#[tokio::test]
async fn a_two_channel_transcript_has_exact_voices() {
    let transcript = transcript(value!({
        "text": "all of it", "audio_duration": 61, "audio_channels": 2, "multichannel": true, "language_code": "en_us",
        "speech_model_used": "universal-2", "confidence": 0.9,
        "sentiment_analysis_results": [{"text": "Hi", "start": null, "end": null, "sentiment": "SARCASTIC", "speaker": null}],
        "utterances": [
            {"speaker": "2", "channel": 2, "text": "I need help.", "start": 2000, "end": 2900, "confidence": 0.8, "words": []},
            {"speaker": "1A", "text": " Hello. ", "start": 250, "end": 650, "confidence": 7.5, "words": null},
            {"speaker": "1", "channel": "1", "text": "Of course.", "start": null, "end": null, "confidence": null,
             "words": [{"text": "Of", "start": 3000, "end": 3100}, {"text": "course.", "start": 3200, "end": 3500}]},
        ],
    }))
    .await;
    assert_eq!((transcript.duration_ms, transcript.language.as_deref()), (Some(61_000), Some("en-US")));
    assert_eq!(transcript.model.as_deref(), Some("universal-2"));
    let help = SpokenUtterance { confidence: Some(0.8), ..said(Voice::Channel(2), 2_000, 2_900, "I need help.") };
    assert_eq!(
        transcript.utterances,
        [said(Voice::Channel(1), 250, 650, "Hello."), help, said(Voice::Channel(1), 3_000, 3_500, "Of course.")]
    );
}

#[tokio::test]
async fn what_is_asked_for_beyond_the_words_goes_into_the_order() {
    let redaction =
        PiiRedaction { policies: vec!["person_name".into(), "date".into()], substitute: PiiSubstitute::EntityName };
    let features = AssemblyAiFeatures {
        sentiment: true,
        entities: true,
        redaction: Some(redaction),
        expected_languages: vec!["en-GB".into(), "de".into()],
        least_language_confidence: Some(0.4),
    };
    let order = async |language: Option<&str>| {
        let server = Faults::new([uploaded(), json(200, answer("queued", value!({})))]).await;
        let options = SpeechOptions { language: language.map(str::to_owned), ..SpeechOptions::default() };
        client_with(&server, features.clone()).submit(recording(2), &options).await.unwrap();
        server.asked()[1].json()
    };
    let mut expected = value!({"audio_url": "https://cdn.example/upload/1", "speech_models": ["universal-3-5-pro", "universal-2"],
        "multichannel": true, "sentiment_analysis": true, "entity_detection": true, "redact_pii": true,
        "redact_pii_policies": ["person_name", "date"], "redact_pii_sub": "entity_name", "language_detection": true,
        "language_detection_options": {"expected_languages": ["en_uk", "de"]}});
    let mut detected = order(None).await;
    let least = detected.as_object_mut().unwrap().remove("language_confidence_threshold").unwrap();
    assert!((least.as_f64().unwrap() - 0.4).abs() < 1e-6);
    assert_eq!(detected, expected);
    let fields = expected.as_object_mut().unwrap();
    fields.retain(|name, _| !name.starts_with("language_"));
    fields.insert("language_code".into(), value!("en_us"));
    assert_eq!(order(Some("en-US")).await, expected, "nothing is detected where the language is known");
}

#[tokio::test]
async fn what_would_be_refused_is_not_sent() {
    let server = Faults::new([]).await;
    let options =
        SpeechOptions { keyterms: vec!["one two three four five six seven".into()], ..SpeechOptions::default() };
    assert_eq!(code(submit(&server, 1, &options).await), "invalid_request");
    assert_eq!(server.count(), 0);
    let redaction = PiiRedaction { policies: vec!["shoe_size".into()], substitute: PiiSubstitute::Hash };
    let settings = AssemblyAiSettings {
        base_url: server.url.clone(),
        api_key: key(),
        speech_models: vec!["universal-2".into()],
        features: AssemblyAiFeatures { redaction: Some(redaction), ..AssemblyAiFeatures::default() },
        timeout: Duration::from_secs(1),
        retries: short_pauses(),
    };
    assert_eq!(code(AssemblyAi::new(settings, http_client().unwrap()).map(|_| ())), "invalid_request");
}

fn sounds(voice: Voice, times: (Option<u64>, Option<u64>), sentiment: Sentiment) -> SpokenSentiment {
    SpokenSentiment { voice, start_ms: times.0, end_ms: times.1, sentiment, confidence: None }
}

#[tokio::test]
async fn sentences_sound_and_entities_have_places() {
    let results = value!([
        {"text": "Hi.", "start": 250, "end": 900, "sentiment": "POSITIVE", "confidence": 0.5, "speaker": "1", "channel": "1"},
        {"text": "Bad.", "start": null, "end": 2000, "sentiment": "NEGATIVE", "confidence": 9, "speaker": "2A"},
        {"text": "Hm.", "start": 2000, "end": 1000, "sentiment": "NEUTRAL", "confidence": null, "speaker": "B"},
        {"text": "So.", "start": 3000, "end": 3100, "sentiment": "SARCASTIC", "speaker": null},
        {"text": "So.", "start": 3000, "end": 3100, "sentiment": null, "speaker": null},
    ]);
    let entities = value!([
        {"entity_type": "person_name", "text": "Ana Diaz", "start": 300, "end": 700},
        {"entity_type": "location", "text": " ", "start": 1, "end": 2},
        {"entity_type": null, "text": "x", "start": 1, "end": 2},
        {"entity_type": "a_new_sort", "text": "y", "start": null, "end": null},
    ]);
    let whole = value!({"text": "Hi.", "sentiment_analysis_results": results, "entities": entities});
    let heard = transcript(whole.clone()).await;
    assert_eq!(
        heard.sentiments,
        [
            SpokenSentiment {
                confidence: Some(0.5),
                ..sounds(Voice::Channel(1), (Some(250), Some(900)), Sentiment::Positive)
            },
            sounds(Voice::Channel(2), (None, Some(2_000)), Sentiment::Negative),
            sounds(Voice::Label("B".into()), (Some(2_000), Some(2_000)), Sentiment::Neutral),
        ]
    );
    let entity = |kind: &str, text: &str, start_ms, end_ms| SpokenEntity {
        kind: kind.into(),
        text: text.into(),
        start_ms,
        end_ms,
    };
    assert_eq!(heard.entities, [entity("person_name", "Ana Diaz", 300, 700), entity("a_new_sort", "y", 0, 0)]);
    assert!(!format!("{:?}", heard.entities).contains("Ana"), "{:?}", heard.entities);
    let mut redacted = whole;
    redacted["redact_pii"] = value!(true);
    assert!(transcript(redacted).await.entities.is_empty(), "they still hold what was taken out of the text");
}

#[tokio::test]
async fn words_stand_in_for_missing_utterances() {
    let word = |text: &str, start: Value, speaker: Value| value!({"text": text, "start": start, "end": 900, "speaker": speaker});
    let words = value!([
        word("Hi", value!(100), value!("A")),
        word("there", value!(null), value!("A")),
        word("Yes", value!(1200), value!("B"))
    ]);
    let transcript = transcript(value!({"text": "Hi there Yes", "utterances": null, "words": words})).await;
    let label = |name: &str| Voice::Label(name.into());
    assert_eq!(transcript.utterances, [said(label("A"), 100, 900, "Hi there"), said(label("B"), 1_200, 1_200, "Yes")]);
}

#[tokio::test]
async fn text_alone_is_a_single_voice_and_silence_is_nothing() {
    let single = transcript(value!({"text": "Hi.", "words": null, "utterances": null, "audio_duration": 30})).await;
    assert_eq!(single.utterances, [said(Voice::Single, 0, 30_000, "Hi.")]);
    let silence = transcript(value!({"text": "", "words": [], "utterances": null, "audio_duration": 30})).await;
    assert!(silence.utterances.is_empty());
    assert_eq!(code(fetched(answer("completed", value!({"text": null}))).await), "garbage");
}

#[tokio::test]
async fn garbage_is_typed_and_never_quoted() {
    let other = value!({"id": "t2", "status": "completed", "text": SAID});
    let bodies = ["", "<html>ok</html>", "[]", "{}", "{\"id\": \"t1\", \"status\": 7}", &other.to_string()];
    for body in bodies {
        let server = Faults::new([reply(200, body.to_owned())]).await;
        assert_eq!(code(client(&server).fetch("t1").await), "garbage", "{body}");
        assert_eq!(server.count(), 1);
    }
    assert_eq!(code(fetched(answer("completed", value!({"words": SAID}))).await), "garbage");
}

#[tokio::test]
async fn a_reference_stays_one_segment_of_the_address() {
    let server = Faults::new([reply(404, "")]).await;
    assert_eq!(code(client(&server).fetch("../t?x=1#y").await), "invalid_request");
    assert_eq!(server.asked()[0].path, "/v2/transcript/..%2Ft%3Fx=1%23y");
}

#[tokio::test]
async fn a_client_without_models_is_refused() {
    let settings = AssemblyAiSettings {
        base_url: Url::parse("https://api.example").unwrap(),
        api_key: key(),
        speech_models: vec![],
        features: AssemblyAiFeatures::default(),
        timeout: Duration::from_secs(1),
        retries: short_pauses(),
    };
    assert!(!format!("{settings:?}").contains(KEY));
    assert_eq!(code(AssemblyAi::new(settings, http_client().unwrap()).map(|_| ())), "invalid_request");
}
