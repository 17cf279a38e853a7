//! The stages, from a conversation to a score that can be computed again, on good days of the language model and on bad ones.

use chrono::{DateTime, TimeDelta, Utc};
use plumbline::{
    demo::standins::faults::{ChatFault, Fault, RetryHint},
    foundation::ids::{JobId, LeaseToken},
    platform::{
        db::DbError,
        jobs::{JobError, Lease},
    },
    product::calls::store::{self as calls, RunningTranscription},
};
use serde_json::{Value, json};

use crate::support::{TestApp, TestTenant, conversation};

/// A criterion of an analysis.
fn criterion<'a>(analysis: &'a Value, key: &str) -> &'a Value {
    let sections = analysis["evaluation"]["sections"].as_array().unwrap();
    let mut criteria = sections.iter().flat_map(|section| section["criteria"].as_array().unwrap());
    criteria.find(|criterion| criterion["key"] == key).unwrap()
}

fn asked(app: &TestApp) -> u64 {
    app.stand_ins.requests().chat_completions
}

#[tokio::test]
async fn a_written_conversation_becomes_a_score_that_is_explained() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let sent = conversation(&tenant.sales);
    let id = app.send(&admin, &sent).await;
    let before = app.analysis(&admin, &id).await.expect(200);
    assert_eq!((&before["call_status"], &before["evaluation"]), (&json!("transcribed"), &Value::Null));
    app.advance(5);
    app.drain().await;

    let call = app.call(&admin, &id).await;
    assert_eq!((&call["status"], &call["overall_score"]), (&json!("evaluated"), &json!(87.5)), "{call}");
    let analysis = app.analysis(&admin, &id).await.expect(200);
    let evaluation = &analysis["evaluation"];
    assert_eq!((&evaluation["overall_score"], &evaluation["needs_review"]), (&json!(87.5), &json!(false)));
    // Quotes are those of the transcript without personal data.
    let seen = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
    assert_eq!(seen["utterances"][0]["text"], json!("Good morning, [NAME_1] here."));
    let sections: Vec<_> = evaluation["sections"].as_array().unwrap().iter().map(|s| s["score"].clone()).collect();
    assert_eq!(sections, [json!(50.0), json!(100.0)]);
    for (key, verdict, score, passed) in [
        ("greeting", "yes", json!(100.0), json!(true)),
        ("name", "no", json!(0.0), json!(false)),
        ("refund", "not_applicable", Value::Null, Value::Null),
        ("next_step", "yes", json!(100.0), json!(true)),
        ("insult", "yes", json!(100.0), json!(true)),
    ] {
        let found = criterion(&analysis, key);
        assert_eq!((&found["verdict"], &found["score"], &found["passed"]), (&json!(verdict), &score, &passed), "{key}");
        assert!(!found["rationale"].as_str().unwrap().is_empty());
        for evidence in found["evidence"].as_array().unwrap() {
            let n = usize::try_from(evidence["utterance"].as_u64().unwrap()).unwrap();
            let said = &seen["utterances"][n - 1];
            let at = |field: &str| usize::try_from(evidence[field].as_u64().unwrap()).unwrap();
            let words: String =
                said["text"].as_str().unwrap().chars().take(at("end_char")).skip(at("start_char")).collect();
            assert_eq!((&evidence["verified"], &evidence["words"]), (&json!(true), &json!(words)), "{key}");
            assert_eq!((&evidence["speaker"], &evidence["start_ms"]), (&said["speaker"], &said["start_ms"]), "{key}");
        }
    }
    let insights = evaluation["insights"].as_array().unwrap();
    assert!(insights.iter().any(|insight| insight["kind"] == "failed_criterion" && insight["criterion"] == "name"));
    assert_eq!(evaluation["model"], json!("stand-in-phrase-rules-1"));
    assert!(evaluation["prompt_tokens"].as_i64().unwrap() > 0);
    for (stamp, at) in [("received_at", "09:00:00"), ("assessed_at", "09:00:05"), ("evaluated_at", "09:00:05")] {
        assert!(analysis["timestamps"][stamp].as_str().unwrap().contains(at), "{stamp}: {analysis}");
    }
    let evaluation_id = evaluation["evaluation_id"].as_str().unwrap();
    let alone = admin.get(&format!("/api/evaluations/{evaluation_id}")).await.expect(200);
    assert_eq!(&alone, evaluation, "an evaluation reads the same wherever it is read");
    let listed = admin.get(&format!("/api/evaluations?call_id={id}")).await.expect(200);
    assert_eq!(listed["items"][0]["overall_score"], json!(87.5));
    let actions = format!("select count(*) from {}.audit_events where subject_id = '{id}'", tenant.schema);
    assert_eq!(app.database.count(&actions).await, 2, "received and evaluated");
    assert_eq!(asked(&app), 1);
    app.finish().await;
}

