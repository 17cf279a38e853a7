//! Roles and permissions: the matrix for people to read, and every operation asked by every role.

use plumbline::foundation::access::{Permission, Role};

use crate::{
    operations::{Ids, all, covers},
    support::{TestApp, golden},
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
            if role.may(operation.needs) {
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
