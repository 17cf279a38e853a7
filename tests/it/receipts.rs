//! Receipts: signed, computed again by the server and by the command line, and no byte of them changes unnoticed.

use std::process::{Command, Output};

use plumbline::{
    foundation::crypto,
    platform::plugins::{Limits, PluginHost},
    product::evaluations::receipt::{
        bundle::Bundle,
        verify::{Finding, Provided, verify},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    plugins::EXAMPLE,
    scorers::{EXAMPLE_SETTINGS, bind, unbind},
    support::{Answer, Client, TestApp, TestTenant, conversation, wav},
};

/// A call that was worked off, and its evaluation.
async fn evaluated(app: &TestApp, tenant: &TestTenant) -> (String, String) {
    let admin = app.admin(tenant);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let analysis = app.analysis(&admin, &call).await.expect(200);
    (call, analysis["evaluation"]["evaluation_id"].as_str().unwrap().to_owned())
}

async fn bundle(client: &Client, evaluation: &str) -> String {
    let answer = client.get(&format!("/api/evaluations/{evaluation}/receipt-bundle")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    String::from_utf8(answer.bytes).unwrap()
}

async fn verified(client: &Client, evaluation: &str) -> Value {
    client.post(&format!("/api/evaluations/{evaluation}/verify"), &json!({})).await.expect(200)
}

/// The parts with this finding.
fn parts(verification: &Value, finding: &str) -> Vec<String> {
    let parts = verification["parts"].as_array().unwrap().iter();
    parts.filter(|part| part["finding"] == finding).map(|part| part["part"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_receipt_is_signed_and_computed_again() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    assert_eq!(admin.get("/api/receipt-keys").await.expect(200), json!({"keys": []}), "made with the first signature");
    let (call, evaluation) = evaluated(&app, &tenant).await;

    let signed = admin.get(&format!("/api/evaluations/{evaluation}/receipt")).await.expect(200);
    let text = |name: &str| signed[name].as_str().unwrap();
    crypto::verify(text("public_key"), text("payload").as_bytes(), text("signature")).unwrap();
    let receipt: Value = serde_json::from_str(text("payload")).unwrap();
    let about = &receipt["about"];
    assert_eq!((&receipt["format"], &receipt["signed_by"]), (&json!(2), &signed["receipt_key_id"]));
    assert_eq!(
        (&about["evaluation_id"], &about["revision"], &about["cause"]),
        (&json!(evaluation), &json!(1), &json!("first"))
    );
    assert_eq!(
        (&about["call"]["id"], &about["parameters"]["model"]),
        (&json!(call), &json!("stand-in-phrase-rules-1"))
    );
    let keys = admin.get("/api/receipt-keys").await.expect(200)["keys"].clone();
    assert_eq!((&keys[0]["public_key"], &keys[0]["signs"]), (&signed["public_key"], &json!(true)));
    let sealed = app.database.connect().await;
    let sealed: String = sealed
        .query_one(&format!("select sealed_private_key from {}.receipt_keys", tenant.schema), &[])
        .await
        .unwrap()
        .get(0);
    assert!(sealed.starts_with("v1."), "the private half is stored sealed");

    let verification = verified(&admin, &evaluation).await;
    assert_eq!(verification["verdict"], json!("same"), "{verification:#}");
    assert_eq!((parts(&verification, "differs"), parts(&verification, "cannot_be_computed")), (vec![], vec![]));
    assert_eq!(verification["overall_score"], json!(87.5));
    let looked_at = parts(&verification, "same");
    for part in [
        "signature",
        "transcript",
        "redaction",
        "human_answers",
        "metrics",
        "scorecard",
        "prompt",
        "schema",
        "raw_answer",
        "answers",
        "settings",
        "engine",
        "scorer",
        "input",
        "scores",
        "overall",
        "insights",
        "receipt_key",
        "key_in_use",
        "identity",
        "raw_transcript",
        "stored_redaction",
        "stored_scorecard",
        "stored_circumstances",
        "stored_answers",
        "stored_insights",
        "stored_review",
        "stored_scores",
        "stored_overall",
        "stored_passed",
    ] {
        assert!(looked_at.iter().any(|found| found == part), "{part} is computed again: {looked_at:?}");
    }

    // A new key signs; what the old one signed still holds.
    let rotated = admin.post("/api/receipt-keys", &json!({})).await.expect(201);
    assert_eq!((&rotated["generation"], &rotated["signs"]), (&json!(2), &json!(true)));
    let (_, later) = evaluated(&app, &tenant).await;
    let newer = admin.get(&format!("/api/evaluations/{later}/receipt")).await.expect(200);
    assert_eq!(newer["public_key"], rotated["public_key"]);
    assert_eq!(verified(&admin, &evaluation).await["verdict"], json!("same"));
    assert_eq!(verified(&admin, &later).await["verdict"], json!("same"));
    // Its own tenant's keys alone: another tenant has others.
    let globex = app.ready_tenant("globex").await;
    let (_, theirs) = evaluated(&app, &globex).await;
    let theirs = app.admin(&globex).get(&format!("/api/evaluations/{theirs}/receipt")).await.expect(200);
    assert!(theirs["public_key"] != rotated["public_key"] && theirs["public_key"] != signed["public_key"]);
    app.finish().await;
}

#[tokio::test]
async fn what_is_changed_in_the_database_is_found() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let s = &tenant.schema;
    let changes: &[(&str, &str, &[&str])] = &[
        (
            "update {s}.utterances set redacted_text = replace(redacted_text, 'Good morning', 'Good evening') where n = 1",
            "update {s}.utterances set redacted_text = replace(redacted_text, 'Good evening', 'Good morning') where n = 1",
            &[
                "transcript",
                "prompt",
                "answers",
                "input",
                "scores",
                "overall",
                "insights",
                "raw_transcript",
                "stored_redaction",
                "stored_review",
                "stored_scores",
            ],
        ),
        (
            "update {s}.utterances set speaker = 'customer' where n = 3",
            "update {s}.utterances set speaker = 'agent' where n = 3",
            &["transcript", "prompt", "answers", "input", "raw_transcript", "stored_redaction"],
        ),
        (
            "update {s}.utterances set text = replace(text, 'Ana', 'Eva') where n = 1",
            "update {s}.utterances set text = replace(text, 'Eva', 'Ana') where n = 1",
            &["raw_transcript"],
        ),
        (
            "update {s}.utterances set text = replace(text, 'Good', 'Bad') where n = 1",
            "update {s}.utterances set text = replace(text, 'Bad', 'Good') where n = 1",
            &["raw_transcript"],
        ),
        (
            "update {s}.transcriptions set digest = reverse(digest)",
            "update {s}.transcriptions set digest = reverse(digest)",
            &["raw_transcript"],
        ),
        (
            "update {s}.transcriptions set redaction = jsonb_set(redaction, '{0,start_char}', '13')",
            "update {s}.transcriptions set redaction = jsonb_set(redaction, '{0,start_char}', '14')",
            &["redaction", "raw_transcript", "stored_redaction"],
        ),
        (
            "update {s}.transcriptions set redaction_digest = reverse(redaction_digest)",
            "update {s}.transcriptions set redaction_digest = reverse(redaction_digest)",
            &["stored_redaction"],
        ),
        (
            "update {s}.transcriptions set redacted_digest = reverse(redacted_digest)",
            "update {s}.transcriptions set redacted_digest = reverse(redacted_digest)",
            &["stored_redaction"],
        ),
        (
            "update {s}.evaluations set raw_answer = raw_answer || ' '",
            "update {s}.evaluations set raw_answer = rtrim(raw_answer)",
            &["raw_answer"],
        ),
        (
            "update {s}.evaluations set human_answers = '[{\"criterion\": \"nothing\", \"said\": \"yes\", \"rationale\": \"r\", \"answered_by\": \"x\", \"answered_at_ms\": 1}]'",
            "update {s}.evaluations set human_answers = '[]'",
            &["human_answers"],
        ),
        (
            "update {s}.evaluations set answers = jsonb_set(answers, '{0,confidence}', to_jsonb((answers #>> '{0,confidence}')::integer - 1))",
            "update {s}.evaluations set answers = jsonb_set(answers, '{0,confidence}', to_jsonb((answers #>> '{0,confidence}')::integer + 1))",
            &["stored_answers"],
        ),
        (
            "update {s}.evaluations set overall_score = 88",
            "update {s}.evaluations set overall_score = 87.5",
            &["stored_overall"],
        ),
        ("update {s}.calls set overall_score = 88", "update {s}.calls set overall_score = 87.5", &["stored_overall"]),
        ("update {s}.evaluations set passed = true", "update {s}.evaluations set passed = null", &["stored_passed"]),
        (
            "update {s}.evaluations set needs_review = not needs_review",
            "update {s}.evaluations set needs_review = not needs_review",
            &["stored_review"],
        ),
        (
            "update {s}.evaluations set quotes_rejected = quotes_rejected + 1, quotes = quotes + 1",
            "update {s}.evaluations set quotes_rejected = quotes_rejected - 1, quotes = quotes - 1",
            &["stored_review"],
        ),
        (
            "update {s}.evaluations set prompt_digest = reverse(prompt_digest)",
            "update {s}.evaluations set prompt_digest = reverse(prompt_digest)",
            &["stored_circumstances"],
        ),
        (
            "update {s}.evaluations set model = model || '!'",
            "update {s}.evaluations set model = rtrim(model, '!')",
            &["stored_circumstances"],
        ),
        ("update {s}.evaluations set revision = 7", "update {s}.evaluations set revision = 1", &["identity"]),
        (
            "update {s}.evaluations set is_current = false",
            "update {s}.evaluations set is_current = true",
            &["identity"],
        ),
        (
            "update {s}.evaluations set scorer_note = 'The built-in scorer took the place of the bound one.'",
            "update {s}.evaluations set scorer_note = null",
            &["stored_circumstances"],
        ),
        (
            "update {s}.insights set text = text || '!' where n = 1",
            "update {s}.insights set text = rtrim(text, '!') where n = 1",
            &["stored_insights"],
        ),
        (
            "update {s}.scores set passed = true, score = 100 where criterion_key = 'name'",
            "update {s}.scores set passed = false, score = 0 where criterion_key = 'name'",
            &["stored_scores"],
        ),
        (
            "update {s}.scores set verdict = 'unverified' where criterion_key = 'name'",
            "update {s}.scores set verdict = 'no' where criterion_key = 'name'",
            &["stored_scores"],
        ),
        (
            "update {s}.evaluations set receipt = jsonb_set(receipt, '{scoring,overall}', '10000')",
            "update {s}.evaluations set receipt = jsonb_set(receipt, '{scoring,overall}', '8750')",
            &["signature", "overall", "stored_overall"],
        ),
        (
            "update {s}.evaluations set receipt = jsonb_set(receipt, '{model}', '\"another\"')",
            "update {s}.evaluations set receipt = jsonb_set(receipt, '{model}', to_jsonb(model))",
            &["signature", "stored_circumstances"],
        ),
        (
            "update {s}.scorecard_versions set digest = reverse(digest)",
            "update {s}.scorecard_versions set digest = reverse(digest)",
            &["stored_scorecard"],
        ),
        (
            "update {s}.scorecard_versions set definition = jsonb_set(definition, '{sections,0,weight}', '2')",
            "update {s}.scorecard_versions set definition = jsonb_set(definition, '{sections,0,weight}', '1')",
            &["scorecard", "input", "overall", "scores"],
        ),
        ("update {s}.transcriptions set metrics = jsonb_set(metrics, '{words}', '9')", "", &["metrics", "input"]),
    ];
    for (change, back, expected) in changes {
        app.database.execute(&change.replace("{s}", s)).await;
        let verification = verified(&admin, &evaluation).await;
        assert_eq!(verification["verdict"], json!("differs"), "{change}");
        let mut found = parts(&verification, "differs");
        let mut expected: Vec<String> = expected.iter().map(|part| (*part).to_owned()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{change}");
        app.database.execute(&back.replace("{s}", s)).await;
    }
    app.database.execute(&format!("update {s}.evaluations set signature = null, public_key = null")).await;
    assert!(
        parts(&verified(&admin, &evaluation).await, "differs").contains(&"signature".to_owned()),
        "a signature is not lost quietly"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_receipt_of_another_revision_is_not_the_evaluations() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (call, first) = evaluated(&app, &tenant).await;
    admin.post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "score"})).await.expect(200);
    app.drain_all().await;
    let second = app.analysis(&admin, &call).await.text_at("/evaluation/evaluation_id");
    assert_ne!(first, second);
    for evaluation in [&first, &second] {
        assert_eq!(verified(&admin, evaluation).await["verdict"], json!("same"));
    }
    // Whatever the receipt says of itself is copied with it, so that nothing but the row tells the two apart.
    app.database
        .execute(&format!(
            "update {s}.evaluations n set receipt = o.receipt, signature = o.signature, public_key = o.public_key, answers = o.answers,
                 raw_answer = o.raw_answer, cause = o.cause, assessed_at = o.assessed_at, parameters = o.parameters
             from {s}.evaluations o where n.evaluation_id = '{second}' and o.evaluation_id = '{first}'",
            s = tenant.schema
        ))
        .await;
    let replayed = verified(&admin, &second).await;
    assert_eq!(
        (&replayed["verdict"], parts(&replayed, "differs")),
        (&json!("differs"), vec!["identity".to_owned()]),
        "{replayed:#}"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_receipt_without_a_signature_is_never_the_same() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    evaluated(&app, &tenant).await;
    app.advance(60);
    let (_, evaluation) = evaluated(&app, &tenant).await;
    assert_eq!(verified(&admin, &evaluation).await["verdict"], json!("same"));
    let s = &tenant.schema;
    let strip = |receipt: &str| {
        let set = format!("signature = null, public_key = null, receipt = {receipt}");
        format!("update {s}.evaluations set {set} where evaluation_id = '{evaluation}'")
    };
    for receipt in [
        "receipt - 'signed_by'",
        "(receipt - 'signed_by') || '{\"masked\": true}'",
        "(receipt - 'signed_by' - 'masked' - 'about') || '{\"format\": 1}'",
    ] {
        app.database.execute(&strip(receipt)).await;
        let found = verified(&admin, &evaluation).await;
        assert_eq!(found["verdict"], json!("differs"), "{receipt}");
        assert_eq!(parts(&found, "differs"), ["key_in_use"], "{receipt}");
    }
    // Before there was a key, nobody could sign: that is no proof either.
    app.database.execute(&format!("update {s}.receipt_keys set created_at = created_at + interval '1 day'")).await;
    assert_eq!(verified(&admin, &evaluation).await["verdict"], json!("cannot_be_computed"));
    app.finish().await;
}

#[tokio::test]
async fn a_key_that_was_put_into_the_database_signs_nothing() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let signed = admin.get(&format!("/api/evaluations/{evaluation}/receipt")).await.expect(200);
    let forger = crypto::SigningKey::generate().unwrap();
    let id = uuid::Uuid::from_u128(7);
    let mut receipt: Value = serde_json::from_str(signed["payload"].as_str().unwrap()).unwrap();
    receipt["signed_by"] = json!(id);
    let payload = plumbline::foundation::digest::canonical(&receipt);
    let (signature, public_key) = (forger.sign(payload.as_bytes()), forger.public_key());
    let s = &tenant.schema;
    let write = async |sealed: &str| {
        app.database
            .execute(&format!(
                "delete from {s}.receipt_keys where generation = 2;
                 insert into {s}.receipt_keys (receipt_key_id, organization_id, generation, public_key, sealed_private_key, created_by, created_at)
                 select '{id}', organization_id, 2, '{public_key}', {sealed}, created_by, created_at from {s}.receipt_keys where generation = 1"
            ))
            .await;
    };
    // The sealed half of the real key, once as it is and once in the form of another master key.
    write("sealed_private_key").await;
    app.database
        .execute(&format!(
            "update {s}.evaluations set receipt = '{payload}', signature = '{signature}', public_key = '{public_key}'"
        ))
        .await;
    let forged = verified(&admin, &evaluation).await;
    assert_eq!((&forged["verdict"], parts(&forged, "differs")), (&json!("differs"), vec!["receipt_key".to_owned()]));
    write("overlay(sealed_private_key placing '0000000000000000' from 4)").await;
    let forged = verified(&admin, &evaluation).await;
    assert_ne!(forged["verdict"], json!("same"), "{forged:#}");
    assert!(!parts(&forged, "same").contains(&"receipt_key".to_owned()), "{forged:#}");
    app.finish().await;
}

#[tokio::test]
async fn a_key_that_was_replaced_signs_nothing_more() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (_, before) = evaluated(&app, &tenant).await;
    app.advance(3600);
    let (_, after) = evaluated(&app, &tenant).await;
    app.advance(3600);
    admin.post("/api/receipt-keys", &json!({})).await.expect(201);
    for evaluation in [&before, &after] {
        assert_eq!(verified(&admin, evaluation).await["verdict"], json!("same"));
    }
    // As if it had been replaced between the two.
    app.database
        .execute(&format!(
            "update {}.receipt_keys set created_at = created_at - interval '90 minutes' where generation = 2",
            tenant.schema
        ))
        .await;
    assert_eq!(verified(&admin, &before).await["verdict"], json!("same"));
    assert_eq!(parts(&verified(&admin, &after).await, "differs"), ["key_in_use"]);
    app.finish().await;
}

#[tokio::test]
async fn answers_of_another_reader_are_not_called_changed() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let reader = admin.get(&format!("/api/evaluations/{evaluation}/receipt")).await.expect(200);
    let reader: Value = serde_json::from_str(reader["payload"].as_str().unwrap()).unwrap();
    assert_eq!(reader["about"]["reader"], json!("answers 1.0.0"));
    let s = &tenant.schema;
    app.database
        .execute(&format!(
            "update {s}.evaluations set receipt = jsonb_set(jsonb_set(receipt, '{{answers}}', to_jsonb(repeat('0', 64))), '{{about,reader}}', '\"answers 0.9.0\"')"
        ))
        .await;
    let found = verified(&admin, &evaluation).await;
    assert!(parts(&found, "cannot_be_computed").contains(&"answers".to_owned()), "{found:#}");
    app.finish().await;
}

