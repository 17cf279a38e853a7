//! Clones: the shape of a tenant without anybody's words, names or ids.

use std::collections::BTreeSet;

use plumbline::platform::{
    archive::{Class, TABLES},
    db::{Bulk, schema_name},
};
use serde_json::{Value, json};

use super::{ask_clone, bind_example, done, failed, made, succeeded};
use crate::support::{TestApp, TestTenant, conversation, wav};

/// What is said and written nowhere else: none of it may be in a clone.
const CANARIES: &[&str] = &[
    "Zebulon",
    "Quackenbush",
    "zq-subject-77",
    "zeb@quack.example",
    "ORDER-ZQX-1",
    "Platypus",
    "Zanzibar",
    "Kumquat",
    "Žluťoučký",
    "ext-zq-9",
];

/// A tenant with canaries wherever the API takes what people write, and how often each organization's calls score.
async fn with_canaries(app: &TestApp) -> (TestTenant, Vec<String>) {
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    bind_example(app, &tenant).await;
    let user = json!({"organization_id": tenant.sales, "subject": "zq-subject-77", "display_name": "Zebulon Quackenbush",
        "email": "zeb@quack.example"});
    let user = admin.post("/api/users", &user).await.text("user_id");
    let agent = json!({"organization_id": tenant.sales, "display_name": "Zebulon Quackenbush", "user_id": user,
        "external_id": "ext-zq-9"});
    let agent = admin.post("/api/agents", &agent).await.text("agent_id");
    let mut said = conversation(&tenant.sales);
    (said["agent_id"], said["external_id"]) = (json!(agent), json!("ORDER-ZQX-1"));
    said["utterances"][0]["text"] = json!("Good morning, Zebulon Quackenbush here.");
    said["utterances"][1]["text"] =
        json!("My Platypus in Zanzibar is down, says Žluťoučký. I will refund Kumquat 4711.");
    said["utterances"][2]["text"] = json!("I see. Then I will send you a new Platypus one, Zebulon.");
    let zeb = app.caller(&tenant, "zq-subject-77", "organization_admin", &["sales"]);
    let mut calls = vec![zeb.post_once("/api/calls", "Kumquat-key", &said).await.text("call_id")];
    app.drain().await;
    let sent = admin.upload(&format!("organization_id={}&external_id=ORDER-ZQX-1", tenant.support), wav(5)).await;
    calls.push(sent.text("call_id"));
    app.drain().await;
    calls.push(app.send(&zeb, &conversation(&tenant.sales)).await); // still on its way
    (tenant, calls)
}

/// Every row of a schema as one text.
async fn everything(app: &TestApp, schema: &str) -> String {
    let client = app.database.connect().await;
    let bulk = Bulk::connect(&app.database.owner).await.unwrap();
    let mut text = String::new();
    for table in bulk.tables(schema).await.unwrap() {
        for row in client.query(&format!("select r::text from {schema}.\"{}\" r", table.name), &[]).await.unwrap() {
            text.push_str(&format!("{}: {}\n", table.name, row.get::<_, String>(0)));
        }
    }
    text
}

