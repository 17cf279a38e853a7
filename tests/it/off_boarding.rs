//! Tenants destroyed: after their grace period, not under a legal hold, by a process that may be killed anywhere, with a certificate.

use plumbline::{foundation::digest, platform::lifecycle::OffBoard};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    lifecycle::{killed, operation, outage, provisioned, schema, tenant},
    support::{Answer, TestApp, conversation, wav},
};

const STEPS: [&str; 10] =
    ["grace", "hold", "cached_entries", "jobs", "inventory", "objects", "schema", "keys", "verify", "certificate"];

/// Asks for a tenant's end.
async fn leave(app: &TestApp, id: &str, grace_days: u16) -> Value {
    let path = format!("/api/tenants/{id}/off-board");
    app.operator().post(&path, &json!({ "grace_days": grace_days })).await.expect(202)
}

/// Works until nothing waits any more.
async fn worked_off(app: &TestApp, asked: &Value) -> Value {
    for _ in 0..20 {
        app.operate().await;
        let seen = operation(app, asked).await;
        if seen["status"] != "waiting" {
            return seen;
        }
        app.advance(45);
    }
    panic!("it waits for ever: {}", operation(app, asked).await);
}

/// A tenant with a written call that waits for its evaluation, a recording, and a user.
async fn furnished(app: &TestApp, slug: &str) -> String {
    let id = provisioned(app, slug).await;
    let admin = app.holder(slug, "ada", "tenant_admin", &[]);
    let organization =
        admin.post("/api/organizations", &json!({"slug": "sales", "name": "Sales"})).await.text("organization_id");
    admin.post("/api/calls", &conversation(&organization)).await.expect(202);
    admin.upload(&format!("organization_id={organization}"), wav(7)).await.expect(202);
    id
}

async fn certificate(app: &TestApp, id: &str) -> Value {
    app.operator().get(&format!("/api/tenants/{id}/certificate")).await.expect(200)
}

/// Nothing is left but the row, the certificate and the logs.
async fn gone(app: &TestApp, id: &str) {
    let schemas = format!("select count(*) from pg_namespace where nspname = '{}'", schema(id));
    let tables =
        ["jobs", "uploads"].map(|table| format!("select count(*) from platform.{table} where tenant_id = '{id}'"));
    let inputs =
        format!("select count(*) from platform.operations where tenant_id = '{id}' and input::text like '%ada%'");
    for query in [&schemas, &tables[0], &tables[1], &inputs] {
        assert_eq!(app.database.count(query).await, 0, "{query}");
    }
    assert!(!app.objects().await.iter().any(|key| key.starts_with(id)), "{:?}", app.objects().await);
    assert_eq!(tenant(app, id).await["status"], "destroyed");
}