#[tokio::test]
async fn a_call_from_before_transcripts_were_redacted_leaves_redacted() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let now = bundle(&admin, &evaluation).await;
    app.database.execute(&format!("update {}.utterances set redacted_text = null", tenant.schema)).await;
    let old = bundle(&admin, &evaluation).await;
    assert!(now.contains("[NAME_1]") && !old.contains("Ana"), "{old}");
    let transcript = |text: &str| serde_json::from_str::<Value>(text).unwrap()["transcript"].clone();
    assert_eq!(transcript(&old), transcript(&now));
    app.finish().await;
}

#[tokio::test]
async fn a_plugin_that_is_bound_no_more_still_verifies() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    bind(&app, &tenant, EXAMPLE, EXAMPLE_SETTINGS, "fail").await;
    let (_, evaluation) = evaluated(&app, &tenant).await;
    unbind(&app, &tenant).await;
    let verification = verified(&admin, &evaluation).await;
    assert_eq!(
        (&verification["verdict"], &verification["overall_score"]),
        (&json!("same"), &json!(85.0)),
        "{verification:#}"
    );
    let receipt = admin.get(&format!("/api/evaluations/{evaluation}/receipt")).await.expect(200);
    let receipt: Value = serde_json::from_str(receipt["payload"].as_str().unwrap()).unwrap();
    let scorer = &receipt["scoring"]["scorer"];
    assert!(scorer["engine"].as_str().unwrap().starts_with("wasmtime"), "{scorer}");
    assert!(scorer["wit"].is_string() && scorer["sha256"].is_string() && receipt["scoring"]["settings"].is_string());

    let file = tempfile::tempdir().unwrap();
    let (path, plugin) = (file.path().join("bundle.json"), file.path().join("scorer.wasm"));
    std::fs::write(&path, bundle(&admin, &evaluation).await).unwrap();
    std::fs::write(&plugin, EXAMPLE).unwrap();
    let (path, plugin) = (path.to_str().unwrap(), plugin.to_str().unwrap());
    assert_eq!(plumbline(&[path, "--plugin", plugin, "--accept-any-key"]).status.code(), Some(0));
    let without = plumbline(&[path, "--accept-any-key"]);
    assert_eq!(without.status.code(), Some(2), "{without:?}");
    assert!(String::from_utf8_lossy(&without.stdout).contains("give it by --plugin"));
    // Other settings are other scores.
    app.database
        .execute(&format!(
            "update {}.plugin_bindings set settings = jsonb_set(settings, '{{deduct_hundredths}}', '1')",
            tenant.schema
        ))
        .await;
    let found = parts(&verified(&admin, &evaluation).await, "differs");
    assert!(["settings", "scores", "overall"].iter().all(|part| found.iter().any(|found| found == part)), "{found:?}");
    app.finish().await;
}