fn ids_in(text: &str) -> BTreeSet<String> {
    let is_id = |word: &&str| word.len() == 36 && uuid::Uuid::try_parse(word).is_ok();
    let other = |c: char| !(c.is_ascii_hexdigit() || c == '-');
    text.split(other).filter(is_id).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_clone_has_the_shape_of_the_original_and_nothing_of_anybody() {
    let app = TestApp::start().await;
    let (tenant, calls) = with_canaries(&app).await;
    let original = everything(&app, &tenant.schema).await;
    for canary in CANARIES {
        assert!(original.contains(canary), "{canary} was planted");
    }
    let operation = done(&app, ask_clone(&app, tenant.id, "sandbox").await).await;
    succeeded(&operation);
    let clone = made(&app, "sandbox").await;
    assert_eq!(operation["tenant_id"], json!(clone.id));
    assert!(operation["result"]["not_copied"]["audio_files"].as_str().unwrap().contains("voice"), "{operation:#}");

    let copied = everything(&app, &clone.schema).await;
    for canary in CANARIES {
        for spelled in [canary.to_string(), canary.to_lowercase(), canary.to_uppercase()] {
            assert!(!copied.contains(&spelled), "{spelled} is in the clone");
        }
    }
    let shared: Vec<_> = ids_in(&original).intersection(&ids_in(&copied)).cloned().collect();
    assert_eq!(shared, Vec::<String>::new(), "ids of the original");
    assert!(!copied.contains(&tenant.id.to_string()));

    // It reads as the original does: the same order, the same scores, quotes within their utterances.
    let (before, after) = (app.admin(&tenant), app.admin(&clone));
    let listed = after.get("/api/calls").await.expect(200);
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let of = |value: &Value, field: &str| {
        value["items"].as_array().unwrap().iter().map(|one| one[field].clone()).collect::<Vec<_>>()
    };
    let theirs = before.get("/api/calls").await.expect(200);
    assert_eq!(of(&theirs, "received_at"), of(&json!({ "items": listed }), "received_at"));
    assert_eq!(of(&theirs, "overall_score"), of(&json!({ "items": listed }), "overall_score"));
    let evaluated = listed[2]["call_id"].as_str().unwrap();
    assert!(!calls.iter().any(|call| call == evaluated));
    let analysis = app.analysis(&after, evaluated).await.expect(200);
    let was = app.analysis(&before, &calls[0]).await.expect(200);
    assert_eq!(analysis["evaluation"]["overall_score"], was["evaluation"]["overall_score"]);
    assert_eq!(analysis["evaluation"]["receipt"]["masked"], json!(true));
    assert_eq!(was["evaluation"]["receipt"]["masked"], Value::Null);
    assert_eq!(analysis["evaluation"]["receipt"]["transcript"], json!("0".repeat(64)));
    assert!(
        original.contains("receipt_keys: ") && !copied.contains("receipt_keys: "),
        "a clone has no key of the original"
    );
    let id = analysis["evaluation"]["evaluation_id"].as_str().unwrap();
    let receipt = after.get(&format!("/api/evaluations/{id}/receipt")).await.expect(200);
    assert_eq!((&receipt["signature"], &receipt["public_key"]), (&Value::Null, &Value::Null), "{receipt}");
    let verified = after.post(&format!("/api/evaluations/{id}/verify"), &json!({})).await.expect(200);
    assert_eq!(verified["verdict"], json!("cannot_be_computed"), "{verified:#}");
    let transcript = after.get(&format!("/api/calls/{evaluated}/transcript")).await.expect(200);
    assert_eq!(transcript["utterances"][0]["text"], "Xxxx xxxxxxx, Xxxxxxx Xxxxxxxxxxx xxxx.");
    let mut quotes = 0;
    for section in analysis["evaluation"]["sections"].as_array().unwrap() {
        for evidence in
            section["criteria"].as_array().unwrap().iter().flat_map(|one| one["evidence"].as_array().unwrap())
        {
            let Some(n) = evidence["utterance"].as_u64() else { continue };
            let text = transcript["utterances"][usize::try_from(n).unwrap() - 1]["text"].as_str().unwrap();
            assert!(text.contains(evidence["words"].as_str().unwrap()), "{evidence} in {text}");
            quotes += 1;
        }
    }
    assert!(quotes > 0);
    // Recordings stay where they are; calls that were on their way say that they stopped.
    let recorded = listed[1]["call_id"].as_str().unwrap();
    after.get(&format!("/api/calls/{recorded}/audio")).await.refused(404, "not-found");
    let stopped = app.call(&after, listed[0]["call_id"].as_str().unwrap()).await;
    assert_eq!(
        (&stopped["status"], &stopped["failure"]["kind"]),
        (&json!("failed"), &json!("masked_copy")),
        "{stopped:#}"
    );
    assert_eq!(app.jobs(&clone, "ready").await.len(), 0);
    let keys: Vec<String> =
        app.objects().await.into_iter().filter(|key| key.starts_with(&clone.id.to_string())).collect();
    assert_eq!(keys.len(), 1, "the plugin alone: {keys:?}");

    // And it works: a new call is scored by the copied plugin, and nobody of the original can look in.
    let new = app.send(&after, &conversation(&clone.sales)).await;
    app.drain_all().await;
    assert_eq!(app.call(&after, &new).await["overall_score"], json!(85.0));
    before.get(&format!("/api/calls/{new}")).await.refused(404, "not-found");
    let totals = format!("select plugins from {}.usage_totals", clone.schema);
    assert_eq!(app.database.count(&totals).await, 1);
}

#[tokio::test]
async fn two_clones_share_nothing_but_their_times() {
    let app = TestApp::start().await;
    let (tenant, _) = with_canaries(&app).await;
    succeeded(&done(&app, ask_clone(&app, tenant.id, "box-a").await).await);
    succeeded(&done(&app, ask_clone(&app, tenant.id, "box-b").await).await);
    ask_clone(&app, tenant.id, "box-b").await.refused(409, "conflict");
    let (a, b) = (made(&app, "box-a").await, made(&app, "box-b").await);
    let (a, b) = (everything(&app, &a.schema).await, everything(&app, &b.schema).await);
    assert!(ids_in(&a).is_disjoint(&ids_in(&b)));
    let pseudonyms = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !(c.is_alphanumeric() || c == '-'))
            .filter(|word| word.starts_with("masked-"))
            .map(str::to_owned)
            .collect()
    };
    assert!(!pseudonyms(&a).is_empty() && pseudonyms(&a).is_disjoint(&pseudonyms(&b)));
}

