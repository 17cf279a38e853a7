//! Bindings over HTTP: modes, history, roll-back, promotion, races, and the policy that asks for a back-test.

use plumbline::foundation::digest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    plugins::EXAMPLE,
    plugins_versions::{upload, variant},
    support::{Answer, Client, TestApp, TestTenant, conversation},
};

/// A tenant with three versions of the example.
async fn stocked() -> (TestApp, TestTenant, Client, Vec<String>) {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut digests = vec![];
    for component in [EXAMPLE.to_vec(), variant(b'1'), variant(b'2')] {
        digests.push(upload(&admin, &component).await.text("digest"));
    }
    (app, tenant, admin, digests)
}

fn settings() -> Value {
    json!({"longest_turn_words": 8, "deduct_hundredths": 250, "channels": ["chat"]})
}

fn new(tenant: &TestTenant, digest: &str, more: Value) -> Value {
    let mut body = json!({"organization_id": tenant.sales, "digest": digest, "settings": settings()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn bind(admin: &Client, body: &Value) -> String {
    let made = admin.post("/api/plugin-bindings", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.text("binding_id")
}

async fn after(admin: &Client, id: &str, verb: &str) -> Answer {
    admin.post(&format!("/api/plugin-bindings/{id}/{verb}"), &json!({})).await
}

/// What is bound now: digests by mode.
async fn current(admin: &Client, tenant: &TestTenant) -> Vec<(String, String)> {
    let path = format!("/api/plugin-bindings?current=true&organization_id={}", tenant.sales);
    let listed = admin.get(&path).await.expect(200);
    let pair = |item: &Value| (item["mode"].as_str().unwrap().to_owned(), item["digest"].as_str().unwrap().to_owned());
    let mut found: Vec<_> = listed["items"].as_array().unwrap().iter().map(pair).collect();
    found.sort();
    found
}

fn active(digest: &str) -> Vec<(String, String)> {
    vec![("active".to_owned(), digest.to_owned())]
}

#[tokio::test]
async fn a_bound_version_scores_and_a_roll_back_brings_the_one_before_back_at_once() {
    let (app, tenant, admin, digests) = stocked().await;
    let made = admin.post("/api/plugin-bindings", &new(&tenant, &digests[0], json!({}))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let first = made.text("binding_id");
    assert_eq!(made.header("location"), format!("/api/plugin-bindings/{first}"));
    let shown = admin.get(&format!("/api/plugin-bindings/{first}")).await;
    assert_eq!((shown.status, &shown.body), (200, &made.body));
    assert_eq!(
        (&shown.body["mode"], &shown.body["failure_policy"], &shown.body["canary_share_percent"]),
        (&json!("active"), &json!("fall_back"), &Value::Null)
    );
    assert_eq!(shown.body["rollback"], json!({"most_faults_percent": 5.0, "most_drift": 10.0, "least_runs": 20}));
    assert_eq!(admin.get(&format!("/api/plugins/{}", digests[0])).await.expect(200)["status"], "bound");

    // It scores from now on.
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    assert_eq!(app.call(&admin, &call).await["overall_score"], json!(85.0));

    app.advance(1);
    let second = bind(&admin, &new(&tenant, &digests[1], json!({"failure_policy": "hold"}))).await;
    assert_eq!(current(&admin, &tenant).await, active(&digests[1]));
    let ended = admin.get(&format!("/api/plugin-bindings/{first}")).await.expect(200);
    assert_eq!((&ended["ended_because"], &ended["ended_by"]), (&json!("replaced"), &json!("user:admin")));

    app.advance(1);
    let rolled = after(&admin, &second, "rollback").await.expect(200);
    assert_eq!(rolled["ended"]["ended_because"], "rolled_back");
    let back = &rolled["active"];
    assert_eq!((&back["digest"], &back["settings"]), (&json!(digests[0]), &settings()));
    assert_ne!(back["binding_id"], json!(first), "what comes back is a binding of its own");
    assert_eq!(current(&admin, &tenant).await, active(&digests[0]));
    after(&admin, &second, "rollback").await.refused(409, "illegal-state");

    // Before the first one there was the built-in one, and not what had just been rolled back.
    let rolled = after(&admin, back["binding_id"].as_str().unwrap(), "rollback").await.expect(200);
    assert_eq!(rolled["active"], Value::Null);
    assert_eq!(current(&admin, &tenant).await, []);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    assert_eq!(app.call(&admin, &call).await["overall_score"], json!(87.5));

    // All of it is history, and stands in the audit log.
    let history = admin.get("/api/plugin-bindings?world=scorer").await.expect(200);
    let because: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|item| item["ended_because"].clone()).collect();
    assert_eq!(because, ["rolled_back", "rolled_back", "replaced"]);
    for (action, times) in [("plugin.bound", 3), ("plugin.unbound", 2)] {
        let count = format!("select count(*) from {}.audit_events where action = '{action}'", tenant.schema);
        assert_eq!(app.database.count(&count).await, times, "{action}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_canary_and_a_shadow_run_beside_and_are_promoted_or_rolled_back() {
    let (app, tenant, admin, digests) = stocked().await;
    bind(&admin, &new(&tenant, &digests[0], json!({}))).await;
    let shadow = bind(&admin, &new(&tenant, &digests[1], json!({"mode": "shadow"}))).await;
    app.advance(1);
    let rules = json!({"most_faults_percent": 2.5, "most_drift": 7.25, "least_runs": 5});
    let canary = json!({"mode": "canary", "canary_share_percent": 12.5, "rollback": rules});
    let canary = admin.post("/api/plugin-bindings", &new(&tenant, &digests[2], canary)).await;
    assert_eq!((canary.status, &canary.body["canary_share_percent"]), (201, &json!(12.5)), "{}", canary.body);
    assert_eq!(canary.body["rollback"], rules);
    assert_eq!(canary.body["replaces"], Value::Null);
    let beside = [("active".to_owned(), digests[0].clone()), ("canary".to_owned(), digests[2].clone())];
    assert_eq!(current(&admin, &tenant).await, beside, "one beside the active one");
    let shadow = admin.get(&format!("/api/plugin-bindings/{shadow}")).await.expect(200);
    assert_eq!(shadow["ended_because"], "replaced");

    // A roll-back of the canary ends it and touches nothing else.
    let canary = canary.text("binding_id");
    let rolled = after(&admin, &canary, "rollback").await.expect(200);
    assert_eq!(rolled["active"]["digest"], json!(digests[0]));
    assert_eq!(current(&admin, &tenant).await, active(&digests[0]));
    after(&admin, &canary, "promote").await.refused(409, "illegal-state");

    let canary = json!({"mode": "canary", "canary_share_percent": 0.01});
    let canary = bind(&admin, &new(&tenant, &digests[2], canary)).await;
    app.advance(1);
    let promoted = after(&admin, &canary, "promote").await.expect(200);
    assert_eq!((&promoted["mode"], &promoted["canary_share_percent"]), (&json!("active"), &Value::Null));
    assert_eq!(current(&admin, &tenant).await, active(&digests[2]));
    after(&admin, promoted["binding_id"].as_str().unwrap(), "promote").await.refused(409, "illegal-state");
    let rolled = after(&admin, promoted["binding_id"].as_str().unwrap(), "rollback").await.expect(200);
    assert_eq!(rolled["active"]["digest"], json!(digests[0]), "what was active before the promotion");

    let ended = after(&admin, rolled["active"]["binding_id"].as_str().unwrap(), "end").await.expect(200);
    assert_eq!(ended["ended_because"], "unbound");
    assert_eq!(current(&admin, &tenant).await, []);
    app.finish().await;
}

#[tokio::test]
async fn wrong_bindings_are_refused() {
    let (app, tenant, admin, digests) = stocked().await;
    let digest = &digests[0];
    for (more, status, slug) in [
        (json!({"mode": "canary"}), 400, "validation"),
        (json!({"mode": "shadow", "canary_share_percent": 5}), 400, "validation"),
        (json!({"mode": "canary", "canary_share_percent": 0}), 400, "validation"),
        (json!({"mode": "canary", "canary_share_percent": 0.001}), 400, "validation"),
        (json!({"mode": "canary", "canary_share_percent": 33.333}), 400, "validation"),
        (json!({"mode": "canary", "canary_share_percent": 100.01}), 400, "validation"),
        (json!({"mode": "sometimes"}), 400, "validation"),
        (json!({"failure_policy": "panic"}), 400, "validation"),
        (json!({"rollback": {"least_runs": 0}}), 400, "validation"),
        (json!({"rollback": {"most": 0}}), 400, "unknown-field"),
        (json!({"digest": "abc"}), 400, "validation"),
        (json!({"digest": "0".repeat(64)}), 404, "not-found"),
        (json!({"organization_id": "00000000-0000-7000-8000-000000000000"}), 404, "not-found"),
        (json!({"settings": {"longest_turn_words": 0}}), 422, "invalid-plugin-settings"),
        (json!({"settings": 7}), 422, "invalid-plugin-settings"),
    ] {
        admin.post("/api/plugin-bindings", &new(&tenant, digest, more)).await.refused(status, slug);
    }
    let told = new(&tenant, digest, json!({"settings": {"longest_turn_words": 0}}));
    let told = admin.post("/api/plugin-bindings", &told).await.refused(422, "invalid-plugin-settings");
    assert_eq!(told["errors"][0]["field"], "settings.longest_turn_words", "{told}");
    assert_eq!(current(&admin, &tenant).await, []);

    let made = bind(&admin, &new(&tenant, digest, json!({}))).await;
    let path = format!("/api/plugin-bindings/{made}");
    let support = app.caller(&tenant, "sue", "organization_admin", &["support"]);
    support.get(&path).await.refused(404, "not-found");
    after(&support, &made, "rollback").await.refused(403, "forbidden");
    let evaluator = app.caller(&tenant, "eve", "evaluator", &["sales"]);
    evaluator.get(&path).await.expect(200);
    let other = app.tenant("zeta").await;
    let stranger = app.admin(&other);
    for verb in ["end", "rollback", "promote"] {
        after(&stranger, &made, verb).await.refused(404, "not-found");
        after(&evaluator, &made, verb).await.refused(403, "forbidden");
    }
    let foreign = json!({"organization_id": other.root, "digest": digest});
    admin.post("/api/plugin-bindings", &foreign).await.refused(404, "not-found");
    app.finish().await;
}

#[tokio::test]
async fn two_at_once_end_in_one_winner() {
    let (app, tenant, admin, digests) = stocked().await;
    let (one, other) = (new(&tenant, &digests[0], json!({})), new(&tenant, &digests[1], json!({})));
    let answers = tokio::join!(admin.post("/api/plugin-bindings", &one), admin.post("/api/plugin-bindings", &other));
    let made: Vec<_> = [&answers.0, &answers.1].into_iter().filter(|answer| answer.status == 201).collect();
    assert!(!made.is_empty());
    for answer in [&answers.0, &answers.1] {
        let clear = answer.body["type"] == "/problems/illegal-state" && answer.status == 409;
        assert!(answer.status == 201 || clear, "{}", answer.body);
    }
    assert_eq!(current(&admin, &tenant).await.len(), 1);

    let canary = json!({"mode": "canary", "canary_share_percent": 50});
    let canary = bind(&admin, &new(&tenant, &digests[2], canary)).await;
    let (one, other) = tokio::join!(after(&admin, &canary, "promote"), after(&admin, &canary, "rollback"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.body, other.body);
    let now = current(&admin, &tenant).await;
    assert_eq!(now.len(), 1);
    assert_eq!(now[0].1 == digests[2], one.status == 200);

    let active = admin.get("/api/plugin-bindings?current=true").await.expect(200)["items"][0]["binding_id"].clone();
    let active = active.as_str().unwrap();
    let (one, other) = tokio::join!(after(&admin, active, "rollback"), after(&admin, active, "rollback"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.body, other.body);

    // The same request under the same key is done once.
    let body = new(&tenant, &digests[0], json!({"mode": "shadow"}));
    let first = admin.post_once("/api/plugin-bindings", "k", &body).await;
    let again = admin.post_once("/api/plugin-bindings", "k", &body).await;
    assert_eq!((first.status, again.status, again.header("idempotency-replayed")), (201, 201, "true"));
    assert_eq!(first.body, again.body);
    app.finish().await;
}

#[tokio::test]
async fn a_policy_asks_for_a_back_test_before_a_version_scores() {
    let (app, tenant, admin, digests) = stocked().await;
    let path = format!("/api/plugin-policies/{}", tenant.sales);
    let put = async |client: &Client, tag: &str, body: Value| {
        let request = client.request(Method::PUT, &path).header("if-match", tag).json(&body);
        Answer::to(request).await
    };
    let found = admin.get(&path).await;
    assert_eq!((found.status, &found.body["backtest_calls"]), (200, &Value::Null));
    let tag = found.header("etag").to_owned();
    let set = put(&admin, &tag, json!({"backtest_calls": 100})).await;
    assert_eq!((set.status, &set.body["backtest_calls"]), (200, &json!(100)), "{}", set.body);
    put(&admin, &tag, json!({"backtest_calls": 1})).await.refused(412, "stale-revision");
    put(&admin, "*", json!({"backtest_calls": 0})).await.refused(400, "validation");
    let bare = admin.request(Method::PUT, &path).json(&json!({}));
    Answer::to(bare).await.refused(428, "precondition-required");
    put(&app.caller(&tenant, "eve", "evaluator", &["sales"]), "*", json!({})).await.refused(403, "forbidden");

    let body = new(&tenant, &digests[0], json!({}));
    let refused = admin.post("/api/plugin-bindings", &body).await.refused(409, "backtest-required");
    assert!(refused["detail"].as_str().unwrap().contains("at least 100 calls"), "{refused}");
    // What does not score is bound, and not promoted.
    let shadow = bind(&admin, &new(&tenant, &digests[0], json!({"mode": "shadow"}))).await;
    after(&admin, &shadow, "promote").await.refused(409, "backtest-required");
    // The other organization asks for nothing.
    bind(&admin, &new(&tenant, &digests[0], json!({"organization_id": tenant.support}))).await;

    let tested = async |digest: &str, settings: &Value, (calls, scored): (i32, i32), status: &str| {
        let insert = format!(
            "insert into {}.backtests (backtest_id, organization_id, digest, settings, settings_digest, filter, status, calls_total, calls_done,
                 calls_scored, requested_by, created_at)
             values (gen_random_uuid(), '{}', '{digest}', '{settings}', '{}', '{{}}', '{status}', {calls}, {calls}, {scored}, 'user:admin', now())",
            tenant.schema, tenant.sales, digest::of_json(settings)
        );
        app.database.execute(&insert).await;
    };
    tested(&digests[0], &settings(), (500, 99), "succeeded").await;
    tested(&digests[0], &settings(), (500, 500), "cancelled").await;
    tested(&digests[0], &json!({}), (500, 500), "succeeded").await;
    tested(&digests[1], &settings(), (500, 500), "succeeded").await;
    let refused = admin.post("/api/plugin-bindings", &body).await.refused(409, "backtest-required");
    assert!(refused["detail"].as_str().unwrap().contains("went over 99"), "{refused}");
    tested(&digests[0], &settings(), (100, 100), "succeeded").await;
    after(&admin, &shadow, "promote").await.expect(200);
    // A roll-back is not held up by the policy.
    let other = bind(&admin, &new(&tenant, &digests[1], json!({}))).await;
    put(&admin, "*", json!({"backtest_calls": 1000})).await.expect(200);
    after(&admin, &other, "rollback").await.expect(200);
    assert_eq!(current(&admin, &tenant).await, active(&digests[0]));
    put(&admin, "*", json!({})).await.expect(200);
    bind(&admin, &new(&tenant, &digests[2], json!({}))).await;
    app.finish().await;
}
