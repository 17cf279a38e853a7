//! Recordings through every stage: speech is heard by a server of the recogniser's form that says what the tests expect.

use std::time::Duration;

use plumbline::{
    demo::standins::{Recogniser, StandInOptions, faults::JobFault},
    foundation::config::{Config, SpeechProvider},
};
use poem::{IntoResponse, Request, Route, Server, endpoint::make, listener::TcpAcceptor, post, web::Json};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestTenant, stereo_wav, wav};

/// What is heard in any recording: speaker, start and end in seconds, words.
pub type Said = &'static [(&'static str, f64, f64, &'static str)];

const SAID: Said = &[
    ("A", 0.0, 0.4, "Good morning, Ana here."),
    ("B", 0.4, 0.7, "My gateway is down."),
    ("A", 0.7, 1.0, "I see. Then I will send you a new one."),
];

/// Each channel is a speaker, where channels are asked for.
fn hear(body: &[u8], seconds: f64, said: Said) -> Value {
    let by_channel = String::from_utf8_lossy(body).contains("diarized_json");
    let segments: Vec<Value> = said
        .iter()
        .map(|(speaker, start, end, text)| {
            let mut segment = json!({"start": start, "end": end, "text": text});
            if by_channel {
                segment["speaker"] = json!(speaker);
            }
            segment
        })
        .collect();
    json!({"task": "transcribe", "language": "en", "duration": seconds, "text": "", "segments": segments, "words": []})
}

/// The address of a recogniser that hears the same in every recording.
pub async fn recogniser() -> url::Url {
    recogniser_of(1.0, SAID).await
}

async fn recogniser_of(seconds: f64, said: Said) -> url::Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hear = make(move |mut request: Request| async move {
        let body = request.take_body().into_bytes().await?;
        Ok::<_, poem::Error>(Json(hear(&body, seconds, said)).into_response())
    });
    let routes = Route::new().at("/v1/audio/transcriptions", post(hear));
    let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
    tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(routes).await.unwrap() });
    format!("http://{address}/v1").parse().unwrap()
}

/// An application that hears by AssemblyAI's stand-in.
pub async fn hearing(change: impl FnOnce(&mut Config)) -> TestApp {
    hearing_of(1.0, SAID, change).await
}

/// The same, of other words and of recordings of another length.
pub async fn hearing_of(seconds: f64, said: Said, change: impl FnOnce(&mut Config)) -> TestApp {
    let behind = Recogniser { base_url: recogniser_of(seconds, said).await, api_key: SecretString::from("k") };
    let options = StandInOptions {
        recogniser: Some(behind),
        processing_delay: Duration::from_millis(100),
        ..StandInOptions::default()
    };
    TestApp::with_stand_ins(options, |config| {
        config.speech.provider = Some(SpeechProvider::Assemblyai);
        change(config);
    })
    .await
}

pub async fn upload(client: &Client, tenant: &TestTenant, bytes: Vec<u8>) -> String {
    let sent = client.upload(&format!("organization_id={}", tenant.sales), bytes).await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    sent.text("call_id")
}