#[tokio::test]
async fn the_digest_of_the_recording_is_in_the_receipt() {
    let recogniser = crate::speech::recogniser().await;
    let app = TestApp::with(|config| {
        config.speech.provider = Some(plumbline::foundation::config::SpeechProvider::Recogniser);
        config.speech.recogniser_base_url = Some(recogniser);
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let uploaded = admin.upload(&format!("organization_id={}", tenant.sales), wav(440)).await.expect(202);
    app.drain_all().await;
    let call = uploaded["call_id"].as_str().unwrap();
    let analysis = app.analysis(&admin, call).await.expect(200);
    let evaluation = analysis["evaluation"]["evaluation_id"].as_str().unwrap();
    let digest = plumbline::foundation::digest::of_bytes(&wav(440));
    assert_eq!(analysis["evaluation"]["receipt"]["about"]["audio"], json!(digest));
    assert!(parts(&verified(&admin, evaluation).await, "same").contains(&"audio".to_owned()));
    let stored = app.objects().await.into_iter().find(|key| !key.contains("plugins")).unwrap();
    use object_store::ObjectStoreExt;
    app.app.objects().put(&stored.as_str().into(), wav(441).into()).await.unwrap();
    assert_eq!(parts(&verified(&admin, evaluation).await, "differs"), ["audio"]);
    app.finish().await;
}

#[tokio::test]
async fn without_a_master_key_receipts_say_that_they_are_unsigned() {
    let app = TestApp::with(|config| config.crypto.master_key = None).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let receipt = admin.get(&format!("/api/evaluations/{evaluation}/receipt")).await.expect(200);
    assert_eq!((&receipt["signature"], &receipt["public_key"]), (&Value::Null, &Value::Null));
    assert!(receipt["unsigned_because"].as_str().unwrap().contains("no master key"));
    let verification = verified(&admin, &evaluation).await;
    assert_eq!(
        (&verification["verdict"], parts(&verification, "cannot_be_computed")),
        (&json!("cannot_be_computed"), vec!["signature".to_owned()]),
        "nobody vouches for it"
    );
    admin.post("/api/receipt-keys", &json!({})).await.refused(409, "illegal-state");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.json");
    std::fs::write(&path, bundle(&admin, &evaluation).await).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(plumbline(&[path]).status.code(), Some(2), "nobody signed it");
    assert_eq!(plumbline(&[path, "--allow-unsigned"]).status.code(), Some(0));
    app.finish().await;
}

#[tokio::test]
async fn a_key_under_another_master_key_is_never_passed_over() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    evaluated(&app, &tenant).await;
    let other = "v1.0000000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    app.database.execute(&format!("update {}.receipt_keys set sealed_private_key = '{other}'", tenant.schema)).await;
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let failure = app.call(&admin, &call).await["failure"].clone();
    assert_eq!((&failure["stage"], &failure["kind"]), (&json!("score"), &json!("receipt_key")), "{failure}");
    admin.post("/api/receipt-keys", &json!({})).await.expect(201);
    admin.post(&format!("/api/calls/{call}/retry"), &json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(app.call(&admin, &call).await["status"], json!("evaluated"), "a new key mends it");
    app.finish().await;
}

#[tokio::test]
async fn who_may_have_what_of_a_receipt() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (agent, abe) = app.agent(&tenant, &tenant.sales, "abe").await;
    let mut own = conversation(&tenant.sales);
    own["agent_id"] = json!(agent);
    let call = app.send(&admin, &own).await;
    app.drain().await;
    let (_, others) = evaluated(&app, &tenant).await;
    let evaluation = app.analysis(&admin, &call).await.text_at("/evaluation/evaluation_id");
    let path = |evaluation: &str, tail: &str| format!("/api/evaluations/{evaluation}/{tail}");
    let receipt = abe.get(&path(&evaluation, "receipt")).await.expect(200);
    assert!(receipt["signature"].is_string(), "an agent can show what was measured");
    abe.get(&path(&others, "receipt")).await.refused(404, "not-found");
    abe.get(&path(&evaluation, "receipt-bundle")).await.refused(403, "forbidden");
    abe.post(&path(&evaluation, "verify"), &json!({})).await.refused(403, "forbidden");
    let evaluator = app.caller(&tenant, "eve", "evaluator", &["sales"]);
    assert_eq!(verified(&evaluator, &evaluation).await["verdict"], json!("same"));
    evaluator.post("/api/receipt-keys", &json!({})).await.refused(403, "forbidden");
    app.caller(&tenant, "sue", "evaluator", &["support"])
        .post(&path(&evaluation, "verify"), &json!({}))
        .await
        .refused(404, "not-found");
    // Not scored yet.
    bind(&app, &tenant, &crate::hostile::attack_named("trap_unreachable"), "{}", "hold").await;
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    let held = app.analysis(&admin, &call).await.text_at("/evaluation/evaluation_id");
    admin.get(&path(&held, "receipt")).await.refused(409, "illegal-state");
    admin.get(&path(&held, "receipt-bundle")).await.refused(409, "illegal-state");
    admin.post(&path(&held, "verify"), &json!({})).await.refused(409, "illegal-state");
    app.finish().await;
}

/// What a change of a bundle comes to: refused as unreadable, or found.
async fn noticed(bytes: &[u8], provided: &Provided) -> bool {
    match Bundle::read(bytes) {
        Err(_) => true,
        Ok((bundle, receipt)) => verify(&bundle, &receipt, provided).await.verdict() == Finding::Differs,
    }
}

#[tokio::test]
async fn one_changed_byte_anywhere_is_found() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    bind(&app, &tenant, EXAMPLE, EXAMPLE_SETTINGS, "fail").await;
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let text = bundle(&admin, &evaluation).await;
    let plugin = PluginHost::new(Limits::default()).unwrap().load(EXAMPLE).await.unwrap();
    let (whole, receipt) = Bundle::read(text.as_bytes()).unwrap();
    let keys = whole.receipt.public_key.clone().map(|key| vec![key]);
    let provided = Provided { plugins: vec![plugin], keys, ..Provided::default() };
    assert_eq!(verify(&whole, &receipt, &provided).await.verdict(), Finding::Same);
    assert!(Bundle::read(format!("{text}\n").as_bytes()).is_ok(), "a line feed at the end is nobody's change");

    let seed = std::env::var("PLUMBLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bytes = text.clone().into_bytes();
    for _ in 0..600 {
        let at = rng.random_range(0..bytes.len());
        let (before, bit) = (bytes[at], 1 << rng.random_range(0..8));
        bytes[at] ^= bit;
        assert!(noticed(&bytes, &provided).await, "seed {seed}: bit {bit} of byte {at}, {:?}", before as char);
        bytes[at] = before;
    }
    for _ in 0..100 {
        let at = rng.random_range(0..bytes.len());
        let mut changed = bytes.clone();
        changed.remove(at);
        assert!(noticed(&changed, &provided).await, "seed {seed}: byte {at} taken out");
        changed.insert(at, bytes[at]);
        changed.insert(at, rng.random());
        assert!(noticed(&changed, &provided).await, "seed {seed}: a byte put in at {at}");
    }
    app.finish().await;
}

/// Every leaf of a document, as the path to it.
fn leaves(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(value, format!("{at}/{key}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| leaves(value, format!("{at}/{n}"), found))
        }
        _ => found.push(at),
    }
}

#[tokio::test]
async fn every_changed_field_is_found_also_in_the_canonical_spelling() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let text = bundle(&app.admin(&tenant), &evaluation).await;
    let whole: Value = serde_json::from_str(&text).unwrap();
    let mut all = vec![];
    leaves(&whole, String::new(), &mut all);
    assert!(all.len() > 40, "{all:?}");
    let spelt = |document: &Value| plumbline::foundation::digest::canonical(document).into_bytes();
    for path in &all {
        for new in [json!(null), json!("x"), json!(7), json!(true)] {
            let mut changed = whole.clone();
            if std::mem::replace(changed.pointer_mut(path).unwrap(), new.clone()) != new {
                assert!(noticed(&spelt(&changed), &Provided::default()).await, "{path} becomes {new}");
            }
        }
    }
    // The same inside the payload, signed by somebody else: found when the tenant's keys are asked for.
    let key = crypto::SigningKey::generate().unwrap();
    let mut forged = whole.clone();
    let payload = whole["receipt"]["payload"].as_str().unwrap().replace("stand-in-phrase-rules-1", "a-better-model");
    forged["receipt"] =
        json!({"payload": payload, "signature": key.sign(payload.as_bytes()), "public_key": key.public_key()});
    let trusted = Provided {
        keys: Some(vec![whole["receipt"]["public_key"].as_str().unwrap().to_owned()]),
        ..Provided::default()
    };
    assert!(!noticed(text.as_bytes(), &trusted).await);
    assert!(noticed(&spelt(&forged), &trusted).await);
    app.finish().await;
}

