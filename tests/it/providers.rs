//! The clients of providers against the stand-ins, which were written from the providers' documents and not from the
//! clients; and against a real recogniser where one is running.

use std::time::Duration;

use plumbline::{
    demo::standins::{
        self, StandInOptions, StandIns,
        faults::{ChatFault, Fault, JobFault, RetryHint},
    },
    platform::providers::{
        ProviderError, QuickRetries, http_client,
        llm::{Completion, LanguageModel, OpenAi, OpenAiSettings},
        speech::{
            AssemblyAi, AssemblyAiSettings, AudioContent, AudioSource, Recogniser, RecogniserSettings, SpeechOptions,
            SpeechToText, Submission, Voice,
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

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

#[tokio::test]
#[ignore = "needs a running recogniser and a recording with two channels"]
async fn the_speech_stand_in_before_a_real_recogniser_hears_both_channels() {
    let recogniser = standins::Recogniser {
        base_url: variable("PLUMBLINE_TEST_RECOGNISER_URL").parse().unwrap(),
        api_key: SecretString::from(variable("PLUMBLINE_SPEECH_KEY")),
    };
    let options = StandInOptions { recogniser: Some(recogniser), ..StandInOptions::default() };
    let stand_ins = StandIns::start(options).await.unwrap();
    let client = speech(&stand_ins, stand_ins.assemblyai_key());
    let file = std::fs::read(variable("PLUMBLINE_TEST_RECORDING")).unwrap();
    let both = vec![Voice::Channel(1), Voice::Channel(2)];
    // The recogniser gives no words for two channels, so without utterances there is only the text left.
    for (fault, voices) in [
        (None, both.clone()),
        (Some(JobFault::SentimentWithoutStart), both),
        (Some(JobFault::NoUtterances), vec![Voice::Single]),
    ] {
        fault.into_iter().for_each(|fault| stand_ins.faults().next_job(fault));
        let Ok(Submission::Done(heard)) = end_of(&client, recording(file.clone(), "call.flac", 2)).await else {
            panic!("not transcribed")
        };
        assert!(heard.duration_ms.is_some());
        for voice in voices {
            assert!(heard.utterances.iter().any(|utterance| utterance.voice == voice), "{voice:?}");
        }
    }
}

/// `PLUMBLINE_TEST_RECOGNISER_URL=http://127.0.0.1:8931/v1 PLUMBLINE_TEST_RECORDING=two-channels.flac
/// cargo test --test it -- --ignored recogniser`; the key is in `PLUMBLINE_SPEECH_KEY`.
#[tokio::test]
#[ignore = "needs a running recogniser and a recording with two channels"]
async fn a_real_recogniser_hears_both_channels() {
    let settings = RecogniserSettings {
        base_url: variable("PLUMBLINE_TEST_RECOGNISER_URL").parse().unwrap(),
        api_key: std::env::var("PLUMBLINE_SPEECH_KEY").ok().map(SecretString::from),
        model: "whisper".into(),
        max_audio_bytes: None,
        timeout: Duration::from_secs(300),
        retries: QuickRetries::default(),
    };
    let client = Recogniser::new(settings, http_client().unwrap()).unwrap();
    let file = std::fs::read(variable("PLUMBLINE_TEST_RECORDING")).unwrap();
    for (channels, voices) in [(2, vec![Voice::Channel(1), Voice::Channel(2)]), (1, vec![Voice::Single])] {
        let audio = recording(file.clone(), "call.flac", channels);
        let Submission::Done(heard) = client.submit(audio, &SpeechOptions::default()).await.unwrap() else {
            panic!("a recogniser answers at once")
        };
        for voice in voices {
            assert!(heard.utterances.iter().any(|utterance| utterance.voice == voice), "{voice:?}");
        }
        let length_ms = heard.duration_ms.unwrap();
        assert!(heard.utterances.iter().all(|utterance| utterance.end_ms <= length_ms + 500));
        assert!(heard.utterances.len() > 4);
    }
}