#[tokio::test]
async fn a_tenant_is_destroyed_with_a_certificate_and_its_neighbour_is_not() {
    let app = TestApp::start().await;
    let (id, neighbour) = (furnished(&app, "acme").await, furnished(&app, "globex").await);
    let asked = leave(&app, &id, 0).await;
    assert_eq!(
        (&asked["tenant"]["status"], &asked["operation"]["kind"]),
        (&json!("leaving"), &json!("off_board_tenant"))
    );
    let ada = app.holder("acme", "ada", "tenant_admin", &[]);
    ada.get("/api/calls").await.refused(403, "tenant-leaving");
    app.operator().get(&format!("/api/tenants/{id}/certificate")).await.refused(404, "not-found");
    let done = worked_off(&app, &asked).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let names: Vec<&str> =
        done["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, STEPS);
    gone(&app, &id).await;
    ada.get("/api/calls").await.refused(401, "unauthorized");

    let certificate = certificate(&app, &id).await;
    let document = &certificate["document"];
    assert_eq!(certificate["digest"], json!(digest::of_json(document)), "anybody can recompute it");
    assert_eq!(done["result"]["certificate_digest"], certificate["digest"]);
    assert_eq!((&document["slug"], &document["requested_by"]), (&json!("acme"), &json!("operator:olga")));
    let destroyed = &document["destroyed"];
    assert_eq!(destroyed["objects"]["count"], 2, "the recording and the mark");
    assert!(destroyed["objects"]["bytes"].as_u64().unwrap() > wav(7).len() as u64);
    assert_eq!(destroyed["queued"]["jobs"], 2);
    let rows = |table: &str| {
        destroyed["tables"].as_array().unwrap().iter().find(|one| one["name"] == table).unwrap()["rows"].clone()
    };
    assert_eq!((rows("calls"), rows("audio_files"), rows("users")), (json!(2), json!(1), json!(1)));
    let verified = document["verified"].as_array().unwrap();
    assert!(verified.len() >= 6 && verified.iter().all(|one| one["found"] == 0 && one["at"].is_string()), "{document}");
    assert!(document["not_covered"].to_string().contains("backups"));
    assert!(!document.to_string().contains("ada"), "a certificate names nobody of the tenant");

    let other = app.holder("globex", "ada", "tenant_admin", &[]);
    assert_eq!(other.get("/api/calls").await.expect(200)["items"].as_array().unwrap().len(), 2);
    assert_eq!(app.objects().await.iter().filter(|key| key.starts_with(&neighbour)).count(), 2);
    // The tombstone stays; slug and issuer are free.
    let again = provisioned(&app, "acme").await;
    assert_ne!(again, id);
    app.operator().post(&format!("/api/tenants/{id}/resume"), &json!({})).await.refused(409, "illegal-state");
    app.operator().post(&format!("/api/tenants/{id}/off-board"), &json!({})).await.refused(409, "illegal-state");
}

#[tokio::test]
async fn files_that_never_became_objects_are_destroyed_too() {
    let app = TestApp::start().await;
    let (id, neighbour) = (furnished(&app, "acme").await, furnished(&app, "globex").await);
    let directory = app.objects.path();
    // What object_store leaves when its process is killed in the middle of an upload; no list of the store shows it.
    for tenant in [&id, &neighbour] {
        std::fs::create_dir_all(directory.join(tenant).join("2026")).unwrap();
        std::fs::write(directory.join(tenant).join("2026/late.wav#1"), "words of a caller").unwrap();
    }
    let asked = leave(&app, &id, 0).await;
    assert_eq!(worked_off(&app, &asked).await["status"], "succeeded");
    assert!(!directory.join(&id).join("2026/late.wav#1").exists());
    assert!(directory.join(&neighbour).join("2026/late.wav#1").exists());
}

#[tokio::test]
async fn an_object_store_that_is_not_the_tenants_ends_the_destruction_before_it_begins() {
    let app = TestApp::start().await;
    let id = furnished(&app, "acme").await;
    let (own, away) = (app.objects.path().join(&id), app.objects.path().join("elsewhere"));
    std::fs::rename(&own, &away).unwrap();
    let asked = leave(&app, &id, 0).await;
    let failed = worked_off(&app, &asked).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["kind"]),
        (&json!("failed"), &json!("objects-missing")),
        "{failed}"
    );
    assert!(
        app.database
            .count(&format!("select count(*) from pg_namespace where nspname = 't_{}'", id.replace('-', "")))
            .await
            == 1
    );
    std::fs::rename(&away, &own).unwrap();
    let path = format!("/api/operations/{}", failed["operation_id"].as_str().unwrap());
    app.operator().post(&format!("{path}/retry"), &json!({})).await.expect(200);
    assert_eq!(worked_off(&app, &asked).await["status"], "succeeded");
    gone(&app, &id).await;
}

#[tokio::test]
async fn until_the_grace_period_is_over_it_can_be_called_off() {
    let app = TestApp::start().await;
    let id = furnished(&app, "acme").await;
    let (operator, path) = (app.operator(), format!("/api/tenants/{id}"));
    operator.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).await.expect(200);
    operator.post(&format!("{path}/off-board"), &json!({"grace_days": 4000})).await.refused(400, "validation");
    let asked = leave(&app, &id, 3).await;
    let second = operator.post(&format!("{path}/off-board"), &json!({})).await.refused(409, "operation-open");
    assert_eq!(second["resource_id"], asked["operation"]["operation_id"]);
    app.operate().await;
    let waits = operation(&app, &asked).await;
    assert_eq!((&waits["status"], &waits["run_at"]), (&json!("waiting"), &tenant(&app, &id).await["leaves_at"]));
    app.advance(2 * 24 * 3_600);
    assert_eq!(app.operate().await, 0, "its time has not come");
    let cancel = format!("/api/operations/{}/cancel", asked["operation"]["operation_id"].as_str().unwrap());
    operator.post(&cancel, &json!({})).await.expect(200);
    app.operate().await;
    assert_eq!(operation(&app, &asked).await["status"], "cancelled");
    let stays = tenant(&app, &id).await;
    assert_eq!(
        (&stays["status"], &stays["status_reason"], &stays["leaves_at"]),
        (&json!("suspended"), &json!("unpaid"), &Value::Null)
    );
    operator.post(&format!("{path}/resume"), &json!({})).await.expect(200);
    let calls = app.holder("acme", "ada", "tenant_admin", &[]).get("/api/calls").await.expect(200);
    assert_eq!(calls["items"].as_array().unwrap().len(), 2, "nothing was touched");
}

