//! Answers that no language model gives: the scorer plugin's, and those of people, which stand for as long as the question does.

use plumbline::{
    platform::plugins::{Limits, PluginHost},
    product::evaluations::receipt::{
        bundle::Bundle,
        verify::{Finding, Provided, verify},
    },
};
use serde_json::{Value, json};

use crate::{
    plugins::EXAMPLE,
    scorers::{bind, unbind},
    support::{Answer, Client, TestApp, TestTenant, conversation},
};

/// Rules, a criterion for the plugin, and one that only its "yes" shows.
fn left_to_the_plugin() -> Value {
    let rule = |phrase: &str| json!({"yes_when": {"phrase": {"any_of": [phrase], "speaker": "agent"}}});
    json!({"name": "Plugin", "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "greeted", "question": "Greeted?", "answered_by": "rule", "rule": rule("good morning")},
        {"key": "lets_speak", "question": "Does the agent let the customer speak?", "answered_by": "plugin"},
        {"key": "thanked", "question": "Thanked?", "answered_by": "rule", "rule": rule("thank you"),
         "shown_when": {"criterion": "lets_speak", "answered": ["yes"]}}]}]})
}

/// Settings of the example plugin under which it answers.
fn settings(longest: u32, channel: &str) -> String {
    json!({"longest_turn_words": longest, "deduct_hundredths": 0, "channels": [channel], "answers": "lets_speak"})
        .to_string()
}

fn criterion<'a>(evaluation: &'a Value, key: &str) -> &'a Value {
    let sections = evaluation["sections"].as_array().unwrap();
    let mut criteria = sections.iter().flat_map(|section| section["criteria"].as_array().unwrap());
    criteria.find(|criterion| criterion["key"] == key).unwrap()
}

async fn current(app: &TestApp, client: &Client, call: &str) -> Value {
    app.analysis(client, call).await.expect(200)["evaluation"].clone()
}

async fn evaluated(app: &TestApp, tenant: &TestTenant) -> (String, Value) {
    let admin = app.admin(tenant);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let evaluation = current(app, &admin, &call).await;
    (call, evaluation)
}

async fn same(client: &Client, evaluation: &Value) {
    let id = evaluation["evaluation_id"].as_str().unwrap();
    let verified = client.post(&format!("/api/evaluations/{id}/verify"), &json!({})).await.expect(200);
    assert_eq!(verified["verdict"], json!("same"), "{verified:#}");
    let parts = verified["parts"].as_array().unwrap();
    assert!(parts.iter().all(|part| part["finding"] != "differs"), "{verified:#}");
}

/// Writes and publishes the next version of the organization's scorecard, and re-scores its calls under it.
async fn rescored(app: &TestApp, tenant: &TestTenant, definition: &Value) {
    let admin = app.admin(tenant);
    let listed = admin.get(&format!("/api/evaluation-criteria?organization_id={}", tenant.sales)).await.expect(200);
    let path = format!("/api/evaluation-criteria/{}", listed["items"][0]["scorecard_id"].as_str().unwrap());
    let draft = admin.request(reqwest::Method::PUT, &format!("{path}/draft")).header("if-match", "*").json(definition);
    Answer::to(draft).await.expect(200);
    let version = admin.post(&format!("{path}/publish"), &json!({})).await.expect(201)["version"].clone();
    admin.post(&format!("{path}/versions/{version}/rescore"), &json!({})).await.expect(202);
    app.drain_all().await;
}

