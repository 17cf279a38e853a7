//! Criteria tried on past calls: what is shown, what is paid, and what is not touched.

use plumbline::demo::standins::faults::{ChatFault, Fault};
use serde_json::{Value, json};

use super::{CRITERIA, create, definition, post, write_draft};
use crate::{
    scorers::bind,
    support::{Client, TestApp, TestTenant, conversation},
};

/// A rule, two questions of the model of which one hangs on the other, one that hangs on the rule, and one for a person.
fn draft() -> Value {
    let when = |criterion: &str, answered: &str| json!({"criterion": criterion, "answered": [answered]});
    definition(
        "Tried",
        json!([
            {"key": "greeted", "question": "Greeted?", "answered_by": "rule", "rule": {"yes_when": {"phrase": {"any_of": ["good morning"], "speaker": "agent"}}}},
            {"key": "promised", "question": "Promised?", "guidance": "Yes if the agent says \"i will\"."},
            {"key": "sent", "question": "Sent?", "guidance": "Yes if the agent says \"send you\".", "shown_when": when("promised", "yes")},
            {"key": "excused", "question": "Excused?", "guidance": "Yes if the agent says \"sorry\".", "shown_when": when("greeted", "no")},
            {"key": "form", "question": "Is the form right?", "answered_by": "human"}
        ]),
    )
}

fn asked(app: &TestApp) -> u64 {
    app.stand_ins.requests().chat_completions
}

fn path(id: &str, version: &str) -> String {
    format!("{CRITERIA}/{id}/versions/{version}/try")
}

async fn tried(client: &Client, id: &str, version: &str, body: &Value) -> Value {
    client.post(&path(id, version), body).await.expect(200)
}

/// A priced model, so that money is counted.
async fn priced() -> TestApp {
    TestApp::with(|config| {
        let price = plumbline::foundation::config::ModelPriceConfig { input: 1.25, output: 10.0 };
        config.prices.models.insert("stand-in".to_owned(), price);
    })
    .await
}

/// Everything of which a try must leave nothing behind.
async fn judged(app: &TestApp, tenant: &TestTenant) -> String {
    let mut found = String::new();
    for table in ["evaluations", "scores", "insights", "calls", "scorecards", "scorecard_versions"] {
        let rows = format!(
            "select count(*), md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {}.{table} t",
            tenant.schema
        );
        let row = app.database.connect().await.query_one(&rows, &[]).await.unwrap();
        found.push_str(&format!("{table} {} {}\n", row.get::<_, i64>(0), row.get::<_, String>(1)));
    }
    found
}

fn answers(call: &Value) -> Vec<(String, String, String, Value)> {
    let criteria = call["criteria"].as_array().unwrap().iter().map(|criterion| &criterion["answer"]);
    let word = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
    criteria.map(|a| (word(a, "key"), word(a, "answered_by"), word(a, "verdict"), a["worth"].clone())).collect()
}

