//! Personal data over HTTP: what the language model is sent, what the transcript shows, and who has seen the raw one.

use std::sync::{Arc, Mutex, OnceLock};

use poem::{Response, Route, Server, endpoint::make, http::StatusCode, listener::TcpAcceptor, post};
use serde_json::{Value, json};

use crate::support::TestApp;

/// What nobody but a reader of the raw transcript may see.
const PLANTED: &[&str] = &[
    "4111 1111 1111 1111",
    "Marisela",
    "Thackeray",
    "four one five five five five",
    "m.thackeray@example.com",
    "12 Rosewood Lane",
    "DE89 3704 0044 0532 0130 00",
    "March 3rd, 1985",
    "7916676427",
    "192.168.10.254",
];

fn call(organization: &str) -> Value {
    let said = [
        ("agent", "Good morning, may I have your name?"),
        ("customer", "Marisela Thackeray, born on March 3rd, 1985. My card is 4111 1111 1111 1111."),
        ("agent", "Thank you, Marisela. Your phone number, e-mail and address?"),
        (
            "customer",
            "four one five five five five oh one two three, m.thackeray@example.com and 12 Rosewood Lane, Dayton, OH 45402",
        ),
        (
            "customer",
            "The order is 7916676427, paid from DE89 3704 0044 0532 0130 00, and my router says 192.168.10.254.",
        ),
        ("agent", "Is there anything else? Goodbye, Ms Thackeray."),
    ];
    let said: Vec<Value> = said.iter().map(|(speaker, text)| json!({"speaker": speaker, "text": text})).collect();
    json!({"organization_id": organization, "channel": "chat", "language": "en", "utterances": said})
}

fn scorecard() -> Value {
    json!({"name": "Service", "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "goodbye", "question": "Did the agent say goodbye?", "guidance": "Yes if the agent says \"goodbye\"."},
    ]}]})
}

/// A relay to the language model's stand-in that keeps every request's body.
async fn listening(upstream: Arc<OnceLock<String>>) -> (String, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = heard.clone();
    let client = reqwest::Client::new();
    let relay = make(move |mut request: poem::Request| {
        let (kept, client, upstream) = (kept.clone(), client.clone(), upstream.clone());
        async move {
            let body = request.take_body().into_string().await.unwrap();
            kept.lock().unwrap().push(body.clone());
            let mut passed = client.post(format!("{}/chat/completions", upstream.get().unwrap())).body(body);
            for name in ["authorization", "content-type"] {
                passed = passed.header(name, request.header(name).unwrap_or_default());
            }
            let answer = passed.send().await.unwrap();
            let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
            let bytes = answer.bytes().await.unwrap();
            Response::builder().status(status).content_type("application/json").body(bytes)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let routes = Route::new().at("/v1/chat/completions", post(relay));
    let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
    tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(routes).await });
    (base, heard)
}

fn assert_clean(what: &str, text: &str) {
    for planted in PLANTED {
        assert!(!text.contains(planted), "{planted} in {what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_data_does_not_leave_for_the_language_model() {
    let upstream = Arc::new(OnceLock::new());
    let (base, heard) = listening(upstream.clone()).await;
    let app = TestApp::with(|config| {
        let model = config.language_model.base_url.to_string();
        upstream.set(model.trim_end_matches('/').to_owned()).unwrap();
        config.language_model.base_url = base.parse().unwrap();
    })
    .await;
    let tenant = app.tenant("acme").await;
    app.publish(&tenant, &tenant.support, &scorecard()).await;
    let admin = app.admin(&tenant);
    let id = app.send(&admin, &call(&tenant.support)).await;
    app.drain_all().await;

    let analysis = app.analysis(&admin, &id).await.expect(200);
    assert_eq!(analysis["call_status"], "evaluated", "{analysis:#}");
    let asked = heard.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "one question");
    assert!(asked[0].contains("[CARD_1]") && asked[0].contains("[NAME_1]"), "{}", asked[0]);
    assert_clean("the prompt", &asked[0]);
    assert_clean("the analysis", &analysis.to_string());
    let quoted = &analysis["evaluation"]["sections"][0]["criteria"][0]["evidence"][0]["words"];
    assert!(quoted.is_string(), "{analysis:#}");
    app.finish().await;
}

#[tokio::test]
async fn the_raw_transcript_is_shown_to_who_asks_and_written_down() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let sent = call(&tenant.support);
    let id = app.send(&admin, &sent).await;
    let path = format!("/api/calls/{id}/transcript");
    let revealed = format!(
        "select count(*) from {}.audit_events where action = 'transcript.revealed' and subject_id = '{id}'::uuid",
        tenant.schema
    );
    let events = async || app.database.count(&revealed).await;

    let redacted = admin.get(&path).await.expect(200);
    assert_clean("the transcript", &redacted.to_string());
    assert_eq!((&redacted["raw"], events().await), (&json!(false), 0));
    let raw = admin.get(&format!("{path}?raw=true")).await.expect(200);
    assert_eq!((&raw["raw"], events().await), (&json!(true), 1));
    for (nth, utterance) in sent["utterances"].as_array().unwrap().iter().enumerate() {
        assert_eq!(raw["utterances"][nth]["text"], utterance["text"]);
    }
    assert_ne!(raw["digest"], raw["raw_digest"]);
    assert_eq!((&raw["digest"], &redacted["raw_digest"]), (&redacted["digest"], &Value::Null));
    // Whoever reads calls does not read what was replaced in them.
    for role in ["coach", "auditor"] {
        let reader = app.caller(&tenant, role, role, &["support"]);
        reader.get(&format!("{path}?raw=true")).await.refused(403, "forbidden");
        assert_eq!(reader.get(&path).await.expect(200)["raw_digest"], Value::Null);
    }
    let (_, agent) = app.agent(&tenant, &tenant.support, "Ana").await;
    agent.get(&format!("{path}?raw=true")).await.refused(403, "forbidden");
    assert_eq!(events().await, 1, "nobody else has seen it");
    let evaluator = app.caller(&tenant, "eve", "evaluator", &["support"]);
    assert_eq!(evaluator.get(&format!("{path}?raw=true")).await.expect(200)["raw_digest"], raw["raw_digest"]);
    let spans = redacted["personal_data"].as_array().unwrap();
    for kind in ["name", "phone", "card", "address", "email", "iban", "date_of_birth", "number", "ip"] {
        assert!(spans.iter().any(|span| span["kind"] == kind), "{kind}: {spans:#?}");
    }
    assert!(redacted["metrics"]["values"]["agent_questions"].as_i64().unwrap() >= 3, "{}", redacted["metrics"]);

    // A row from before transcripts were redacted is redacted when it is read.
    app.database.execute(&format!("update {}.utterances set redacted_text = null", tenant.schema)).await;
    let old = admin.get(&path).await.expect(200);
    assert_eq!(old["utterances"], redacted["utterances"]);
    app.drain().await;
    app.finish().await;
}
