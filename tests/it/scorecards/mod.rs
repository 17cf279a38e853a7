//! Evaluation criteria over HTTP: their life, what is checked before they are published, files, and which of them judges a call.

mod checks;
mod choice;
mod files;
mod scores;
mod templates;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, TestTenant, conversation, scorecard};

const CRITERIA: &str = "/api/evaluation-criteria";

/// A definition of these criteria in one section.
fn definition(name: &str, criteria: Value) -> Value {
    json!({"name": name, "sections": [{"key": "s", "name": "S", "criteria": criteria}]})
}

async fn create(client: &Client, organization: &str, definition: &Value) -> String {
    let made = client.post(CRITERIA, &json!({"organization_id": organization, "definition": definition})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.text("scorecard_id")
}

async fn post(client: &Client, id: &str, verb: &str) -> Answer {
    client.post(&format!("{CRITERIA}/{id}/{verb}"), &json!({})).await
}

async fn write_draft(client: &Client, id: &str, definition: &Value) {
    let request = client.request(Method::PUT, &format!("{CRITERIA}/{id}/draft"));
    Answer::to(request.header("if-match", "*").json(definition)).await.expect(200);
}

/// Sends a conversation with these fields changed and gives its analysis after all work is done.
async fn judged(app: &TestApp, tenant: &TestTenant, organization: &str, change: Value) -> Value {
    let admin = app.admin(tenant);
    let mut sent = conversation(organization);
    sent.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let id = app.send(&admin, &sent).await;
    app.drain().await;
    app.analysis(&admin, &id).await.expect(200)
}

#[tokio::test]
async fn a_scorecard_is_drafted_published_retired_and_brought_back() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = create(&admin, &tenant.sales, &scorecard()).await;
    let status = async |expected: &str| {
        let found = admin.get(&format!("{CRITERIA}/{id}")).await.expect(200);
        assert_eq!(found["status"], expected, "{found}");
        assert_eq!(found["retired_at"].is_null(), expected != "retired", "{found}");
        let listed = admin.get(CRITERIA).await.expect(200);
        assert_eq!(listed["items"][0]["status"], expected);
    };
    status("draft").await;
    post(&admin, &id, "retire").await.refused(409, "illegal-state");
    post(&admin, &id, "publish").await.expect(201);
    status("active").await;
    assert_eq!(judged(&app, &tenant, &tenant.sales, json!({})).await["call_status"], "evaluated");

    let retired = post(&admin, &id, "retire").await;
    assert_eq!(retired.status, 200, "{}", retired.body);
    status("retired").await;
    let again = post(&admin, &id, "retire").await;
    assert_eq!((again.status, again.header("etag")), (200, retired.header("etag")), "it changes nothing");
    let failed = judged(&app, &tenant, &tenant.sales, json!({})).await;
    assert_eq!((&failed["call_status"], &failed["failure_kind"]), (&json!("failed"), &json!("no_scorecard")));
    let mut named = conversation(&tenant.sales);
    named["scorecard_id"] = json!(id);
    admin.post("/api/calls", &named).await.refused(422, "unprocessable");
    let mut next = scorecard();
    next["description"] = json!("The next one.");
    write_draft(&admin, &id, &next).await;
    post(&admin, &id, "publish").await.refused(409, "illegal-state");

    post(&admin, &id, "reactivate").await.expect(200);
    status("active").await;
    assert_eq!(post(&admin, &id, "publish").await.expect(201)["version"], 2);
    let call = failed["call_id"].as_str().unwrap();
    admin.post(&format!("/api/calls/{call}/retry"), &json!({})).await.expect(200);
    app.drain().await;
    let evaluated = app.analysis(&admin, call).await.expect(200);
    assert_eq!(evaluated["evaluation"]["scorecard_version"], 2, "{evaluated}");
    let told = format!(
        "select count(*) from {}.audit_events where action in ('scorecard.retired', 'scorecard.reactivated')",
        tenant.schema
    );
    assert_eq!(app.database.count(&told).await, 2);

    // Of others' scorecards nobody learns anything.
    let other = app.caller(&tenant, "eve", "organization_admin", &["support"]);
    for verb in ["retire", "reactivate", "lint"] {
        post(&other, &id, verb).await.refused(404, "not-found");
    }
    for path in ["diff", "versions/1/export"] {
        other.get(&format!("{CRITERIA}/{id}/{path}")).await.refused(404, "not-found");
    }
    app.finish().await;
}

#[tokio::test]
async fn versions_and_the_draft_are_compared_field_by_field() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let one = definition("One", json!([{"key": "a", "question": "A?"}, {"key": "b", "question": "B?"}]));
    let id = create(&admin, &tenant.sales, &one).await;
    let diff = async |query: &str| admin.get(&format!("{CRITERIA}/{id}/diff{query}")).await;
    diff("").await.refused(404, "not-found"); // nothing is published yet
    post(&admin, &id, "publish").await.expect(201);
    diff("").await.refused(409, "illegal-state"); // there is no draft
    let mut two =
        definition("One", json!([{"key": "a", "question": "A!", "weight": 3}, {"key": "c", "question": "C?"}]));
    two["pass_mark"] = json!(80);
    write_draft(&admin, &id, &two).await;
    let expected = json!([
        {"kind": "changed", "subject": "scorecard", "key": null, "fields": [{"field": "pass_mark", "from": null, "to": 80}]},
        {"kind": "changed", "subject": "criterion", "key": "a", "fields": [
            {"field": "question", "from": "A?", "to": "A!"}, {"field": "weight", "from": 1, "to": 3}]}]);
    let found = diff("").await.expect(200);
    assert_eq!(&found["changes"].as_array().unwrap()[..2], expected.as_array().unwrap());
    let rest: Vec<_> = found["changes"].as_array().unwrap()[2..].iter().map(|c| (&c["kind"], &c["key"])).collect();
    assert_eq!(rest, [(&json!("added"), &json!("c")), (&json!("removed"), &json!("b"))]);
    post(&admin, &id, "publish").await.expect(201);
    assert_eq!(diff("?from=1&to=2").await.expect(200), found, "the draft became version 2");
    assert_eq!(diff("?from=1&to=newest").await.expect(200), found);
    assert_eq!(diff("?from=2&to=2").await.expect(200)["changes"], json!([]));
    for wrong in ["?from=first", "?to=0", "?from=-1", "?to="] {
        diff(wrong).await.refused(400, "validation");
    }
    diff("?from=1&to=9").await.refused(404, "not-found");
    admin.get(&format!("{CRITERIA}/00000000-0000-7000-8000-000000000000/diff")).await.refused(404, "not-found");
    app.finish().await;
}