/// Everything that a bundle can hold: rules, the language model, a person's answer that was carried, a plugin that answers, and its settings.
async fn full_bundle(app: &TestApp) -> String {
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let definition = json!({"name": "Full", "pass_mark": 50, "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "greeted", "question": "Greeted?", "guidance": "Yes if the agent says \"good morning\"."},
        {"key": "silent", "question": "Silent?", "answered_by": "rule", "rule": {"yes_when": {"phrase": {"any_of": ["silence"]}}}},
        {"key": "lets_speak", "question": "Lets speak?", "answered_by": "plugin"},
        {"key": "form", "question": "Right?", "answered_by": "human"}]}]});
    app.publish(&tenant, &tenant.sales, &definition).await;
    let settings = json!({"longest_turn_words": 8, "channels": ["chat"], "answers": "lets_speak"}).to_string();
    bind(app, &tenant, EXAMPLE, &settings, "fail").await;
    let (call, first) = evaluated(app, &tenant).await;
    let answer = json!({"criterion": "form", "verdict": "yes", "rationale": "Seen.", "quotes": ["gateway is down"]});
    admin.post(&format!("/api/evaluations/{first}/answers"), &answer).await.expect(200);
    app.drain_all().await;
    admin.post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "assess"})).await.expect(200);
    app.drain_all().await;
    let newest = app.analysis(&admin, &call).await.text_at("/evaluation/evaluation_id");
    bundle(&admin, &newest).await
}