#[tokio::test]
async fn the_plugin_answers_its_criterion_and_everybody_can_compute_it_again() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    app.publish(&tenant, &tenant.sales, &left_to_the_plugin()).await;
    bind(&app, &tenant, EXAMPLE, &settings(8, "chat"), "fail").await;
    let (_, no) = evaluated(&app, &tenant).await;
    let answer = criterion(&no, "lets_speak");
    assert_eq!((&answer["answered_by"], &answer["verdict"]), (&json!("plugin"), &json!("no")), "{answer}");
    assert_eq!((&answer["worth"], &answer["score"], &answer["reason"]), (&json!(0), &json!(0.0), &Value::Null));
    assert_eq!(answer["rationale"], json!("The agent spoke 10 words before anybody else had a turn."));
    assert_eq!(answer["evidence"][0]["utterance"], json!(3), "{answer}");
    assert_eq!(criterion(&no, "thanked")["reason"], json!("not_shown"));
    assert_eq!((&no["overall_score"], &no["needs_review"]), (&json!(50.0), &json!(false)), "1 of 2");
    same(&admin, &no).await;

    // Another answer shows another criterion, which is scored with it.
    bind(&app, &tenant, EXAMPLE, &settings(20, "chat"), "fail").await;
    let (call, yes) = evaluated(&app, &tenant).await;
    assert_eq!((&criterion(&yes, "lets_speak")["verdict"], &yes["overall_score"]), (&json!("yes"), &json!(66.67)));
    assert_eq!(criterion(&yes, "thanked")["verdict"], json!("no"));
    same(&admin, &yes).await;
    admin.post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "score"})).await.expect(200);
    app.drain_all().await;
    let again = current(&app, &admin, &call).await;
    assert_eq!((&again["revision"], &again["overall_score"]), (&json!(2), &json!(66.67)));
    same(&admin, &again).await;

    // Far from the server: with the plugin it is the same, without it the answers are not known.
    let at = format!("/api/evaluations/{}/receipt-bundle", no["evaluation_id"].as_str().unwrap());
    let (bundle, receipt) = Bundle::read(&admin.get(&at).await.bytes).unwrap();
    let plugin = PluginHost::new(Limits::default()).unwrap().load(EXAMPLE).await.unwrap();
    let provided = Provided {
        plugins: vec![plugin],
        keys: Some(bundle.receipt.public_key.clone().into_iter().collect()),
        ..Provided::default()
    };
    let report = verify(&bundle, &receipt, &provided).await;
    assert_eq!((report.verdict(), report.finding("answers")), (Finding::Same, Some(Finding::Same)));
    let report = verify(&bundle, &receipt, &Provided::default()).await;
    assert_eq!(report.finding("answers"), Some(Finding::CannotBeComputed));
    assert_eq!(report.verdict(), Finding::CannotBeComputed);
    app.finish().await;
}

#[tokio::test]
async fn what_no_plugin_answers_says_so() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    app.publish(&tenant, &tenant.sales, &left_to_the_plugin()).await;
    // The built-in scorer answers nothing.
    let (_, none) = evaluated(&app, &tenant).await;
    let answer = criterion(&none, "lets_speak");
    assert_eq!((&answer["verdict"], &answer["reason"]), (&json!("pending"), &json!("awaits_plugin")));
    same(&admin, &none).await;

    // The plugin that is bound does not apply to chats: a person may answer.
    bind(&app, &tenant, EXAMPLE, &settings(8, "phone"), "fail").await;
    let (call, silent) = evaluated(&app, &tenant).await;
    let answer = criterion(&silent, "lets_speak");
    assert_eq!((&answer["verdict"], &answer["reason"]), (&json!("pending"), &json!("no_plugin_answer")));
    assert_eq!((&silent["overall_score"], &silent["needs_review"]), (&json!(100.0), &json!(true)));
    let texts: Vec<&str> =
        silent["insights"].as_array().unwrap().iter().map(|insight| insight["text"].as_str().unwrap()).collect();
    assert!(texts.iter().any(|text| text.contains("gave no answer")), "{texts:?}");
    same(&admin, &silent).await;
    let body = json!({"criterion": "lets_speak", "verdict": "yes", "rationale": "I listened."});
    let at = format!("/api/evaluations/{}/answers", silent["evaluation_id"].as_str().unwrap());
    admin.post(&at, &body).await.expect(200);
    app.drain_all().await;
    let answered = current(&app, &admin, &call).await;
    let answer = criterion(&answered, "lets_speak");
    assert_eq!((&answer["answered_by"], &answer["verdict"]), (&json!("human"), &json!("yes")));
    assert_eq!((&answered["overall_score"], &answered["needs_review"]), (&json!(66.67), &json!(false)));
    same(&admin, &answered).await;
    app.finish().await;
}

