//! Written conversations, and who may see a call.

use serde_json::{Value, json};

use crate::support::{TestApp, conversation};

#[tokio::test]
async fn a_written_conversation_is_kept_as_it_was_said() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let sent = conversation(&tenant.sales);
    let made = admin.post("/api/calls", &sent).await;
    assert_eq!(made.status, 202, "{}", made.body);
    let id = made.text("call_id");
    assert_eq!((&made.body["status"], &made.body["duration_ms"]), (&json!("transcribed"), &json!(6_000)));
    assert_eq!(made.body["started_at"].as_str().unwrap()[..19], sent["started_at"].as_str().unwrap()[..19]);
    let read = app.call(&admin, &id).await;
    assert_eq!(read, made.body, "what is read is what was answered");

    let redacted = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
    assert_eq!(redacted["utterances"][0]["text"], json!("Good morning, [NAME_1] here."));
    let transcript = admin.get(&format!("/api/calls/{id}/transcript?raw=true")).await.expect(200);
    assert_eq!((&transcript["provider"], &transcript["language"]), (&json!("written"), &json!("en")));
    let said = transcript["utterances"].as_array().unwrap();
    for (n, (kept, given)) in (1..).zip(said.iter().zip(sent["utterances"].as_array().unwrap())) {
        let mut given = given.clone();
        given["n"] = json!(n);
        assert_eq!(kept, &given);
    }
    assert_eq!(said.len(), 3);
    assert_eq!(transcript["digest"].as_str().unwrap().len(), 64);
    assert!(transcript["metrics"].is_object(), "{transcript}");
    admin.get(&format!("/api/calls/{id}/audio")).await.refused(404, "not-found");
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn a_conversation_that_makes_no_sense_is_refused_whole() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let good = conversation(&tenant.sales);
    let with = |change: fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    let cases: [(&str, Value); 12] = [
        ("an unknown field", with(|c| c["colour"] = json!("red"))),
        ("an unknown field of an utterance", with(|c| c["utterances"][0]["mood"] = json!("bad"))),
        ("no utterances", with(|c| c["utterances"] = json!([]))),
        ("an empty utterance", with(|c| c["utterances"][1]["text"] = json!("  "))),
        ("a NUL in an utterance", with(|c| c["utterances"][1]["text"] = json!("a\u{0}b"))),
        ("a NUL in a name", with(|c| c["external_id"] = json!("a\u{0}b"))),
        ("an end before its start", with(|c| c["utterances"][0]["end_ms"] = json!(-1))),
        ("times that run backwards", with(|c| c["utterances"][1]["end_ms"] = json!(1))),
        ("an unknown speaker", with(|c| c["utterances"][0]["speaker"] = json!("robot"))),
        ("an unknown channel", with(|c| c["channel"] = json!("fax"))),
        ("a language that is none", with(|c| c["language"] = json!("english please"))),
        ("no organization", with(|c| c["organization_id"] = Value::Null)),
    ];
    for (what, body) in cases {
        let refused = admin.post("/api/calls", &body).await;
        assert_eq!(refused.status, 400, "{what}: {}", refused.body);
        assert!(refused.body["errors"][0]["field"].is_string(), "{what}: {}", refused.body);
    }
    let million = "word ".repeat(1_000_000);
    let long = with(|c| c["utterances"] = json!([]));
    let long = long.to_string().replace("[]", &format!(r#"[{{"speaker":"agent","text":"{million}"}}]"#));
    let request =
        admin.request(reqwest::Method::POST, "/api/calls").header("content-type", "application/json").body(long);
    crate::support::Answer::to(request).await.refused(413, "too-large");
    for body in ["", "{", "[]", "null", "{\"organization_id\":1}"] {
        let request =
            admin.request(reqwest::Method::POST, "/api/calls").header("content-type", "application/json").body(body);
        assert_eq!(crate::support::Answer::to(request).await.status, 400, "{body}");
    }
    let calls = format!("select count(*) from {}.calls", tenant.schema);
    assert_eq!(app.database.count(&calls).await, 0);
    assert_eq!(app.database.count("select count(*) from platform.jobs").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn names_and_keys_are_used_once() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut named = conversation(&tenant.sales);
    named["external_id"] = json!("ticket-7");
    let first = app.send(&admin, &named).await;
    let taken = admin.post("/api/calls", &named).await.refused(409, "conflict");
    assert_eq!((&taken["resource_id"], &taken["errors"][0]["field"]), (&json!(first), &json!("external_id")));
    named["organization_id"] = json!(tenant.support);
    app.send(&admin, &named).await; // another organization has names of its own

    let plain = conversation(&tenant.sales);
    let made = admin.post_once("/api/calls", "k", &plain).await;
    let again = admin.post_once("/api/calls", "k", &plain).await;
    assert_eq!((again.status, again.header("idempotency-replayed"), &again.body), (202, "true", &made.body));
    let mut other = plain.clone();
    other["language"] = json!("de");
    admin.post_once("/api/calls", "k", &other).await.refused(422, "idempotency-key-reused");
    // The key of one caller is not another's.
    let eve = app.caller(&tenant, "eve", "evaluator", &["sales"]);
    assert_ne!(eve.post_once("/api/calls", "k", &plain).await.text("call_id"), made.text("call_id"));
    let calls = format!("select count(*) from {}.calls", tenant.schema);
    assert_eq!(app.database.count(&calls).await, 4);
    app.drain().await;
    app.finish().await;
}

/// Everything that can be read of a call.
fn readings(id: &str) -> [String; 4] {
    ["", "/transcript", "/audio", "/analysis"].map(|part| format!("/api/calls/{id}{part}"))
}

#[tokio::test]
async fn calls_of_others_do_not_exist() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.ready_tenant("acme").await, app.ready_tenant("globex").await);
    let id = app.send(&app.admin(&acme), &conversation(&acme.sales)).await;
    app.drain().await;
    let strangers = [
        app.admin(&globex),
        app.caller(&acme, "eve", "evaluator", &["support"]),
        app.caller(&acme, "max", "organization_admin", &[]),
        app.caller(&globex, "eve", "evaluator", &["sales"]),
    ];
    let evaluation = app.analysis(&app.admin(&acme), &id).await.body["evaluation"]["evaluation_id"].clone();
    let evaluation = format!("/api/evaluations/{}", evaluation.as_str().unwrap());
    app.admin(&acme).get(&evaluation).await.expect(200);
    for stranger in &strangers {
        for path in readings(&id) {
            stranger.get(&path).await.refused(404, "not-found");
        }
        stranger.get(&evaluation).await.refused(404, "not-found");
        for list in ["/api/calls", "/api/evaluations"] {
            assert_eq!(stranger.get(list).await.expect(200)["items"], json!([]));
            let foreign = format!("{list}?organization_id={}", acme.sales);
            let listed = stranger.get(&foreign).await;
            assert!(listed.status != 200 || listed.body["items"] == json!([]), "{}", listed.body);
        }
    }
    app.admin(&globex).post(&format!("/api/calls/{id}/retry"), &json!({})).await.refused(404, "not-found");
    // A foreign organization takes nothing either.
    let mut smuggled = conversation(&acme.sales);
    app.admin(&globex).post("/api/calls", &smuggled).await.refused(422, "unprocessable");
    smuggled["organization_id"] = json!(acme.support);
    strangers[3].post("/api/calls", &smuggled).await.refused(422, "unprocessable");
    app.finish().await;
}

