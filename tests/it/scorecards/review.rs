//! Vague questions, judged by the language model where somebody asks for it.

use plumbline::demo::standins::faults::ChatFault;
use serde_json::{Value, json};

use super::{CRITERIA, create, definition};
use crate::support::TestApp;

fn questions() -> Value {
    definition(
        "Questions",
        json!([
            {"key": "vague", "question": "Did the agent behave appropriately?"},
            {"key": "clear", "question": "Did the agent name the reference number?"},
            {"key": "settled", "question": "Was the greeting good?", "guidance": "Yes if the agent says \"good morning\"."},
            {"key": "form", "question": "Was the form properly filled?", "answered_by": "human"},
            {"key": "ruled", "question": "Was the goodbye good?", "answered_by": "rule", "rule": {"yes_when": {"phrase": {"any_of": ["goodbye"]}}}},
            {"key": "same", "question": "did the agent name the reference number"}
        ]),
    )
}

fn found(report: &Value) -> Vec<(&str, &str, &str)> {
    let word = |finding: &'_ Value, name: &str| -> &'static str { finding[name].as_str().unwrap().to_owned().leak() };
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|one| (word(one, "severity"), word(one, "code"), word(one, "field"))).collect()
}

#[tokio::test]
async fn vague_questions_are_warnings_that_are_paid_for() {
    let app = TestApp::with(|config| {
        let price = plumbline::foundation::config::ModelPriceConfig { input: 1.25, output: 10.0 };
        config.prices.models.insert("stand-in".to_owned(), price);
    })
    .await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let asked = || app.stand_ins.requests().chat_completions;
    let id = create(&admin, &tenant.sales, &questions()).await;
    let plain = admin.post(&format!("{CRITERIA}/{id}/lint"), &json!({})).await.expect(200);
    assert_eq!((found(&plain).len(), plain.get("questions"), asked()), (1, None, 0), "nobody is asked unasked");

    let report = admin.post(&format!("{CRITERIA}/{id}/lint?questions=true"), &json!({})).await.expect(200);
    let expected = [
        ("warning", "equal_questions", "sections[0].criteria[5].question"),
        ("warning", "vague_question", "sections[0].criteria[0].question"),
        ("warning", "vague_question", "sections[0].criteria[3].question"),
    ];
    assert_eq!(
        (found(&report).as_slice(), &report["publishable"], asked()),
        (&expected[..], &json!(true), 1),
        "{report:#}"
    );
    let message = report["findings"][1]["message"].as_str().unwrap();
    assert!(message.contains("\"appropriately\"") && message.contains("Better: "), "{message}");
    let review = &report["questions"];
    assert_eq!((&review["judged"], &review["not_judged"], &review["currency"]), (&json!(5), &json!(0), &json!("USD")));

    // The organization of the draft paid, and the tenant's usage has the tokens.
    let days =
        admin.get(&format!("/api/evaluation-costs?organization_id={}", tenant.sales)).await.expect(200)["days"].clone();
    for name in ["prompt_tokens", "completion_tokens", "cost"] {
        assert!(review[name].as_f64().unwrap() > 0.0);
        assert_eq!(days[0][name], review[name], "{name}: {days}");
    }
    assert_eq!(days[0]["evaluations"], 0);
    let used = format!("select sum(prompt_tokens)::bigint from {}.usage_days", tenant.schema);
    assert_eq!(json!(app.database.count(&used).await), review["prompt_tokens"]);

    // A definition that is nobody's yet is paid by the organization that is named.
    let lint = async |query: &str, body: &Value| admin.post(&format!("{CRITERIA}/lint{query}"), body).await;
    let refused = lint("?questions=true", &questions()).await.refused(400, "validation");
    assert_eq!(refused["errors"][0]["field"], "organization_id");
    lint("?questions=true&organization_id=00000000-0000-7000-8000-000000000000", &questions())
        .await
        .refused(404, "not-found");
    let other = app.caller(&tenant, "eve", "organization_admin", &["support"]);
    let foreign = format!("{CRITERIA}/lint?questions=true&organization_id={}", tenant.sales);
    other.post(&foreign, &questions()).await.refused(404, "not-found");
    assert_eq!(asked(), 1);
    let paid = format!("?questions=true&organization_id={}", tenant.support);
    assert_eq!(found(&lint(&paid, &questions()).await.expect(200)), expected);
    assert_eq!(found(&lint("?questions=false", &questions()).await.expect(200)), expected[..1]);
    app.finish().await;
}

#[tokio::test]
async fn what_the_model_did_not_judge_is_told() {
    let app = TestApp::with(|config| config.language_model.patience_seconds = 1).await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = create(&admin, &tenant.sales, &questions()).await;
    let lint = async || admin.post(&format!("{CRITERIA}/{id}/lint?questions=true"), &json!({})).await.expect(200);
    let slow = plumbline::demo::standins::faults::Fault::SlowBody(std::time::Duration::from_millis(500));
    for (fault, word) in [
        (ChatFault::Refusal, "refused"),
        (ChatFault::InsufficientQuota, "quota"),
        (ChatFault::NotJson, "openai"),
        (ChatFault::Http(slow), "longer than a request waits"),
    ] {
        app.stand_ins.faults().next_chat(fault.clone());
        let report = lint().await;
        let codes: Vec<_> = found(&report).into_iter().map(|(_, code, _)| code).collect();
        assert_eq!(codes, ["equal_questions", "questions_not_reviewed"], "{fault:?} {report:#}");
        let message = report["findings"][1]["message"].as_str().unwrap();
        assert!(message.contains("5 questions") && message.contains(word), "{fault:?}: {message}");
        assert_eq!((&report["questions"]["judged"], &report["questions"]["not_judged"]), (&json!(0), &json!(5)));
    }
    // Of what is not valid nothing is asked.
    let before = app.stand_ins.requests().chat_completions;
    let twice = definition("Twice", json!([{"key": "a", "question": "A?"}, {"key": "a", "question": "B?"}]));
    let at = format!("{CRITERIA}/lint?questions=true&organization_id={}", tenant.sales);
    let report = admin.post(&at, &twice).await.expect(200);
    assert_eq!(found(&report)[1].1, "questions_not_reviewed", "{report:#}");
    assert_eq!((app.stand_ins.requests().chat_completions, &report["publishable"]), (before, &json!(false)));
    app.finish().await;
}

#[tokio::test]
async fn a_large_scorecard_is_judged_in_parts() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let criteria: Vec<Value> = (0..120)
        .map(|n| {
            let word = if n % 40 == 0 { "properly" } else { "twice" };
            json!({"key": format!("c{n}"), "question": format!("Was step {n} done {word}?")})
        })
        .collect();
    let id = create(&admin, &tenant.sales, &definition("Large", json!(criteria))).await;
    let report = admin.post(&format!("{CRITERIA}/{id}/lint?questions=true"), &json!({})).await.expect(200);
    let fields: Vec<_> = found(&report).into_iter().map(|(_, _, field)| field).collect();
    assert_eq!(fields, [0, 40, 80].map(|n| format!("sections[0].criteria[{n}].question")));
    assert_eq!((&report["questions"]["judged"], app.stand_ins.requests().chat_completions), (&json!(120), 3));
    app.finish().await;
}