/// Works until the call is evaluated or failed; `seconds` pass at every look.
pub async fn worked_off(app: &TestApp, client: &Client, id: &str, seconds: i64) -> Value {
    for _ in 0..500 {
        app.drain().await;
        let call = app.call(client, id).await;
        if call["status"] == "evaluated" || call["status"] == "failed" {
            app.drain().await;
            return call;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        app.advance(seconds);
    }
    panic!("the call goes no further: {}", app.call(client, id).await);
}

#[tokio::test]
async fn two_channels_become_agent_and_customer_and_are_judged() {
    let app = hearing(|_| ()).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = upload(&admin, &tenant, stereo_wav(1)).await;
    let call = worked_off(&app, &admin, &id, 1).await;
    assert_eq!((&call["status"], &call["overall_score"]), (&json!("evaluated"), &json!(87.5)), "{call}");
    let transcript = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
    assert_eq!(transcript["provider"], json!("assemblyai"));
    let speakers: Vec<_> =
        transcript["utterances"].as_array().unwrap().iter().map(|said| said["speaker"].clone()).collect();
    assert_eq!(speakers, ["agent", "customer", "agent"]);
    assert_eq!(transcript["utterances"][1]["text"], json!("My gateway is down."));
    let asked = app.stand_ins.requests();
    assert_eq!((asked.uploads, asked.transcripts_created, asked.chat_completions), (1, 1, 1), "paid once");
    app.finish().await;
}

#[tokio::test]
async fn a_report_of_the_provider_pulls_the_call_forward_and_a_forged_one_does_not() {
    let app = hearing(|config| {
        config.speech.poll_seconds = 3_600.0;
        config.server.public_url = Some(format!("http://{}", config.server.bind).parse().unwrap());
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    app.stand_ins.faults().next_job(JobFault::WebhookForged);
    let id = upload(&admin, &tenant, stereo_wav(1)).await;
    let call = worked_off(&app, &admin, &id, 0).await; // no time passes: nothing is polled
    assert_eq!(call["overall_score"], json!(87.5), "{call}");
    let asked = app.stand_ins.requests();
    assert_eq!((asked.webhooks, asked.transcripts_created), (2, 1));
    app.finish().await;
}

#[tokio::test]
async fn a_report_for_a_suspended_tenant_is_refused_and_nothing_is_lost() {
    let app = hearing(|config| {
        config.speech.poll_seconds = 3_600.0;
        config.server.public_url = Some(format!("http://{}", config.server.bind).parse().unwrap());
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = upload(&admin, &tenant, stereo_wav(1)).await;
    app.drain().await; // it is at the provider now
    let path = format!("/api/tenants/{}", tenant.id);
    app.operator().post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).await.expect(200);
    let secret = format!("select webhook_secret from {}.transcriptions", tenant.schema);
    let secret: String = app.database.connect().await.query_one(&secret, &[]).await.unwrap().get(0);
    let report =
        format!("/api/webhooks/transcriptions?tenant_id={}&organization_id={}&call_id={id}", tenant.id, tenant.sales);
    let reported = async |secret: &str| {
        let request = app.anonymous().request(reqwest::Method::POST, &report).header("x-plumbline-webhook", secret);
        crate::support::Answer::to(request).await
    };
    reported("forged").await.refused(404, "not-found");
    reported(&secret).await.refused(403, "tenant-suspended");
    app.advance(4_000);
    app.drain().await;
    app.operator().post(&format!("{path}/resume"), &json!({})).await.expect(200);
    assert_eq!(app.call(&admin, &id).await["status"], "received");
    let call = worked_off(&app, &admin, &id, 1).await; // its time has come: it asks by itself
    assert_eq!(call["overall_score"], json!(87.5), "{call}");
    assert_eq!(app.stand_ins.requests().transcripts_created, 1, "paid once");
    app.finish().await;
}

#[tokio::test]
async fn a_recording_that_cannot_be_heard_says_so_and_a_retry_asks_anew() {
    let app = hearing(|_| ()).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    app.stand_ins.faults().next_job(JobFault::NotAudio);
    let id = upload(&admin, &tenant, stereo_wav(1)).await;
    let call = worked_off(&app, &admin, &id, 1).await;
    let failure = &call["failure"];
    assert_eq!((&failure["stage"], &failure["kind"]), (&json!("transcribe"), &json!("bad_audio")), "{call}");
    admin.get(&format!("/api/calls/{id}/transcript")).await.refused(404, "not-found");
    admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.expect(200);
    let call = worked_off(&app, &admin, &id, 1).await;
    assert_eq!(call["overall_score"], json!(87.5), "{call}");
    assert_eq!(app.stand_ins.requests().transcripts_created, 2);
    app.finish().await;
}

#[tokio::test]
async fn one_channel_is_heard_without_a_guess_of_who_speaks() {
    let address = recogniser().await;
    let app = TestApp::with(|config| {
        config.speech.provider = Some(SpeechProvider::Recogniser);
        config.speech.recogniser_base_url = Some(address);
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = upload(&admin, &tenant, wav(1)).await;
    let call = worked_off(&app, &admin, &id, 1).await;
    assert_eq!(call["status"], json!("evaluated"), "{call}");
    let transcript = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
    let said = transcript["utterances"].as_array().unwrap();
    assert!(!said.is_empty() && said.iter().all(|said| said["speaker"] == "unknown"), "{transcript}");
    app.finish().await;
}

#[tokio::test]
async fn how_the_speakers_sound_stands_beside_the_metrics() {
    let app = hearing(|config| config.speech.assemblyai_sentiment = true).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = upload(&admin, &tenant, stereo_wav(1)).await;
    let call = worked_off(&app, &admin, &id, 1).await;
    assert_eq!(call["overall_score"], json!(87.5), "{call}");
    let transcript = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
    assert_eq!(
        transcript["metrics"]["sentiment"],
        json!([
            {"speaker": "agent", "sentences": 3, "overall": 0.33, "start": 1.0, "end": 0.0},
            {"speaker": "customer", "sentences": 1, "overall": -1.0, "start": null, "end": null},
        ]),
        "{transcript:#}"
    );
    app.finish().await;
}

#[tokio::test]
async fn what_the_provider_redacts_never_reaches_the_database() {
    const NUMBERS: Said = &[
        ("A", 0.0, 0.5, "Good morning, your card please."),
        ("B", 0.5, 1.0, "It is 4111 1111 1111 1111, write to ana@example.org."),
    ];
    let app = hearing_of(1.0, NUMBERS, |config| {
        config.speech.assemblyai_redact = vec!["credit_card_number".to_owned(), "email_address".to_owned()];
        config.speech.assemblyai_entities = true;
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = upload(&admin, &tenant, stereo_wav(1)).await;
    worked_off(&app, &admin, &id, 1).await;
    let transcript = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
    assert_eq!(
        transcript["utterances"][1]["text"], "It is [CREDIT_CARD_NUMBER], write to [EMAIL_ADDRESS].",
        "{transcript:#}"
    );
    let rows = format!("select to_jsonb(t)::text from {}.transcriptions t", tenant.schema);
    let row: String = app.database.connect().await.query_one(&rows, &[]).await.unwrap().get(0);
    assert!(!row.contains("4111") && !row.contains("example.org"), "{row}");
    app.finish().await;
}

#[tokio::test]
async fn what_the_provider_finds_is_redacted_beside_the_raw_words() {
    const LAMP: Said = &[("A", 0.0, 0.5, "Good morning, Ana here."), ("B", 0.5, 1.0, "The lamp is 4711 blue.")];
    for (entities, redacted) in [(false, "The lamp is 4711 blue."), (true, "The lamp is [NUMBER_1] blue.")] {
        let app = hearing_of(1.0, LAMP, |config| config.speech.assemblyai_entities = entities).await;
        let tenant = app.ready_tenant("acme").await;
        let admin = app.admin(&tenant);
        let id = upload(&admin, &tenant, stereo_wav(1)).await;
        worked_off(&app, &admin, &id, 1).await;
        let query = format!("select text, redacted_text from {}.utterances where n = 2", tenant.schema);
        let row = app.database.connect().await.query_one(&query, &[]).await.unwrap();
        let told: (String, String) = (row.get(0), row.get(1));
        assert_eq!(told, ("The lamp is 4711 blue.".to_owned(), redacted.to_owned()), "entities: {entities}");
        app.finish().await;
    }
}

#[tokio::test]
async fn a_language_is_a_tag_however_the_provider_names_it() {
    let app = hearing(|config| {
        config.speech.language = Some("en-GB".to_owned());
        config.speech.vocabulary = vec!["Plumbline gateway".to_owned()];
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = upload(&admin, &tenant, stereo_wav(1)).await;
    let call = worked_off(&app, &admin, &id, 1).await;
    assert_eq!(call["language"], "en-GB", "the settings' language, by way of the provider's en_uk: {call}");
    app.finish().await;
}