/// Changes of one character of a text, one step of a number, the other truth value, and what is nothing.
fn near(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => {
            let count = text.chars().count();
            let at = |n: usize| -> String {
                let other = |c: char| if c == 'x' { 'y' } else { 'x' };
                text.chars().enumerate().map(|(i, c)| if i == n { other(c) } else { c }).collect()
            };
            let mut changed: Vec<String> = vec![format!("{text}x")];
            changed.extend([0, count / 2, count.saturating_sub(1)].into_iter().filter(|n| *n < count).map(at));
            changed.into_iter().map(Value::from).collect()
        }
        Value::Number(number) => number.as_i64().map_or_else(Vec::new, |number| vec![json!(number + 1), json!(null)]),
        Value::Bool(truth) => vec![json!(!truth)],
        _ => vec![json!(0), json!("x")],
    }
}

#[tokio::test]
async fn one_character_of_any_field_of_a_full_bundle_is_found() {
    let app = TestApp::start().await;
    let text = full_bundle(&app).await;
    let whole: Value = serde_json::from_str(&text).unwrap();
    for member in ["human_answers", "redaction", "scorer_settings", "transcript", "metrics"] {
        let empty = [json!(null), json!([]), json!({})].contains(&whole[member]);
        assert!(!empty, "{member}: {}", whole[member]);
    }
    assert!(whole.pointer("/human_answers/0/carried_from").is_some(), "{}", whole["human_answers"]);
    let plugin = PluginHost::new(Limits::default()).unwrap().load(EXAMPLE).await.unwrap();
    let provided = Provided { plugins: vec![plugin], ..Provided::default() };
    let spelt = |document: &Value| plumbline::foundation::digest::canonical(document).into_bytes();
    assert!(!noticed(&spelt(&whole), &provided).await);
    let mut all = vec![];
    leaves(&whole, String::new(), &mut all);
    assert!(all.len() > 80, "{}", all.len());
    let mut tried = 0;
    for path in &all {
        for new in near(whole.pointer(path).unwrap()) {
            let mut changed = whole.clone();
            *changed.pointer_mut(path).unwrap() = new.clone();
            assert!(noticed(&spelt(&changed), &provided).await, "{path} becomes {new}");
            tried += 1;
        }
        // And without it.
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut changed = whole.clone();
        let parent = changed.pointer_mut(parent).unwrap();
        match parent {
            Value::Object(members) => drop(members.remove(name)),
            Value::Array(items) => drop(items.remove(name.parse().unwrap())),
            _ => unreachable!("a leaf has a parent"),
        }
        assert!(noticed(&spelt(&changed), &provided).await, "{path} is taken out");
    }
    eprintln!("{} fields, {tried} changes", all.len());
    // Every field of what is signed.
    let payload: Value = serde_json::from_str(whole["receipt"]["payload"].as_str().unwrap()).unwrap();
    let mut all = vec![];
    leaves(&payload, String::new(), &mut all);
    for path in &all {
        for new in near(payload.pointer(path).unwrap()) {
            let mut receipt = payload.clone();
            *receipt.pointer_mut(path).unwrap() = new.clone();
            let mut changed = whole.clone();
            changed["receipt"]["payload"] = json!(plumbline::foundation::digest::canonical(&receipt));
            assert!(noticed(&spelt(&changed), &provided).await, "{path} of the receipt becomes {new}");
        }
    }
    app.finish().await;
}

