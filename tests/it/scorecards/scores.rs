//! From answers to a score that passes or fails, over the whole pipeline.

use serde_json::{Value, json};

use super::{create, judged, post, write_draft};
use crate::support::TestApp;

/// Of the tests' conversation: `greeting` yes, `name` no, `promise` yes; `name_spelt` and what hangs on it is not asked, `asked_back` is.
fn points(pass_mark: u32) -> Value {
    let criterion = |key: &str, says: &str, more: Value| {
        let mut criterion = json!({"key": key, "question": format!("Is there a {key}?"), "guidance": format!("Yes if the agent says \"{says}\".")});
        criterion.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        criterion
    };
    let when = |other: &str, answered: &str| json!({"shown_when": {"criterion": other, "answered": [answered]}});
    json!({"name": "Points", "scoring": "points", "pass_mark": pass_mark, "sections": [
        {"key": "opening", "name": "Opening", "criteria": [
            criterion("greeting", "good morning", json!({})),
            criterion("name", "my name is", json!({})),
            criterion("name_spelt", "good morning", when("name", "yes")),
            criterion("thanks", "good morning", when("name_spelt", "yes"))]},
        {"key": "end", "name": "End", "criteria": [
            criterion("promise", "i will", json!({})),
            criterion("asked_back", "i see", when("name", "no"))]}]})
}

#[tokio::test]
async fn points_conditions_and_the_pass_mark_go_through_the_pipeline() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = create(&admin, &tenant.sales, &points(75)).await;
    post(&admin, &id, "publish").await.expect(201);
    let analysis = judged(&app, &tenant, &tenant.sales, json!({})).await;
    let evaluation = &analysis["evaluation"];
    // 100 of 200 points in the first section, 200 of 200 in the second.
    assert_eq!(evaluation["overall_score"], 75.0, "{analysis}");
    assert_eq!((&evaluation["passed"], &evaluation["pass_mark"]), (&json!(true), &json!(75)));
    let sections: Vec<_> = evaluation["sections"].as_array().unwrap().iter().map(|s| s["score"].clone()).collect();
    assert_eq!(sections, [50.0, 100.0]);
    let verdicts: Vec<_> = evaluation["sections"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|section| {
            section["criteria"].as_array().unwrap().iter().map(|c| (c["verdict"].as_str().unwrap(), c["score"].clone()))
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            ("yes", json!(100.0)),
            ("no", json!(0.0)),
            ("not_applicable", Value::Null),
            ("not_applicable", Value::Null),
            ("yes", json!(100.0)),
            ("yes", json!(100.0))
        ]
    );
    let not_shown = format!(
        "select count(*) from {}.evaluations, jsonb_array_elements(answers) answer where answer ->> 'reason' = 'not_shown' and answer ->> 'claimed' = 'yes'",
        tenant.schema
    );
    assert_eq!(app.database.count(&not_shown).await, 2, "each says why it does not count, and what was claimed");

    // The same call under the next version.
    write_draft(&admin, &id, &points(76)).await;
    post(&admin, &id, "publish").await.expect(201);
    let analysis = judged(&app, &tenant, &tenant.sales, json!({})).await;
    assert_eq!((&analysis["evaluation"]["passed"], &analysis["evaluation"]["pass_mark"]), (&json!(false), &json!(76)));
    let listed = admin.get("/api/evaluations").await.expect(200);
    let passed: Vec<_> = listed["items"].as_array().unwrap().iter().map(|one| one["passed"].clone()).collect();
    assert_eq!(passed, [false, true], "newest first");
    app.finish().await;
}

#[tokio::test]
async fn what_fails_the_evaluation_does_not_pass_and_without_a_mark_nobody_does() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut definition = points(0);
    definition["sections"][0]["criteria"][1]["auto_fail"] = json!("evaluation");
    let id = create(&admin, &tenant.sales, &definition).await;
    post(&admin, &id, "publish").await.expect(201);
    let failed = judged(&app, &tenant, &tenant.sales, json!({})).await;
    assert_eq!((&failed["evaluation"]["overall_score"], &failed["evaluation"]["passed"]), (&json!(0.0), &json!(false)));
    definition.as_object_mut().unwrap().remove("pass_mark");
    write_draft(&admin, &id, &definition).await;
    post(&admin, &id, "publish").await.expect(201);
    let unmarked = judged(&app, &tenant, &tenant.sales, json!({})).await;
    assert_eq!((&unmarked["evaluation"]["passed"], &unmarked["evaluation"]["pass_mark"]), (&Value::Null, &Value::Null));
    app.finish().await;
}
