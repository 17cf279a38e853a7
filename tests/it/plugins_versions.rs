//! Uploads of plugins, their reports and settings, as tenants' people ask for them over HTTP.

use plumbline::foundation::digest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    hostile::attack_named,
    plugins::EXAMPLE,
    support::{Answer, Client, TestApp},
};

/// The example with a custom section more: other bytes, the same plugin.
pub fn variant(mark: u8) -> Vec<u8> {
    [EXAMPLE, &[0, 5, 4, b'm', b'a', b'r', mark]].concat()
}

pub async fn upload(client: &Client, component: &[u8]) -> Answer {
    let request = client.request(Method::POST, "/api/plugins").header("content-type", "application/octet-stream");
    Answer::to(request.body(component.to_vec())).await
}

#[tokio::test]
async fn an_upload_becomes_a_draft_with_a_report_and_the_same_bytes_are_the_same_version() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let made = upload(&admin, EXAMPLE).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let digest = digest::of_bytes(EXAMPLE);
    let path = format!("/api/plugins/{digest}");
    assert_eq!((made.header("location"), made.header("idempotency-replayed")), (path.as_str(), ""));
    let plugin = &made.body;
    assert_eq!(
        (&plugin["digest"], &plugin["name"], &plugin["version"], &plugin["world"], &plugin["status"]),
        (&json!(digest), &json!("monologue_deduction"), &json!("1.1.0"), &json!("scorer"), &json!("draft"))
    );
    assert_eq!((&plugin["report"]["accepted"], &plugin["report"]["problem"]), (&json!(true), &Value::Null));
    let checks = plugin["report"]["checks"].as_array().unwrap();
    assert!(checks.len() > 8 && checks.iter().all(|check| check["passed"] == true), "{checks:#?}");
    assert!(checks.iter().any(|check| check["name"] == "settings_schema"), "{checks:#?}");
    assert!(!plugin["report"]["measures"].as_array().unwrap().is_empty());
    assert_eq!(plugin["settings_schema"]["properties"]["deduct_hundredths"]["default"], 250);
    assert_eq!(plugin["uploaded_by"], "user:admin");

    let again = upload(&admin, EXAMPLE).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.body, made.body);
    assert_eq!(admin.get(&path).await.expect(200), made.body);
    let events = format!(
        "select count(*) from {}.audit_events where action = 'plugin.uploaded' and details ->> 'digest' = '{digest}'",
        tenant.schema
    );
    assert_eq!(app.database.count(&events).await, 1);

    let component = admin.get(&format!("{path}/component")).await;
    assert_eq!((component.status, component.header("content-type")), (200, "application/wasm"));
    assert_eq!(component.bytes, EXAMPLE);
    let part = admin.request(Method::GET, &format!("{path}/component")).header("range", "bytes=1-3");
    let part = Answer::to(part).await;
    assert_eq!((part.status, part.bytes.as_slice()), (206, b"asm".as_slice()));
    app.finish().await;
}

