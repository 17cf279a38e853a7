//! Plugins tried by hand: on stored calls, pasted conversations and stored evaluations, and the comparison of shadows and canaries.

use plumbline::foundation::{digest, ids::CallId};
use serde_json::{Value, json};

use super::{Bound, CANARY, SHADOW, all_runs, bind, evaluation, runs_of, scored, unbind};
use crate::{
    hostile::attack_named,
    plugins::EXAMPLE,
    scorers::EXAMPLE_SETTINGS,
    support::attacks::component,
    support::{TestApp, TestTenant, conversation, scorecard},
};

fn settings() -> Value {
    serde_json::from_str(EXAMPLE_SETTINGS).unwrap()
}

fn test_runs(component: &[u8]) -> String {
    format!("/api/plugins/{}/test-runs", digest::of_bytes(component))
}

/// Stores a component that nobody uses.
async fn stored(app: &TestApp, tenant: &TestTenant, component: &[u8], world: &str) {
    bind(app, tenant, component, Bound { world, ..Bound::default() }).await;
    unbind(app, tenant).await;
}

/// What rows there are besides runs and what runs took.
async fn rows(app: &TestApp, tenant: &TestTenant) -> i64 {
    let schema = &tenant.schema;
    let tables = [
        "calls",
        "evaluations",
        "scores",
        "insights",
        "utterances",
        "audit_events",
        "plugin_bindings",
        "model_answers",
    ];
    let counts: Vec<String> = tables.iter().map(|table| format!("(select count(*) from {schema}.{table})")).collect();
    app.database.count(&format!("select {}", counts.join(" + "))).await
}

#[tokio::test]
async fn a_version_is_tried_on_a_stored_call() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    stored(&app, &tenant, EXAMPLE, "scorer").await;
    let call = scored(&app, &tenant).await;
    let (before, asked) = (rows(&app, &tenant).await, app.stand_ins.requests().chat_completions);
    let tried = admin.post(&test_runs(EXAMPLE), &json!({"call_id": call, "settings": settings()})).await.expect(200);
    assert_eq!((&tried["outcome"], &tried["message"], &tried["world"]), (&json!("ok"), &Value::Null, &json!("scorer")));
    assert_eq!(
        (&tried["overall_score"], &tried["built_in_overall_score"], &tried["counted_overall_score"]),
        (&json!(85.0), &json!(87.5), &json!(87.5))
    );
    assert_eq!((&tried["difference"], &tried["same"]), (&json!(-2.5), &json!(false)));
    assert_eq!(tried["criteria"].as_array().unwrap().len(), 5);
    assert_eq!(tried["criteria"][0]["criterion"], json!("greeting"));
    assert!(tried["criteria"].as_array().unwrap().iter().all(|one| one["differs"] == json!(false)), "{tried:#}");
    assert!(tried["fuel"].as_u64().unwrap() > 0 && tried["memory_bytes"].as_u64().unwrap() > 0);
    assert_eq!(tried["log"][0]["level"], json!("info"));
    assert!(tried["insights"].as_array().unwrap().iter().any(|one| one["kind"] == json!("risk")), "{tried:#}");
    // Nothing changed, nobody was asked, and the run is there to see.
    assert_eq!(rows(&app, &tenant).await, before);
    assert_eq!(app.stand_ins.requests().chat_completions, asked);
    assert_eq!(evaluation(&app, &tenant, &call).await["overall_score"], json!(87.5));
    let runs = runs_of(&app, &tenant, &call).await;
    assert_eq!(runs[0].told(), ("test", "ok", Some(8_500), Some(8_750)));
    assert_eq!((runs[0].binding, &runs[0].output), (None, &None));
    app.finish().await;
}

