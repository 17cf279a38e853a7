//! Revisions: stages that run again, corrected transcripts, and calls under another scorecard version.

use plumbline::{demo::standins::StandInOptions, foundation::config::SpeechProvider};
use serde_json::{Value, json};

use crate::{
    speech::recogniser,
    support::{Client, TestApp, TestTenant, conversation, scorecard, wav},
};

async fn evaluated(app: &TestApp, tenant: &TestTenant, conversation: &Value) -> String {
    let call = app.send(&app.admin(tenant), conversation).await;
    app.drain_all().await;
    call
}

async fn current(app: &TestApp, client: &Client, call: &str) -> Value {
    app.analysis(client, call).await.expect(200)["evaluation"].clone()
}

/// Every revision of a call, oldest first.
async fn revisions(client: &Client, call: &str) -> Vec<Value> {
    let listed = client.get(&format!("/api/evaluations?call_id={call}&revisions=all")).await.expect(200);
    let mut revisions = listed["items"].as_array().unwrap().clone();
    revisions.sort_by_key(|one| one["revision"].as_i64());
    revisions
}

async fn rerun(client: &Client, call: &str, stage: &str) -> crate::support::Answer {
    client.post(&format!("/api/calls/{call}/rerun"), &json!({ "stage": stage })).await
}

async fn same(client: &Client, evaluation: &Value) {
    let id = evaluation["evaluation_id"].as_str().unwrap();
    let verified = client.post(&format!("/api/evaluations/{id}/verify"), &json!({})).await.expect(200);
    assert_eq!(verified["verdict"], json!("same"), "{verified:#}");
}

/// Publishes the next version of the organization's scorecard; returns the scorecard and the version.
async fn next_version(app: &TestApp, tenant: &TestTenant, change: impl FnOnce(&mut Value)) -> (String, i64) {
    let admin = app.admin(tenant);
    let listed = admin.get(&format!("/api/evaluation-criteria?organization_id={}", tenant.sales)).await.expect(200);
    let id = listed["items"][0]["scorecard_id"].as_str().unwrap().to_owned();
    let mut definition = scorecard();
    change(&mut definition);
    let path = format!("/api/evaluation-criteria/{id}");
    let draft = admin.request(reqwest::Method::PUT, &format!("{path}/draft")).header("if-match", "*").json(&definition);
    crate::support::Answer::to(draft).await.expect(200);
    let version = admin.post(&format!("{path}/publish"), &json!({})).await.expect(201);
    (id, version["version"].as_i64().unwrap())
}

#[tokio::test]
async fn a_score_and_an_assessment_run_again_as_revisions() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = evaluated(&app, &tenant, &conversation(&tenant.sales)).await;
    let first = current(&app, &admin, &call).await;
    assert_eq!((&first["revision"], &first["cause"], &first["replaces"]), (&json!(1), &json!("first"), &Value::Null));

    let asked = app.stand_ins.requests().chat_completions;
    assert_eq!(rerun(&admin, &call, "score").await.expect(200)["status"], json!("assessed"));
    rerun(&admin, &call, "score").await.refused(409, "illegal-state");
    app.drain_all().await;
    let second = current(&app, &admin, &call).await;
    assert_eq!(
        (&second["revision"], &second["cause"], &second["replaces"]),
        (&json!(2), &json!("rerun"), &first["evaluation_id"])
    );
    assert_eq!((&second["overall_score"], &second["prompt_tokens"]), (&json!(87.5), &json!(0)));
    assert_eq!(app.stand_ins.requests().chat_completions, asked, "nothing is asked again");

    assert_eq!(rerun(&admin, &call, "assess").await.expect(200)["status"], json!("transcribed"));
    app.drain_all().await;
    assert_eq!(app.stand_ins.requests().chat_completions, asked, "the same question of the same model is paid once");
    let all = revisions(&admin, &call).await;
    let shown: Vec<_> =
        all.iter().map(|one| (one["cause"].as_str().unwrap(), one["is_current"].as_bool().unwrap())).collect();
    assert_eq!(shown, [("first", false), ("rerun", false), ("rerun", true)]);
    for revision in &all {
        same(&admin, revision).await;
        let id = revision["evaluation_id"].as_str().unwrap();
        assert_eq!(admin.get(&format!("/api/evaluations/{id}")).await.expect(200)["overall_score"], json!(87.5));
    }
    let listed = admin.get(&format!("/api/evaluations?call_id={call}")).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "lists show current ones");
    assert_eq!(listed["items"][0]["revision"], json!(3));
    admin.get(&format!("/api/evaluations?call_id={call}&revisions=some")).await.refused(400, "validation");

    rerun(&admin, &call, "transcribe").await.refused(409, "illegal-state");
    rerun(&admin, &call, "follow_up").await.refused(400, "validation");
    rerun(&admin, "00000000-0000-7000-8000-000000000000", "score").await.refused(404, "not-found");
    app.caller(&tenant, "cora", "coach", &["sales"])
        .post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "score"}))
        .await
        .refused(403, "forbidden");
    assert_eq!(app.call(&admin, &call).await["status"], json!("evaluated"), "a refused request changes nothing");
    app.finish().await;
}

