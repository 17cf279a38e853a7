//! Scoring by plugins: what each failure policy does, and that no failure of a scorer buys the language model's answer twice.

use object_store::ObjectStoreExt;
use plumbline::foundation::digest;
use serde_json::{Value, json};

use crate::{
    hostile::attack_named,
    plugins::EXAMPLE,
    support::{TestApp, TestTenant, conversation},
};

/// Under which the conversation of the tests holds one monologue.
pub const EXAMPLE_SETTINGS: &str = r#"{"longest_turn_words": 8, "deduct_hundredths": 250, "channels": ["chat"]}"#;

/// Stores a component and binds it as the organization's scorer.
pub async fn bind(app: &TestApp, tenant: &TestTenant, component: &[u8], settings: &str, policy: &str) {
    let (digest, key) = (digest::of_bytes(component), format!("plugins/{}", digest::of_bytes(component)));
    let at = object_store::path::Path::from(key.as_str());
    app.app.objects().put(&at, component.to_vec().into()).await.unwrap();
    let (schema, organization) = (&tenant.schema, &tenant.sales);
    unbind(app, tenant).await;
    app.database
        .execute(&format!(
            "insert into {schema}.plugin_versions
                 values ('{digest}', '{organization}', 'example', '1.0.0', 'scorer', {}, '{key}', now()) on conflict do nothing;
             insert into {schema}.plugin_bindings
                 values (gen_random_uuid(), '{organization}', '{digest}', 'scorer', '{settings}', '{policy}', now(), null)",
            component.len()
        ))
        .await;
}

pub async fn unbind(app: &TestApp, tenant: &TestTenant) {
    app.database.execute(&format!("update {}.plugin_bindings set ended_at = now()", tenant.schema)).await;
}

/// A call that was worked off, and how often the language model was asked for it.
async fn scored(app: &TestApp, tenant: &TestTenant) -> (String, u64) {
    let before = app.stand_ins.requests().chat_completions;
    let id = app.send(&app.admin(tenant), &conversation(&tenant.sales)).await;
    app.drain().await;
    (id, app.stand_ins.requests().chat_completions - before)
}

#[tokio::test]
async fn the_organizations_plugin_scores_and_its_receipt_holds() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    bind(&app, &tenant, EXAMPLE, EXAMPLE_SETTINGS, "fail").await;
    let (id, _) = scored(&app, &tenant).await;
    let analysis = app.analysis(&admin, &id).await.expect(200);
    let evaluation = &analysis["evaluation"];
    assert!(evaluation["scorer"].as_str().unwrap().starts_with("monologue"), "{}", evaluation["scorer"]);
    assert_eq!(evaluation["receipt"]["scoring"]["scorer"]["sha256"], json!(digest::of_bytes(EXAMPLE)));
    // "I see. Then I will send you a new one." is longer than eight words: 2.50 are deducted.
    assert_eq!(evaluation["overall_score"], json!(85.0), "{evaluation:#}");

    let path = format!("/api/evaluations/{}/verify", evaluation["evaluation_id"].as_str().unwrap());
    let again = admin.post(&path, &json!({})).await.expect(200);
    assert_eq!((&again["verdict"], &again["overall_score"]), (&json!("same"), &json!(85.0)), "{again:#}");

    // The other organization goes on with the built-in scorer.
    let other = app.send(&admin, &conversation(&tenant.support)).await;
    app.drain().await;
    assert_eq!(app.call(&admin, &other).await["overall_score"], json!(87.5));
    app.finish().await;
}

#[tokio::test]
async fn a_trap_falls_back_where_that_is_the_policy() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    bind(&app, &tenant, &attack_named("trap_unreachable"), "{}", "fall_back").await;
    let (id, asked) = scored(&app, &tenant).await;
    let evaluation = app.analysis(&admin, &id).await.expect(200)["evaluation"].clone();
    assert_eq!((&evaluation["status"], &evaluation["overall_score"]), (&json!("evaluated"), &json!(87.5)));
    assert!(!evaluation["scorer_note"].as_str().unwrap().is_empty(), "the evaluation says why");
    assert_eq!(evaluation["receipt"]["scoring"]["binding_id"], Value::Null);
    assert_eq!(asked, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_trap_holds_or_fails_and_the_answer_is_not_bought_again() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    for (policy, kind, evaluation_status, dead) in [("hold", "held", "held", 0), ("fail", "trap", "assessed", 1)] {
        bind(&app, &tenant, &attack_named("trap_unreachable"), "{}", policy).await;
        let (id, asked) = scored(&app, &tenant).await;
        assert_eq!(asked, 1);
        let call = app.call(&admin, &id).await;
        let failure = &call["failure"];
        assert_eq!((&call["status"], &call["overall_score"]), (&json!("failed"), &Value::Null));
        assert_eq!((&failure["stage"], &failure["kind"]), (&json!("score"), &json!(kind)), "{failure}");
        let analysis = app.analysis(&admin, &id).await.expect(200);
        let evaluation = &analysis["evaluation"];
        assert_eq!(evaluation["status"], json!(evaluation_status));
        assert_eq!(evaluation["scorer_note"].is_string(), policy == "hold");
        assert_eq!(evaluation["sections"][0]["criteria"][0]["verdict"], json!("yes"), "the answers are there to read");
        let died = app.jobs(&tenant, "dead").await;
        assert_eq!(died.len(), dead);
        for job in died {
            assert_eq!(
                job["last_error"],
                json!("trap"),
                "the plugin's words, which may quote the call, are shown on it alone"
            );
            assert!(failure["reason"].as_str().unwrap().contains("the plugin trapped: "), "{failure}");
        }

        // The plugin still traps: the same again, and nothing is paid.
        let retry = format!("/api/calls/{id}/retry");
        assert_eq!(admin.post(&retry, &json!({})).await.expect(200)["status"], json!("assessed"));
        app.drain().await;
        assert_eq!(app.call(&admin, &id).await["failure"]["kind"], json!(kind));
        unbind(&app, &tenant).await;
        admin.post(&retry, &json!({})).await.expect(200);
        app.drain().await;
        assert_eq!(app.call(&admin, &id).await["overall_score"], json!(87.5));
        let evaluation = app.analysis(&admin, &id).await.expect(200)["evaluation"].clone();
        assert_eq!((&evaluation["status"], &evaluation["scorer_note"]), (&json!("evaluated"), &Value::Null));
    }
    assert_eq!(app.stand_ins.requests().chat_completions, 2, "one for each call");
    app.finish().await;
}

#[tokio::test]
async fn a_plugin_whose_bytes_were_changed_does_not_score() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    bind(&app, &tenant, EXAMPLE, EXAMPLE_SETTINGS, "fail").await;
    let key = object_store::path::Path::from(format!("plugins/{}", digest::of_bytes(EXAMPLE)));
    app.app.objects().put(&key, attack_named("trap_unreachable").into()).await.unwrap();
    let (id, _) = scored(&app, &tenant).await;
    let failure = app.call(&app.admin(&tenant), &id).await["failure"].clone();
    assert_eq!((&failure["stage"], &failure["kind"]), (&json!("score"), &json!("not_a_component")), "{failure}");
    app.finish().await;
}