#[tokio::test]
async fn a_scorecard_for_a_plugin_is_told_that_there_is_none() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let draft = async |auto_fail: &str, name: &str| {
        let mut definition = left_to_the_plugin();
        definition["name"] = json!(name);
        definition["sections"][0]["criteria"][1]["auto_fail"] = json!(auto_fail);
        let body = json!({"organization_id": tenant.sales, "definition": definition});
        let made = admin.post("/api/evaluation-criteria", &body).await.expect(201);
        format!("/api/evaluation-criteria/{}", made["scorecard_id"].as_str().unwrap())
    };
    let findings = async |path: &str| -> Value {
        let report = admin.post(&format!("{path}/lint"), &json!({})).await.expect(200);
        report["findings"].clone()
    };
    let (plain, grave) = (draft("none", "Plain").await, draft("evaluation", "Grave").await);
    let found = findings(&plain).await;
    assert_eq!(
        (&found[0]["code"], &found[0]["severity"], &found[0]["field"]),
        (&json!("no_plugin_to_answer"), &json!("warning"), &json!("sections[0].criteria[1].answered_by")),
        "{found}"
    );
    assert_eq!(findings(&grave).await[0]["severity"], json!("error"));
    let refused = admin.post(&format!("{grave}/publish"), &json!({})).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(refused.body["errors"][0]["field"], json!("sections[0].criteria[1].answered_by"));
    bind(&app, &tenant, EXAMPLE, &settings(8, "chat"), "fail").await;
    assert_eq!((findings(&plain).await, findings(&grave).await), (json!([]), json!([])));
    admin.post(&format!("{grave}/publish"), &json!({})).await.expect(201);
    unbind(&app, &tenant).await;
    app.finish().await;
}

/// Something for a person, and something for the language model.
fn for_people(question: &str, weight: u32) -> Value {
    json!({"name": "People", "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "greeted", "question": "Greeted?", "guidance": "Yes if the agent says \"good morning\"."},
        {"key": "form", "question": question, "answered_by": "human", "weight": weight}]}]})
}

async fn answer(app: &TestApp, client: &Client, evaluation: &Value, verdict: &str) {
    let at = format!("/api/evaluations/{}/answers", evaluation["evaluation_id"].as_str().unwrap());
    let body =
        json!({"criterion": "form", "verdict": verdict, "rationale": "I saw it.", "quotes": ["My gateway is down"]});
    client.post(&at, &body).await.expect(200);
    app.drain_all().await;
}

#[tokio::test]
async fn a_persons_answer_is_kept_for_as_long_as_the_question_is() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    app.publish(&tenant, &tenant.sales, &for_people("Is the form right?", 1)).await;
    let (call, first) = evaluated(&app, &tenant).await;
    answer(&app, &admin, &first, "no").await;
    let answered = current(&app, &admin, &call).await;
    assert_eq!((&answered["overall_score"], &answered["revision"]), (&json!(50.0), &json!(2)));
    assert_eq!(criterion(&answered, "form")["carried_from"], Value::Null, "it was given here");

    // Another run of the same questions.
    admin.post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "assess"})).await.expect(200);
    app.drain_all().await;
    let rerun = current(&app, &admin, &call).await;
    let kept = |evaluation: &Value| {
        let form = criterion(evaluation, "form").clone();
        (form["verdict"].clone(), form["answered_by"].clone(), form["carried_from"].clone(), form["reason"].clone())
    };
    let carried = (json!("no"), json!("human"), answered["evaluation_id"].clone(), Value::Null);
    assert_eq!((kept(&rerun), &rerun["revision"], &rerun["cause"]), (carried.clone(), &json!(3), &json!("rerun")));
    assert_eq!((&rerun["overall_score"], &rerun["needs_review"]), (&json!(50.0), &json!(false)));
    same(&admin, &rerun).await;

    // Another version that asks the same: a weight is no part of a question.
    rescored(&app, &tenant, &for_people("Is the form right?", 3)).await;
    let heavier = current(&app, &admin, &call).await;
    assert_eq!((kept(&heavier), &heavier["cause"]), (carried, &json!("rescore")), "still the first one's");
    assert_eq!(heavier["overall_score"], json!(25.0));
    assert_eq!(heavier["receipt"]["about"]["human_answers"].as_str().map(str::len), Some(64));
    same(&admin, &heavier).await;

    // Another question goes to a person again, and says so.
    rescored(&app, &tenant, &for_people("Is the form complete?", 3)).await;
    let changed = current(&app, &admin, &call).await;
    let open = |reason: &str| (json!("pending"), json!("human"), Value::Null, json!(reason));
    assert_eq!((kept(&changed), &changed["needs_review"]), (open("question_changed"), &json!(true)), "{changed:#}");
    assert_eq!(changed["overall_score"], json!(100.0));
    same(&admin, &changed).await;
    answer(&app, &admin, &changed, "yes").await;
    let again = current(&app, &admin, &call).await;
    assert_eq!((&criterion(&again, "form")["verdict"], &again["overall_score"]), (&json!("yes"), &json!(100.0)));

    // So does another transcript.
    let mend = json!({"version": 1, "corrections": [{"utterance": 2, "text": "My gateway is down again."}]});
    admin.post(&format!("/api/calls/{call}/transcript/corrections"), &mend).await.expect(200);
    admin.post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "assess"})).await.expect(200);
    app.drain_all().await;
    let corrected = current(&app, &admin, &call).await;
    assert_eq!((kept(&corrected), &corrected["needs_review"]), (open("transcript_changed"), &json!(true)));
    for evaluation in [&first, &answered, &rerun, &heavier, &changed, &again, &corrected] {
        same(&admin, evaluation).await;
    }

    // The transcript that was replaced is shown as it was stored, and is not redacted anew.
    let kept = format!(
        "update {}.transcript_versions set utterances = jsonb_set(utterances, '{{0,redacted_text}}', '\"Stored.\"')",
        tenant.schema
    );
    app.database.execute(&kept).await;
    let shown = admin.get(&format!("/api/calls/{call}/transcript?version=1")).await.expect(200);
    assert_eq!(shown["utterances"][0]["text"], json!("Stored."));
    let verified = format!("/api/evaluations/{}/verify", changed["evaluation_id"].as_str().unwrap());
    assert_eq!(
        admin.post(&verified, &json!({})).await.expect(200)["verdict"],
        json!("differs"),
        "and held to its receipt"
    );
    let unredacted = format!("select count(*) from {}.utterances where redacted_text is null", tenant.schema);
    assert_eq!(app.database.count(&unredacted).await, 0, "whoever writes now writes both texts");
    app.finish().await;
}

