//! Operations: their steps, what a crash leaves, calling off and retrying, and who may see and do what.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use chrono::TimeDelta;
use plumbline::{
    foundation::{
        access::{OperatorGrant, Permission},
        ids::{OperationId, OrganizationId, TenantId},
    },
    platform::{
        db::DbError,
        operations::{self, NewOperation, Procedure, Run, Runner, StepEnd, StepError},
    },
};
use serde_json::{Value, json};

use crate::support::{TestApp, TestTenant};

/// What the steps of [`Counted`] do next, and what they did.
#[derive(Default)]
struct Script {
    did: Mutex<Vec<String>>,
    fail: AtomicBool,
    stumble: AtomicBool,
    panic: AtomicBool,
    wait: AtomicBool,
    fail_to_call_off: AtomicBool,
}

struct Counted(Arc<Script>);

#[async_trait::async_trait]
impl Procedure for Counted {
    fn kind(&self) -> &'static str {
        "count"
    }

    fn steps(&self) -> &'static [&'static str] {
        &["begin", "work", "end"]
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        self.0.did.lock().unwrap().push(name.to_owned());
        if name == "begin" {
            run.keep("made", 7).await?;
        }
        if name == "work" {
            run.progress(1, Some(4)).await?;
            if self.0.wait.swap(false, Ordering::SeqCst) {
                return Ok(StepEnd::Wait { until: run.now() + TimeDelta::hours(1), reason: "it rains".to_owned() });
            }
            if self.0.stumble.swap(false, Ordering::SeqCst) {
                return Err(StepError::Temporary("the network".to_owned()));
            }
            if self.0.fail.swap(false, Ordering::SeqCst) {
                return Err(StepError::permanent("no-paper", "there is no paper"));
            }
            assert!(!self.0.panic.swap(false, Ordering::SeqCst), "a bug");
            assert_eq!(run.kept::<i32>("made").await?, Some(7));
        }
        Ok(StepEnd::Done(Some(format!("{name} is done"))))
    }

    async fn call_off(&self, _: &Run) -> Result<(), StepError> {
        self.0.did.lock().unwrap().push("call off".to_owned());
        if self.0.fail_to_call_off.swap(false, Ordering::SeqCst) {
            return Err(StepError::permanent("no-bin", "there is no bin"));
        }
        Ok(())
    }
}

