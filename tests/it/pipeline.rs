//! The stages, from a conversation to a score that can be computed again.

use serde_json::json;

use crate::support::{TestApp, conversation};

#[tokio::test]
async fn a_written_conversation_becomes_a_score_that_is_explained() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let id = app.send(&admin, &conversation(&tenant.sales)).await;
    assert_eq!(app.call(&admin, &id).await["status"], "transcribed");
    app.drain().await;

    let call = app.call(&admin, &id).await;
    assert_eq!((&call["status"], &call["overall_score"]), (&json!("evaluated"), &json!(87.5)), "{call}");
    let analysis = app.analysis(&admin, &id).await.expect(200);
    eprintln!("{analysis:#}");
    app.finish().await;
}
