//! The clients of providers against the stand-ins, which were written from the providers' documents and not from the
//! clients.

use std::time::Duration;

use plumbline::{
    demo::standins::{
        StandInOptions, StandIns,
        faults::{ChatFault, Fault, JobFault, RetryHint},
    },
    platform::providers::{
        ProviderError, QuickRetries, http_client,
        llm::{Completion, LanguageModel, OpenAi, OpenAiSettings},
        speech::{
            AssemblyAi, AssemblyAiFeatures, AssemblyAiSettings, AudioContent, AudioSource, SpeechOptions, SpeechToText,
            Submission,
        },
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

fn model(stand_ins: &StandIns, suffix: &str) -> OpenAi {
    let settings = OpenAiSettings {
        base_url: stand_ins.openai_url(),
        api_key: SecretString::from(format!("{}{suffix}", stand_ins.openai_key().expose_secret())),
        model: "stand-in-phrase-rules-1".into(),
        organization: Some("org-1".into()),
        project: None,
        seed: None,
        temperature: None,
        max_completion_tokens: Some(4_000),
        timeout: Duration::from_secs(10),
        retries: QuickRetries { first_pause: Duration::from_millis(5), ..QuickRetries::default() },
    };
    OpenAi::new(settings, http_client().unwrap()).unwrap()
}

fn speech(stand_ins: &StandIns, key: SecretString) -> AssemblyAi {
    let settings = AssemblyAiSettings {
        base_url: stand_ins.assemblyai_url(),
        api_key: key,
        speech_models: vec!["universal-2".into()],
        features: AssemblyAiFeatures::default(),
        timeout: Duration::from_secs(10),
        retries: QuickRetries::default(),
    };
    AssemblyAi::new(settings, http_client().unwrap()).unwrap()
}

fn completion() -> Completion {
    let evidence = json!({"type": "array", "items": {"type": "object", "additionalProperties": false,
        "required": ["utterance", "quote"], "properties": {"utterance": {"type": "integer"}, "quote": {"type": "string"}}}});
    let verdict = json!({"type": "object", "additionalProperties": false,
        "required": ["verdict", "confidence", "rationale", "evidence"],
        "properties": {"verdict": {"type": "string", "enum": ["yes", "no"]}, "confidence": {"type": "number"},
            "rationale": {"type": "string"}, "evidence": evidence}});
    let user = json!({
        "criteria": [{"key": "greeting", "question": "Greeted?", "not_applicable_allowed": false,
            "guidance": "Yes if the agent says \"good morning\"."}],
        "transcript": [{"n": 1, "speaker": "agent", "text": "Good morning, this is Ana."}]});
    Completion {
        system: "Judge.".into(),
        user: user.to_string(),
        schema_name: "verdicts".into(),
        schema: json!({"type": "object", "additionalProperties": false, "required": ["greeting"],
            "properties": {"greeting": verdict}}),
        max_output_tokens: None,
    }
}

fn recording(bytes: Vec<u8>, name: &str, channels: u16) -> AudioSource {
    AudioSource {
        length_bytes: bytes.len() as u64,
        content_type: "audio/flac".into(),
        file_name: name.into(),
        channels: Some(channels),
        content: AudioContent::memory(bytes),
    }
}

#[tokio::test]
async fn the_language_model_stand_in_judges() {
    let stand_ins = StandIns::start(StandInOptions::default()).await.unwrap();
    let completed = model(&stand_ins, "").complete(&completion()).await.unwrap();
    let answer: Value = serde_json::from_str(&completed.content).unwrap();
    assert_eq!(answer["greeting"]["verdict"], "yes");
    assert_eq!(answer["greeting"]["evidence"][0]["utterance"], 1);
    assert!(completed.prompt_tokens > 0 && completed.completion_tokens > 0 && completed.request_id.is_some());
}

#[tokio::test]
async fn every_bad_day_of_the_language_model_has_its_code() {
    let stand_ins = StandIns::start(StandInOptions::default()).await.unwrap();
    for (suffix, code) in [
        (".cut_answer", "truncated"),
        (".empty_answer", "truncated"),
        (".refusal", "refused"),
        (".content_filter", "content_filter"),
        (".insufficient_quota", "quota"),
        (".unsupported_parameter", "invalid_request"),
        (".model_not_found", "invalid_request"),
        (".not_json", "garbage"),
        (".garbage", "garbage"),
        (".do_not_retry", "refused"),
        (".overloaded", "temporary"),
        (".rate_limited_ms", "temporary"),
        (".rate_limited_long", "temporary"),
        (".unavailable_page", "temporary"),
        (".gateway_timeout", "temporary"),
        (".reset", "temporary"),
    ] {
        let error = model(&stand_ins, suffix).complete(&completion()).await.err().expect(suffix);
        assert_eq!(error.code(), code, "{suffix}: {error}");
        assert!(!error.to_string().contains(stand_ins.openai_key().expose_secret()), "{error}");
    }
    let wish = model(&stand_ins, ".rate_limited_long").complete(&completion()).await.err().unwrap();
    let asked = Some(Duration::from_secs(300));
    assert!(matches!(wish, ProviderError::Temporary { retry_after, .. } if retry_after == asked));
}

#[tokio::test]
async fn a_passing_fault_passes_unnoticed() {
    let stand_ins = StandIns::start(StandInOptions::default()).await.unwrap();
    stand_ins.faults().next_chat(ChatFault::Http(Fault::RateLimited(RetryHint::Date(Duration::from_secs(2)))));
    stand_ins.faults().next_chat(ChatFault::Http(Fault::ServerError));
    assert!(model(&stand_ins, "").complete(&completion()).await.is_ok());
}

/// Asks until the work is at its end, for at most 30 s.
async fn end_of(client: &AssemblyAi, audio: AudioSource) -> Result<Submission, ProviderError> {
    let submitted = client.submit(audio, &SpeechOptions::default()).await.unwrap();
    let Submission::Waiting { reference } = submitted else { panic!("{submitted:?}") };
    for _ in 0..300 {
        let now = client.fetch(&reference).await;
        if !matches!(now, Ok(Submission::Waiting { .. })) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no end of {reference}")
}

#[tokio::test]
async fn a_recording_is_ordered_and_the_failed_work_told_apart() {
    let stand_ins = StandIns::start(StandInOptions::default()).await.unwrap();
    let client = speech(&stand_ins, stand_ins.assemblyai_key());
    for (fault, code) in
        [(JobFault::Download, None), (JobFault::NotAudio, Some("bad_audio")), (JobFault::TooShort, Some("bad_audio"))]
    {
        stand_ins.faults().next_job(fault);
        let end = end_of(&client, recording(b"RIFF....WAVE".to_vec(), "call.wav", 2)).await;
        match code {
            None => assert!(matches!(end, Ok(Submission::Abandoned { .. })), "{end:?}"),
            Some(code) => assert_eq!(end.err().map(|error| error.code()), Some(code)),
        }
    }
    assert_eq!(client.fetch("0000").await.err().unwrap().code(), "unknown_reference");
    let stranger = speech(&stand_ins, SecretString::from("stranger"));
    assert_eq!(stranger.fetch("0000").await.err().unwrap().code(), "credentials");
}
