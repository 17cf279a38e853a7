//! Templates, and scorecards as files.

use reqwest::Method;
use serde_json::{Value, json};

use super::{CRITERIA, create, definition, post};
use crate::support::{Answer, Client, TestApp, scorecard};

async fn import(client: &Client, organization: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = client.request(Method::POST, &format!("{CRITERIA}/import?organization_id={organization}"));
    Answer::to(request.header("content-type", content_type).body(body.into())).await
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let rich = json!({
        "name": "Rich: \"yes\" & no", "description": "Two\nlines, #1", "scoring": "points", "pass_mark": 60,
        "applies_to": {"queues": ["billing"], "languages": ["en-GB"], "min_duration_ms": 60_000},
        "sections": [{"key": "s", "name": "S", "criteria": [
            {"key": "a", "question": "A?", "answer": {"type": "yes_no", "yes": 5, "no": -5}, "tags": ["compliance"]},
            {"key": "b", "question": "B?", "answered_by": "rule", "rule": {"yes_when": {"any": {"rules": [
                {"phrase": {"any_of": ["good * morning"], "speaker": "agent", "within": {"first_turns": 2}}},
                {"metric": {"metric": "words", "at_most": 500}}]}}}},
            {"key": "c", "question": "C?", "shown_when": {"criterion": "a", "answered": ["no", "yes"]},
             "answer": {"type": "single_choice", "choices": [
                {"key": "yes", "label": "Yes", "score": 3}, {"key": "no", "label": "No", "score": -1, "fails": true}]}}]}]});
    let id = create(&admin, &tenant.sales, &rich).await;
    let version = post(&admin, &id, "publish").await.expect(201);
    let export = async |query: &str| admin.get(&format!("{CRITERIA}/{id}/versions/1/export{query}")).await;
    for (query, content_type, extension) in [
        ("", "application/yaml", "yaml"),
        ("?format=yaml", "application/yaml", "yaml"),
        ("?format=json", "application/json", "json"),
    ] {
        let file = export(query).await;
        assert_eq!((file.status, file.header("content-type")), (200, content_type));
        assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"scorecard-v1.{extension}\""));
        let text = String::from_utf8(file.bytes).unwrap();
        import(&admin, &tenant.sales, content_type, text.clone()).await.refused(409, "conflict"); // the name is taken there
        let other = app.organization_without_criteria(&tenant).await;
        let made = import(&admin, &other, &format!("{content_type}; charset=utf-8"), text).await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.body["draft"], version["definition"]);
        let copy = post(&admin, &made.text("scorecard_id"), "publish").await.expect(201);
        assert_eq!(copy["digest"], version["digest"], "it says the same to the last byte");
        let bare = format!(
            "update {}.organizations set slug = slug || '-' || left(md5(random()::text), 6) where slug = 'bare'",
            tenant.schema
        );
        app.database.execute(&bare).await;
    }
    admin.get(&format!("{CRITERIA}/{id}/versions/draft/export")).await.refused(409, "illegal-state");
    let draft = admin.request(Method::PUT, &format!("{CRITERIA}/{id}/draft")).header("if-match", "*").json(&rich);
    Answer::to(draft).await.expect(200);
    let file = admin.get(&format!("{CRITERIA}/{id}/versions/draft/export?format=json")).await;
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"scorecard-draft.json\"");
    assert_eq!(file.expect(200), version["definition"]);
    admin.get(&format!("{CRITERIA}/{id}/versions/first/export")).await.refused(400, "validation");
    export("?format=xml").await.refused(400, "validation");
    admin.get(&format!("{CRITERIA}/{id}/versions/2/export")).await.refused(404, "not-found");
    app.finish().await;
}

