//! What runs leave: a row for each, in the transaction of what it was for, for a while.

use serde_json::json;

use super::{Bound, SHADOW, all_runs, bind, evaluation, runs_of, scored, unbind};
use crate::{hostile::attack_named, plugins::EXAMPLE, scorers::EXAMPLE_SETTINGS, support::TestApp};

#[tokio::test]
async fn a_run_that_counts_leaves_its_row() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let binding = bind(&app, &tenant, EXAMPLE, Bound { settings: EXAMPLE_SETTINGS, ..Bound::default() }).await;
    let call = scored(&app, &tenant).await;
    let [run] = &runs_of(&app, &tenant, &call).await[..] else { panic!("one run") };
    assert_eq!(run.told(), ("active", "ok", Some(8_500), Some(8_500)));
    assert_eq!(run.binding, Some(binding));
    let shown = evaluation(&app, &tenant, &call).await;
    assert_eq!(json!(run.evaluation), shown["evaluation_id"]);
    assert!(run.fuel > 0 && run.memory_bytes > 0, "{run:?}");
    assert_eq!((&run.message, run.log_truncated, &run.output), (&None, 0, &None));
    assert_eq!(run.log[0][0], json!("info"), "{:?}", run.log);
    // Scored again: another run of another evaluation.
    app.admin(&tenant).post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "score"})).await.expect(200);
    app.drain().await;
    let again = runs_of(&app, &tenant, &call).await;
    assert_eq!(again.len(), 2);
    assert_ne!(again[0].evaluation, again[1].evaluation);
    app.finish().await;
}

/// Each kind of failure under each policy: what becomes of the call, and the row that says why.
#[tokio::test]
async fn every_failure_follows_its_policy_and_leaves_its_row() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let failures = [
        ("trap_unreachable", "trap"),
        ("loop_in_score", "fuel"),
        ("memory_grows", "memory"),
        ("stack_overflows", "stack"),
        ("log_flood", "log_flood"),
        ("error_of_its_own", "guest_error"),
        ("huge_list", "output_too_large"),
        ("score_out_of_range", "invalid_output"),
    ];
    for (attack, code) in failures {
        for policy in ["fall_back", "hold", "fail"] {
            bind(&app, &tenant, &attack_named(attack), Bound { policy, ..Bound::default() }).await;
            let call = scored(&app, &tenant).await;
            let runs = runs_of(&app, &tenant, &call).await;
            let counted = (policy == "fall_back").then_some(8_750);
            assert_eq!(runs.len(), 1, "{attack} {policy}");
            assert_eq!(runs[0].told(), ("active", code, None, counted), "{attack} {policy}: {:?}", runs[0].message);
            assert!(runs[0].message.is_some());
            let shown = admin.get(&format!("/api/calls/{call}")).await.expect(200);
            match policy {
                "fall_back" => assert_eq!(shown["overall_score"], json!(87.5), "{attack}"),
                "hold" => assert_eq!(shown["failure"]["kind"], json!("held"), "{attack}"),
                _ => assert_eq!(shown["failure"]["kind"], json!(code), "{attack}"),
            }
            unbind(&app, &tenant).await;
        }
    }
    app.drain_all().await;
    app.finish().await;
}

#[tokio::test]
async fn a_component_that_cannot_be_used_leaves_its_row_too() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    bind(&app, &tenant, b"no component", Bound { policy: "fall_back", ..Bound::default() }).await;
    let call = scored(&app, &tenant).await;
    let runs = runs_of(&app, &tenant, &call).await;
    assert_eq!(runs[0].told(), ("active", "not_a_component", None, Some(8_750)));
    assert_eq!((runs[0].fuel, runs[0].memory_bytes), (0, 0));
    app.finish().await;
}

#[tokio::test]
async fn rows_expire_as_others_come() {
    let app = TestApp::with(|config| config.plugins.keep_runs_days = 2).await;
    let tenant = app.ready_tenant("acme").await;
    bind(&app, &tenant, EXAMPLE, Bound { settings: EXAMPLE_SETTINGS, ..SHADOW }).await;
    for _ in 0..3 {
        scored(&app, &tenant).await;
    }
    assert_eq!(all_runs(&app, &tenant).await.len(), 3);
    app.advance(3 * 24 * 3_600);
    let newest = scored(&app, &tenant).await;
    let left = all_runs(&app, &tenant).await;
    assert_eq!(left.len(), 1, "each run takes a few old ones along");
    assert_eq!(left[0].call.unwrap().to_string(), newest);
    app.finish().await;
}