#[tokio::test]
async fn auto_fail_and_the_choice_of_a_scorecard_count() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let other = json!({"name": "Short", "sections": [{"key": "s", "name": "S", "weight": 1, "criteria": [
        {"key": "down", "question": "Is something down?", "guidance": "Yes if anyone says \"down\".", "weight": 1}]}]});
    let mut chosen = conversation(&tenant.sales);
    chosen["scorecard_id"] = json!(app.publish(&tenant, &tenant.sales, &other).await);
    let mut rude = conversation(&tenant.support);
    rude["utterances"][2]["text"] = json!("That is nonsense, but I will send a new one.");
    let (chosen, rude) = (app.send(&admin, &chosen).await, app.send(&admin, &rude).await);
    app.drain().await;
    assert_eq!(app.call(&admin, &chosen).await["overall_score"], json!(100.0));
    assert_eq!(app.call(&admin, &rude).await["overall_score"], json!(0.0));
    let analysis = app.analysis(&admin, &rude).await.body;
    assert_eq!(criterion(&analysis, "insult")["verdict"], json!("no"));
    app.finish().await;
}

#[tokio::test]
async fn a_quote_that_nobody_said_does_not_count() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    app.stand_ins.faults().next_chat(ChatFault::InventedQuote);
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let analysis = app.analysis(&admin, &id).await.expect(200);
    assert_eq!(analysis["evaluation"]["needs_review"], json!(true), "{analysis:#}");
    let sections = analysis["evaluation"]["sections"].as_array().unwrap();
    let invented: Vec<_> = sections
        .iter()
        .flat_map(|section| section["criteria"].as_array().unwrap())
        .filter(|criterion| criterion["verdict"] == "unverified")
        .collect();
    assert!(!invented.is_empty());
    for criterion in invented {
        assert_eq!((&criterion["score"], &criterion["passed"]), (&Value::Null, &Value::Null));
        assert_ne!(criterion["claimed_verdict"], json!("unverified"));
        for evidence in criterion["evidence"].as_array().unwrap() {
            assert_eq!((&evidence["verified"], &evidence["utterance"]), (&json!(false), &Value::Null));
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_receipt_gives_the_same_numbers_again_and_shows_what_was_changed() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let evaluation = app.analysis(&admin, &id).await.expect(200)["evaluation"]["evaluation_id"].clone();
    let path = format!("/api/evaluations/{}/verify", evaluation.as_str().unwrap());
    let again = async || admin.post(&path, &json!({})).await.expect(200);
    let same = again().await;
    assert_eq!((&same["verdict"], &same["overall_score"]), (&json!("same"), &json!(87.5)), "{same:#}");
    let tamper = format!(
        "update {}.utterances set redacted_text = 'Good evening.' where call_id = '{id}' and n = 1",
        tenant.schema
    );
    app.database.execute(&tamper).await;
    let changed = again().await;
    assert_eq!(changed["verdict"], json!("differs"));
    for part in ["transcript", "answers", "input", "scores", "overall"] {
        let found = changed["parts"].as_array().unwrap().iter().find(|found| found["part"] == part).unwrap();
        assert_eq!(found["finding"], json!("differs"), "{part}");
    }
    app.finish().await;
}

/// The one job that waits, and when it runs.
async fn waiting(app: &TestApp, tenant: &TestTenant) -> (Value, TimeDelta) {
    let jobs = app.jobs(tenant, "ready").await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let run_at: DateTime<Utc> = jobs[0]["run_at"].as_str().unwrap().parse().unwrap();
    (jobs[0].clone(), run_at - app.now())
}

#[tokio::test]
async fn a_bad_moment_of_the_language_model_passes() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);

    // One failure is repeated at once, and costs no attempt.
    app.stand_ins.faults().next_chat(Fault::ServerError);
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    assert_eq!(app.call(&admin, &id).await["status"], json!("evaluated"));
    assert_eq!(asked(&app), 2);

    // Three in a row are an attempt; the next one comes by itself, later.
    (0..3).for_each(|_| app.stand_ins.faults().next_chat(Fault::Unavailable));
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let call = app.call(&admin, &id).await;
    assert_eq!((&call["status"], &call["failure"]), (&json!("transcribed"), &Value::Null));
    let (job, wait) = waiting(&app, &tenant).await;
    assert_eq!((&job["kind"], &job["attempts"]), (&json!("assess_call"), &json!(1)), "{job}");
    assert!(job["last_error"].as_str().unwrap().contains("openai"), "{job}");
    assert!(wait >= TimeDelta::milliseconds(1_500) && wait <= TimeDelta::seconds(2), "{wait}");
    app.advance(2);
    app.drain().await;
    assert_eq!(app.call(&admin, &id).await["status"], json!("evaluated"));

    // A provider that asks for more patience than a request has gets it from the queue.
    app.stand_ins.faults().next_chat(Fault::RateLimited(RetryHint::Seconds(300)));
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    assert_eq!(waiting(&app, &tenant).await.1, TimeDelta::seconds(300));
    app.advance(299);
    app.drain().await;
    assert_eq!(app.call(&admin, &id).await["status"], json!("transcribed"));
    app.advance(1);
    app.drain().await;
    assert_eq!(app.call(&admin, &id).await["status"], json!("evaluated"));
    app.finish().await;
}