#[tokio::test]
async fn what_a_version_does_wrong_is_in_the_answer() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = scored(&app, &tenant).await;
    let attacks = [
        ("trap_unreachable", "trap"),
        ("loop_in_score", "fuel"),
        ("error_of_its_own", "guest_error"),
        ("settings_refused", "invalid_settings"),
        ("loop_in_start", ""),
    ];
    for (attack, code) in attacks {
        let bytes = attack_named(attack);
        stored(&app, &tenant, &bytes, "scorer").await;
        let tried = admin.post(&test_runs(&bytes), &json!({"call_id": call})).await.expect(200);
        if !code.is_empty() {
            assert_eq!(tried["outcome"], json!(code), "{attack}");
        }
        assert_ne!(tried["outcome"], json!("ok"), "{attack}");
        assert!(tried["message"].is_string() && tried["overall_score"].is_null(), "{attack}: {tried:#}");
        assert_eq!(tried["built_in_overall_score"], json!(87.5));
    }
    assert_eq!(all_runs(&app, &tenant).await.len(), attacks.len());

    let nothing = admin.post(&format!("/api/plugins/{}/test-runs", "0".repeat(64)), &json!({"call_id": call})).await;
    nothing.refused(404, "not-found");
    stored(&app, &tenant, EXAMPLE, "scorer").await;
    let nowhere = admin.post(&test_runs(EXAMPLE), &json!({"call_id": CallId::new()})).await;
    nowhere.refused(404, "not-found");
    admin.post(&test_runs(EXAMPLE), &json!({})).await.refused(422, "unprocessable");
    let both = json!({"call_id": call, "conversation": conversation(&tenant.sales)});
    admin.post(&test_runs(EXAMPLE), &both).await.refused(422, "unprocessable");
    app.finish().await;
}

#[tokio::test]
async fn a_version_is_tried_on_a_pasted_conversation() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut card = scorecard();
    card["name"] = json!("Another");
    let card = app.publish(&tenant, &tenant.sales, &card).await;
    stored(&app, &tenant, EXAMPLE, "scorer").await;
    let mut pasted = conversation(&tenant.sales);
    pasted["scorecard_id"] = json!(card);
    let yes = |utterance: u32, quote: &str| json!({"verdict": "yes", "confidence": 0.9, "rationale": "Heard.", "evidence": [{"utterance": utterance, "quote": quote}]});
    let no = json!({"verdict": "no", "confidence": 0.9, "rationale": "Said by Marisela Thackeray.", "evidence": []});
    let answers = json!({
        "greeting": yes(3, "I will send you a new one."), "name": no, "next_step": yes(3, "I will send you a new one."),
        "refund": {"verdict": "not_applicable", "confidence": 1, "rationale": "", "evidence": []},
        "insult": yes(3, "I will send you a new one."),
    });
    let before = rows(&app, &tenant).await;
    let body = json!({"conversation": pasted, "answers": answers, "settings": settings()});
    let tried = admin.post(&test_runs(EXAMPLE), &body).await.expect(200);
    assert_eq!((&tried["overall_score"], &tried["built_in_overall_score"]), (&json!(85.0), &json!(87.5)), "{tried:#}");
    assert_eq!((&tried["counted_overall_score"], &tried["same"]), (&Value::Null, &Value::Null));
    assert_eq!(rows(&app, &tenant).await, before, "nothing of it is stored");
    let runs = all_runs(&app, &tenant).await;
    assert_eq!((runs[0].told(), runs[0].call), (("test", "ok", Some(8_500), None), None));

    let wrong = json!({"conversation": pasted, "answers": "yes"});
    admin.post(&test_runs(EXAMPLE), &wrong).await.refused(422, "unprocessable");
    let mut without = conversation(&tenant.sales);
    without["scorecard_id"] = Value::Null;
    admin.post(&test_runs(EXAMPLE), &json!({"conversation": without})).await.refused(422, "unprocessable");
    let mut elsewhere = pasted.clone();
    elsewhere["organization_id"] = json!(tenant.support);
    admin.post(&test_runs(EXAMPLE), &json!({"conversation": elsewhere})).await.refused(422, "unprocessable");
    app.finish().await;
}

#[tokio::test]
async fn a_prompt_builder_shows_what_it_would_ask() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let builder = component("nothing", "prompt-builder", "");
    stored(&app, &tenant, &builder, "prompt_builder").await;
    let call = scored(&app, &tenant).await;
    let asked = app.stand_ins.requests().chat_completions;
    let tried = admin.post(&test_runs(&builder), &json!({"call_id": call})).await.expect(200);
    assert_eq!((&tried["outcome"], &tried["world"]), (&json!("ok"), &json!("prompt_builder")));
    assert_eq!(tried["prompts"], json!([{"system": "", "user": "hello", "max_output_tokens": null}]));
    // Over what an evaluation was asked: it is not what the built-in builder asked.
    let id = evaluation(&app, &tenant, &call).await["evaluation_id"].as_str().unwrap().to_owned();
    let body = json!({"digest": digest::of_bytes(&builder)});
    let replayed = admin.post(&format!("/api/evaluations/{id}/replays"), &body).await.expect(200);
    assert_eq!((&replayed["same"], &replayed["prompts"][0]["user"]), (&json!(false), &json!("hello")));
    assert_eq!(app.stand_ins.requests().chat_completions, asked);
    app.finish().await;
}