#[tokio::test]
async fn a_call_that_failed_runs_again_from_any_stage_that_has_something_to_start_from() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let bare = app.organization_without_criteria(&tenant).await;
    let call = evaluated(&app, &tenant, &conversation(&bare)).await;
    assert_eq!(app.call(&admin, &call).await["status"], json!("failed"));
    rerun(&admin, &call, "score").await.refused(409, "illegal-state");
    app.publish(&tenant, &bare, &scorecard()).await;
    rerun(&admin, &call, "assess").await.expect(200);
    app.drain_all().await;
    let evaluation = current(&app, &admin, &call).await;
    assert_eq!((&evaluation["revision"], &evaluation["cause"]), (&json!(1), &json!("first")));
    app.finish().await;
}

#[tokio::test]
async fn a_recording_is_transcribed_again_and_the_older_transcript_stays() {
    let recogniser = recogniser().await;
    let app = TestApp::with_stand_ins(StandInOptions::default(), |config| {
        config.speech.provider = Some(SpeechProvider::Recogniser);
        config.speech.recogniser_base_url = Some(recogniser);
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = admin.upload(&format!("organization_id={}", tenant.sales), wav(440)).await.expect(202);
    let call = call["call_id"].as_str().unwrap();
    app.drain_all().await;
    let first = current(&app, &admin, call).await;
    assert_eq!(rerun(&admin, call, "transcribe").await.expect(200)["status"], json!("received"));
    admin.get(&format!("/api/calls/{call}/transcript")).await.refused(404, "not-found");
    app.drain_all().await;
    let transcript = admin.get(&format!("/api/calls/{call}/transcript")).await.expect(200);
    assert_eq!(transcript["version"], json!(2));
    let before = admin.get(&format!("/api/calls/{call}/transcript?version=1")).await.expect(200);
    assert_eq!((&before["version"], &before["digest"]), (&json!(1), &transcript["digest"]));
    let second = current(&app, &admin, call).await;
    assert_eq!(
        (&second["revision"], &second["transcript_version"], &second["cause"]),
        (&json!(2), &json!(2), &json!("rerun"))
    );
    same(&admin, &first).await;
    same(&admin, &second).await;
    app.finish().await;
}

#[tokio::test]
async fn a_corrected_transcript_is_a_version_and_outdates_the_evaluation() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut heard = conversation(&tenant.sales);
    heard["utterances"][0]["text"] = json!("Good mourning, Ana here.");
    let call = evaluated(&app, &tenant, &heard).await;
    let first = current(&app, &admin, &call).await;
    let score = first["overall_score"].as_f64().unwrap();
    assert!(score < 87.5, "\"good morning\" was not heard: {score}");

    let path = format!("/api/calls/{call}/transcript/corrections");
    let mend = |version: i32, utterance: i32, text: &str| json!({"version": version, "corrections": [{"utterance": utterance, "text": text}]});
    let good = mend(1, 1, "Good morning, Ana here.");
    admin.post(&path, &mend(2, 1, "x")).await.refused(412, "stale-revision");
    admin.post(&path, &mend(1, 9, "x")).await.refused(400, "validation");
    admin.post(&path, &mend(1, 1, "")).await.refused(400, "validation");
    admin.post(&path, &mend(1, 1, "Good mourning, Ana here.")).await.refused(400, "validation");
    admin.post(&path, &json!({"version": 1, "corrections": []})).await.refused(400, "validation");
    admin.post(&path, &json!({"version": 1, "corrections": [], "text": "x"})).await.refused(400, "unknown-field");
    app.caller(&tenant, "cora", "coach", &["sales"]).post(&path, &good).await.refused(403, "forbidden");
    app.caller(&tenant, "sue", "evaluator", &["support"]).post(&path, &good).await.refused(404, "not-found");
    let nowhere = path.replace(&call, "00000000-0000-7000-8000-000000000000");
    admin.post(&nowhere, &good).await.refused(404, "not-found");

    let evaluator = app.caller(&tenant, "eve", "evaluator", &["sales"]);
    let corrected = evaluator.post(&path, &good).await.expect(200);
    let transcript = &corrected["transcript"];
    assert_eq!((&transcript["version"], &corrected["evaluation_is_outdated"]), (&json!(2), &json!(true)));
    assert_eq!(transcript["utterances"][0]["text"], json!("Good morning, [NAME_1] here."));
    assert!(transcript["corrected_by"].as_str().unwrap().contains("eve"), "{transcript}");
    evaluator.post(&path, &good).await.refused(412, "stale-revision");
    let kept = admin.get(&format!("/api/calls/{call}/transcript?version=1")).await.expect(200);
    assert_eq!(
        (&kept["utterances"][0]["text"], &kept["corrected_by"]),
        (&json!("Good mourning, [NAME_1] here."), &Value::Null)
    );
    assert_eq!(kept["digest"], first["receipt"]["transcript"]);
    admin.get(&format!("/api/calls/{call}/transcript?version=3")).await.refused(404, "not-found");

    // What was judged then is still computed again from what was judged then.
    same(&admin, &first).await;
    rerun(&admin, &call, "score").await.refused(409, "illegal-state");
    rerun(&admin, &call, "assess").await.expect(200);
    evaluator.post(&path, &mend(2, 1, "x")).await.refused(409, "illegal-state");
    app.drain_all().await;
    let second = current(&app, &admin, &call).await;
    assert_eq!((&second["cause"], &second["transcript_version"]), (&json!("transcript_correction"), &json!(2)));
    assert_eq!(second["overall_score"], json!(87.5));
    same(&admin, &second).await;
    same(&admin, &first).await;
    app.finish().await;
}

#[tokio::test]
async fn calls_are_scored_again_without_a_question_where_the_questions_are_the_same() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (agent, _) = app.agent(&tenant, &tenant.sales, "abe").await;
    let mut calls = vec![];
    for n in 0..3 {
        let mut conversation = conversation(&tenant.sales);
        if n > 0 {
            conversation["agent_id"] = json!(agent);
        }
        calls.push(evaluated(&app, &tenant, &conversation).await);
    }
    // Another organization's call is none of this scorecard's.
    evaluated(&app, &tenant, &conversation(&tenant.support)).await;
    let (card, version) = next_version(&app, &tenant, |new| {
        new["pass_mark"] = json!(80);
        new["sections"][0]["weight"] = json!(3); // of "opening", in which `name` fails
    })
    .await;
    let asked = app.stand_ins.requests().chat_completions;
    let path = format!("/api/evaluation-criteria/{card}/versions/{version}/rescore");
    let estimate = admin.post(&path, &json!({"dry_run": true})).await.expect(200);
    assert_eq!(
        estimate,
        json!({"calls": 3, "calls_without_questions": 3, "asked": 0, "reused": 15, "prompt_tokens": 0, "completion_tokens": 0, "cost": null})
    );
    let of_agent = admin.post(&path, &json!({"dry_run": true, "agent_id": agent})).await.expect(200);
    assert_eq!(of_agent["calls"], json!(2));
    let none = json!({"received_before": "2026-01-01T00:00:00Z"});
    assert_eq!(
        admin.post(&path, &json!({"dry_run": true, "received_before": "2026-01-01T00:00:00Z"})).await.expect(200)["calls"],
        json!(0)
    );
    admin.post(&path, &none).await.refused(422, "unprocessable");

    let begun = admin.post_once(&path, "one", &json!({})).await.expect(202);
    assert_eq!((&begun["status"], &begun["progress"]["total"]), (&json!("waiting"), &json!(3)));
    let again = admin.post_once(&path, "one", &json!({})).await.expect(202);
    assert_eq!(again["rescore_id"], begun["rescore_id"]);
    let at = format!("/api/rescores/{}", begun["rescore_id"].as_str().unwrap());
    app.drain_all().await;
    let ended = admin.get(&at).await.expect(200);
    assert_eq!(ended["status"], json!("succeeded"), "{ended:#}");
    let progress = &ended["progress"];
    assert_eq!((&progress["evaluated"], &progress["asked"], &progress["reused"]), (&json!(3), &json!(0), &json!(15)));
    assert_eq!(app.stand_ins.requests().chat_completions, asked, "the language model was not asked");
    for call in &calls {
        let all = revisions(&admin, call).await;
        assert_eq!(all.len(), 2);
        // opening 1/2 × 3, handling 1 × 3
        assert_eq!((&all[0]["overall_score"], &all[1]["overall_score"]), (&json!(87.5), &json!(75.0)));
        assert_eq!((&all[1]["cause"], &all[1]["replaces"]), (&json!("rescore"), &all[0]["evaluation_id"]));
        same(&admin, &all[0]).await;
        same(&admin, &all[1]).await;
        assert_eq!(app.call(&admin, call).await["overall_score"], json!(75.0));
    }
    let report = admin.get(&format!("{at}/report")).await.expect(200);
    assert_eq!(
        (&report["all"]["calls"], &report["all"]["changed"], &report["all"]["mean_change"]),
        (&json!(3), &json!(3), &json!(-12.5))
    );
    assert_eq!(report["agents"].as_array().unwrap().len(), 2);
    assert_eq!((&report["agents"][0]["agent_id"], &report["agents"][0]["tally"]["calls"]), (&json!(agent), &json!(2)));
    assert_eq!(report["all"]["pass_to_fail"], json!(0), "the first version had no pass mark");
    assert_eq!(report["biggest_changes"].as_array().unwrap().len(), 3);
    admin.post(&path, &json!({})).await.refused(422, "unprocessable");
    app.finish().await;
}