#[tokio::test]
async fn a_rescore_is_estimated_in_money() {
    let app = TestApp::with(|config| {
        let price = plumbline::foundation::config::ModelPriceConfig { input: 1.25, output: 10.0 };
        config.prices.models.insert("stand-in".to_owned(), price);
    })
    .await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let card = app.publish(&tenant, &tenant.sales, &for_people("Is the form right?", 1)).await;
    evaluated(&app, &tenant).await;
    let path = format!("/api/evaluation-criteria/{card}");
    let mut next = for_people("Is the form right?", 1);
    next["sections"][0]["criteria"][0]["question"] = json!("Was the customer greeted?");
    let draft = admin.request(reqwest::Method::PUT, &format!("{path}/draft")).header("if-match", "*").json(&next);
    Answer::to(draft).await.expect(200);
    admin.post(&format!("{path}/publish"), &json!({})).await.expect(201);
    let dry = json!({"dry_run": true});
    let estimate = admin.post(&format!("{path}/versions/2/rescore"), &dry).await.expect(200);
    let tokens = |name: &str| estimate[name].as_f64().unwrap();
    let expected = (tokens("prompt_tokens") * 1.25 + tokens("completion_tokens") * 10.0).round() / 1e6;
    assert!(expected > 0.0, "{estimate}");
    assert_eq!((&estimate["asked"], &estimate["cost"]), (&json!(1), &json!(expected)), "{estimate}");
    // Only what fits all of the filter.
    let path = format!("{path}/versions/2/rescore");
    let one = [
        json!({"channel": "chat", "language": "en", "score_from": 100, "scorecard_id": card}),
        json!({"score_from": 99.99, "score_below": 100}),
        json!({"queue": "nobody"}),
        json!({"direction": "outbound"}),
        json!({"language": "e"}),
        json!({"scorecard_id": "00000000-0000-7000-8000-000000000000"}),
    ];
    for (expected, mut filter) in [1, 0, 0, 0, 0, 0].into_iter().zip(one) {
        filter["dry_run"] = json!(true);
        let estimate = admin.post(&path, &filter).await.expect(200);
        assert_eq!(estimate["calls"], json!(expected), "{filter}");
    }
    for (field, wrong) in [("score_from", json!(101)), ("channel", json!("fax")), ("direction", json!("sideways"))] {
        let refused = admin.post(&path, &json!({field: wrong, "dry_run": true})).await;
        refused.refused(400, "validation");
    }
    admin.post(&path, &json!({"channel": "phone"})).await.refused(422, "unprocessable");
    let begun = admin.post(&path, &json!({"channel": "chat", "score_from": 50})).await.expect(202);
    assert_eq!(begun["progress"]["total"], json!(1));
    app.drain_all().await;
    app.finish().await;
}
