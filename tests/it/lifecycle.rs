//! Tenants made and changed; what a crash in the middle leaves; and who may do it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use plumbline::{
    foundation::ids::TenantId,
    platform::{
        db::schema_name,
        lifecycle::Provision,
        operations::{Procedure, Run, Runner, StepEnd, StepError},
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{Answer, Client, Database, TestApp};

pub const PROVISION_STEPS: [&str; 9] =
    ["row", "schema", "baseline", "organization", "roles", "objects", "issuer", "admin", "activate"];

/// A procedure whose process is killed at one step: before it does anything, or after it has done all and before that is recorded.
pub struct Killed<P> {
    pub inner: P,
    pub at: &'static str,
    pub afterwards: bool,
    pub reached: Arc<Notify>,
}

#[async_trait::async_trait]
impl<P: Procedure> Procedure for Killed<P> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn steps(&self) -> &'static [&'static str] {
        self.inner.steps()
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        if name != self.at {
            return self.inner.step(name, run).await;
        }
        if self.afterwards {
            let end = self.inner.step(name, run).await?;
            if matches!(end, StepEnd::Wait { .. }) {
                return Ok(end);
            }
        }
        self.reached.notify_one();
        std::future::pending().await
    }

    fn can_be_called_off(&self, step: &str) -> bool {
        self.inner.can_be_called_off(step)
    }
}

