//! Suspended tenants: refused within seconds by every server, with nothing lost.

use plumbline::{app::App, foundation::config::Config, platform::db::Connections};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{TestApp, conversation};

#[tokio::test]
async fn a_suspended_tenant_is_kept_and_goes_on_when_it_is_resumed() {
    let app = TestApp::start().await;
    let acme = app.ready_tenant("acme").await;
    let (admin, operator) = (app.admin(&acme), app.operator());
    let call = app.send(&admin, &conversation(&acme.sales)).await;
    let path = |tail: &str| format!("/api/tenants/{}{tail}", acme.id);
    let etag = operator.get(&path("")).await.header("etag").to_owned();
    operator.post(&path("/resume"), &json!({})).await.expect(200); // it is active: nothing changes
    assert_eq!(operator.get(&path("")).await.header("etag"), etag);
    operator.post(&path("/suspend"), &json!({"reason": " "})).await.refused(400, "validation");
    let suspended = operator.post(&path("/suspend"), &json!({"reason": "unpaid"})).await.expect(200);
    assert_eq!((&suspended["status"], &suspended["status_reason"]), (&json!("suspended"), &json!("unpaid")));
    admin.get("/api/calls").await.refused(403, "tenant-suspended");
    admin.post("/api/calls", &conversation(&acme.sales)).await.refused(403, "tenant-suspended");
    admin.get(&path("")).await.refused(403, "tenant-suspended");
    for _ in 0..3 {
        app.drain().await;
        app.advance(1_000);
    }
    let jobs = format!(
        "select count(*) from platform.jobs where tenant_id = '{}' and status = 'ready' and attempts = 0",
        acme.id
    );
    assert_eq!(app.database.count(&jobs).await, 1, "its job waits");

    operator.post(&path("/resume"), &json!({})).await.expect(200);
    app.drain_all().await;
    assert_eq!(app.analysis(&admin, &call).await.expect(200)["call_status"], "evaluated");
    for (log, events) in [("platform".to_owned(), 2), (acme.schema.clone(), 2)] {
        let audited =
            format!("select count(*) from {log}.audit_events where action in ('tenant.suspended', 'tenant.resumed')");
        assert_eq!(app.database.count(&audited).await, events, "{log}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_recording_on_its_way_when_its_tenant_is_suspended_arrives_and_waits() {
    let app = TestApp::start().await;
    let acme = app.ready_tenant("acme").await;
    let (send, mut parts) = tokio::sync::mpsc::unbounded_channel::<std::io::Result<bytes::Bytes>>();
    let body = reqwest::Body::wrap_stream(futures_util::stream::poll_fn(move |context| parts.poll_recv(context)));
    let (admin, query) = (app.admin(&acme), format!("organization_id={}", acme.sales));
    let uploading = tokio::spawn(async move { admin.upload(&query, body).await });
    let recording = bytes::Bytes::from(crate::support::wav(440));
    send.send(Ok(recording.slice(..8_000))).unwrap();
    let begun = "select count(*) from platform.uploads";
    while app.database.count(begun).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let path = format!("/api/tenants/{}", acme.id);
    app.operator().post(&format!("{path}/suspend"), &json!({"reason": "r"})).await.expect(200);
    send.send(Ok(recording.slice(8_000..))).unwrap();
    drop(send);
    let call = uploading.await.unwrap().expect(202)["call_id"].as_str().unwrap().to_owned();
    app.drain().await;
    app.operator().post(&format!("{path}/resume"), &json!({})).await.expect(200);
    assert_eq!(app.call(&app.admin(&acme), &call).await["status"], "received", "nothing of it was done meanwhile");
    app.drain_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_notices_within_seconds() {
    let app = TestApp::start().await;
    let acme = app.tenant("acme").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (config, address) = (elsewhere(&app, listener.local_addr().unwrap()), listener.local_addr().unwrap());
    let connections = Connections::to(app.database.login.clone(), 2);
    let other = App::over(config, connections, app.clock.clone()).await.unwrap();
    let stop = CancellationToken::new();
    let (serving, stopped) = (stop.clone(), stop.drop_guard());
    tokio::spawn(async move {
        other.serve(poem::listener::TcpAcceptor::from_tokio(listener).unwrap(), serving).await.unwrap();
    });
    let mut there = app.admin(&acme);
    there.base = format!("http://{address}");
    there.get("/api/organizations").await.expect(200); // it knows the tenant now, for half a minute
    let path = format!("/api/tenants/{}", acme.id);
    for (act, body, status) in [("suspend", json!({"reason": "r"}), 403), ("resume", json!({}), 200)] {
        app.operator().post(&format!("{path}/{act}"), &body).await.expect(200);
        let since = std::time::Instant::now();
        while there.get("/api/organizations").await.status != status {
            assert!(since.elapsed().as_secs() < 8, "the other server has not noticed: {act}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    drop(stopped);
}

fn elsewhere(app: &TestApp, bind: std::net::SocketAddr) -> Config {
    let mut config = plumbline::foundation::config::load(None).unwrap();
    config.server.bind = bind;
    config.objects.bucket = None;
    config.objects.directory = app.objects.path().to_owned();
    config.identity.trust_development_issuer = true;
    config.speech.provider = Some(plumbline::foundation::config::SpeechProvider::None);
    config
}