#[tokio::test]
async fn a_failure_for_good_is_visible_and_a_retry_goes_on() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    for (fault, kind) in [
        (ChatFault::Refusal, "refused"),
        (ChatFault::ContentFilter, "content_filter"),
        (ChatFault::InsufficientQuota, "quota"),
        (ChatFault::CutAnswer, "truncated"),
        (ChatFault::NotJson, "garbage"),
        (ChatFault::Http(Fault::Garbage), "garbage"),
        (ChatFault::ModelNotFound, "invalid_request"),
    ] {
        let before = asked(&app);
        app.stand_ins.faults().next_chat(fault.clone());
        let id = app.send(&admin, &conversation(&tenant.sales)).await;
        app.drain().await;
        assert_eq!(asked(&app) - before, 1, "{fault:?} is not asked again");
        let call = app.call(&admin, &id).await;
        let failure = &call["failure"];
        assert_eq!(call["status"], json!("failed"));
        assert_eq!((&failure["stage"], &failure["kind"]), (&json!("assess"), &json!(kind)), "{fault:?}: {failure}");
        assert!(!failure["reason"].as_str().unwrap().is_empty());
        let analysis = app.analysis(&admin, &id).await.expect(200);
        assert_eq!(
            (&analysis["failed_stage"], &analysis["failure_kind"], &analysis["evaluation"]),
            (&json!("assess"), &json!(kind), &Value::Null)
        );
        assert_eq!(app.jobs(&tenant, "dead").await.len(), 1, "the dead job shows");

        let retried = admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.expect(200);
        assert_eq!((&retried["status"], &retried["failure"]), (&json!("transcribed"), &Value::Null));
        app.drain().await;
        let call = app.call(&admin, &id).await;
        assert_eq!((&call["status"], &call["failure"]), (&json!("evaluated"), &Value::Null));
        admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.refused(409, "illegal-state");
        assert_eq!(app.jobs(&tenant, "dead").await.len(), 0, "the retry took the dead job's place");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_answer_that_breaks_the_rules_is_asked_for_again_once() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    (0..8).for_each(|_| app.stand_ins.faults().next_chat(ChatFault::NumberOutOfRange));
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let failure = &app.call(&admin, &id).await["failure"];
    assert_eq!((&failure["stage"], &failure["kind"]), (&json!("assess"), &json!("answer_confidence")), "{failure}");
    assert_eq!(asked(&app), 2, "each of them was paid for");
    assert_eq!(app.jobs(&tenant, "dead").await[0]["attempts"], json!(1));
    app.finish().await;
}