#[tokio::test]
async fn a_draft_is_tried_on_past_calls_and_nothing_is_judged() {
    let app = priced().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    let mut rude = conversation(&tenant.sales);
    rude["utterances"][0]["text"] = json!("Yes? What is it?");
    let rude = app.send(&admin, &rude).await;
    app.drain().await;
    let id = create(&admin, &tenant.sales, &draft()).await;
    let (before, asked_before) = (judged(&app, &tenant).await, asked(&app));
    let costs = async || {
        admin.get(&format!("/api/evaluation-costs?organization_id={}", tenant.sales)).await.expect(200)["days"][0]
            .clone()
    };
    let cost_before = costs().await;

    let report = tried(&admin, &id, "draft", &json!({"calls": [rude, call]})).await;
    assert_eq!((&report["version"], report["calls"][0]["call_id"].as_str()), (&Value::Null, Some(rude.as_str())));
    let found =
        |key: &str, by: &str, verdict: &str, worth: Value| (key.to_owned(), by.to_owned(), verdict.to_owned(), worth);
    let of_all = |greeted: &str, worth: i32, excused: &str| {
        vec![
            found("greeted", "rule", greeted, json!(worth)),
            found("promised", "language_model", "yes", json!(100)),
            found("sent", "language_model", "yes", json!(100)),
            found("excused", "language_model", excused, if excused == "no" { json!(0) } else { Value::Null }),
            found("form", "human", "pending", Value::Null),
        ]
    };
    assert_eq!(answers(&report["calls"][0]), of_all("no", 0, "no"), "{report:#}");
    assert_eq!(answers(&report["calls"][1]), of_all("yes", 100, "not_applicable"), "{report:#}");
    let promised = &report["calls"][1]["criteria"][1];
    let evidence = &promised["answer"]["evidence"][0];
    assert_eq!(
        (&evidence["verified"], &evidence["speaker"], &evidence["start_ms"]),
        (&json!(true), &json!("agent"), &json!(3_000))
    );
    assert!(
        promised["answer"]["confidence"].as_f64().unwrap() > 0.5
            && !promised["answer"]["rationale"].as_str().unwrap().is_empty()
    );
    assert_eq!((&promised["answer"]["score"], &report["calls"][1]["provider"]), (&Value::Null, &json!("openai")));
    assert_eq!(report["calls"][1]["criteria"][0]["cost"]["prompt_tokens"], 0, "rules are free");
    assert!(promised["cost"]["cost"].as_f64().unwrap() > 0.0);

    // Nothing but the audit and what was paid.
    assert_eq!((judged(&app, &tenant).await, asked(&app) - asked_before), (before.clone(), 2));
    let audited = format!("select count(*) from {}.audit_events where action = 'scorecard.tried'", tenant.schema);
    assert_eq!(app.database.count(&audited).await, 1);
    let cost_after = costs().await;
    let more = |name: &str| cost_after[name].as_f64().unwrap() - cost_before[name].as_f64().unwrap();
    let paid = |name: &str| report["paid"][name].as_f64().unwrap();
    assert_eq!((more("prompt_tokens"), more("completion_tokens")), (paid("prompt_tokens"), paid("completion_tokens")));
    assert!(paid("cost") > 0.0 && (more("cost") - paid("cost")).abs() < 1e-9, "{report:#}");
    assert_eq!(more("evaluations"), 0.0);
    let tokens =
        |table: &str| format!("select sum(prompt_tokens + completion_tokens)::bigint from {}.{table}", tenant.schema);
    assert_eq!(
        app.database.count(&tokens("usage_days")).await,
        app.database.count(&tokens("usage_costs")).await,
        "the tenant's usage has the same tokens"
    );

    // The same again is not paid again, and costs what it cost.
    let again = tried(&admin, &id, "draft", &json!({"calls": [rude, call]})).await;
    assert_eq!((&again["calls"], asked(&app) - asked_before), (&report["calls"], 2));
    assert_eq!(again["paid"], json!({"prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0}));
    assert_eq!(costs().await, cost_after);

    // Nor is what was tried when it is published, and the version can be tried as the draft was.
    post(&admin, &id, "publish").await.expect(201);
    assert_eq!(tried(&admin, &id, "1", &json!({"calls": [rude, call]})).await["calls"], report["calls"]);
    let again = async || {
        admin.post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "assess"})).await.expect(200);
        app.drain().await;
        app.analysis(&admin, &call).await.expect(200)["evaluation"].clone()
    };
    let own = again().await;
    assert_eq!(own["scorecard_name"], "Service", "a call keeps its scorecard, whatever else was published since");
    post(&admin, own["scorecard_id"].as_str().unwrap(), "retire").await.expect(200);
    assert_eq!(again().await["scorecard_name"], "Tried", "and goes to another one when its own is retired");
    assert_eq!(asked(&app) - asked_before, 2);
    assert_eq!(costs().await["prompt_tokens"], cost_after["prompt_tokens"]);
    app.finish().await;
}

