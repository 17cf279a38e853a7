//! Plugins in the pipeline: what their runs leave, shadows, canaries with their rollback, failure policies, and what a guest gets to see.

mod canaries;
mod replays;
mod runs;
mod seen;
mod shadows;

use object_store::ObjectStoreExt;
use plumbline::foundation::{digest, ids::BindingId};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::support::{TestApp, TestTenant, conversation};

/// How a plugin is bound in a test.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    pub world: &'a str,
    pub settings: &'a str,
    pub policy: &'a str,
    pub mode: &'a str,
    /// Hundredths of a percent.
    pub share: Option<i32>,
    pub most_faults: i32,
    pub most_drift: i32,
    pub least_runs: i32,
}

impl Default for Bound<'_> {
    fn default() -> Self {
        Self {
            world: "scorer",
            settings: "{}",
            policy: "fail",
            mode: "active",
            share: None,
            most_faults: 500,
            most_drift: 10_000,
            least_runs: 20,
        }
    }
}

pub const SHADOW: Bound<'_> = Bound {
    world: "scorer",
    settings: "{}",
    policy: "fail",
    mode: "shadow",
    share: None,
    most_faults: 500,
    most_drift: 10_000,
    least_runs: 20,
};
pub const CANARY: Bound<'_> = Bound { mode: "canary", share: Some(10_000), ..SHADOW };

/// Stores a component and binds it to the tenant's sales organization.
pub async fn bind(app: &TestApp, tenant: &TestTenant, component: &[u8], bound: Bound<'_>) -> Uuid {
    let (digest, key) = (digest::of_bytes(component), format!("plugins/{}", digest::of_bytes(component)));
    let at = object_store::path::Path::from(key.as_str());
    app.app.objects().put(&at, component.to_vec().into()).await.unwrap();
    let (schema, organization, id) = (&tenant.schema, &tenant.sales, BindingId::new().0);
    let Bound { world, settings, policy, mode, share, most_faults, most_drift, least_runs } = bound;
    let share = share.map_or_else(|| "null".to_owned(), |share| share.to_string());
    app.database
        .execute(&format!(
            "insert into {schema}.plugin_versions (digest, organization_id, name, version, world, size_bytes, object_key, created_at)
                 values ('{digest}', '{root}', 'example', '1.0.0', '{world}', {size}, '{key}', now()) on conflict do nothing;
             insert into {schema}.plugin_bindings (binding_id, organization_id, digest, world, settings, failure_policy, created_at, mode,
                     canary_share, most_faults, most_drift, least_runs)
                 values ('{id}', '{organization}', '{digest}', '{world}', '{settings}', '{policy}', now(), '{mode}', {share}, {most_faults},
                     {most_drift}, {least_runs})",
            root = tenant.root,
            size = component.len()
        ))
        .await;
    id
}

pub async fn unbind(app: &TestApp, tenant: &TestTenant) {
    let (schema, root) = (&tenant.schema, tenant.root);
    let _ = root;
    app.database
        .execute(&format!(
            "update {schema}.plugin_bindings set ended_at = now(), ended_because = 'unbound' where ended_at is null"
        ))
        .await;
}

/// Sends the tests' conversation and works it off.
pub async fn scored(app: &TestApp, tenant: &TestTenant) -> String {
    let id = app.send(&app.admin(tenant), &conversation(&tenant.sales)).await;
    app.drain().await;
    id
}

/// The evaluation that a call shows.
pub async fn evaluation(app: &TestApp, tenant: &TestTenant, call: &str) -> Value {
    app.analysis(&app.admin(tenant), call).await.expect(200)["evaluation"].clone()
}

/// A run as the table has it.
#[derive(Debug)]
pub struct Run {
    pub call: Option<Uuid>,
    pub evaluation: Option<Uuid>,
    pub binding: Option<Uuid>,
    pub purpose: String,
    pub outcome: String,
    pub message: Option<String>,
    pub log: Value,
    pub log_truncated: i32,
    pub fuel: i64,
    pub memory_bytes: i64,
    pub overall: Option<i32>,
    pub counted: Option<i32>,
    pub output: Option<Value>,
}

impl Run {
    fn of(row: &Row) -> Self {
        Self {
            call: row.get("call_id"),
            evaluation: row.get("evaluation_id"),
            binding: row.get("binding_id"),
            purpose: row.get("purpose"),
            outcome: row.get("outcome"),
            message: row.get("message"),
            log: row.get("log"),
            log_truncated: row.get("log_truncated"),
            fuel: row.get("fuel"),
            memory_bytes: row.get("memory_bytes"),
            overall: row.get("overall"),
            counted: row.get("counted"),
            output: row.get("output"),
        }
    }

    /// Purpose, outcome, what it scored, and what that is held against.
    pub fn told(&self) -> (&str, &str, Option<i32>, Option<i32>) {
        (&self.purpose, &self.outcome, self.overall, self.counted)
    }
}

/// All runs, in the order in which they were recorded.
pub async fn all_runs(app: &TestApp, tenant: &TestTenant) -> Vec<Run> {
    let query = format!("select * from {}.plugin_runs order by ran_at, plugin_run_id", tenant.schema);
    app.database.connect().await.query(&query, &[]).await.unwrap().iter().map(Run::of).collect()
}

/// The runs of a call.
pub async fn runs_of(app: &TestApp, tenant: &TestTenant, call: &str) -> Vec<Run> {
    let call: Uuid = call.parse().unwrap();
    all_runs(app, tenant).await.into_iter().filter(|run| run.call == Some(call)).collect()
}

/// What computing an evaluation again says.
pub async fn verified(app: &TestApp, tenant: &TestTenant, evaluation: &Value) -> Value {
    let path = format!("/api/evaluations/{}/verify", evaluation["evaluation_id"].as_str().unwrap());
    app.admin(tenant).post(&path, &json!({})).await.expect(200)
}

/// Why a binding ended.
pub async fn ended(app: &TestApp, tenant: &TestTenant, binding: Uuid) -> Option<String> {
    let query = format!("select ended_because from {}.plugin_bindings where binding_id = $1", tenant.schema);
    app.database.connect().await.query_one(&query, &[&binding]).await.unwrap().get(0)
}