#[tokio::test]
async fn versions_are_listed_in_pages_and_belong_to_their_tenant() {
    let app = TestApp::start().await;
    let (tenant, other) = (app.ready_tenant("acme").await, app.ready_tenant("zeta").await);
    let (admin, stranger) = (app.admin(&tenant), app.admin(&other));
    let mut digests = vec![];
    for component in [EXAMPLE.to_vec(), variant(b'1'), variant(b'2')] {
        digests.push(upload(&admin, &component).await.text("digest"));
        app.advance(1);
    }
    digests.reverse();
    let (mut found, mut path) = (vec![], "/api/plugins?limit=2".to_owned());
    loop {
        let page = admin.get(&path).await.expect(200);
        for item in page["items"].as_array().unwrap() {
            assert_eq!(item["report"], Value::Null, "a list has no reports");
            found.push(item["digest"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/plugins?limit=2&cursor={cursor}");
    }
    assert_eq!(found, digests);
    for (query, expected) in [("world=scorer", 3), ("world=prompt_builder", 0), ("name=other", 0)] {
        let page = admin.get(&format!("/api/plugins?{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{query}");
    }
    // Every reader of the tenant sees them, nobody else's does.
    let evaluator = app.caller(&tenant, "eve", "evaluator", &["sales"]);
    evaluator.get(&format!("/api/plugins/{}", digests[0])).await.expect(200);
    evaluator.get(&format!("/api/plugins/{}/component", digests[0])).await.refused(403, "forbidden");
    stranger.get(&format!("/api/plugins/{}", digests[0])).await.refused(404, "not-found");
    stranger.get(&format!("/api/plugins/{}/component", digests[0])).await.refused(404, "not-found");
    assert_eq!(stranger.get("/api/plugins").await.expect(200)["items"], json!([]));
    admin.get("/api/plugins/abc").await.refused(400, "validation");
    app.finish().await;
}

#[tokio::test]
async fn what_does_not_pass_is_refused_with_its_report_and_leaves_nothing() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    // `"type": "integer"` of one setting becomes `"writeOnly": true`: a plugin that asks for a secret.
    let (from, to) = (br#""type": "integer""#, br#""writeOnly": true"#);
    let at = EXAMPLE.windows(from.len()).position(|bytes| bytes == from).unwrap();
    let mut secret = EXAMPLE.to_vec();
    secret[at..at + to.len()].copy_from_slice(to);
    for (component, code, words) in [
        (b"no component at all".to_vec(), "not_a_component", "not a WebAssembly component"),
        (vec![], "not_a_component", "not a WebAssembly component"),
        (EXAMPLE[..EXAMPLE.len() / 2].to_vec(), "", ""),
        (attack_named("import_clock"), "forbidden_import", "imports what no plugin may"),
        (attack_named("trap_unreachable"), "conformance", ""),
        (secret, "conformance", "secrets are never shown to it"),
    ] {
        let refused = upload(&admin, &component).await;
        assert!(refused.header("content-type").starts_with("application/problem+json"));
        let refused = refused.refused(422, "plugin-refused");
        assert_eq!(refused["report"]["accepted"], false, "{refused}");
        let problem = &refused["report"]["problem"];
        assert!(code.is_empty() || problem["code"] == code, "{problem}");
        let said = refused["detail"].as_str().unwrap();
        assert!(said.contains(words) && !said.contains('\n') && !said.is_empty(), "{said}");
    }
    let large = upload(&admin, &vec![0; (20 << 20) + 1]).await;
    large.refused(413, "too-large");
    assert_eq!(admin.get("/api/plugins").await.expect(200)["items"], json!([]));
    assert!(app.objects().await.iter().all(|key| !key.contains("/plugins/")));
    for client in [
        app.caller(&tenant, "eve", "evaluator", &["sales"]),
        app.caller(&tenant, "o", "organization_admin", &["sales"]),
    ] {
        upload(&client, EXAMPLE).await.refused(403, "forbidden");
    }
    app.finish().await;
}

#[tokio::test]
async fn two_uploads_of_one_component_at_once_are_one_version() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (one, other) = tokio::join!(upload(&admin, EXAMPLE), upload(&admin, EXAMPLE));
    assert_eq!((one.status, other.status), (201, 201), "{} {}", one.body, other.body);
    assert_eq!(one.body, other.body);
    assert_eq!(app.database.count(&format!("select count(*) from {}.plugin_versions", tenant.schema)).await, 1);
    let counted = format!("select plugins from {}.usage_totals", tenant.schema);
    assert_eq!(app.database.count(&counted).await, 1);
    app.finish().await;
}

#[tokio::test]
async fn settings_are_held_against_the_schema_and_put_before_the_plugin() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let digest = upload(&admin, EXAMPLE).await.text("digest");
    let path = format!("/api/plugins/{digest}/settings-checks");
    let check = async |settings: Value| admin.post(&path, &json!({ "settings": settings })).await.expect(200);
    let good = check(json!({"longest_turn_words": 8})).await;
    assert_eq!(good, json!({"valid": true, "faults": []}));
    let bad = check(json!({"longest_turn_words": 0, "channels": [1]})).await;
    let paths: Vec<_> = bad["faults"].as_array().unwrap().iter().map(|fault| fault["path"].clone()).collect();
    assert_eq!((&bad["valid"], paths.len()), (&json!(false), 2), "{bad}");
    assert!(paths.contains(&json!("/longest_turn_words")) && paths.contains(&json!("/channels/0")), "{bad}");
    assert_eq!(check(json!([])).await["valid"], false);
    admin.post(&path, &json!({"settings": {}, "more": 1})).await.refused(400, "unknown-field");
    let nothing = format!("/api/plugins/{}/settings-checks", "0".repeat(64));
    admin.post(&nothing, &json!({"settings": {}})).await.refused(404, "not-found");
    app.finish().await;
}