#[tokio::test]
async fn one_criterion_is_tried_with_what_its_condition_names() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let id = create(&admin, &tenant.sales, &draft()).await;
    let before = asked(&app);
    let keys = |report: &Value| answers(&report["calls"][0]).into_iter().map(|(key, ..)| key).collect::<Vec<_>>();
    let rules = tried(&admin, &id, "draft", &json!({"calls": [call], "criteria": ["greeted"]})).await;
    assert_eq!((keys(&rules), asked(&app) - before), (vec!["greeted".to_owned()], 0), "rules ask nobody");
    assert_eq!((&rules["calls"][0]["provider"], &rules["calls"][0]["cost"]), (&json!("none"), &json!(0.0)));
    let sent = tried(&admin, &id, "draft", &json!({"calls": [call], "criteria": ["sent"]})).await;
    assert_eq!(keys(&sent), ["promised", "sent"]);
    assert_eq!((&sent["calls"][0]["criteria"][1]["answer"]["verdict"], asked(&app) - before), (&json!("yes"), 1));
    // An invented quote is shown as what it is.
    app.stand_ins.faults().next_chat(ChatFault::InventedQuote);
    let promised = tried(&admin, &id, "draft", &json!({"calls": [call], "criteria": ["promised"]})).await;
    let promised = &promised["calls"][0];
    assert_eq!((&promised["quotes"], &promised["quotes_rejected"]), (&json!(1), &json!(1)));
    let answer = &promised["criteria"][0]["answer"];
    assert_eq!((&answer["verdict"], &answer["evidence"][0]["verified"]), (&json!("unverified"), &json!(false)));
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused_and_nothing_is_asked() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let stranger = app.ready_tenant("globex").await;
    let admin = app.admin(&tenant);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    let elsewhere = app.send(&admin, &conversation(&tenant.support)).await;
    let foreign = app.send(&app.admin(&stranger), &conversation(&stranger.sales)).await;
    app.drain().await;
    let id = create(&admin, &tenant.sales, &draft()).await;
    let before = asked(&app);
    let nowhere = "00000000-0000-7000-8000-000000000000";
    let one = json!({"calls": [call]});
    for (body, status, slug, field) in [
        (json!({"calls": []}), 400, "validation", "calls"),
        (json!({"calls": vec![call.clone(); 21]}), 400, "validation", "calls"),
        (json!({"calls": [call, call]}), 400, "validation", "calls[1]"),
        (json!({"calls": [call], "criteria": []}), 400, "validation", "criteria"),
        (json!({"calls": [call], "criteria": ["sent", "nothing"]}), 422, "unprocessable", "criteria[1]"),
        (json!({"calls": [call, elsewhere]}), 422, "unprocessable", "calls[1]"),
        (json!({"calls": [foreign]}), 422, "unprocessable", "calls[0]"),
        (json!({"calls": [nowhere]}), 422, "unprocessable", "calls[0]"),
    ] {
        let refused = admin.post(&path(&id, "draft"), &body).await.refused(status, slug);
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    admin.post(&path(&id, "draft"), &json!({"calls": ["x"]})).await.expect(400);
    admin.post(&path(&id, "draft"), &json!({"calls": [call], "colour": 1})).await.refused(400, "unknown-field");
    admin.post(&path(&id, "0"), &one).await.refused(400, "validation");
    admin.post(&path(&id, "1"), &one).await.refused(404, "not-found");
    admin.post(&path(nowhere, "draft"), &one).await.refused(404, "not-found");
    // A call of another organization is as one that is not there, for those who see no other as well.
    let other = app.caller(&tenant, "eve", "organization_admin", &["support"]);
    other.post(&path(&id, "draft"), &one).await.refused(404, "not-found");
    app.caller(&tenant, "max", "evaluator", &["sales"]).post(&path(&id, "draft"), &one).await.refused(403, "forbidden");
    let manager = app.caller(&tenant, "ann", "organization_admin", &["sales"]);
    let message = |refused: Value| refused["errors"].clone();
    let hidden =
        message(manager.post(&path(&id, "draft"), &json!({"calls": [elsewhere]})).await.refused(422, "unprocessable"));
    assert_eq!(
        hidden,
        message(manager.post(&path(&id, "draft"), &json!({"calls": [nowhere]})).await.refused(422, "unprocessable"))
    );
    assert_eq!(asked(&app), before);
    // Who manages one organization's scorecards may try them, and pay.
    assert_eq!(tried(&manager, &id, "draft", &one).await["calls"][0]["failure_kind"], Value::Null);
    post(&admin, &id, "publish").await.expect(201);
    admin.post(&path(&id, "draft"), &one).await.refused(409, "illegal-state");
    app.finish().await;
}

