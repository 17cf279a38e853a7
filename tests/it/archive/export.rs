//! Exports: who may have one, what is in it, and what a failed one leaves, which is nothing.

use object_store::ObjectStoreExt;
use plumbline::{
    app::App,
    platform::archive::{self, Unwatched},
};
use serde_json::json;

use super::{archive_of, ask_export, done, failed, live, seen, succeeded};
use crate::support::TestApp;

#[tokio::test]
async fn an_admin_fetches_what_an_operator_asked_for() {
    let app = TestApp::start().await;
    let lived = live(&app, "acme").await;
    let (tenant, admin) = (&lived.tenant, app.admin(&lived.tenant));
    let other = app.tenant("globex").await;
    let before = app.objects().await.len();
    let operation = done(&app, ask_export(&app.operator(), tenant.id).await).await;
    succeeded(&operation);
    let result = &operation["result"]["archive"];
    assert_eq!((&result["rows"]["calls"], &result["jobs"], &result["objects"]), (&json!(3), &json!(2), &json!(2)));
    assert_eq!(app.objects().await.len(), before + 1);

    let id = operation["operation_id"].as_str().unwrap();
    let path = format!("/api/tenants/{}/exports/{id}/archive", tenant.id);
    let whole = admin.get(&path).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "application/zstd"));
    assert_eq!(json!(whole.bytes.len()), result["size_bytes"]);
    assert_eq!(json!(plumbline::foundation::digest::of_bytes(&whole.bytes)), result["sha256"]);
    let part =
        crate::support::Answer::to(admin.request(reqwest::Method::GET, &path).header("range", "bytes=4-9")).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &whole.bytes[4..10]));
    let outside = admin.request(reqwest::Method::GET, &path).header("range", "bytes=999999999-");
    crate::support::Answer::to(outside).await.refused(416, "range-not-satisfiable");

    // Operators never see what calls say; nobody else's admin does either, or learns of it.
    app.operator().get(&path).await.refused(403, "forbidden");
    app.admin(&other).get(&path).await.refused(404, "not-found");
    let own = format!("/api/tenants/{}/exports/{id}/archive", other.id);
    app.admin(&other).get(&own).await.refused(404, "not-found");
    app.caller(tenant, "ann", "auditor", &[]).get(&path).await.refused(403, "forbidden");
    ask_export(&app.admin(&other), tenant.id).await.refused(404, "not-found");

    let logged = |action: &str| {
        let query = format!("select count(*) from {}.audit_events where action = '{action}'", tenant.schema);
        let database = app.database.clone();
        async move { database.count(&query).await }
    };
    assert_eq!((logged("tenant.exported").await, logged("archive.downloaded").await), (1, 2));

    // After its time it is nobody's.
    app.advance(7 * 24 * 3_600);
    admin.get(&path).await.refused(404, "not-found");
    app.advance(1_000 * 24 * 3_600);
    app.app.sweep().await.unwrap();
    assert!(!app.objects().await.iter().any(|key| key.starts_with("exports/")));
}

#[tokio::test]
async fn an_admin_exports_the_own_tenant_once_at_a_time() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let asked = ask_export(&admin, tenant.id).await;
    assert_eq!(asked.header("location"), format!("/api/operations/{}", asked.text("operation_id")));
    let first = asked.expect(202);
    ask_export(&admin, tenant.id).await.refused(409, "operation-open");
    ask_export(&app.operator(), tenant.id).await.refused(409, "operation-open");
    let id = first["operation_id"].as_str().unwrap();
    let path = format!("/api/tenants/{}/exports/{id}/archive", tenant.id);
    admin.get(&path).await.refused(404, "not-found");
    // Called off before it was begun: nothing is left, and another can be asked for.
    admin.post(&format!("/api/operations/{id}/cancel"), &json!({})).await.expect(200);
    app.operate().await;
    assert_eq!(seen(&app, &first).await["status"], "cancelled");
    assert_eq!(app.objects().await, Vec::<String>::new());
    admin.get(&path).await.refused(404, "not-found");
    let second = done(&app, ask_export(&admin, tenant.id).await).await;
    succeeded(&second);
    assert_eq!(second["requested_by"], "user:admin");
    let nowhere = plumbline::foundation::ids::TenantId::new();
    ask_export(&app.operator(), nowhere).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_leaving_tenant_is_exported_and_one_that_is_not_there_is_not() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    app.database.execute("update platform.tenants set status = 'leaving', leaves_at = now()").await;
    succeeded(&done(&app, ask_export(&app.operator(), tenant.id).await).await);
    for gone in ["provisioning", "destroyed"] {
        app.database.execute(&format!("update platform.tenants set status = '{gone}'")).await;
        ask_export(&app.operator(), tenant.id).await.refused(409, "illegal-state");
    }
}

#[tokio::test]
async fn an_object_that_is_missing_fails_the_export_unless_that_is_allowed() {
    let app = TestApp::start().await;
    let lived = live(&app, "acme").await;
    let tenant = &lived.tenant;
    let recording = app.objects().await.into_iter().find(|key| key.contains(&lived.recorded)).unwrap();
    app.app.objects().delete(&recording.as_str().into()).await.unwrap();
    let before = app.files().len();
    let operation = done(&app, ask_export(&app.operator(), tenant.id).await).await;
    failed(&operation, "objects-missing");
    assert_eq!(app.files().len(), before, "nothing half-made is left: {:?}", app.files());
    let path = format!("/api/tenants/{}/exports?allow_missing_objects=true", tenant.id);
    let operation = done(&app, app.operator().post(&path, &json!(null)).await).await;
    succeeded(&operation);
    assert_eq!(operation["result"]["archive"]["missing_objects"], 1);
}

#[tokio::test]
async fn a_row_that_names_an_object_of_another_tenant_fails_the_export() {
    let app = TestApp::start().await;
    let lived = live(&app, "acme").await;
    let foreign = plumbline::foundation::ids::TenantId::new();
    app.database
        .execute(&format!("update {}.audio_files set object_key = '{foreign}/2026/a'", lived.tenant.schema))
        .await;
    failed(&done(&app, ask_export(&app.operator(), lived.tenant.id).await).await, "foreign-object");
}

/// The order of bytes, rows and entries is the same each time: two archives of one moment differ in their header's time alone.
#[tokio::test]
async fn an_archive_says_of_every_entry_what_it_is() {
    let app = TestApp::start().await;
    let lived = live(&app, "acme").await;
    archive_of(&app, &lived.tenant).await;
    let key = app.objects().await.into_iter().find(|key| key.starts_with("exports/")).unwrap();
    let verified = archive::verify(app.app.objects().as_ref(), &key.as_str().into(), &Unwatched).await.unwrap();
    let (header, manifest) = verified;
    assert_eq!((header.tenant.slug.as_str(), header.tenant.tenant_id), ("acme", lived.tenant.id));
    let names: Vec<&str> = header.tables.iter().map(|table| table.name.as_str()).collect();
    let at = |name: &str| names.iter().position(|found| *found == name).unwrap();
    assert!(at("organizations") == 0 && at("users") < at("agents") && at("agents") < at("calls"), "{names:?}");
    assert!(at("calls") < at("utterances") && at("evaluations") < at("scores"), "{names:?}");
    assert_eq!(manifest.entries[0].path, "header.json");
    assert_eq!(manifest.tables.len(), names.len());
    assert!(manifest.entries.iter().any(|entry| entry.path == "tables/utterances/1.copy"));
    assert_eq!(manifest.objects.count, 2);
    assert_eq!(manifest.digest, manifest.own_digest());
    let _: &App = &app.app;
}