#[tokio::test]
async fn only_changed_questions_are_asked_and_the_report_says_who_fails_now() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (card, _) = next_version(&app, &tenant, |new| new["pass_mark"] = json!(80)).await;
    let good = evaluated(&app, &tenant, &conversation(&tenant.sales)).await;
    let mut other = conversation(&tenant.sales);
    other["utterances"][2]["text"] = json!("I see. Then I will see about a crimson one.");
    let better = evaluated(&app, &tenant, &other).await;
    let (_, version) = next_version(&app, &tenant, |new| {
        new["pass_mark"] = json!(80);
        let step = &mut new["sections"][1]["criteria"][1];
        step["question"] = json!("Was the colour named?");
        step["guidance"] = json!("Yes if the agent says \"crimson\".");
    })
    .await;
    let path = format!("/api/evaluation-criteria/{card}/versions/{version}/rescore");
    let estimate = admin.post(&path, &json!({"dry_run": true})).await.expect(200);
    assert_eq!(
        (&estimate["calls"], &estimate["asked"], &estimate["reused"]),
        (&json!(2), &json!(2), &json!(8)),
        "{estimate}"
    );
    assert!(estimate["prompt_tokens"].as_i64().unwrap() > 0 && estimate["completion_tokens"].as_i64().unwrap() > 0);
    let asked = app.stand_ins.requests().chat_completions;
    let begun = admin.post(&path, &json!({})).await.expect(202);
    app.drain_all().await;
    assert_eq!(app.stand_ins.requests().chat_completions, asked + 2, "once for each call");
    let at = format!("/api/rescores/{}", begun["rescore_id"].as_str().unwrap());
    let ended = admin.get(&at).await.expect(200);
    assert_eq!(
        (&ended["status"], &ended["progress"]["asked"], &ended["progress"]["reused"]),
        (&json!("succeeded"), &json!(2), &json!(8))
    );
    let (fails, passes) = (revisions(&admin, &good).await, revisions(&admin, &better).await);
    assert_eq!(passes[1]["overall_score"], json!(87.5));
    // handling: refund not applicable, next_step 2 fails, insult 1 holds: 1/3; (1/2 + 3 × 1/3) / 4
    assert_eq!(fails[1]["overall_score"], json!(37.5));
    for revision in [&fails[0], &fails[1], &passes[0], &passes[1]] {
        same(&admin, revision).await;
    }
    let receipt = current(&app, &admin, &good).await["receipt"].clone();
    assert_eq!(receipt["about"]["asked"], json!(["next_step"]));
    assert_eq!(receipt["about"]["reused"]["evaluation_id"], fails[0]["evaluation_id"]);

    let report = admin.get(&format!("{at}/report")).await.expect(200);
    assert_eq!((&report["all"]["pass_to_fail"], &report["all"]["fail_to_pass"]), (&json!(1), &json!(0)), "{report:#}");
    assert_eq!(report["sides_changed"][0]["call_id"], json!(good));
    assert_eq!(
        (&report["biggest_changes"][0]["before"], &report["biggest_changes"][0]["after"]),
        (&json!(87.5), &json!(37.5))
    );
    let criteria = report["criteria"].as_array().unwrap();
    let step = criteria.iter().find(|one| one["key"] == "next_step").unwrap();
    assert_eq!((&step["calls"], &step["pass_to_fail"], &step["fail_to_pass"]), (&json!(2), &json!(1), &json!(0)));
    app.finish().await;
}