#[tokio::test]
async fn files_that_make_no_sense_are_refused_and_leave_nothing() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let yaml = async |body: &str| import(&admin, &tenant.sales, "application/yaml", body).await;
    let good = "name: S\nsections: [{key: s, name: S, criteria: [{key: a, question: A?}]}]\n";
    yaml("name: [").await.refused(400, "validation");
    yaml("").await.refused(400, "validation");
    yaml("just words").await.refused(400, "validation");
    yaml(&format!("{good}colour: red\n")).await.refused(400, "unknown-field");
    yaml(&format!("{good}---\n{good}")).await.refused(400, "validation");
    yaml(&format!("{good}name: T\n")).await.refused(400, "validation");
    yaml(&good.replace("A?", "''")).await.refused(422, "invalid-scorecard");
    let bomb: String = (1..12)
        .map(|n| format!("a{n}: &a{n} [*a{m},*a{m},*a{m},*a{m},*a{m},*a{m},*a{m},*a{m}]\n", m = n - 1))
        .collect();
    yaml(&format!("a0: &a0 x\n{bomb}{good}")).await.refused(400, "validation");
    yaml(&good.replace("name: S\n", "name: &n S\ndescription: *n\n")).await.refused(400, "validation");
    yaml(&format!("# {}\n{good}", "x".repeat(1_100_000))).await.refused(400, "validation");
    import(&admin, &tenant.sales, "application/yaml", [0xff, 0xfe]).await.refused(400, "validation");
    import(&admin, &tenant.sales, "application/json", "{").await.refused(400, "validation");
    let json =
        r#"{"name": "S", "sections": [{"key": "s", "name": "S", "criteria": [{"key": "a", "question": "A?"}]}]}"#;
    for (twice, what) in
        [("\"name\": \"S\", ", "\"name\": \"T\", "), ("\"question\": \"A?\"", "\"question\": \"B?\", ")]
    {
        let sent = json.replacen(twice, &format!("{what}{twice}"), 1);
        import(&admin, &tenant.sales, "application/json", sent).await.refused(400, "validation");
    }
    import(&admin, &tenant.sales, "text/plain", good).await.refused(415, "unsupported-media-type");
    let nobody = "00000000-0000-7000-8000-000000000000";
    import(&admin, nobody, "application/yaml", good).await.refused(404, "not-found");
    let scorecards = format!("select count(*) from {}.scorecards", tenant.schema);
    assert_eq!(app.database.count(&scorecards).await, 0);

    // Under one key a file is taken once.
    let once = async |body: &str| {
        let request = admin.request(Method::POST, &format!("{CRITERIA}/import?organization_id={}", tenant.sales));
        let request = request.header("content-type", "text/yaml").header("idempotency-key", "k");
        Answer::to(request.body(body.to_owned())).await
    };
    let first = once(good).await;
    let again = once(&good.replace("A?", "\"A?\"")).await;
    assert_eq!((first.status, again.status, again.header("idempotency-replayed")), (201, 201, "true"));
    assert_eq!(first.body, again.body);
    once(&good.replace("A?", "B?")).await.refused(422, "idempotency-key-reused");
    assert_eq!(app.database.count(&scorecards).await, 1);
    app.finish().await;
}

#[tokio::test]
async fn every_template_becomes_a_scorecard_that_publishes_cleanly() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let templates = admin.get(&format!("{CRITERIA}/templates")).await.expect(200)["items"].as_array().unwrap().clone();
    assert!(templates.len() >= 4);
    let from = async |template: &str, name: Option<&str>| {
        let mut body = json!({"organization_id": tenant.sales, "template": template});
        if let Some(name) = name {
            body["name"] = json!(name);
        }
        admin.post(&format!("{CRITERIA}/from-template"), &body).await
    };
    for template in &templates {
        let key = template["key"].as_str().unwrap();
        let made = from(key, None).await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.body["draft"], template["definition"]);
        let id = made.text("scorecard_id");
        assert_eq!(post(&admin, &id, "lint").await.expect(200), json!({"publishable": true, "findings": []}), "{key}");
        post(&admin, &id, "publish").await.expect(201);
        from(key, None).await.refused(409, "conflict");
        assert_eq!(from(key, Some(&format!("My {key}"))).await.expect(201)["name"], format!("My {key}"));
    }
    from("none", None).await.refused(422, "unprocessable");
    from("../customer_service", None).await.refused(422, "unprocessable");
    from("customer_service", Some("")).await.refused(422, "invalid-scorecard");
    app.finish().await;
}

/// The words that definitions had before there were types of answers still stand for the same.
#[tokio::test]
async fn a_plain_definition_stays_plain() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = create(&admin, &tenant.sales, &scorecard()).await;
    post(&admin, &id, "publish").await.expect(201);
    let file = admin.get(&format!("{CRITERIA}/{id}/versions/1/export?format=json")).await;
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&file.body), ["name", "description", "sections"]);
    let criterion = keys(&file.body["sections"][0]["criteria"][0]);
    assert_eq!(criterion, ["key", "question", "guidance", "weight", "auto_fail", "not_applicable"]);
    let plain = definition("P", json!([{"key": "a", "question": "A?"}]));
    create(&admin, &tenant.sales, &plain).await;
    app.finish().await;
}
