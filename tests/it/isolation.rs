//! Nobody reaches anything without a token, and no tenant anything of another's, whatever operation is asked.

use plumbline::foundation::access::Role;
use serde_json::{Value, json};

use crate::{
    operations::{Ids, Operation, WITHOUT_TOKEN, all, covers},
    support::{TestApp, TestTenant, conversation},
};

/// One of everything, in a tenant's organization `sales`.
async fn furnished(app: &TestApp, tenant: &TestTenant) -> Ids {
    let admin = app.admin(tenant);
    let (agent, _) = app.agent(tenant, &tenant.sales, "abe").await;
    let users = admin.get("/api/users").await.expect(200);
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain().await;
    // Without criteria a call fails, and leaves a dead job.
    let no_criteria = app.organization_without_criteria(tenant).await;
    app.send(&admin, &conversation(&no_criteria)).await;
    app.drain().await;
    let job = app.jobs(tenant, "dead").await[0]["job_id"].as_str().unwrap().to_owned();
    let analysis = app.analysis(&admin, &call).await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (plugin, backtest) = crate::backtest::finished(app, tenant).await;
    let shadow = json!({"organization_id": tenant.sales, "digest": plugin, "mode": "shadow"});
    let binding = admin.post("/api/plugin-bindings", &shadow).await.text("binding_id");
    Ids {
        organization: tenant.sales.clone(),
        user: text(&users["items"][0]["user_id"]),
        agent,
        call,
        evaluation: text(&analysis["evaluation"]["evaluation_id"]),
        job,
        scorecard: text(&analysis["evaluation"]["scorecard_id"]),
        rescore: rescore(app, tenant).await,
        plugin,
        binding,
        backtest,
        operation: operation(app, tenant).await,
        tenant: tenant.id.to_string(),
    }
}

/// A re-score of the organization's calls, worked off.
async fn rescore(app: &TestApp, tenant: &TestTenant) -> String {
    let insert = format!(
        "insert into {0}.rescores (rescore_id, organization_id, scorecard_version_id, status, requested_by, created_at, ended_at)
         select gen_random_uuid(), organization_id, scorecard_version_id, 'succeeded', 'user:admin', now(), now()
         from {0}.scorecard_versions where organization_id = '{1}' limit 1 returning rescore_id::text",
        tenant.schema, tenant.sales
    );
    app.database.connect().await.query_one(&insert, &[]).await.unwrap().get(0)
}

/// A long request about the tenant.
async fn operation(app: &TestApp, tenant: &TestTenant) -> String {
    let insert = "insert into platform.operations
            (operation_id, kind, tenant_id, root_organization_id, input, steps, run_at, requested_by, created_at)
        values (gen_random_uuid(), 'export_tenant', $1, $2, '{}', '[]', now() + interval '1 year', 'user:admin', now())
        returning operation_id::text";
    app.database.connect().await.query_one(insert, &[&tenant.id, &tenant.root]).await.unwrap().get(0)
}

/// Everything that a tenant's admin can read of these things.
async fn everything(app: &TestApp, tenant: &TestTenant, ids: &Ids) -> Vec<(&'static str, Value)> {
    let mut read = vec![];
    let reads =
        |operation: &Operation| operation.method == reqwest::Method::GET && Role::TenantAdmin.may(operation.needs);
    for operation in all(ids).into_iter().filter(reads) {
        let answer = operation.by(&app.admin(tenant)).await;
        let expected = match operation.id {
            "get_audio" => 404,        // a written conversation
            "download_archive" => 404, // the export waits
            "get_certificate" => 404,  // it lives
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{}: {}", operation.id, answer.body);
        if expected == 200 {
            read.push((operation.id, answer.body));
        }
    }
    read
}

#[tokio::test]
async fn without_a_token_everything_is_401() {
    let app = TestApp::start().await;
    let anonymous = app.anonymous();
    covers(&anonymous.get("/openapi.json").await.expect(200));
    for operation in all(&Ids::nowhere()) {
        let refused = operation.by(&anonymous).await;
        assert_eq!(refused.header("www-authenticate"), "Bearer", "{}", operation.id);
        refused.refused(401, "unauthorized");
    }
    assert_eq!(WITHOUT_TOKEN, ["report_transcription"]);
    let id = "00000000-0000-7000-8000-000000000000";
    let path = format!("/api/webhooks/transcriptions?tenant_id={id}&organization_id={id}&call_id={id}");
    let report = anonymous.request(reqwest::Method::POST, &path).header("x-plumbline-webhook", "");
    crate::support::Answer::to(report).await.refused(404, "not-found");
    app.finish().await;
}

#[tokio::test]
async fn a_tenant_reaches_nothing_of_another() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.ready_tenant("acme").await, app.ready_tenant("globex").await);
    let ids = furnished(&app, &acme).await;
    let before = everything(&app, &acme, &ids).await;
    let foreign: Vec<&String> = vec![
        &ids.organization,
        &ids.user,
        &ids.agent,
        &ids.call,
        &ids.evaluation,
        &ids.job,
        &ids.scorecard,
        &ids.rescore,
        &ids.backtest,
        &ids.operation,
        &ids.tenant,
    ];
    let strangers = [
        ("another tenant's admin", app.admin(&globex)),
        ("another tenant's evaluator", app.caller(&globex, "eve", "organization_admin", &["sales", "support"])),
        ("a colleague of another organization", app.caller(&acme, "max", "organization_admin", &["support"])),
        ("a colleague of none", app.caller(&acme, "lea", "organization_admin", &[])),
    ];
    for (who, stranger) in &strangers {
        for operation in all(&ids) {
            let answer = operation.by(stranger).await;
            let told = answer.body.to_string();
            let list = operation.id.starts_with("list_") && operation.id != "list_scorecard_versions";
            match answer.status {
                // A list is empty of what is foreign; nothing else is found, and nothing is made.
                200 if list => {}
                200 if operation.id == "lint_definition" => {} // it speaks of what was sent
                // Versions are the tenant's as a whole; of their runs nothing is told but that there are none.
                200 if matches!(operation.id, "get_plugin" | "get_plugin_statistics") && who.contains("colleague") => {}
                201 if matches!(operation.id, "create_organization" | "rotate_receipt_key") => {} // in the caller's own tenant
                400 | 403 | 404 | 409 | 422 => {}
                status => panic!("{who}, {}: {status} {told}", operation.id),
            }
            if answer.status < 300 {
                for id in &foreign {
                    assert!(!told.contains(id.as_str()), "{who} is shown {id} by {}: {told}", operation.id);
                }
            }
            if operation.path.contains(&ids.call) || operation.path.contains(&ids.scorecard) {
                assert!(matches!(answer.status, 404 | 403), "{who}, {}: {}", operation.id, answer.status);
            }
        }
    }
    assert_eq!(everything(&app, &acme, &ids).await, before, "nothing of it was changed");
    assert_eq!(app.database.count(&format!("select count(*) from {}.calls", globex.schema)).await, 0);
    let last = json!(ids.call);
    let own = app.admin(&acme).get("/api/calls").await.expect(200);
    assert!(own["items"].as_array().unwrap().iter().any(|call| call["call_id"] == last));
    app.finish().await;
}