#[tokio::test]
async fn a_rescore_is_called_off_and_its_failures_have_reasons() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = evaluated(&app, &tenant, &conversation(&tenant.sales)).await;
    let (card, version) = next_version(&app, &tenant, |new| new["sections"][0]["weight"] = json!(3)).await;
    let path = format!("/api/evaluation-criteria/{card}/versions/{version}/rescore");
    let begun = admin.post(&path, &json!({})).await.expect(202);
    let at = format!("/api/rescores/{}", begun["rescore_id"].as_str().unwrap());
    assert_eq!(admin.post(&format!("{at}/cancel"), &json!({})).await.expect(200)["cancel_requested"], json!(true));
    app.drain_all().await;
    let ended = admin.get(&at).await.expect(200);
    assert_eq!((&ended["status"], &ended["progress"]["cancelled"]), (&json!("cancelled"), &json!(1)));
    assert_eq!(revisions(&admin, &call).await.len(), 1, "nothing was evaluated");
    admin.post(&format!("{at}/cancel"), &json!({})).await.refused(409, "illegal-state");

    // A call that is worked on when its turn comes is left alone, and says so.
    let begun = admin.post(&path, &json!({})).await.expect(202);
    let at = format!("/api/rescores/{}", begun["rescore_id"].as_str().unwrap());
    app.database
        .execute(&format!("update {}.calls set status = 'failed', failed_stage = 'assess'", tenant.schema))
        .await;
    app.drain_all().await;
    let ended = admin.get(&at).await.expect(200);
    assert_eq!((&ended["status"], &ended["progress"]["skipped"]), (&json!("succeeded"), &json!(1)), "{ended:#}");
    let listed = admin.get("/api/rescores?limit=1").await.expect(200);
    assert_eq!(listed["items"][0]["rescore_id"], begun["rescore_id"]);
    assert!(listed["next_cursor"].is_string());
    app.finish().await;
}