#[tokio::test]
async fn a_model_that_does_not_answer_is_told_for_each_call() {
    let app = TestApp::with(|config| config.language_model.patience_seconds = 1).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let id = create(&admin, &tenant.sales, &draft()).await;
    let before = asked(&app);
    let kind = |report: &Value| report["calls"][0]["failure_kind"].clone();
    let body = json!({"calls": [call]});
    app.stand_ins.faults().next_chat(ChatFault::Refusal);
    let refused = tried(&admin, &id, "draft", &body).await;
    assert_eq!((kind(&refused), &refused["calls"][0]["criteria"]), (json!("refused"), &json!([])), "{refused}");
    assert!(!refused["calls"][0]["failure_reason"].as_str().unwrap().is_empty());
    // Who does not wait for an answer finds it later, and pays once.
    app.stand_ins.faults().next_chat(Fault::SlowBody(std::time::Duration::from_millis(250)));
    assert_eq!(kind(&tried(&admin, &id, "draft", &body).await), json!("not_yet"));
    let kept = format!("select count(*) from {}.model_answers where counted", tenant.schema);
    let counted = app.database.count(&kept).await;
    for _ in 0..200 {
        if app.database.count(&kept).await > counted {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let found = tried(&admin, &id, "draft", &body).await;
    assert_eq!((kind(&found), asked(&app) - before), (Value::Null, 2), "{found:#}");
    assert_eq!(found["paid"]["prompt_tokens"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_recording_without_a_transcript_has_no_answers() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = create(&admin, &tenant.sales, &draft()).await;
    let query = format!("organization_id={}&language=en", tenant.sales);
    let call = admin.upload(&query, crate::support::wav(7)).await.expect(202);
    let call = call["call_id"].as_str().unwrap();
    let found = tried(&admin, &id, "draft", &json!({"calls": [call]})).await;
    assert_eq!(found["calls"][0]["failure_kind"], "no_transcript", "{found}");
    app.drain_all().await;
    app.finish().await;
}

#[tokio::test]
async fn plugins_cost_fuel_and_time() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    bind(&app, &tenant, crate::plugins::EXAMPLE, crate::scorers::EXAMPLE_SETTINGS, "fail").await;
    let mut fuel = vec![];
    for _ in 0..2 {
        let call = app.send(&admin, &conversation(&tenant.sales)).await;
        app.drain().await;
        let analysis = app.analysis(&admin, &call).await.expect(200);
        let evaluation = analysis["evaluation"]["evaluation_id"].as_str().unwrap().to_owned();
        let cost = admin.get(&format!("/api/evaluations/{evaluation}/cost")).await.expect(200);
        assert!(
            cost["plugin_fuel"].as_u64().unwrap() > 10_000 && cost["plugin_ms"].as_f64().unwrap() > 0.0,
            "{cost:#}"
        );
        let shares = cost["criteria"].as_array().unwrap();
        let sum: u64 = shares.iter().map(|share| share["plugin_fuel"].as_u64().unwrap()).sum();
        assert_eq!((shares.len(), json!(sum)), (5, cost["plugin_fuel"].clone()));
        assert!(!analysis["evaluation"]["receipt"].to_string().contains("plugin_ms"));
        fuel.push(sum);
    }
    assert!(fuel[0].abs_diff(fuel[1]) * 50 < fuel[0], "about the same conversation: {fuel:?}");
    // A failed scorer is paid for as well; the built-in one costs nothing.
    bind(&app, &tenant, &crate::hostile::attack_named("trap_unreachable"), "{}", "hold").await;
    app.send(&admin, &conversation(&tenant.sales)).await;
    app.send(&admin, &conversation(&tenant.support)).await;
    app.drain().await;
    let costs = admin.get("/api/evaluation-costs").await.expect(200);
    let day = |organization: &str| {
        let days = costs["days"].as_array().unwrap();
        days.iter().find(|day| day["organization_id"] == organization).unwrap().clone()
    };
    assert!(day(&tenant.sales)["plugin_fuel"].as_u64().unwrap() > fuel.iter().sum(), "{costs:#}");
    assert!(day(&tenant.sales)["plugin_ms"].as_f64().unwrap() > 0.0);
    assert_eq!((&day(&tenant.support)["plugin_fuel"], &day(&tenant.support)["plugin_ms"]), (&json!(0), &json!(0.0)));
    app.finish().await;
}

#[tokio::test]
async fn the_share_of_rejected_quotes_is_shown_by_scorecard_version() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let one = definition(
        "One",
        json!([{"key": "promised", "question": "Promised?", "guidance": "Yes if the agent says \"i will\"."},
        {"key": "form", "question": "Form?", "answered_by": "human"}]),
    );
    let id = app.publish(&tenant, &tenant.sales, &one).await;
    let send = async |organization: &str| {
        let call = app.send(&admin, &conversation(organization)).await;
        app.drain().await;
        call
    };
    let call = send(&tenant.sales).await;
    app.stand_ins.faults().next_chat(ChatFault::InventedQuote);
    send(&tenant.sales).await;
    // A person's answer makes a revision of the same quotes: they count once.
    let evaluation =
        app.analysis(&admin, &call).await.expect(200)["evaluation"]["evaluation_id"].as_str().unwrap().to_owned();
    let answer = json!({"criterion": "form", "verdict": "yes", "rationale": "Seen."});
    admin.post(&format!("/api/evaluations/{evaluation}/answers"), &answer).await.expect(200);
    app.drain().await;
    app.advance(24 * 3_600);
    let mut two = one.clone();
    two["sections"][0]["criteria"][0]["weight"] = json!(2);
    write_draft(&admin, &id, &two).await;
    post(&admin, &id, "publish").await.expect(201);
    send(&tenant.sales).await;
    app.publish(&tenant, &tenant.support, &one).await;
    app.stand_ins.faults().next_chat(ChatFault::InventedQuote);
    send(&tenant.support).await;

    let seen = |found: &Value| -> Vec<(String, i64, i64, i64, Value)> {
        let items = found["items"].as_array().unwrap().iter();
        let number = |item: &Value, name: &str| item[name].as_i64().unwrap();
        items
            .map(|item| {
                let day = item["period_start"].as_str().unwrap().to_owned();
                (
                    day,
                    number(item, "version"),
                    number(item, "quotes"),
                    number(item, "quotes_rejected"),
                    item["rejected_share"].clone(),
                )
            })
            .collect()
    };
    let sales = format!("/api/quote-checks?organization_id={}", tenant.sales);
    let found = admin.get(&sales).await.expect(200);
    let (first, second) = ("2026-11-23".to_owned(), "2026-11-24".to_owned());
    assert_eq!(
        seen(&found),
        [(second.clone(), 2, 1, 0, json!(0.0)), (first.clone(), 1, 2, 1, json!(0.5))],
        "{found:#}"
    );
    assert_eq!((&found["quotes"], &found["quotes_rejected"]), (&json!(3), &json!(1)));
    let month = admin.get(&format!("{sales}&period=month")).await.expect(200);
    assert_eq!(seen(&month).iter().map(|(day, ..)| day.as_str()).collect::<Vec<_>>(), ["2026-11-01", "2026-11-01"]);
    assert_eq!(seen(&admin.get(&format!("{sales}&to=2026-11-23")).await.expect(200)), [(first, 1, 2, 1, json!(0.5))]);
    assert_eq!(admin.get("/api/quote-checks").await.expect(200)["quotes_rejected"], 2, "all organizations");
    let support = app.caller(&tenant, "eve", "auditor", &["support"]);
    let evaluator = app.caller(&tenant, "max", "evaluator", &["support"]);
    assert_eq!(
        support.get("/api/quote-checks").await.expect(200)["items"].as_array().unwrap().len(),
        3,
        "auditors see all"
    );
    let hers = evaluator.get("/api/quote-checks").await.expect(200);
    assert_eq!(seen(&hers), [(second, 1, 1, 1, json!(1.0))]);
    assert_eq!(seen(&evaluator.get(&sales).await.expect(200)), []);
    assert_eq!(evaluator.get(&sales).await.expect(200)["rejected_share"], Value::Null);
    admin.get("/api/quote-checks?from=2026-11-24&to=2026-11-23").await.refused(400, "validation");
    admin.get("/api/quote-checks?period=year").await.expect(400);
    app.finish().await;
}