#[tokio::test]
async fn a_legal_hold_refuses_at_the_request_and_again_when_the_time_has_come() {
    let app = TestApp::start().await;
    let id = furnished(&app, "acme").await;
    let (operator, path) = (app.operator(), format!("/api/tenants/{id}"));
    let hold = async || {
        Answer::to(operator.request(Method::PUT, &format!("{path}/legal-hold")).json(&json!({"reason": "case 7"})))
            .await
    };
    let lift = async || Answer::to(operator.request(Method::DELETE, &format!("{path}/legal-hold"))).await;
    hold().await.expect(200);
    operator.post(&format!("{path}/off-board"), &json!({"grace_days": 0})).await.refused(409, "legal-hold");
    lift().await.expect(200);
    let asked = leave(&app, &id, 1).await;
    hold().await.expect(200);
    app.operate().await;
    app.advance(24 * 3_600 + 1);
    let failed = worked_off(&app, &asked).await;
    assert_eq!((&failed["status"], &failed["error"]["kind"]), (&json!("failed"), &json!("legal-hold")), "{failed}");
    assert_eq!(tenant(&app, &id).await["status"], "leaving");
    assert_eq!(app.database.count(&format!("select count(*) from {}.calls", schema(&id))).await, 2);
    lift().await.expect(200);
    let retry = format!("/api/operations/{}/retry", asked["operation"]["operation_id"].as_str().unwrap());
    operator.post(&retry, &json!({})).await.expect(200);
    app.operate().await; // it waits for the servers now: there is no way back
    hold().await.refused(409, "illegal-state");
    let cancel = format!("/api/operations/{}/cancel", asked["operation"]["operation_id"].as_str().unwrap());
    operator.post(&cancel, &json!({})).await.expect(200);
    assert_eq!(worked_off(&app, &asked).await["status"], "succeeded", "what is half destroyed is destroyed");
    gone(&app, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_any_step_of_the_destruction_is_gone_on_from() {
    let app = TestApp::start().await;
    let expected = async |id: &str| {
        let document = certificate(&app, id).await["document"].clone();
        let tables: Vec<Value> = document["destroyed"]["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!([one["name"], one["rows"]]))
            .collect();
        (tables, document["destroyed"]["objects"]["count"].clone(), document["destroyed"]["queued"]["jobs"].clone())
    };
    let undisturbed = furnished(&app, "undisturbed").await;
    let asked = leave(&app, &undisturbed, 0).await;
    worked_off(&app, &asked).await;
    let whole = expected(&undisturbed).await;
    for (n, step) in STEPS.into_iter().enumerate() {
        for afterwards in [false, true] {
            let slug = format!("crashed-{n}-{}", if afterwards { "after" } else { "before" });
            let id = furnished(&app, &slug).await;
            let asked = leave(&app, &id, 0).await;
            killed(&app, OffBoard(app.app.tools(&app.database.owner)), step, afterwards).await;
            assert_eq!(operation(&app, &asked).await["status"], "running", "as a killed process leaves it");
            let done = worked_off(&app, &asked).await;
            assert_eq!(done["status"], "succeeded", "{step} {done}");
            gone(&app, &id).await;
            assert_eq!(expected(&id).await, whole, "{step}, afterwards: {afterwards}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_goes_away_in_the_middle_and_the_destruction_goes_on() {
    let app = TestApp::start().await;
    for step in ["hold", "objects", "schema", "certificate"] {
        let id = furnished(&app, &format!("away-{step}")).await;
        let asked = leave(&app, &id, 0).await;
        if step != "hold" {
            app.operate().await; // up to where it waits for the servers
            app.advance(45);
        }
        outage(&app, OffBoard(app.app.tools(&app.database.owner)), step).await;
        assert_ne!(operation(&app, &asked).await["status"], "failed");
        let done = worked_off(&app, &asked).await;
        assert_eq!(done["status"], "succeeded", "{step} {done}");
        gone(&app, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_still_reads_a_table_delays_the_destruction_and_does_not_end_it() {
    let app = TestApp::start().await;
    let id = furnished(&app, "acme").await;
    let asked = leave(&app, &id, 0).await;
    let reader = app.database.connect().await;
    reader.batch_execute(&format!("begin; lock table {}.calls in access share mode", schema(&id))).await.unwrap();
    app.operate().await;
    app.advance(45);
    app.operate().await;
    let waits = operation(&app, &asked).await;
    assert_eq!((&waits["status"], &waits["steps"][6]["status"]), (&json!("waiting"), &json!("waiting")), "{waits}");
    reader.batch_execute("commit").await.unwrap();
    assert_eq!(worked_off(&app, &asked).await["status"], "succeeded");
    gone(&app, &id).await;
}

#[tokio::test]
async fn a_recording_on_its_way_when_its_tenant_is_destroyed_leaves_nothing() {
    let app = TestApp::start().await;
    let id = provisioned(&app, "acme").await;
    let admin = app.holder("acme", "ada", "tenant_admin", &[]);
    let organization =
        admin.post("/api/organizations", &json!({"slug": "sales", "name": "Sales"})).await.text("organization_id");
    let (send, mut parts) = tokio::sync::mpsc::unbounded_channel::<std::io::Result<bytes::Bytes>>();
    let body = reqwest::Body::wrap_stream(futures_util::stream::poll_fn(move |context| parts.poll_recv(context)));
    let uploading = tokio::spawn(async move { admin.upload(&format!("organization_id={organization}"), body).await });
    let recording = bytes::Bytes::from(wav(440));
    send.send(Ok(recording.slice(..8_000))).unwrap();
    while app.database.count("select count(*) from platform.uploads").await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let asked = leave(&app, &id, 0).await;
    assert_eq!(worked_off(&app, &asked).await["status"], "succeeded");
    send.send(Ok(recording.slice(8_000..))).unwrap();
    drop(send);
    let refused = uploading.await.unwrap();
    assert!(refused.status >= 400, "{} {}", refused.status, refused.body);
    gone(&app, &id).await;
}