#[tokio::test]
async fn an_evaluation_is_replayed_by_the_version_that_scored_it_or_by_another() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let plain = scored(&app, &tenant).await;
    bind(&app, &tenant, EXAMPLE, Bound { settings: EXAMPLE_SETTINGS, ..Bound::default() }).await;
    let call = scored(&app, &tenant).await;
    unbind(&app, &tenant).await;
    let path =
        |evaluation: &Value| format!("/api/evaluations/{}/replays", evaluation["evaluation_id"].as_str().unwrap());
    let (plain, own) = (evaluation(&app, &tenant, &plain).await, evaluation(&app, &tenant, &call).await);

    let built_in = admin.post(&path(&plain), &json!({})).await.expect(200);
    assert_eq!(
        (&built_in["digest"], &built_in["same"], &built_in["overall_score"]),
        (&Value::Null, &json!(true), &json!(87.5))
    );
    let again = admin.post(&path(&own), &json!({})).await.expect(200);
    assert_eq!((&again["same"], &again["difference"]), (&json!(true), &json!(0.0)), "{again:#}");
    let harsh = json!({"settings": {"longest_turn_words": 8, "deduct_hundredths": 1000, "channels": ["chat"]}});
    let other = admin.post(&path(&own), &harsh).await.expect(200);
    assert_eq!((&other["same"], &other["difference"]), (&json!(false), &json!(-7.5)));
    let on_plain = json!({"digest": digest::of_bytes(EXAMPLE), "settings": settings()});
    assert_eq!(admin.post(&path(&plain), &on_plain).await.expect(200)["difference"], json!(-2.5));
    assert_eq!(evaluation(&app, &tenant, &call).await["overall_score"], json!(85.0), "nothing changed");

    let nowhere = format!("/api/evaluations/{}/replays", CallId::new());
    admin.post(&nowhere, &json!({})).await.refused(404, "not-found");
    app.finish().await;
}

#[tokio::test]
async fn shadows_and_canaries_are_compared() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut card = scorecard();
    card["name"] = json!("With a pass mark");
    card["pass_mark"] = json!(86);
    app.publish(&tenant, &tenant.sales, &card).await;
    let shadow = bind(&app, &tenant, EXAMPLE, Bound { settings: EXAMPLE_SETTINGS, ..SHADOW }).await;
    let call = scored(&app, &tenant).await;
    scored(&app, &tenant).await;
    let compared = admin.get(&format!("/api/plugin-bindings/{shadow}/comparison")).await.expect(200);
    assert_eq!((&compared["mode"], &compared["runs"], &compared["compared"]), (&json!("shadow"), &json!(2), &json!(2)));
    assert_eq!((&compared["mean_difference"], &compared["mean_distance"]), (&json!(-2.5), &json!(2.5)));
    assert_eq!((&compared["passes_now"], &compared["fails_now"]), (&json!(0), &json!(2)), "{compared:#}");
    let largest = compared["largest"].as_array().unwrap();
    assert_eq!((largest.len(), &largest[0]["difference"]), (2, &json!(-2.5)));
    assert!(largest.iter().any(|one| one["call_id"] == json!(call)));
    unbind(&app, &tenant).await;
    let canary = bind(&app, &tenant, &attack_named("trap_unreachable"), Bound { least_runs: 2, ..CANARY }).await;
    scored(&app, &tenant).await;
    scored(&app, &tenant).await;
    let compared = admin.get(&format!("/api/plugin-bindings/{canary}/comparison")).await.expect(200);
    assert_eq!((&compared["faults"], &compared["ended_because"]), (&json!(2), &json!("faults")));
    assert_eq!(compared["faults_by_kind"], json!([{"kind": "trap", "runs": 2}]));
    assert_eq!(compared["mean_difference"], Value::Null);
    let nowhere = format!("/api/plugin-bindings/{}/comparison", CallId::new());
    admin.get(&nowhere).await.refused(404, "not-found");
    app.finish().await;
}
