//! Restorations: everything reads the same in another installation, and goes on from there; what is in the way is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use plumbline::{
    foundation::ids::{OrganizationId, TenantId},
    platform::db::{Bulk, newest_tenant_version, schema_name},
};
use serde_json::{Value, json};

use super::{archive_of, ask_restore, done, failed, live, made, nothing_is_left, seen, succeeded};
use crate::support::{TestApp, conversation, wav};

/// What everybody would look at.
fn readings(lived: &super::Lived) -> Vec<String> {
    let mut paths: Vec<String> =
        ["organizations", "users", "agents", "calls", "evaluations", "evaluation-criteria", "jobs"]
            .iter()
            .map(|list| format!("/api/{list}"))
            .collect();
    for call in [&lived.evaluated, &lived.recorded, &lived.waiting] {
        paths.push(format!("/api/calls/{call}"));
        paths.push(format!("/api/calls/{call}/analysis"));
        paths.push(format!("/api/calls/{call}/transcript"));
        paths.push(format!("/api/calls/{call}/audio"));
    }
    paths
}

#[tokio::test]
async fn everything_reads_the_same_in_another_installation_and_goes_on() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let lived = live(&here, "acme").await;
    let before = here.admin(&lived.tenant);
    let archive = archive_of(&here, &lived.tenant).await;
    let neighbour = there.tenant("globex").await;

    let operation = done(&there, ask_restore(&there, "acme-again", archive).await).await;
    succeeded(&operation);
    let restored = made(&there, "acme-again").await;
    assert!(restored.id != lived.tenant.id && restored.root == lived.tenant.root);
    let after = there.admin(&restored);
    for path in readings(&lived) {
        let (then, now) = (before.get(&path).await, after.get(&path).await);
        assert_eq!(then.status, now.status, "{path}");
        let known = |value: &Value| {
            let mut value = value.clone();
            if let Some(fields) = value.as_object_mut() {
                fields.remove("instance"); // the request's own id, in a problem
            }
            value
        };
        assert_eq!(known(&then.body), known(&now.body), "{path}");
        if then.body.is_null() {
            assert_eq!(then.bytes, now.bytes, "{path}");
        }
    }
    assert_eq!(after.get(&format!("/api/calls/{}/audio", lived.recorded)).await.bytes, wav(3));
    let log = |schema: &str| {
        format!(
            "select jsonb_agg(to_jsonb(e) order by audit_event_id)::text from {schema}.audit_events e where action not like '%export%' and action not like 'archive.%'"
        )
    };
    let read = async |app: &TestApp, schema: &str| -> String {
        app.database.connect().await.query_one(&log(schema), &[]).await.unwrap().get(0)
    };
    assert_eq!(read(&here, &lived.tenant.schema).await, read(&there, &restored.schema).await);

    // Keys lead to the tenant's own objects, and the archive has gone.
    let objects = there.objects().await;
    assert_eq!(objects.len(), 2, "{objects:?}");
    assert!(objects.iter().all(|key| key.starts_with(&restored.id.to_string())), "{objects:?}");
    // What waited goes on, and the plugin that is bound scores it.
    there.drain_all().await;
    assert_eq!(there.call(&after, &lived.waiting).await["overall_score"], json!(85.0));
    let new = there.send(&after, &conversation(&restored.sales)).await;
    there.drain_all().await;
    assert_eq!(there.call(&after, &new).await["overall_score"], json!(85.0));
    let sent = after.upload(&format!("organization_id={}", restored.sales), wav(9)).await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    there.admin(&neighbour).get(&format!("/api/calls/{new}")).await.refused(404, "not-found");
    let logged = "select count(*) from platform.audit_events where action = 'tenant.restored'";
    assert_eq!(there.database.count(logged).await, 1);
}