fn plumbline(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plumbline"));
    command.arg("verify").args(arguments).env_remove("DATABASE_URL").output().unwrap()
}

#[tokio::test]
async fn the_command_line_computes_it_again_without_a_server() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (_, evaluation) = evaluated(&app, &tenant).await;
    let text = bundle(&admin, &evaluation).await;
    let key = admin.get("/api/receipt-keys").await.text_at("/keys/0/public_key");
    app.finish().await;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.json");
    let at = path.to_str().unwrap();
    std::fs::write(&path, &text).unwrap();
    let told = plumbline(&[at, "--key", &key]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let words = String::from_utf8(told.stdout).unwrap();
    assert!(words.contains("overall score: 87.50 in the receipt, 87.50 computed again"), "{words}");
    let said = |arguments: &[&str]| {
        let told = plumbline(&[&[at, "--json"], arguments].concat());
        let said: Value = serde_json::from_slice(&told.stdout).unwrap();
        (told.status.code().unwrap(), said["verdict"].clone(), said["key_trusted"].clone(), said)
    };
    let (code, verdict, trusted, json) = said(&["--key", &key]);
    assert_eq!((code, verdict, trusted, &json["evaluation_id"]), (0, json!("same"), json!(true), &json!(evaluation)));
    // Anybody can sign a bundle: nothing is the same before the key is known, or believed on purpose.
    let (code, verdict, trusted, _) = said(&[]);
    assert_eq!((code, verdict, trusted), (2, json!("cannot_be_computed"), json!(false)));
    let (code, verdict, trusted, _) = said(&["--accept-any-key"]);
    assert_eq!((code, verdict, trusted), (0, json!("same"), json!(false)));
    let (code, verdict, trusted, _) = said(&["--key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]);
    assert_eq!((code, verdict, trusted), (1, json!("differs"), json!(false)));
    assert_eq!(
        plumbline(&[at, "--key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]).status.code(),
        Some(1),
        "another's key"
    );
    assert_eq!(plumbline(&[at, "--audio", at]).status.code(), Some(1), "a written conversation has no recording");

    std::fs::write(&path, text.replace("\\\"overall\\\":8750", "\\\"overall\\\":9750")).unwrap();
    let told = plumbline(&[at]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    std::fs::write(&path, text.replace("Good morning, [NAME_1]", "Good evening, [NAME_1]")).unwrap();
    assert_eq!(plumbline(&[at]).status.code(), Some(1));
    for unreadable in ["", "{}", "no json", &text[..text.len() / 2], &text.replace("\"kind\"", " \"kind\"")] {
        std::fs::write(&path, unreadable).unwrap();
        let told = plumbline(&[at]);
        assert_eq!(told.status.code(), Some(2), "{told:?}");
        assert!(!told.stderr.is_empty() && !String::from_utf8_lossy(&told.stderr).contains("panicked"));
    }
    assert_eq!(plumbline(&[directory.path().join("none").to_str().unwrap()]).status.code(), Some(2));
    std::fs::write(&path, &text).unwrap();
    assert_eq!(plumbline(&[at, "--plugin", at]).status.code(), Some(2), "no plugin");
}

trait TextAt {
    fn text_at(&self, pointer: &str) -> String;
}

impl TextAt for Answer {
    fn text_at(&self, pointer: &str) -> String {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}: {}", self.body))
            .to_owned()
    }
}
