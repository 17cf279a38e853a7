//! PostgreSQL goes away while a recording arrives: the caller is told to come again, and nothing stays that belongs to no call.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use tokio::sync::mpsc;

use crate::support::{Database, TestApp, TestTenant, wav};

/// Ends the connections to the database, and lets nobody in or everybody.
pub async fn let_in(database: &Database, allowed: bool) {
    let name = database.owner.get_dbname().unwrap().to_owned();
    let mut elsewhere = database.clone();
    elsewhere.owner.dbname("postgres");
    elsewhere.execute(&format!("alter database {name} with allow_connections {allowed}")).await;
    let end = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'");
    elsewhere.count(&end).await;
}

async fn calls(app: &TestApp, tenant: &TestTenant) -> i64 {
    app.database.count(&format!("select count(*) from {}.calls", tenant.schema)).await
}

async fn notes(app: &TestApp) -> i64 {
    app.database.count("select count(*) from platform.uploads").await
}

/// The sweep of a second later leaves nothing, and the same recording is taken then.
async fn nothing_stays(app: TestApp, tenant: &TestTenant, query: &str, recording: Vec<u8>) {
    app.advance(1);
    app.app.sweep().await.unwrap();
    assert_eq!((calls(&app, tenant).await, notes(&app).await), (0, 0));
    assert_eq!(app.files(), Vec::<std::path::PathBuf>::new());
    app.admin(tenant).upload(query, recording).await.expect(202);
    assert_eq!((calls(&app, tenant).await, notes(&app).await, app.files().len()), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_goes_away_while_the_bytes_arrive() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let query = format!("organization_id={}", tenant.support);
    let recording = wav(440);
    let (send, mut parts) = mpsc::unbounded_channel::<io::Result<Bytes>>();
    let body = Body::wrap_stream(stream::poll_fn(move |context| parts.poll_recv(context)));
    let (client, to) = (app.admin(&tenant), query.clone());
    let answer = tokio::spawn(async move { client.upload(&to, body).await });
    send.send(Ok(Bytes::copy_from_slice(&recording[..8_000]))).unwrap();
    let mut begun = false;
    for _ in 0..500 {
        begun = notes(&app).await == 1;
        if begun {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(begun, "the upload never began");
    let_in(&app.database, false).await;
    send.send(Ok(Bytes::copy_from_slice(&recording[8_000..]))).unwrap();
    drop(send);
    let refused = answer.await.unwrap();
    assert!(!refused.header("retry-after").is_empty(), "{}", refused.body);
    refused.refused(503, "busy");

    let_in(&app.database, true).await;
    nothing_stays(app, &tenant, &query, recording).await;
}

/// The server cannot know whether the commit took effect: the recording must stay until the sweep can tell, by the upload's note.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_goes_away_in_the_middle_of_the_commit() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let query = format!("organization_id={}", tenant.support);
    let schema = &tenant.schema;
    app.database
        .execute(&format!(
            "create function {schema}.die() returns trigger language plpgsql security definer as $die$
             begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return null; end $die$;
             create constraint trigger die after insert on {schema}.calls deferrable initially deferred
                 for each row execute function {schema}.die();"
        ))
        .await;
    app.admin(&tenant).upload(&query, wav(440)).await.refused(503, "busy");
    assert_eq!((calls(&app, &tenant).await, notes(&app).await, app.files().len()), (0, 1, 1));

    app.database.execute(&format!("drop trigger die on {schema}.calls")).await;
    nothing_stays(app, &tenant, &query, wav(440)).await;
}