#[tokio::test]
async fn what_lives_here_is_not_restored_beside_itself() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let archive = archive_of(&app, &tenant).await;
    let objects = app.objects().await;
    ask_restore(&app, "acme", archive.clone()).await.refused(409, "conflict");
    ask_restore(&app, "acme-2", archive.clone()).await.refused(409, "conflict");
    for bad in ["a", "Acme", "acme-", "x'; drop schema platform cascade; --", "../etc"] {
        let answer = app.operator().request(reqwest::Method::POST, "/api/tenants/restores");
        let answer = answer.query(&[("slug", bad), ("issuer", "https://issuer.example/a")]).body(archive.clone());
        let answer = crate::support::Answer::to(answer.header("content-type", "application/octet-stream")).await;
        answer.refused(400, "validation");
    }
    nothing_is_left(&app, 1, 0, &objects).await;
    // Destroyed, it can come back.
    app.database
        .execute(&format!(
            "drop schema {} cascade; update platform.tenants set status = 'destroyed', destroyed_at = now()",
            tenant.schema
        ))
        .await;
    succeeded(&done(&app, ask_restore(&app, "acme", archive).await).await);
    let restored = made(&app, "acme").await;
    assert_eq!((restored.root, restored.sales), (tenant.root, tenant.sales));
    let report = app.operator().get(&format!("/api/tenants/{}/isolation-report", restored.id)).await.expect(200);
    assert_eq!(report["verdict"], "pass", "its tombstone has the same root organization: {report}");
}

#[tokio::test]
async fn only_operators_restore_and_clone() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let restore = admin.request(reqwest::Method::POST, "/api/tenants/restores?slug=ab&issuer=https://issuer.example/a");
    let restore = restore.header("content-type", "application/octet-stream").body("x");
    crate::support::Answer::to(restore).await.refused(403, "forbidden");
    let body = json!({"slug": "box", "name": "Box", "issuer": "https://issuer.example/box"});
    admin.post(&format!("/api/tenants/{}/clone", tenant.id), &body).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_archive_of_an_older_schema_becomes_a_tenant_of_the_newest() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let (tenant, root) = (TenantId::new(), OrganizationId::new());
    let schema = schema_name(tenant);
    let mut bulk = Bulk::connect(&here.database.owner).await.unwrap();
    bulk.create_schema(&schema, 1).await.unwrap();
    here.database
        .execute(&format!(
            "insert into platform.tenants (tenant_id, slug, name, issuer, root_organization_id, schema_version)
             values ('{tenant}', 'old', 'Old', 'https://issuer.example/old', '{root}', 1);
             insert into {schema}.organizations values
                 ('{root}', '{root}', 'old', 'Old', 'active', 1, now(), now()),
                 (gen_random_uuid(), '{root}', 'sales', 'Sales', 'active', 1, now(), now()),
                 (gen_random_uuid(), '{root}', 'support', 'Support', 'active', 1, now(), now());
             insert into {schema}.plugin_versions values ('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', '{root}', 'p', '1', 'scorer', 3, '{tenant}/plugins/a.wasm', now())"
        ))
        .await;
    let key = format!("{tenant}/plugins/a.wasm");
    object_store::ObjectStoreExt::put(here.app.objects().as_ref(), &key.as_str().into(), "abc".into()).await.unwrap();
    let operation = done(&here, super::ask_export(&here.operator(), tenant).await).await;
    succeeded(&operation);
    let key =
        plumbline::platform::archive::export_key(tenant, operation["operation_id"].as_str().unwrap().parse().unwrap());
    let archive = object_store::ObjectStoreExt::get(here.app.objects().as_ref(), &key.as_str().into()).await.unwrap();
    let archive = archive.bytes().await.unwrap();

    succeeded(&done(&there, ask_restore(&there, "old-again", archive).await).await);
    let restored = made(&there, "old-again").await;
    let version = format!("select schema_version::int8 from platform.tenants where tenant_id = '{}'", restored.id);
    assert_eq!(there.database.count(&version).await, i64::from(newest_tenant_version()));
    let counted = format!("select stored_bytes from {}.usage_totals", restored.schema);
    assert_eq!(there.database.count(&counted).await, 3, "the migration has seen the rows");
    assert_eq!(
        there.admin(&restored).get("/api/organizations").await.expect(200)["items"].as_array().unwrap().len(),
        3
    );
}

