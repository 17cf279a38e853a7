//! Bad days of the speech provider: every fault of its stand-in, met by its client and by calls on their way.

use std::time::Duration;

use plumbline::{
    demo::standins::{
        StandInOptions, StandIns,
        faults::{Fault, JobFault, ReadFault, RetryHint},
    },
    platform::providers::{
        ProviderError, QuickRetries, http_client,
        speech::{
            AssemblyAi, AssemblyAiFeatures, AssemblyAiSettings, AudioContent, AudioSource, SpeechOptions, SpeechToText,
            Submission,
        },
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{
    speech::{Said, hearing, hearing_of, upload, worked_off},
    support::{Client, TestApp, TestTenant, stereo_wav},
};

/// A client whose key meets the named fault at every request.
fn client(stand_ins: &StandIns, suffix: &str) -> AssemblyAi {
    let key = stand_ins.assemblyai_key();
    let settings = AssemblyAiSettings {
        base_url: stand_ins.assemblyai_url(),
        api_key: SecretString::from(format!("{}{suffix}", key.expose_secret())),
        speech_models: vec!["universal-2".into()],
        features: AssemblyAiFeatures::default(),
        timeout: Duration::from_secs(10),
        retries: QuickRetries { first_pause: Duration::from_millis(5), ..QuickRetries::default() },
    };
    AssemblyAi::new(settings, http_client().unwrap()).unwrap()
}

async fn submit(client: &AssemblyAi) -> Result<Submission, ProviderError> {
    let bytes = stereo_wav(1);
    let audio = AudioSource {
        length_bytes: bytes.len() as u64,
        content_type: "audio/wav".into(),
        file_name: "call.wav".into(),
        channels: Some(2),
        content: AudioContent::memory(bytes),
    };
    client.submit(audio, &SpeechOptions::default()).await
}

/// Suffix, code of the error (none for a request that succeeds all the same), and how often the upload is tried.
const REQUESTS: [(&str, Option<&str>, u64); 11] = [
    (".rate_limited", Some("temporary"), 3),
    (".rate_limited_silently", Some("temporary"), 3),
    (".rate_limited_long", Some("temporary"), 1),
    (".server_error", Some("temporary"), 3),
    (".unavailable", Some("temporary"), 3),
    (".unavailable_page", Some("temporary"), 3),
    (".gateway_timeout", Some("temporary"), 3),
    (".reset", Some("temporary"), 3),
    (".do_not_retry", Some("refused"), 1),
    (".garbage", Some("garbage"), 1),
    (".slow_body", None, 1),
];

#[tokio::test]
async fn every_fault_of_a_request_has_its_code_and_its_number_of_tries() {
    let stand_ins = StandIns::start(StandInOptions::default()).await.unwrap();
    for (suffix, code, tries) in REQUESTS {
        let before = stand_ins.requests().uploads;
        let result = submit(&client(&stand_ins, suffix)).await;
        assert_eq!(result.as_ref().err().map(ProviderError::code), code, "{suffix}: {result:?}");
        assert_eq!(stand_ins.requests().uploads - before, tries, "{suffix}");
        if let Err(error) = result {
            assert!(!error.to_string().contains(stand_ins.assemblyai_key().expose_secret()), "{error}");
        }
    }
    let foreign = submit(&client(&stand_ins, "x")).await;
    assert_eq!(foreign.err().map(|error| error.code()), Some("credentials"), "another key");
}

#[tokio::test]
async fn an_order_that_may_have_been_taken_is_not_repeated() {
    let stand_ins = StandIns::start(StandInOptions::default()).await.unwrap();
    let client = client(&stand_ins, "");
    for (fault, orders) in [
        (Fault::RateLimited(RetryHint::Seconds(1)), 2), // a refusal says that nothing was taken
        (Fault::RateLimited(RetryHint::Nothing), 2),
        (Fault::ServerError, 1),
        (Fault::Unavailable, 1),
        (Fault::UnavailablePage, 1),
        (Fault::GatewayTimeout, 1),
        (Fault::ResetAfterHeaders, 1),
        (Fault::SlowBody(Duration::from_millis(20)), 1),
    ] {
        let before = stand_ins.requests().transcripts_created;
        stand_ins.faults().next_create(fault.clone());
        let result = submit(&client).await;
        let taken = orders == 2 || matches!(fault, Fault::SlowBody(_));
        assert_eq!(result.is_ok(), taken, "{fault:?}: {result:?}");
        assert_eq!(stand_ins.requests().transcripts_created - before, orders, "{fault:?}");
    }
}

/// Calls one after another in one application, each meeting its own fault; each recording is another one.
struct Day {
    app: TestApp,
    tenant: TestTenant,
    admin: Client,
    calls: u16,
}

impl Day {
    async fn of(app: TestApp) -> Self {
        let tenant = app.ready_tenant("acme").await;
        let admin = app.admin(&tenant);
        Self { app, tenant, admin, calls: 0 }
    }

    /// Uploads and works the call off; gives its id, the call, and how many transcripts were ordered for it.
    async fn call(&mut self) -> (String, Value, u64) {
        self.calls += 1;
        self.call_of(stereo_wav(self.calls)).await
    }

    async fn call_of(&self, recording: Vec<u8>) -> (String, Value, u64) {
        let before = self.app.stand_ins.requests().transcripts_created;
        let id = upload(&self.admin, &self.tenant, recording).await;
        let call = worked_off(&self.app, &self.admin, &id, 1).await;
        (id, call, self.app.stand_ins.requests().transcripts_created - before)
    }

    async fn transcript(&self, id: &str) -> Value {
        self.admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200)
    }
}

#[tokio::test]
async fn faults_that_pass_are_waited_out_and_the_transcript_is_paid_once() {
    let mut day = Day::of(hearing(|_| ()).await).await;
    for fault in [
        ReadFault::Http(Fault::RateLimited(RetryHint::Seconds(1))),
        ReadFault::Http(Fault::RateLimited(RetryHint::Nothing)),
        ReadFault::Http(Fault::Unavailable),
        ReadFault::Http(Fault::UnavailablePage),
        ReadFault::Http(Fault::SlowBody(Duration::from_millis(20))),
        ReadFault::Http(Fault::ResetAfterHeaders),
        ReadFault::UnknownStatus,
    ] {
        day.app.stand_ins.faults().next_read(fault.clone());
        let (_, call, orders) = day.call().await;
        assert_eq!((&call["overall_score"], orders), (&json!(87.5), 1), "{fault:?}: {call}");
    }
    day.app.stand_ins.faults().next_upload(Fault::Unavailable);
    let (_, call, orders) = day.call().await;
    assert_eq!((&call["overall_score"], orders), (&json!(87.5), 1), "an upload is repeated: {call}");
    day.app.finish().await;
}

#[tokio::test]
async fn work_that_failed_is_ordered_anew_or_shown_to_people() {
    let mut day = Day::of(hearing(|_| ()).await).await;
    for (fault, failure) in [
        (JobFault::Download, None),
        (JobFault::ServerSide, None),
        (JobFault::NotAudio, Some("bad_audio")),
        (JobFault::TooShort, Some("bad_audio")),
        (JobFault::NotInThisLanguage, Some("invalid_request")),
    ] {
        day.app.stand_ins.faults().next_job(fault.clone());
        let (id, call, orders) = day.call().await;
        match failure {
            None => assert_eq!((&call["overall_score"], orders), (&json!(87.5), 2), "{fault:?}: {call}"),
            Some(kind) => {
                assert_eq!((&call["failure"]["kind"], orders), (&json!(kind), 1), "{fault:?}: {call}");
                assert_eq!(call["failure"]["stage"], "transcribe", "{call}");
                day.admin.get(&format!("/api/calls/{id}/transcript")).await.refused(404, "not-found");
            }
        }
    }
    day.app.stand_ins.faults().next_read(ReadFault::NotFound);
    let (id, call, _) = day.call().await;
    assert_eq!(call["failure"]["kind"], "unknown_reference", "{call}");
    day.admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.expect(200);
    let call = worked_off(&day.app, &day.admin, &id, 1).await;
    assert_eq!(call["overall_score"], json!(87.5), "a retry hands the recording over again: {call}");
    day.app.finish().await;
}

#[tokio::test]
async fn odd_transcripts_are_read_for_what_they_hold() {
    let mut day = Day::of(hearing(|config| config.speech.assemblyai_sentiment = true).await).await;
    day.app.stand_ins.faults().next_job(JobFault::NoUtterances);
    let (id, call, _) = day.call().await;
    assert_eq!(call["status"], "evaluated", "{call}");
    let transcript = day.transcript(&id).await;
    assert_eq!(transcript["utterances"][0]["speaker"], "unknown", "no voice is made up: {transcript:#}");

    day.app.stand_ins.faults().next_job(JobFault::SentimentWithoutStart);
    let (id, call, _) = day.call().await;
    assert_eq!(call["overall_score"], json!(87.5), "{call}");
    let sentiment = &day.transcript(&id).await["metrics"]["sentiment"];
    let whole = json!([{"speaker": "unknown", "sentences": 1, "overall": 0.0, "start": null, "end": null}]);
    assert_eq!(*sentiment, whole, "a sentence without a time is in no third");

    day.app.stand_ins.faults().next_job(JobFault::UnknownSentiment);
    let (id, call, _) = day.call().await;
    assert_eq!(call["overall_score"], json!(87.5), "{call}");
    assert_eq!(day.transcript(&id).await["metrics"]["sentiment"], json!([]));
    day.app.finish().await;
}

/// A recording with two channels of `seconds`.
fn lasting(seconds: u32) -> Vec<u8> {
    let mut recording = stereo_wav(1)[..44].to_vec();
    recording.resize(44 + 32_000 * seconds as usize, 0);
    let length = u32::try_from(recording.len()).unwrap();
    recording[4..8].copy_from_slice(&(length - 8).to_le_bytes());
    recording[40..44].copy_from_slice(&(length - 44).to_le_bytes());
    recording
}

#[tokio::test]
async fn half_a_transcript_is_none() {
    const MINUTE: Said = &[("A", 1.0, 9.0, "Good morning, Ana here."), ("B", 12.0, 58.0, "My gateway is down.")];
    let day = Day::of(hearing_of(60.0, MINUTE, |_| ()).await).await;
    day.app.stand_ins.faults().next_job(JobFault::Duration(30));
    let (id, call, _) = day.call_of(lasting(60)).await;
    assert_eq!(call["failure"]["kind"], "incomplete_transcript", "{call}");
    day.admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.expect(200);
    let call = worked_off(&day.app, &day.admin, &id, 1).await;
    assert_eq!(call["status"], "evaluated", "the whole one is taken: {call}");
    day.app.finish().await;
}

#[tokio::test]
async fn reports_are_hints_however_they_come() {
    let app = hearing(|config| {
        config.server.public_url = Some(format!("http://{}", config.server.bind).parse().unwrap());
    })
    .await;
    let mut day = Day::of(app).await;
    for (fault, reports) in [
        (JobFault::WebhookTwice, 2),
        (JobFault::WebhookEarly, 1),
        (JobFault::WebhookForged, 2),
        (JobFault::WebhookOfAudio, 2),
    ] {
        let before = day.app.stand_ins.requests();
        day.app.stand_ins.faults().next_job(fault.clone());
        let (_, call, orders) = day.call().await;
        assert_eq!((&call["overall_score"], orders), (&json!(87.5), 1), "{fault:?}: {call}");
        // The call may be done before its last report comes.
        for _ in 0..250 {
            if day.app.stand_ins.requests().webhooks - before.webhooks == reports {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        day.app.drain().await;
        let now = day.app.stand_ins.requests();
        let counts = (now.webhooks - before.webhooks, now.chat_completions - before.chat_completions);
        assert_eq!(counts, (reports, 1), "{fault:?}: each report is answered at once, and the call is judged once");
    }
    day.app.finish().await;
}