#[tokio::test]
async fn a_call_without_criteria_says_so_and_is_judged_once_there_are_some() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    assert_eq!(app.call(&admin, &id).await["failure"]["kind"], json!("no_scorecard"));
    assert_eq!(asked(&app), 0, "nothing was asked");
    app.publish(&tenant, &tenant.sales, &crate::support::scorecard()).await;
    admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(app.call(&admin, &id).await["overall_score"], json!(87.5));
    app.finish().await;
}

#[tokio::test]
async fn of_several_refused_statements_the_first_is_told() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let (admin, schema) = (app.admin(&tenant), &tenant.schema);
    let refusing = format!(
        "create function {schema}.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
         create trigger refuse before insert or update on {schema}.evaluations
         for each row execute function {schema}.refuse()"
    );
    app.database.execute(&refusing).await;
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let dead = app.jobs(&tenant, "dead").await;
    let told = dead[0]["last_error"].as_str().unwrap();
    assert!(told.starts_with("PostgreSQL refused evaluations/insert: P0001"), "{told}");
    let failure = &app.call(&admin, &id).await["failure"];
    assert_eq!((&failure["stage"], &failure["kind"]), (&json!("assess"), &json!("database")));

    // The same in the next stage.
    app.database.execute(&format!("drop trigger refuse on {schema}.evaluations")).await;
    let refusing = format!(
        "create trigger refuse before update on {schema}.evaluations for each row execute function {schema}.refuse()"
    );
    app.database.execute(&refusing).await;
    admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.expect(200);
    app.drain().await;
    let dead = app.jobs(&tenant, "dead").await;
    let told = dead[0]["last_error"].as_str().unwrap();
    assert!(told.starts_with("PostgreSQL refused evaluations/record_scored: P0001"), "{told}");
    app.finish().await;
}

/// A lease on a call's assessment that is the caller's no longer, or, as attempt 0, that its worker fell silent with.
fn stale(tenant: &TestTenant, id: &str, attempt: i16) -> Lease {
    Lease {
        job_id: JobId::new(),
        token: LeaseToken::new(),
        tenant: tenant.id,
        root: tenant.root,
        organization: tenant.sales.parse().unwrap(),
        kind: "assess_call".to_owned(),
        payload: json!({ "call_id": id }),
        attempt,
        max_attempts: 8,
    }
}

#[tokio::test]
async fn the_failure_of_a_worker_that_lost_its_lease_does_not_show() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    let handlers = plumbline::pipeline::handlers(app.app.means());
    let assess = handlers.iter().find(|handler| handler.kind() == "assess_call").unwrap();
    let error = JobError::Permanent { kind: "test", reason: "it came too late".to_owned() };
    assess.gave_up(&stale(&tenant, &id, 8), &error).await.unwrap();
    assert_eq!(app.call(&admin, &id).await["status"], json!("transcribed"), "another worker has it");
    assess.gave_up(&stale(&tenant, &id, 0), &error).await.unwrap();
    assert_eq!(
        app.call(&admin, &id).await["failure"]["kind"],
        json!("test"),
        "its worker fell silent at its last attempt"
    );
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn a_note_of_running_work_leaves_a_finished_transcript_alone() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    let path = format!("/api/calls/{id}/transcript");
    let before = admin.get(&path).await.expect(200);
    let late = RunningTranscription {
        provider: "late".to_owned(),
        reference: Some("r".to_owned()),
        webhook_secret: None,
        submitted_at: app.now(),
    };
    let grant = app.grant(&tenant, &tenant.sales);
    let noted: Result<bool, DbError> = app
        .app
        .db()
        .tenant(&grant, "test", async |tx| {
            let call = calls::find(tx, id.parse().unwrap()).await?.unwrap();
            calls::note_transcription(tx, &call, &late).await
        })
        .await;
    assert!(!noted.unwrap());
    assert_eq!(admin.get(&path).await.expect(200), before);
    app.drain().await;
    app.finish().await;
}