#[tokio::test]
async fn who_may_score_again_and_what() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    evaluated(&app, &tenant, &conversation(&tenant.sales)).await;
    let (card, version) = next_version(&app, &tenant, |new| new["sections"][0]["weight"] = json!(3)).await;
    let path = format!("/api/evaluation-criteria/{card}/versions/{version}/rescore");
    app.caller(&tenant, "eve", "evaluator", &["sales"]).post(&path, &json!({})).await.refused(403, "forbidden");
    app.caller(&tenant, "sue", "organization_admin", &["support"])
        .post(&path, &json!({}))
        .await
        .refused(404, "not-found");
    admin
        .post(&path.replace(&format!("versions/{version}"), "versions/99"), &json!({}))
        .await
        .refused(404, "not-found");
    admin.post(&path, &json!({"dry": true})).await.refused(400, "unknown-field");
    admin.post(&path, &json!({"received_from": "0001-01-01T00:00:00Z"})).await.refused(400, "validation");
    let manager = app.caller(&tenant, "max", "organization_admin", &["sales"]);
    let begun = manager.post(&path, &json!({})).await.expect(202);
    app.drain_all().await;
    let at = format!("/api/rescores/{}", begun["rescore_id"].as_str().unwrap());
    app.caller(&tenant, "eve", "evaluator", &["sales"]).get(&format!("{at}/report")).await.expect(200);
    let sue = app.caller(&tenant, "sue", "organization_admin", &["support"]);
    for path in [at.clone(), format!("{at}/report")] {
        sue.get(&path).await.refused(404, "not-found");
    }
    sue.post(&format!("{at}/cancel"), &json!({})).await.refused(404, "not-found");
    assert_eq!(sue.get("/api/rescores").await.expect(200)["items"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn a_rescore_asks_again_where_the_transcript_was_corrected() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let call = evaluated(&app, &tenant, &conversation(&tenant.sales)).await;
    let mend = json!({"version": 1, "corrections": [{"utterance": 1, "text": "Good evening, Ana here."}]});
    admin.post(&format!("/api/calls/{call}/transcript/corrections"), &mend).await.expect(200);
    let (card, version) = next_version(&app, &tenant, |new| new["sections"][0]["weight"] = json!(3)).await;
    let path = format!("/api/evaluation-criteria/{card}/versions/{version}/rescore");
    assert_eq!(admin.post(&path, &json!({"dry_run": true})).await.expect(200)["asked"], json!(5));
    let asked = app.stand_ins.requests().chat_completions;
    admin.post(&path, &json!({})).await.expect(202);
    app.drain_all().await;
    assert_eq!(app.stand_ins.requests().chat_completions, asked + 1, "answers to other words are not used again");
    let evaluation = current(&app, &admin, &call).await;
    assert_eq!((&evaluation["cause"], &evaluation["transcript_version"]), (&json!("rescore"), &json!(2)));
    same(&admin, &evaluation).await;
    app.finish().await;
}