struct World {
    app: TestApp,
    tenant: TestTenant,
    script: Arc<Script>,
    runner: Runner,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let tenant = app.tenant("acme").await;
        let script = Arc::new(Script::default());
        let counted = Arc::new(Counted(script.clone()));
        let runner = Runner::new(app.app.db().clone(), app.clock.clone(), 2, vec![counted]);
        Self { app, tenant, script, runner }
    }

    async fn start(&self) -> OperationId {
        begin(&self.app, (self.tenant.id, self.tenant.root)).await.unwrap()
    }

    async fn seen(&self, id: OperationId) -> Value {
        self.app.operator().get(&format!("/api/operations/{id}")).await.expect(200)
    }

    fn did(&self) -> Vec<String> {
        std::mem::take(&mut *self.script.did.lock().unwrap())
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own grant")]
async fn begin(app: &TestApp, tenant: (TenantId, OrganizationId)) -> Result<OperationId, DbError> {
    let grant = OperatorGrant::system("test", Permission::ManageTenants);
    let new = NewOperation {
        kind: "count",
        tenant: Some(tenant),
        input: json!({}),
        steps: &["begin", "work", "end"],
        run_at: app.now(),
        requested_by: "operator:olga".to_owned(),
    };
    operations::start(&app.app.db().operator_alone(&grant), &new, app.now()).await
}

#[tokio::test]
async fn steps_are_done_in_order_and_shown() {
    let world = World::new().await;
    let id = world.start().await;
    let waiting = world.seen(id).await;
    assert_eq!((&waiting["status"], &waiting["progress"]), (&json!("waiting"), &json!(0.0)));
    assert_eq!(world.runner.drain().await.unwrap(), 1);
    assert_eq!(world.did(), ["begin", "work", "end"]);
    let done = world.seen(id).await;
    assert_eq!(
        (&done["status"], &done["progress"], &done["result"]),
        (&json!("succeeded"), &json!(1.0), &json!({"made": 7}))
    );
    assert_eq!(done["steps"][1]["note"], "work is done");
    assert_eq!(done["steps"][1]["total"], 4);
    assert_eq!(
        world
            .app
            .database
            .count("select count(*) from platform.audit_events where action = 'operation.succeeded'")
            .await,
        1
    );
    world.app.operator().post(&format!("/api/operations/{id}/cancel"), &json!({})).await.refused(409, "illegal-state");
    world.app.operator().post(&format!("/api/operations/{id}/retry"), &json!({})).await.refused(409, "illegal-state");
}

#[tokio::test]
async fn a_failed_step_is_retried_where_it_failed() {
    let world = World::new().await;
    world.script.fail.store(true, Ordering::SeqCst);
    let id = world.start().await;
    world.runner.drain().await.unwrap();
    let failed = world.seen(id).await;
    assert_eq!((&failed["status"], &failed["error"]["kind"]), (&json!("failed"), &json!("no-paper")));
    assert_eq!(failed["steps"][1]["status"], "failed");
    assert_eq!(world.did(), ["begin", "work"]);
    let again = world.app.operator().post(&format!("/api/operations/{id}/retry"), &json!({})).await.expect(200);
    assert_eq!((&again["status"], &again["error"]), (&json!("waiting"), &Value::Null));
    world.runner.drain().await.unwrap();
    assert_eq!(world.did(), ["work", "end"], "what was done stays done");
    assert_eq!(world.seen(id).await["status"], "succeeded");
}

#[tokio::test]
async fn what_stumbles_waits_and_what_panics_fails() {
    let world = World::new().await;
    world.script.stumble.store(true, Ordering::SeqCst);
    let id = world.start().await;
    world.runner.drain().await.unwrap();
    let waits = world.seen(id).await;
    assert_eq!((&waits["status"], &waits["steps"][1]["note"]), (&json!("waiting"), &json!("the network")));
    world.app.advance(60);
    world.script.panic.store(true, Ordering::SeqCst);
    world.runner.drain().await.unwrap();
    assert_eq!(world.seen(id).await["error"]["kind"], "panic");
}

#[tokio::test]
async fn a_step_that_waits_is_called_off_in_between() {
    let world = World::new().await;
    world.script.wait.store(true, Ordering::SeqCst);
    let id = world.start().await;
    world.runner.drain().await.unwrap();
    assert_eq!(world.seen(id).await["steps"][1]["note"], "it rains");
    assert_eq!(world.runner.drain().await.unwrap(), 0, "its time has not come");
    let asked = world.app.operator().post(&format!("/api/operations/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!(asked["cancel_requested"], true);
    world.runner.drain().await.unwrap();
    assert_eq!(world.did(), ["begin", "work", "call off"]);
    assert_eq!(world.seen(id).await["status"], "cancelled");
}

#[tokio::test]
async fn what_was_half_taken_back_is_taken_back_and_never_goes_on() {
    let world = World::new().await;
    world.script.wait.store(true, Ordering::SeqCst);
    world.script.fail_to_call_off.store(true, Ordering::SeqCst);
    let id = world.start().await;
    world.runner.drain().await.unwrap();
    world.app.operator().post(&format!("/api/operations/{id}/cancel"), &json!({})).await.expect(200);
    world.runner.drain().await.unwrap();
    assert_eq!(world.seen(id).await["error"]["kind"], "no-bin");
    world.app.operator().post(&format!("/api/operations/{id}/retry"), &json!({})).await.expect(200);
    world.runner.drain().await.unwrap();
    assert_eq!(world.did(), ["begin", "work", "call off", "call off"], "no step is done on top of what is gone");
    assert_eq!(world.seen(id).await["status"], "cancelled");
}

#[tokio::test]
async fn a_silent_process_loses_its_operation_to_another() {
    let world = World::new().await;
    let id = world.start().await;
    let steal = format!(
        "update platform.operations set status = 'running', lease_token = gen_random_uuid(), leased_until = '{}',
             steps = jsonb_set(steps, '{{0,status}}', '\"done\"'), result = '{{\"made\": 7}}' where operation_id = '{id}'",
        world.app.now() + TimeDelta::seconds(10)
    );
    world.app.database.execute(&steal).await; // as a process leaves it that was killed in its second step
    assert_eq!(world.runner.drain().await.unwrap(), 0);
    world.app.advance(11);
    assert_eq!(world.runner.drain().await.unwrap(), 1);
    assert_eq!(world.did(), ["work", "end"]);
    assert_eq!(world.seen(id).await["status"], "succeeded");
}

#[tokio::test]
async fn not_two_of_a_kind_are_open_about_a_tenant() {
    let world = World::new().await;
    let tenant = (world.tenant.id, world.tenant.root);
    world.start().await;
    let second = begin(&world.app, tenant).await.unwrap_err();
    assert!(operations::is_open_already(&second), "{second}");
    world.runner.drain().await.unwrap();
    begin(&world.app, tenant).await.unwrap();
}

#[tokio::test]
async fn a_tenants_people_see_their_own_and_call_off_an_export_alone() {
    let world = World::new().await;
    let globex = world.app.tenant("globex").await;
    let (own, foreign) = (world.start().await, begin(&world.app, (globex.id, globex.root)).await.unwrap());
    let admin = world.app.admin(&world.tenant);
    let listed = admin.get("/api/operations").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["operation_id"], json!(own));
    let other = admin.get(&format!("/api/operations?tenant_id={}", globex.id)).await.expect(200);
    assert_eq!(other["items"], json!([]));
    admin.get(&format!("/api/operations/{foreign}")).await.refused(404, "not-found");
    admin.post(&format!("/api/operations/{foreign}/cancel"), &json!({})).await.refused(404, "not-found");
    admin.post(&format!("/api/operations/{own}/cancel"), &json!({})).await.refused(403, "forbidden");
    admin.post(&format!("/api/operations/{own}/retry"), &json!({})).await.refused(403, "forbidden");
    let auditor = world.app.caller(&world.tenant, "ann", "auditor", &[]);
    auditor.get(&format!("/api/operations/{own}")).await.expect(200);
    auditor.post(&format!("/api/operations/{own}/cancel"), &json!({})).await.refused(403, "forbidden");
    let all = world.app.operator().get("/api/operations?limit=1").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    assert!(all["next_cursor"].is_string(), "{all}");
    world.app.operator().get("/api/operations?status=never").await.refused(400, "validation");
}

#[tokio::test]
async fn operators_are_nobody_in_a_tenant_and_tenants_make_none() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    app.operator().get("/api/calls").await.refused(403, "forbidden");
    app.operator().get("/api/operations").await.expect(200);
    // A role that a tenant's own issuer gives.
    app.caller(&tenant, "eve", "platform_operator", &[]).get("/api/operations").await.refused(403, "forbidden");
    // Somebody of the operators' realm without the role.
    app.holder("plumbline-operators", "ned", "auditor", &[]).get("/api/operations").await.refused(403, "forbidden");
    // A tenant with the operators' issuer makes nobody of it a tenant's.
    let issuer = app.issuer.open_realm("plumbline-operators").unwrap();
    let claim = format!("update platform.tenants set issuer = '{issuer}' where tenant_id = '{}'", tenant.id);
    app.database.execute(&claim).await;
    app.holder("plumbline-operators", "olga", "tenant_admin", &[]).get("/api/calls").await.refused(403, "forbidden");
}
