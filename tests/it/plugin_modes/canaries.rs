//! Canaries: they count for their share, the one beside takes their place, and those that fail or drift are rolled back by themselves.

use plumbline::{
    foundation::ids::{BindingId, CallId},
    product::plugins::{
        beside::Beside,
        model::{Binding, FailurePolicy},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bound, CANARY, all_runs, bind, ended, evaluation, runs_of, scored, unbind, verified};
use crate::{
    hostile::attack_named,
    plugins::EXAMPLE,
    scorers::EXAMPLE_SETTINGS,
    support::attacks::component,
    support::{TestApp, TestTenant, conversation},
};

/// Takes ten points away where [`EXAMPLE_SETTINGS`] take 2.50.
const HARSH: &str = r#"{"longest_turn_words": 8, "deduct_hundredths": 1000, "channels": ["chat"]}"#;

async fn rollbacks(app: &TestApp, tenant: &TestTenant) -> i64 {
    let query = format!("select count(*) from {}.audit_events where action = 'plugin.rolled_back'", tenant.schema);
    app.database.count(&query).await
}

#[tokio::test]
async fn a_canary_counts_and_its_receipt_holds_after_it_ended() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let canary = bind(&app, &tenant, EXAMPLE, Bound { settings: EXAMPLE_SETTINGS, ..CANARY }).await;
    let call = scored(&app, &tenant).await;
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!((&shown["overall_score"], &shown["scorer_note"]), (&json!(85.0), &Value::Null));
    assert_eq!(shown["receipt"]["scoring"]["binding_id"], json!(canary));
    // Held against the built-in scorer, which leaves no run of its own.
    let runs = runs_of(&app, &tenant, &call).await;
    assert_eq!(runs.iter().map(|run| run.told()).collect::<Vec<_>>(), [("canary", "ok", Some(8_500), Some(8_750))]);

    // Beside an active plugin, which is a comparison then.
    let active = bind(&app, &tenant, EXAMPLE, Bound { settings: HARSH, ..Bound::default() }).await;
    let compared = scored(&app, &tenant).await;
    let runs = runs_of(&app, &tenant, &compared).await;
    let told: Vec<_> = runs.iter().map(|run| run.told()).collect();
    assert_eq!(told, [("canary", "ok", Some(8_500), Some(7_750)), ("comparison", "ok", Some(7_750), Some(8_500))]);
    assert_eq!(runs[1].binding, Some(active));
    assert_eq!(runs[1].output.as_ref().unwrap()["overall"], json!(7_750));

    unbind(&app, &tenant).await;
    for call in [call, compared] {
        let shown = evaluation(&app, &tenant, &call).await;
        let again = verified(&app, &tenant, &shown).await;
        assert_eq!((&again["verdict"], &again["overall_score"]), (&json!("same"), &json!(85.0)), "{again:#}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_canary_that_fails_leaves_the_call_to_the_one_beside() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    for (attack, code) in
        [("trap_unreachable", "trap"), ("loop_in_score", "fuel"), ("score_out_of_range", "invalid_output")]
    {
        let canary = bind(&app, &tenant, &attack_named(attack), CANARY).await;
        let call = scored(&app, &tenant).await;
        let shown = evaluation(&app, &tenant, &call).await;
        assert_eq!(shown["overall_score"], json!(87.5), "{attack}");
        let note = shown["scorer_note"].as_str().unwrap();
        assert!(note.contains("canary example 1.0.0 failed"), "{note}");
        assert_eq!(shown["receipt"]["scoring"]["binding_id"], Value::Null);
        assert_eq!(verified(&app, &tenant, &shown).await["verdict"], json!("same"));
        let runs = runs_of(&app, &tenant, &call).await;
        assert_eq!(runs[0].told(), ("canary", code, None, Some(8_750)), "{attack}");
        assert_eq!(runs[0].binding, Some(canary));

        // An active plugin counts then.
        let active = bind(&app, &tenant, EXAMPLE, Bound { settings: HARSH, ..Bound::default() }).await;
        let call = scored(&app, &tenant).await;
        let shown = evaluation(&app, &tenant, &call).await;
        assert_eq!(shown["overall_score"], json!(77.5), "{attack}");
        assert_eq!(shown["receipt"]["scoring"]["binding_id"], json!(active));
        let runs = runs_of(&app, &tenant, &call).await;
        let told: Vec<_> = runs.iter().map(|run| run.told()).collect();
        assert_eq!(told, [("canary", code, None, Some(7_750)), ("active", "ok", Some(7_750), Some(7_750))], "{attack}");
        unbind(&app, &tenant).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn a_canary_and_the_active_one_may_fail_together() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    bind(&app, &tenant, &attack_named("trap_unreachable"), CANARY).await;
    bind(&app, &tenant, &attack_named("error_of_its_own"), Bound { policy: "fall_back", ..Bound::default() }).await;
    let call = scored(&app, &tenant).await;
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!(shown["overall_score"], json!(87.5));
    let note = shown["scorer_note"].as_str().unwrap();
    assert!(note.contains("canary") && note.contains("built-in"), "{note}");
    let runs = runs_of(&app, &tenant, &call).await;
    let told: Vec<_> = runs.iter().map(|run| run.told()).collect();
    assert_eq!(told, [("canary", "trap", None, None), ("active", "guest_error", None, Some(8_750))]);
    app.finish().await;
}

#[tokio::test]
async fn a_canary_gets_the_calls_that_its_lot_gives_it() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let canary = bind(&app, &tenant, EXAMPLE, Bound { settings: EXAMPLE_SETTINGS, share: Some(5_000), ..CANARY }).await;
    let binding = Binding {
        binding_id: BindingId(canary),
        digest: String::new(),
        name: String::new(),
        version: String::new(),
        object_key: String::new(),
        settings: Value::Null,
        policy: FailurePolicy::Fail,
    };
    let beside = Beside { binding, canary_share: Some(5_000) };
    let admin = app.admin(&tenant);
    let mut calls = vec![];
    for _ in 0..12 {
        calls.push(app.send(&admin, &conversation(&tenant.sales)).await);
    }
    app.drain().await;
    let mut chosen = 0;
    for call in &calls {
        let is_chosen = beside.canary_for(CallId(call.parse::<Uuid>().unwrap())).is_some();
        chosen += usize::from(is_chosen);
        let shown = evaluation(&app, &tenant, call).await;
        let overall = if is_chosen { json!(85.0) } else { json!(87.5) };
        assert_eq!(shown["overall_score"], overall, "{call}");
        assert_eq!(runs_of(&app, &tenant, call).await.len(), usize::from(is_chosen));
    }
    // One in 4,096 runs of this test meets calls that are all alike.
    assert!(chosen > 0 && chosen < calls.len(), "{chosen}");
    app.finish().await;
}

#[tokio::test]
async fn a_canary_that_fails_too_often_ends_by_itself() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let canary =
        bind(&app, &tenant, &attack_named("trap_unreachable"), Bound { least_runs: 3, most_faults: 5_000, ..CANARY })
            .await;
    for n in 1..=3 {
        assert_eq!(ended(&app, &tenant, canary).await, None, "before run {n}");
        scored(&app, &tenant).await;
    }
    assert_eq!(ended(&app, &tenant, canary).await.as_deref(), Some("faults"));
    assert_eq!(rollbacks(&app, &tenant).await, 1);
    let call = scored(&app, &tenant).await;
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!((&shown["overall_score"], &shown["scorer_note"]), (&json!(87.5), &Value::Null), "it is gone at once");
    assert_eq!(all_runs(&app, &tenant).await.len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn a_canary_that_drifts_ends_and_one_within_its_bounds_stays() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    // 2.50 away from the built-in scorer on average.
    let within = Bound { settings: EXAMPLE_SETTINGS, least_runs: 2, most_drift: 250, ..CANARY };
    let canary = bind(&app, &tenant, EXAMPLE, within).await;
    for _ in 0..4 {
        scored(&app, &tenant).await;
    }
    assert_eq!(ended(&app, &tenant, canary).await, None);
    unbind(&app, &tenant).await;
    let canary = bind(&app, &tenant, EXAMPLE, Bound { most_drift: 249, ..within }).await;
    scored(&app, &tenant).await;
    assert_eq!(ended(&app, &tenant, canary).await, None, "one run is too few");
    scored(&app, &tenant).await;
    assert_eq!(ended(&app, &tenant, canary).await.as_deref(), Some("drift"));
    assert_eq!(rollbacks(&app, &tenant).await, 1);
    app.finish().await;
}

#[tokio::test]
async fn many_workers_end_a_canary_once() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let canary = bind(&app, &tenant, &attack_named("trap_unreachable"), Bound { least_runs: 2, ..CANARY }).await;
    let admin = app.admin(&tenant);
    for _ in 0..24 {
        app.send(&admin, &conversation(&tenant.sales)).await;
    }
    app.drain().await;
    assert_eq!(ended(&app, &tenant, canary).await.as_deref(), Some("faults"));
    assert_eq!(rollbacks(&app, &tenant).await, 1);
    let query = format!("select count(*) from {}.calls where overall_score = 87.5", tenant.schema);
    assert_eq!(app.database.count(&query).await, 24, "no call was harmed");
    app.finish().await;
}

/// Asks what its settings are.
const ASKS_ITS_SETTINGS: &str = ";; in: build
(i32.store (i32.const 1036) (i32.load (local.get 0))) (i32.store (i32.const 1040) (i32.load offset=4 (local.get 0)))
";

#[tokio::test]
async fn a_canary_builds_the_prompt_that_is_asked() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    // A document as the built-in builder makes one, with one question for all criteria: what it asks shows in the answers.
    let criteria = ["greeting", "name", "refund", "next_step", "insult"].map(|key| {
        json!({"key": key, "question": "Q?", "guidance": "Yes if the agent says \"i will\".", "not_applicable_allowed": key == "refund"})
    });
    let document = json!({"criteria": criteria, "transcript": [{"n": 3, "speaker": "agent", "text": "I see. Then I will send you a new one."}]});
    let builder = component("asks_its_settings", "prompt-builder", ASKS_ITS_SETTINGS);
    let settings = document.to_string().replace('\'', "''");
    let canary = bind(&app, &tenant, &builder, Bound { world: "prompt_builder", settings: &settings, ..CANARY }).await;
    let call = scored(&app, &tenant).await;
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!(shown["overall_score"], json!(100.0), "{shown:#}");
    assert_eq!(shown["receipt"]["about"]["prompt_binding_id"], json!(canary));
    let runs = runs_of(&app, &tenant, &call).await;
    assert_eq!(runs.iter().map(|run| run.told()).collect::<Vec<_>>(), [("canary", "ok", None, None)]);
    assert_eq!(json!(runs[0].evaluation), shown["evaluation_id"]);
    unbind(&app, &tenant).await;
    assert_eq!(verified(&app, &tenant, &shown).await["verdict"], json!("same"));

    // One that fails leaves the question to the built-in builder, and ends.
    let canary = bind(
        &app,
        &tenant,
        &attack_named("prompt_is_empty"),
        Bound { world: "prompt_builder", least_runs: 1, ..CANARY },
    )
    .await;
    let call = scored(&app, &tenant).await;
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!(shown["overall_score"], json!(87.5));
    let note = shown["receipt"]["prompt_note"].as_str().unwrap();
    assert!(note.contains("canary prompt builder"), "{note}");
    assert_eq!(runs_of(&app, &tenant, &call).await[0].told(), ("canary", "invalid_output", None, None));
    assert_eq!(ended(&app, &tenant, canary).await.as_deref(), Some("faults"));
    app.finish().await;
}