/// PostgreSQL ends the connections of the restoration while it works; it goes on where it was, and comes to the same end.
#[tokio::test]
async fn a_restoration_outlives_its_connections() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let lived = live(&here, "acme").await;
    let more = format!(
        "insert into {0}.utterances select call_id, n + 1000, organization_id, agent_id, 'customer', null, null, repeat('word ', 200)
         from {0}.calls, generate_series(1, 20000) n where call_id = '{1}'",
        lived.tenant.schema, lived.evaluated
    );
    here.database.execute(&more).await;
    let archive = archive_of(&here, &lived.tenant).await;
    let asked = ask_restore(&there, "acme-again", archive).await.expect(202);
    let (killed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let killing = tokio::spawn({
        let (killed, stop, database) = (killed.clone(), stop.clone(), there.database.clone());
        async move {
            let client = database.connect().await;
            let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = current_database() and application_name = 'plumbline-owner' and query like 'copy t%from stdin'";
            while !stop.load(Ordering::SeqCst) && killed.load(Ordering::SeqCst) < 2 {
                let count: i64 = client.query_one(kill, &[]).await.unwrap().get(0);
                killed.fetch_add(count.unsigned_abs(), Ordering::SeqCst);
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    });
    let mut waited = 0;
    for _ in 0..6 {
        there.operate().await;
        let operation = seen(&there, &asked).await;
        if operation["status"] == "succeeded" {
            break;
        }
        assert_eq!(operation["status"], "waiting", "{operation:#}");
        waited += 1;
        there.advance(600);
    }
    stop.store(true, Ordering::SeqCst);
    killing.await.unwrap();
    assert!(waited > 0 && killed.load(Ordering::SeqCst) > 0, "nothing was killed in the middle");
    let restored = made(&there, "acme-again").await;
    let count = format!("select count(*) from {}.utterances", restored.schema);
    let original = format!("select count(*) from {}.utterances", lived.tenant.schema);
    assert_eq!(there.database.count(&count).await, here.database.count(&original).await);
}

#[tokio::test]
async fn a_restoration_that_is_called_off_leaves_nothing() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let lived = live(&here, "acme").await;
    let archive = archive_of(&here, &lived.tenant).await;
    let asked = ask_restore(&there, "acme-again", archive).await.expect(202);
    // As a process leaves it that was killed when the rows were in.
    let id = asked["operation_id"].as_str().unwrap();
    there.operate().await;
    let restored = made(&there, "acme-again").await;
    let crash = format!(
        "update platform.tenants set status = 'provisioning' where tenant_id = '{}';
         update platform.operations set status = 'waiting', ended_at = null, run_at = created_at, cancel_requested = true,
             steps = jsonb_set(steps, '{{4,status}}', '\"waiting\"') where operation_id = '{id}'",
        restored.id
    );
    there.database.execute(&crash).await;
    there.operate().await;
    assert_eq!(seen(&there, &asked).await["status"], "cancelled");
    nothing_is_left(&there, 0, 0, &[]).await;
    // A slug that was taken meanwhile is told, and nothing stays either.
    let (elsewhere, archive) = (TestApp::start().await, archive_of(&here, &lived.tenant).await);
    let asked = ask_restore(&elsewhere, "taken", archive).await.expect(202);
    let taker = elsewhere.tenant("taken-by").await;
    elsewhere
        .database
        .execute(&format!("update platform.tenants set slug = 'taken' where tenant_id = '{}'", taker.id))
        .await;
    elsewhere.operate().await;
    failed(&seen(&elsewhere, &asked).await, "conflict");
    nothing_is_left(&elsewhere, 1, 0, &[]).await;
}
