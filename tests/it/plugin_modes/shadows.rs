//! Shadows: seen, and never felt.

use plumbline::foundation::digest;
use serde_json::json;

use super::{Bound, SHADOW, bind, evaluation, runs_of, scored, unbind, verified};
use crate::{
    hostile::attack_named, plugins::EXAMPLE, scorers::EXAMPLE_SETTINGS, support::TestApp, support::attacks::component,
};

#[tokio::test]
async fn a_shadow_scores_beside_and_never_counts() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let binding = bind(&app, &tenant, EXAMPLE, Bound { settings: EXAMPLE_SETTINGS, ..SHADOW }).await;
    let call = scored(&app, &tenant).await;
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!((&shown["overall_score"], &shown["scorer_note"]), (&json!(87.5), &json!(null)));
    assert_eq!(shown["receipt"]["scoring"]["scorer"]["name"], json!("builtin"));
    let [run] = &runs_of(&app, &tenant, &call).await[..] else { panic!("one run") };
    assert_eq!(run.told(), ("shadow", "ok", Some(8_500), Some(8_750)));
    assert_eq!(run.binding, Some(binding));
    assert_eq!(json!(run.evaluation), shown["evaluation_id"]);
    let output = run.output.as_ref().unwrap();
    assert_eq!(output["overall"], json!(8_500));
    assert_eq!(output["criteria"].as_array().unwrap().len(), 5);
    assert_eq!(verified(&app, &tenant, &shown).await["verdict"], json!("same"));

    // Beside an active plugin both have their rows.
    bind(
        &app,
        &tenant,
        EXAMPLE,
        Bound {
            settings: r#"{"longest_turn_words": 8, "deduct_hundredths": 1000, "channels": ["chat"]}"#,
            ..Bound::default()
        },
    )
    .await;
    let call = scored(&app, &tenant).await;
    let runs = runs_of(&app, &tenant, &call).await;
    let told: Vec<_> = runs.iter().map(|run| run.told()).collect();
    assert_eq!(told, [("active", "ok", Some(7_750), Some(7_750)), ("shadow", "ok", Some(8_500), Some(7_750))]);
    app.finish().await;
}

#[tokio::test]
async fn whatever_a_shadow_does_the_call_does_not_feel_it() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    for (attack, code) in [
        ("trap_unreachable", "trap"),
        ("loop_in_score", "fuel"),
        ("memory_grows", "memory"),
        ("huge_list", "output_too_large"),
    ] {
        bind(&app, &tenant, &attack_named(attack), SHADOW).await;
        let call = scored(&app, &tenant).await;
        let shown = evaluation(&app, &tenant, &call).await;
        assert_eq!((&shown["overall_score"], &shown["scorer_note"]), (&json!(87.5), &json!(null)), "{attack}");
        let runs = runs_of(&app, &tenant, &call).await;
        assert_eq!(runs[0].told(), ("shadow", code, None, Some(8_750)), "{attack}");
        assert!(app.jobs(&tenant, "dead").await.is_empty());
        unbind(&app, &tenant).await;
    }
    // Its bytes are gone: nobody's fault, and nobody's harm.
    bind(&app, &tenant, EXAMPLE, SHADOW).await;
    let key = object_store::path::Path::from(format!("plugins/{}", digest::of_bytes(EXAMPLE)));
    object_store::ObjectStoreExt::delete(app.app.objects().as_ref(), &key).await.unwrap();
    let call = scored(&app, &tenant).await;
    assert_eq!(runs_of(&app, &tenant, &call).await[0].told(), ("shadow", "unavailable", None, Some(8_750)));
    app.finish().await;
}

/// Asks what its settings are.
const ASKS_ITS_SETTINGS: &str = ";; in: build
(i32.store (i32.const 1036) (i32.load (local.get 0))) (i32.store (i32.const 1040) (i32.load offset=4 (local.get 0)))
";

#[tokio::test]
async fn a_shadow_builds_a_prompt_that_nobody_is_asked() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let builder = component("asks_its_settings", "prompt-builder", ASKS_ITS_SETTINGS);
    bind(&app, &tenant, &builder, Bound { world: "prompt_builder", settings: r#"{"ask": "this"}"#, ..SHADOW }).await;
    let call = scored(&app, &tenant).await;
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!(shown["overall_score"], json!(87.5));
    assert_eq!(shown["receipt"]["prompt_builder"]["name"], json!("builtin"));
    let [run] = &runs_of(&app, &tenant, &call).await[..] else { panic!("one run") };
    assert_eq!(run.told(), ("shadow", "ok", None, None));
    assert_eq!(run.output.as_ref().unwrap()["prompts"][0]["user"], json!(r#"{"ask":"this"}"#));
    assert_eq!(json!(run.evaluation), shown["evaluation_id"]);
    app.finish().await;
}
