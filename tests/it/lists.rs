//! The list of calls: every filter, and pages that neither repeat nor lose a call.

use serde_json::{Value, json};

use crate::support::{Client, TestApp, conversation};

fn ids(listed: &Value) -> Vec<String> {
    listed["items"].as_array().unwrap().iter().map(|call| call["call_id"].as_str().unwrap().to_owned()).collect()
}

async fn listed(client: &Client, query: &str) -> Vec<String> {
    let page = client.get(&format!("/api/calls?{query}")).await.expect(200);
    assert_eq!(page["next_cursor"], Value::Null, "{query}");
    ids(&page)
}

#[tokio::test]
async fn lists_are_narrowed_and_walked() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let (abe, _) = app.agent(&tenant, &tenant.sales, "abe").await;
    // Seven calls, newest last; three of them in the same instant.
    let mut sent = vec![];
    for n in 0..7 {
        let mut call = conversation(if n % 3 == 0 { &tenant.support } else { &tenant.sales });
        if n == 4 || n == 5 {
            call["agent_id"] = json!(abe);
        }
        if n == 2 {
            call["channel"] = json!("email");
        }
        if !(3..=4).contains(&n) {
            app.advance(60);
        }
        sent.push(app.send(&admin, &call).await);
    }
    let newest: Vec<String> = sent.iter().rev().cloned().collect();
    let of = |which: &[usize]| which.iter().rev().map(|n| sent[*n].clone()).collect::<Vec<_>>();

    assert_eq!(listed(&admin, "").await, newest);
    let sales = format!("organization_id={}", tenant.sales);
    assert_eq!(listed(&admin, &sales).await, of(&[1, 2, 4, 5]));
    assert_eq!(listed(&admin, &format!("agent_id={abe}")).await, of(&[4, 5]));
    assert_eq!(listed(&admin, "channel=email").await, of(&[2]));
    assert_eq!(listed(&admin, "status=transcribed").await, newest);
    assert_eq!(listed(&admin, "status=evaluated").await, of(&[]));
    // 0 came at 9:01, 1 at 9:02, 2, 3 and 4 at 9:03, 5 at 9:04, 6 at 9:05.
    assert_eq!(listed(&admin, "received_from=2026-11-23T09:03:00Z").await, of(&[2, 3, 4, 5, 6]));
    assert_eq!(listed(&admin, "received_before=2026-11-23T09:03:00Z").await, of(&[0, 1]));
    let both = "received_from=2026-11-23T09:03:00Z&received_before=2026-11-23T09:04:00Z";
    assert_eq!(listed(&admin, &format!("{both}&{sales}&channel=chat&agent_id={abe}")).await, of(&[4]));
    let eve = app.caller(&tenant, "eve", "evaluator", &["support"]);
    assert_eq!(listed(&eve, "").await, of(&[0, 3, 6]));
    for bad in ["status=lost", "channel=fax", "limit=0", "limit=201", "received_from=yesterday", "agent_id=abe"] {
        assert_eq!(admin.get(&format!("/api/calls?{bad}")).await.status, 400, "{bad}");
    }

    let mut walked = vec![];
    let mut cursor = String::new();
    for expected in [3, 3, 1] {
        let page = admin.get(&format!("/api/calls?limit=3{cursor}")).await.expect(200);
        assert_eq!(ids(&page).len(), expected);
        walked.extend(ids(&page));
        if expected == 3 {
            let next = page["next_cursor"].as_str().unwrap();
            let other = admin.get(&format!("/api/calls?channel=chat&cursor={next}")).await;
            other.refused(400, "invalid-cursor");
            admin.get(&format!("/api/users?cursor={next}")).await.refused(400, "invalid-cursor");
            cursor = format!("&cursor={next}");
            // What arrives meanwhile is newer and shifts nothing.
            app.advance(1);
            app.send(&admin, &conversation(&tenant.sales)).await;
        } else {
            assert_eq!(page["next_cursor"], Value::Null);
        }
    }
    assert_eq!(walked, newest);
    for bad in ["x", "%00", "e30", &"A".repeat(1_000)] {
        assert_eq!(admin.get(&format!("/api/calls?cursor={bad}")).await.status, 400, "{bad}");
    }
    app.drain().await;
    assert_eq!(listed(&admin, "status=evaluated").await.len(), 9);
    app.finish().await;
}