#[tokio::test]
async fn agents_see_their_own_calls_and_no_others() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (abe, as_abe) = app.agent(&tenant, &tenant.sales, "abe").await;
    let (sue, as_sue) = app.agent(&tenant, &tenant.sales, "sue").await;
    let mut ids = vec![];
    for agent in [json!(abe), json!(sue), Value::Null] {
        let mut call = conversation(&tenant.sales);
        call["agent_id"] = agent;
        ids.push(app.send(&admin, &call).await);
    }
    app.drain().await;
    for (client, own) in [(&as_abe, 0), (&as_sue, 1)] {
        let listed = client.get("/api/calls").await.expect(200);
        let seen: Vec<_> = listed["items"].as_array().unwrap().iter().map(|call| call["call_id"].clone()).collect();
        assert_eq!(seen, [json!(ids[own])]);
        for (n, id) in ids.iter().enumerate() {
            let expected = if n == own { [200, 200, 404, 200] } else { [404; 4] }; // there is no recording
            for (path, status) in readings(id).iter().zip(expected) {
                assert_eq!(client.get(path).await.status, status, "{path}");
            }
        }
        let analysis = app.analysis(client, &ids[own]).await.expect(200);
        assert_eq!(analysis["evaluation"]["overall_score"], json!(87.5));
        assert_eq!(analysis["evaluation"]["sections"][0]["criteria"][0]["evidence"][0]["verified"], json!(true));
        assert_eq!(client.get("/api/evaluations").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
        client.post("/api/calls", &conversation(&tenant.sales)).await.refused(403, "forbidden");
        client.post(&format!("/api/calls/{}/retry", ids[own]), &json!({})).await.refused(403, "forbidden");
        client.get("/api/jobs").await.refused(403, "forbidden");
    }
    app.finish().await;
}

#[tokio::test]
async fn times_that_no_call_can_have_are_refused_and_break_nothing() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    for time in ["-200000-01-01T00:00:00Z", "-4800-01-01T00:00:00Z", "1899-12-31T23:59:59Z", "+262000-01-01T00:00:00Z"]
    {
        let mut sent = conversation(&tenant.sales);
        sent["started_at"] = json!(time);
        admin.post("/api/calls", &sent).await.refused(400, "validation");
        for bound in ["received_from", "received_before"] {
            let path = format!("/api/calls?{bound}={}", time.replace('+', "%2B"));
            admin.get(&path).await.refused(400, "validation");
        }
        let query = format!("organization_id={}&started_at={}", tenant.sales, time.replace('+', "%2B"));
        admin.upload(&query, crate::support::wav(1)).await.refused(400, "validation");
    }
    for (field, start, end) in
        [("start_ms", 864_000_001, i64::MAX), ("end_ms", 0, i64::MAX), ("end_ms", 0, 864_000_001)]
    {
        let mut sent = conversation(&tenant.sales);
        for utterance in sent["utterances"].as_array_mut().unwrap() {
            utterance["start_ms"] = json!(start);
            utterance["end_ms"] = json!(end);
        }
        let refused = admin.post("/api/calls", &sent).await.refused(400, "validation");
        assert_eq!(refused["errors"][0]["field"], json!(format!("utterances[0].{field}")), "{refused}");
    }
    app.finish().await;
}
