//! Archives of tenants: made, fetched, restored in another installation, and what is refused; clones and what they hide.

mod cloning;
mod damage;
mod export;
mod restore;

use bytes::Bytes;
use plumbline::{
    foundation::{
        access::{Grant, Permission},
        ids::TenantId,
    },
    platform::tenancy::quotas::Quotas,
    product::plugins::{
        binding::{NewBinding, bind},
        model::FailurePolicy,
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    plugins::EXAMPLE,
    support::{Answer, Client, TestApp, TestTenant, conversation, wav},
};

const SETTINGS: &str = r#"{"longest_turn_words": 8, "deduct_hundredths": 250, "channels": ["chat"]}"#;

/// A tenant that has something of everything, and the ids of its calls: evaluated, recorded, and one that waits.
struct Lived {
    tenant: TestTenant,
    evaluated: String,
    recorded: String,
    waiting: String,
}

#[allow(clippy::disallowed_methods, reason = "a test's own grant")]
async fn bind_example(app: &TestApp, tenant: &TestTenant) {
    let grant = Grant::system(tenant.id, tenant.root, tenant.sales.parse().unwrap(), "test", Permission::ManagePlugins);
    let new = NewBinding {
        organization: tenant.sales.parse().unwrap(),
        component: Bytes::from_static(EXAMPLE),
        settings: serde_json::from_str(SETTINGS).unwrap(),
        policy: FailurePolicy::Fail,
    };
    let means = app.app.means();
    bind(&means.db, means.objects.as_ref(), &means.plugins, &grant, &Quotas::default(), new, app.now()).await.unwrap();
}

async fn live(app: &TestApp, slug: &str) -> Lived {
    let tenant = app.ready_tenant(slug).await;
    let admin = app.admin(&tenant);
    bind_example(app, &tenant).await;
    let (agent, _) = app.agent(&tenant, &tenant.sales, "Ana Álvarez").await;
    let mut said = conversation(&tenant.sales);
    (said["agent_id"], said["external_id"]) = (json!(agent), json!("order-4711\t\\N"));
    said["utterances"][1]["text"] = json!("My gateway is down.\nTwice, in Zürich; \\. and \t and \"quotes\" too.");
    let evaluated = app.send(&admin, &said).await;
    app.drain().await;
    let sent = admin.upload(&format!("organization_id={}&external_id=tape-1", tenant.support), wav(3)).await;
    let recorded = sent.text("call_id");
    app.drain().await; // nobody recognises speech here, so that the call fails and says so
    let waiting = app.send(&admin, &conversation(&tenant.sales)).await;
    Lived { tenant, evaluated, recorded, waiting }
}

/// Asks for something, lets the operator's process do it, and gives the operation as it then is.
async fn done(app: &TestApp, asked: Answer) -> Value {
    let operation = asked.expect(202);
    app.operate().await;
    seen(app, &operation).await
}

async fn seen(app: &TestApp, operation: &Value) -> Value {
    let id = operation["operation_id"].as_str().unwrap();
    app.operator().get(&format!("/api/operations/{id}")).await.expect(200)
}

#[track_caller]
fn succeeded(operation: &Value) {
    assert_eq!(operation["status"], "succeeded", "{operation:#}");
}

#[track_caller]
fn failed(operation: &Value, kind: &str) {
    assert_eq!((&operation["status"], &operation["error"]["kind"]), (&json!("failed"), &json!(kind)), "{operation:#}");
}

async fn ask_export(client: &Client, tenant: TenantId) -> Answer {
    client.post(&format!("/api/tenants/{tenant}/exports"), &Value::Null).await
}

/// The archive of a tenant, as its admin fetches it.
async fn archive_of(app: &TestApp, tenant: &TestTenant) -> Vec<u8> {
    let operation = done(app, ask_export(&app.operator(), tenant.id).await).await;
    succeeded(&operation);
    let id = operation["operation_id"].as_str().unwrap();
    let fetched = app.admin(tenant).get(&format!("/api/tenants/{}/exports/{id}/archive", tenant.id)).await;
    assert_eq!(fetched.status, 200, "{}", fetched.body);
    fetched.bytes
}

async fn ask_restore(app: &TestApp, slug: &str, archive: impl Into<reqwest::Body>) -> Answer {
    let issuer = app.issuer.open_realm(slug).unwrap();
    let path = format!("/api/tenants/restores?slug={slug}&name=Acme%20again&issuer={issuer}");
    let request = app.operator().request(Method::POST, &path);
    Answer::to(request.header("content-type", "application/octet-stream").body(archive)).await
}

async fn ask_clone(app: &TestApp, tenant: TenantId, slug: &str) -> Answer {
    let body = json!({"slug": slug, "name": "Sandbox", "issuer": app.issuer.open_realm(slug).unwrap()});
    app.operator().post(&format!("/api/tenants/{tenant}/clone"), &body).await
}

/// A tenant that an operation has made, as tests know tenants.
async fn made(app: &TestApp, slug: &str) -> TestTenant {
    let client = app.database.connect().await;
    let row = client
        .query_one("select tenant_id, root_organization_id, status from platform.tenants where slug = $1 and status <> 'destroyed'", &[&slug])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>("status"), "active");
    let (id, root) = (row.get("tenant_id"), row.get("root_organization_id"));
    let schema = plumbline::platform::db::schema_name(id);
    let organization = async |name: &str| {
        let query = format!("select organization_id::text from {schema}.organizations where slug = $1");
        client.query_one(&query, &[&name]).await.unwrap().get::<_, String>(0)
    };
    let (sales, support) = (organization("sales").await, organization("support").await);
    TestTenant { id, slug: slug.to_owned(), root, schema, sales, support }
}

/// Nothing of a tenant that should not be is there: no row, no schema, no job, no object but these.
async fn nothing_is_left(app: &TestApp, tenants: i64, jobs: i64, objects: &[String]) {
    let count = async |query: &str| app.database.count(query).await;
    assert_eq!(count("select count(*) from platform.tenants").await, tenants);
    assert_eq!(count("select count(*) from pg_namespace where nspname like 't\\_%'").await, tenants);
    assert_eq!(count("select count(*) from platform.jobs").await, jobs);
    let mut found = app.objects().await;
    found.sort();
    assert_eq!(found, objects);
}
