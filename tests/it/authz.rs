//! Roles and permissions: the matrix for people to read, and every operation asked by every role.

use std::time::Duration;

use plumbline::{
    demo::issuer::TokenRequest,
    foundation::access::{Permission, Role},
};
use serde_json::json;

use crate::{
    operations::{Ids, all, covers},
    support::{TestApp, conversation, golden},
};

#[test]
fn the_matrix_is_as_its_golden_table() {
    let names: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
    let mut table =
        format!("# Who may do what\n\n| permission | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for permission in Permission::ALL {
        let cells: Vec<&str> = Role::ALL.iter().map(|role| if role.may(*permission) { "yes" } else { "" }).collect();
        table.push_str(&format!("| {} | {} |\n", permission.name(), cells.join(" | ")));
    }
    let everywhere: Vec<&str> =
        Role::ALL.iter().filter(|role| role.reaches_every_organization()).map(|role| role.name()).collect();
    table.push_str(&format!(
        "\nReach every organization of their tenant: {}. The others reach those that their token names; an agent, own calls alone.\n",
        everywhere.join(", ")
    ));
    golden("tests/golden/permissions.md", &table);
}

#[tokio::test]
async fn every_operation_keeps_to_the_matrix() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    covers(&app.anonymous().get("/openapi.json").await.expect(200));
    let (_, agent) = app.agent(&tenant, &tenant.sales, "abe").await;
    for role in Role::ALL {
        let client = match role {
            Role::Agent => agent.clone(),
            role => app.caller(&tenant, role.name(), role.name(), &["sales"]),
        };
        for operation in all(&Ids::nowhere()) {
            let answer = operation.by(&client).await;
            let what = format!("{} by {}: {} {}", operation.id, role.name(), answer.status, answer.body);
            // Operators are nobody in a tenant: what its issuer says of them counts for nothing.
            if *role != Role::PlatformOperator && role.may(operation.needs) {
                assert!(!matches!(answer.status, 401 | 403 | 500..), "{what}");
            } else {
                assert_eq!((answer.status, answer.body["type"].as_str()), (403, Some("/problems/forbidden")), "{what}");
            }
        }
    }
    // Roles of other applications are none of ours.
    let stranger = app.caller(&tenant, "sam", "superuser", &["sales"]);
    for operation in all(&Ids::nowhere()) {
        assert_eq!(operation.by(&stranger).await.status, 403, "{}", operation.id);
    }
    app.finish().await;
}

#[tokio::test]
async fn two_roles_do_not_multiply() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let request = TokenRequest {
        subject: "max".to_owned(),
        roles: vec!["organization_admin".to_owned(), "auditor".to_owned()],
        organizations: vec!["sales".to_owned()],
        audience: "plumbline".to_owned(),
        lifetime: Duration::from_secs(3_600),
    };
    let mut max = app.anonymous();
    max.token = Some(app.issuer.token(&tenant.slug, &request).unwrap());
    let agent = |organization: &str| json!({"organization_id": organization, "display_name": "Eve"});
    // He administers sales alone …
    max.post("/api/agents", &agent(&tenant.sales)).await.expect(201);
    max.post("/api/calls", &conversation(&tenant.sales)).await.expect(202);
    let agent = max.post("/api/agents", &agent(&tenant.support)).await;
    assert!((400..500).contains(&agent.status), "{} {}", agent.status, agent.body);
    let call = max.post("/api/calls", &conversation(&tenant.support)).await;
    assert!((400..500).contains(&call.status), "{} {}", call.status, call.body);
    // … and as an auditor reads both.
    let made = app.admin(&tenant).post("/api/calls", &conversation(&tenant.support)).await.expect(202);
    max.get(&format!("/api/calls/{}", made["call_id"].as_str().unwrap())).await.expect(200);
    app.drain_all().await;
    app.finish().await;
}
