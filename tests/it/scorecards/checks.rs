//! What is checked before a scorecard is published.

use serde_json::{Value, json};

use super::{CRITERIA, create, definition, post, write_draft};
use crate::support::TestApp;

fn codes(report: &Value) -> Vec<(&str, &str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let word = |finding: &'_ Value, field: &str| finding[field].as_str().map(str::to_owned).unwrap();
    findings
        .map(|finding| {
            assert!(!word(finding, "message").is_empty());
            (
                finding["severity"].as_str().unwrap(),
                finding["code"].as_str().unwrap(),
                finding["field"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn errors_keep_a_draft_from_being_published_and_warnings_do_not() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut wrong = definition(
        "Wrong",
        json!([
        {"key": "a", "question": "Did they greet?", "answer": {"type": "yes_no", "yes": 40}},
        {"key": "b", "question": "did they greet", "answer": {"type": "text"}, "auto_fail": "evaluation"}]),
    );
    wrong["pass_mark"] = json!(80);
    let report = admin.post(&format!("{CRITERIA}/lint"), &wrong).await.expect(200);
    assert_eq!(
        codes(&report),
        [
            ("error", "auto_fail_never", "sections[0].criteria[1].auto_fail"),
            ("error", "pass_mark_unreachable", "pass_mark"),
            ("warning", "equal_questions", "sections[0].criteria[1].question")
        ]
    );
    assert_eq!(report["publishable"], false);
    let id = create(&admin, &tenant.sales, &wrong).await; // a draft may be unfinished
    assert_eq!(post(&admin, &id, "lint").await.expect(200), report);
    let refused = post(&admin, &id, "publish").await.refused(422, "invalid-scorecard");
    let fields: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["sections[0].criteria[1].auto_fail", "pass_mark"]);

    wrong["pass_mark"] = json!(40);
    wrong["sections"][0]["criteria"][1]["auto_fail"] = json!("none");
    write_draft(&admin, &id, &wrong).await;
    let report = post(&admin, &id, "lint").await.expect(200);
    assert_eq!(codes(&report).iter().map(|(severity, ..)| *severity).collect::<Vec<_>>(), ["warning"]);
    assert_eq!(report["publishable"], true);
    post(&admin, &id, "publish").await.expect(201);
    post(&admin, &id, "lint").await.refused(409, "illegal-state"); // nothing is drafted any more
    app.finish().await;
}

#[tokio::test]
async fn what_breaks_the_type_is_a_finding_and_what_is_no_definition_is_refused() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let lint = async |body: &Value| admin.post(&format!("{CRITERIA}/lint"), body).await;
    let twice = definition("Twice", json!([{"key": "a", "question": "A?"}, {"key": "a", "question": "B?"}]));
    let report = lint(&twice).await.expect(200);
    assert_eq!(codes(&report), [("error", "duplicate_key", "sections[0].criteria[1].key")]);
    let rules = definition(
        "Rules",
        json!([{"key": "a", "question": "A?", "answered_by": "rule", "rule": {"yes_when":
        {"all": {"rules": [{"phrase": {"any_of": ["hello"], "speaker": "agent"}}, {"metric": {"metric": "colour", "at_least": 1}}]}}}}]),
    );
    let report = lint(&rules).await.expect(200);
    assert_eq!(
        codes(&report),
        [("error", "invalid", "sections[0].criteria[0].rule.yes_when.all.rules[1].metric.metric")]
    );
    lint(&json!({})).await.refused(400, "validation");
    lint(&definition("S", json!([{"key": "a", "question": "A?", "answer": {"type": "maybe"}}])))
        .await
        .refused(400, "validation");
    lint(&definition("S", json!([{"key": "a", "question": "A?", "colour": 1}]))).await.refused(400, "unknown-field");
    let two_ways = json!([{"key": "a", "question": "A?", "answered_by": "rule", "rule": {"yes_when": {"phrase": {"any_of": ["a"]}, "metric": {"metric": "words"}}}}]);
    lint(&definition("S", two_ways)).await.refused(400, "validation");
    // Deeper than any parser goes.
    let deep = (0..40).fold(json!({"phrase": {"any_of": ["a"]}}), |inner, _| json!({"any": {"rules": [inner]}}));
    let deep = lint(&definition(
        "S",
        json!([{"key": "a", "question": "A?", "answered_by": "rule", "rule": {"yes_when": deep}}]),
    ))
    .await;
    assert!(matches!(deep.status, 200 | 400), "{}", deep.body);
    let created = json!({"organization_id": tenant.sales, "definition": twice});
    admin.post(CRITERIA, &created).await.refused(422, "invalid-scorecard");
    app.finish().await;
}

#[tokio::test]
async fn a_hundred_sections_and_two_hundred_criteria_are_published() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let criterion = |n: usize| json!({"key": format!("c{n}"), "question": format!("Question {n}?")});
    let section =
        |s: usize| json!({"key": format!("s{s}"), "name": "S", "criteria": [criterion(2 * s), criterion(2 * s + 1)]});
    let mut large = json!({"name": "Large", "sections": (0..100).map(section).collect::<Vec<_>>()});
    let id = create(&admin, &tenant.sales, &large).await;
    assert_eq!(post(&admin, &id, "lint").await.expect(200)["findings"], json!([]));
    let version = post(&admin, &id, "publish").await.expect(201);
    assert_eq!(version["definition"]["sections"].as_array().unwrap().len(), 100);
    large["sections"].as_array_mut().unwrap().push(section(100));
    large["name"] = json!("Larger");
    let created = json!({"organization_id": tenant.sales, "definition": large});
    let refused = admin.post(CRITERIA, &created).await.refused(422, "invalid-scorecard");
    assert_eq!(refused["errors"][0]["message"], "has 101 sections; at most 100 are allowed");
    app.finish().await;
}