/// Runs operations with this procedure until it is killed, and lets its claim run out.
pub async fn killed<P: Procedure + 'static>(app: &TestApp, inner: P, at: &'static str, afterwards: bool) {
    let reached = Arc::new(Notify::new());
    let procedure = Arc::new(Killed { inner, at, afterwards, reached: reached.clone() });
    let runner = Runner::new(app.app.db().clone(), app.clock.clone(), 1, vec![procedure]);
    let process = tokio::spawn(async move {
        loop {
            runner.drain().await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let mut waited = 0;
    while tokio::time::timeout(std::time::Duration::from_millis(200), reached.notified()).await.is_err() {
        waited += 1;
        if waited % 5 == 0 {
            app.advance(45); // a step may wait for its time
        }
        assert!(waited < 600, "the step {at} is never reached");
    }
    process.abort();
    assert!(process.await.is_err());
    app.advance(31);
}

/// Who asks for a tenant, whose issuer is a realm of the same name.
pub fn wanted(app: &TestApp, slug: &str) -> Value {
    json!({
        "slug": slug, "name": format!("{slug} & sons"), "issuer": app.issuer.open_realm(slug).unwrap(),
        "admin": {"subject": "ada", "display_name": "Ada Admin", "email": "ada@example.com"},
    })
}

/// A tenant made by its operation: its id.
pub async fn provisioned(app: &TestApp, slug: &str) -> String {
    let asked = app.operator().post("/api/tenants", &wanted(app, slug)).await.expect(202);
    app.operate().await;
    let id = asked["tenant"]["tenant_id"].as_str().unwrap().to_owned();
    assert_eq!(tenant(app, &id).await["status"], "active", "{}", operation(app, &asked).await);
    id
}

pub async fn tenant(app: &TestApp, id: &str) -> Value {
    app.operator().get(&format!("/api/tenants/{id}")).await.expect(200)
}

/// The operation that a request was answered with, as it is now.
pub async fn operation(app: &TestApp, asked: &Value) -> Value {
    let id = asked["operation"]["operation_id"].as_str().unwrap();
    app.operator().get(&format!("/api/operations/{id}")).await.expect(200)
}

pub fn schema(id: &str) -> String {
    schema_name(id.parse::<TenantId>().unwrap())
}

async fn act(client: &Client, method: Method, path: &str, body: Value) -> Answer {
    Answer::to(client.request(method, path).json(&body)).await
}

/// All that a provisioned tenant is, in numbers that say whether something was done twice.
async fn state(app: &TestApp, id: &str) -> Vec<i64> {
    let schema = schema(id);
    let mut state = vec![];
    for query in [
        format!("select count(*) from platform.tenants where tenant_id = '{id}' and status = 'active'"),
        format!(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = '{schema}' and c.relkind = 'r'"
        ),
        format!("select count(*) from {schema}.organizations"),
        format!("select count(*) from {schema}.users"),
        format!("select count(*) from {schema}.audit_events where action = 'user.created'"),
        format!("select count(*) from platform.operations where tenant_id = '{id}' and status = 'succeeded'"),
    ] {
        state.push(app.database.count(&query).await);
    }
    state.push(app.objects().await.iter().filter(|key| key.starts_with(id)).count() as i64);
    state
}

#[tokio::test]
async fn provisioning_shows_its_steps_and_ends_in_a_tenant_that_is_served() {
    let app = TestApp::start().await;
    let operator = app.operator();
    let answer = operator.post("/api/tenants", &wanted(&app, "acme")).await;
    let location = answer.header("location").to_owned();
    let asked = answer.expect(202);
    assert_eq!(location, format!("/api/operations/{}", asked["operation"]["operation_id"].as_str().unwrap()));
    let (id, root) = (asked["tenant"]["tenant_id"].as_str().unwrap(), asked["tenant"]["root_organization_id"].clone());
    assert_eq!(
        (&asked["tenant"]["status"], &asked["operation"]["kind"]),
        (&json!("provisioning"), &json!("provision_tenant"))
    );
    let names: Vec<&str> =
        asked["operation"]["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, PROVISION_STEPS);
    let ada = app.holder("acme", "ada", "tenant_admin", &[]);
    ada.get("/api/organizations").await.refused(503, "tenant-not-ready");
    operator.post(&format!("/api/tenants/{id}/off-board"), &json!({})).await.refused(409, "illegal-state");

    assert_eq!(app.operate().await, 1);
    let done = operation(&app, &asked).await;
    assert_eq!((&done["status"], &done["progress"]), (&json!("succeeded"), &json!(1.0)), "{done}");
    assert!(
        done["steps"].as_array().unwrap().iter().all(|step| step["status"] == "done" && step["note"].is_string()),
        "{done}"
    );
    assert_eq!(done["steps"][6]["note"], "1 usable keys");
    assert!(!done.to_string().contains("ada@example.com"), "nobody's address is shown by an operation");

    assert_eq!(tenant(&app, id).await["status"], "active");
    let organizations = ada.get("/api/organizations").await.expect(200);
    assert_eq!(organizations["items"][0]["organization_id"], root);
    let users = ada.get("/api/users").await.expect(200);
    let user = &users["items"][0];
    assert_eq!(
        (&user["subject"], &user["email"], &user["organization_id"]),
        (&json!("ada"), &json!("ada@example.com"), &root)
    );
    assert_eq!(app.objects().await, [format!("{id}/.plumbline-tenant")]);
    let own = ada.get(&format!("/api/tenants/{id}")).await.expect(200);
    assert_eq!((&own["slug"], &own["under_legal_hold"]), (&json!("acme"), &json!(false)));
    for action in ["tenant.requested", "tenant.provisioned", "operation.succeeded"] {
        let audited =
            format!("select count(*) from platform.audit_events where action = '{action}' and tenant_id = '{id}'");
        assert_eq!(app.database.count(&audited).await, 1, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_any_step_of_provisioning_is_gone_on_from() {
    let app = TestApp::start().await;
    let undisturbed = provisioned(&app, "undisturbed").await;
    let expected = state(&app, &undisturbed).await;
    for (n, step) in PROVISION_STEPS.into_iter().enumerate() {
        for afterwards in [false, true] {
            let slug = format!("crashed-{n}-{}", if afterwards { "after" } else { "before" });
            let asked = app.operator().post("/api/tenants", &wanted(&app, &slug)).await.expect(202);
            let id = asked["tenant"]["tenant_id"].as_str().unwrap();
            killed(&app, Provision(app.app.tools(&app.database.owner)), step, afterwards).await;
            assert_eq!(operation(&app, &asked).await["status"], "running", "as a killed process leaves it");
            app.operate().await;
            assert_eq!(
                operation(&app, &asked).await["status"],
                "succeeded",
                "{step} {}",
                operation(&app, &asked).await
            );
            assert_eq!(state(&app, id).await, expected, "{step}, afterwards: {afterwards}");
        }
    }
}

/// Its database goes away at one step, as PostgreSQL does when it is killed and started again.
struct Outage<P> {
    inner: P,
    at: &'static str,
    database: Database,
    happened: AtomicBool,
}

#[async_trait::async_trait]
impl<P: Procedure> Procedure for Outage<P> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn steps(&self) -> &'static [&'static str] {
        self.inner.steps()
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        if name == self.at && !self.happened.swap(true, Ordering::SeqCst) {
            crate::outage::let_in(&self.database, false).await;
        }
        self.inner.step(name, run).await
    }
}

/// One run during which PostgreSQL goes away at a step; it is back afterwards, and the claim has run out.
pub async fn outage<P: Procedure + 'static>(app: &TestApp, inner: P, at: &'static str) {
    let procedure = Outage { inner, at, database: app.database.clone(), happened: AtomicBool::new(false) };
    let runner = Runner::new(app.app.db().clone(), app.clock.clone(), 1, vec![Arc::new(procedure)]);
    let _ = runner.drain().await; // it fails when it looks for more
    crate::outage::let_in(&app.database, true).await;
    app.advance(61);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_goes_away_in_the_middle_and_provisioning_goes_on() {
    let app = TestApp::start().await;
    for step in ["schema", "organization", "admin"] {
        let asked = app.operator().post("/api/tenants", &wanted(&app, &format!("away-{step}"))).await.expect(202);
        outage(&app, Provision(app.app.tools(&app.database.owner)), step).await;
        assert_ne!(operation(&app, &asked).await["status"], "failed");
        app.operate().await;
        assert_eq!(operation(&app, &asked).await["status"], "succeeded", "{step} {}", operation(&app, &asked).await);
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_asked_again_then_told_and_everything_is_taken_back() {
    let app = TestApp::start().await;
    let mut away = wanted(&app, "acme");
    away["issuer"] = json!("http://127.0.0.1:1/realms/acme");
    let asked = app.operator().post("/api/tenants", &away).await.expect(202);
    let id = asked["tenant"]["tenant_id"].as_str().unwrap();
    app.operate().await;
    let waits = operation(&app, &asked).await;
    assert_eq!((&waits["status"], &waits["steps"][6]["note"]), (&json!("waiting"), &json!("the issuer: not reached")));
    for _ in 0..6 {
        app.advance(120);
        app.operate().await;
    }
    let failed = operation(&app, &asked).await;
    assert_eq!((&failed["status"], &failed["error"]["kind"]), (&json!("failed"), &json!("temporary")), "{failed}");
    assert_eq!(failed["steps"][6]["status"], "failed");
    assert_eq!(tenant(&app, id).await["status"], "provisioning");

    let path = format!("/api/operations/{}", asked["operation"]["operation_id"].as_str().unwrap());
    app.operator().post(&format!("{path}/cancel"), &json!({})).await.expect(200);
    app.operate().await;
    assert_eq!(operation(&app, &asked).await["status"], "cancelled", "{}", operation(&app, &asked).await);
    app.operator().get(&format!("/api/tenants/{id}")).await.refused(404, "not-found");
    let schemas = format!("select count(*) from pg_namespace where nspname = '{}'", schema(id));
    assert_eq!((app.database.count(&schemas).await, app.objects().await), (0, vec![]));
    provisioned(&app, "acme").await; // the slug is free again
}

#[tokio::test]
async fn issuers_that_cannot_be_a_tenants_are_refused() {
    let app = TestApp::start().await;
    let operator = app.operator();
    let mut of_operators = wanted(&app, "acme");
    of_operators["issuer"] = json!(app.issuer.open_realm("plumbline-operators").unwrap());
    operator.post("/api/tenants", &of_operators).await.refused(400, "validation");
    let acme = provisioned(&app, "acme").await;
    let mut of_acme = wanted(&app, "globex");
    of_acme["issuer"] = json!(app.issuer.open_realm("acme").unwrap());
    let taken = operator.post("/api/tenants", &of_acme).await.refused(409, "conflict");
    assert_eq!((&taken["resource_id"], &taken["errors"][0]["field"]), (&json!(acme), &json!("issuer")));
    // What names itself otherwise is nobody's issuer, and trying again does not help.
    let mut other_name = wanted(&app, "globex");
    other_name["issuer"] = json!(format!("{}/", app.issuer.open_realm("globex").unwrap()));
    let asked = operator.post("/api/tenants", &other_name).await.expect(202);
    app.operate().await;
    let failed = operation(&app, &asked).await;
    assert_eq!(failed["error"]["kind"], "issuer", "{failed}");
}

#[tokio::test]
async fn hostile_slugs_are_refused_and_change_nothing() {
    let app = TestApp::start().await;
    let operator = app.operator();
    let schemas = "select count(*) from pg_namespace";
    let before = app.database.count(schemas).await;
    let long = "a".repeat(300);
    for slug in [
        "x'; drop schema platform cascade; --",
        "\"platform\"",
        "../../etc/passwd",
        "acme/../globex",
        "%00",
        "acme\u{0}",
        "аcme", // a Cyrillic letter
        "ａcme",
        "acme\u{202e}",
        "ACME",
        "acme ",
        "acme_1",
        "-acme",
        "acme-",
        "platform",
        "plumbline",
        "a1a2a3a4-0000-7000-8000-000000000000",
        "",
        "a",
        &long,
    ] {
        let mut body = json!({"slug": slug, "name": "N", "issuer": "https://id.example/realms/n"});
        operator.post("/api/tenants", &body).await.refused(400, "validation");
        body["slug"] = json!("sound");
        body["issuer"] = json!(slug);
        operator.post("/api/tenants", &body).await.refused(400, "validation");
        operator.get(&format!("/api/tenants?slug_prefix={}", urlencoded(slug))).await;
    }
    assert_eq!(app.database.count(schemas).await, before);
    assert_eq!(app.database.count("select count(*) from platform.tenants").await, 0);
    assert_eq!(app.database.count("select count(*) from platform.operations").await, 0);
}

fn urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn of_two_operators_at_once_one_makes_the_tenant() {
    let app = TestApp::start().await;
    let wanted = wanted(&app, "acme");
    let oscar = app.holder("plumbline-operators", "oscar", "platform_operator", &[]);
    let olga = app.operator();
    let (one, other) = tokio::join!(olga.post("/api/tenants", &wanted), oscar.post("/api/tenants", &wanted));
    let (made, refused) = if one.status == 202 { (one, other) } else { (other, one) };
    let made = made.expect(202);
    let refused = refused.refused(409, "conflict");
    assert_eq!(refused["resource_id"], made["tenant"]["tenant_id"]);
    assert_eq!(app.operate().await, 1);
    assert_eq!(app.database.count("select count(*) from platform.tenants").await, 1);
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_sent_again_under_its_key() {
    let app = TestApp::start().await;
    let (olga, wanted) = (app.operator(), wanted(&app, "acme"));
    let (one, other) =
        tokio::join!(olga.post_once("/api/tenants", "k1", &wanted), olga.post_once("/api/tenants", "k1", &wanted));
    let replayed = [&one, &other].iter().filter(|answer| answer.header("idempotency-replayed") == "true").count();
    let (one, other) = (one.expect(202), other.expect(202));
    assert_eq!((&one["operation"]["operation_id"], replayed), (&other["operation"]["operation_id"], 1));
    app.operate().await;
    let later = olga.post_once("/api/tenants", "k1", &wanted).await.expect(202);
    assert_eq!((&later["operation"]["status"], &later["tenant"]["status"]), (&json!("succeeded"), &json!("active")));
    let mut other = wanted.clone();
    other["name"] = json!("another");
    olga.post_once("/api/tenants", "k1", &other).await.refused(422, "idempotency-key-reused");
    olga.post("/api/tenants", &wanted).await.refused(409, "conflict");
}

#[tokio::test]
async fn a_tenant_is_changed_by_whoever_saw_it_last() {
    let app = TestApp::start().await;
    let acme = app.tenant("acme").await;
    let (operator, path) = (app.operator(), format!("/api/tenants/{}", acme.id));
    let etag = operator.get(&path).await.header("etag").to_owned();
    let change = async |tag: Option<&str>, body: Value| {
        let request = operator.request(Method::PATCH, &path).json(&body);
        Answer::to(match tag {
            Some(tag) => request.header("if-match", tag),
            None => request,
        })
        .await
    };
    change(None, json!({"name": "Acme Ltd"})).await.refused(428, "precondition-required");
    let renamed = change(Some(&etag), json!({"name": "Acme Ltd"})).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["slug"]), (&json!("Acme Ltd"), &json!("acme")));
    change(Some(&etag), json!({"name": "Acme Inc"})).await.refused(412, "stale-revision");
    change(Some("*"), json!({"slug": "other"})).await.refused(400, "unknown-field");
    // Another issuer counts at once, and the old one's tokens prove nothing.
    let (old, new) = (app.admin(&acme), app.issuer.open_realm("acme-two").unwrap());
    old.get("/api/organizations").await.expect(200);
    change(Some("*"), json!({"issuer": new})).await.expect(200);
    old.get("/api/organizations").await.refused(401, "unauthorized");
    app.holder("acme-two", "ann", "tenant_admin", &[]).get("/api/organizations").await.expect(200);
    let globex = app.tenant("globex").await;
    let taken = app.issuer.open_realm(&globex.slug).unwrap();
    change(Some("*"), json!({"issuer": taken})).await.refused(409, "conflict");
}

#[tokio::test]
async fn tenants_are_listed_in_pages_and_seen_by_their_own_people_alone() {
    let app = TestApp::start().await;
    for slug in ["acme", "acme-two", "globex"] {
        app.tenant(slug).await;
    }
    let operator = app.operator();
    let slugs = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|one| one["slug"].as_str().unwrap().to_owned()).collect()
    };
    let first = operator.get("/api/tenants?limit=2").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = operator.get(&format!("/api/tenants?limit=2&cursor={cursor}")).await.expect(200);
    let mut all = [slugs(&first), slugs(&second)].concat();
    all.sort();
    assert_eq!(all, ["acme", "acme-two", "globex"]);
    let some = operator.get("/api/tenants?slug_prefix=acme&status=active").await.expect(200);
    assert_eq!(some["items"].as_array().unwrap().len(), 2);
    assert_eq!(operator.get("/api/tenants?status=destroyed").await.expect(200)["items"], json!([]));
    let globex = first["items"]
        .as_array()
        .unwrap()
        .iter()
        .chain(second["items"].as_array().unwrap())
        .find(|one| one["slug"] == "globex")
        .unwrap();
    let path = format!("/api/tenants/{}", globex["tenant_id"].as_str().unwrap());
    let stranger = app.holder("acme", "ann", "tenant_admin", &[]);
    stranger.get(&path).await.refused(404, "not-found");
    stranger.get("/api/tenants").await.refused(403, "forbidden");
    act(&operator, Method::PUT, &format!("{path}/legal-hold"), json!({"reason": "case 7"})).await.expect(200);
    assert_eq!(operator.get(&path).await.expect(200)["legal_hold"], "case 7");
    let own = app.holder("globex", "gus", "auditor", &[]).get(&path).await.expect(200);
    assert_eq!((&own["under_legal_hold"], &own["legal_hold"]), (&json!(true), &Value::Null));
}