/// Whoever adds a column that can hold what people wrote decides what becomes of it in a clone.
#[tokio::test]
async fn every_column_that_can_hold_texts_is_decided_about() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let tables = Bulk::connect(&app.database.owner).await.unwrap().tables(&tenant.schema).await.unwrap();
    let there: BTreeSet<String> = tables.iter().map(|table| table.name.clone()).collect();
    let decided: BTreeSet<String> = TABLES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, decided, "src/platform/archive/masking.rs has every table of the schema");
    let harmless =
        ["uuid", "integer", "bigint", "smallint", "boolean", "date", "timestamp with time zone", "numeric(5,2)"];
    for table in &tables {
        let (_, class) = TABLES.iter().find(|(name, _)| *name == table.name).unwrap();
        let Class::Copied(columns) = class else { continue };
        let texts: BTreeSet<&str> = table
            .columns
            .iter()
            .filter(|column| !harmless.contains(&column.kind.as_str()))
            .map(|column| column.name.as_str())
            .collect();
        let decided: BTreeSet<&str> = columns.iter().map(|(name, _)| *name).collect();
        assert_eq!(texts, decided, "{}: decide in src/platform/archive/masking.rs", table.name);
    }
    let sequences = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'S' and n.nspname like 't\\_%'";
    assert_eq!(app.database.count(sequences).await, 0, "archives carry no state of sequences");
}

#[tokio::test]
async fn a_column_that_nobody_decided_about_fails_the_clone() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let other = app.tenant("globex").await;
    // Both schemas have it, as after a migration; the new one does not, so the schemas differ first.
    app.database.execute(&format!("alter table {}.calls add column mood text", tenant.schema)).await;
    failed(&done(&app, ask_clone(&app, tenant.id, "sandbox").await).await, "tenant-not-ready");
    let left = "select count(*) from platform.tenants where slug = 'sandbox'";
    assert_eq!(app.database.count(left).await, 0);
    assert_eq!(app.objects().await, Vec::<String>::new());
    // A row that names an object of somebody else is no reason to copy it.
    app.database
        .execute(&format!(
            "insert into {}.plugin_versions values (repeat('a', 64), '{}', 'p', '1', 'scorer', 3, '{}/plugins/a.wasm', now())",
            other.schema, other.root, tenant.id
        ))
        .await;
    failed(&done(&app, ask_clone(&app, other.id, "sandbox").await).await, "database");
    assert_eq!(app.database.count(left).await, 0);
    assert!(schema_name(tenant.id).starts_with("t_"));
    let nowhere = plumbline::foundation::ids::TenantId::new();
    ask_clone(&app, nowhere, "sandbox").await.refused(404, "not-found");
}
