//! Recordings on their way in: what is taken, what is refused, and what a broken upload leaves behind, which is nothing.

use std::time::Duration;

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{Answer, Client, TestApp, TestTenant, WAV_HEADER_BYTES, wav};

const FLAC: &[u8] = include_bytes!("../../src/demo/content/audio/billing-winter-bill.flac");

fn form(fields: &[(&'static str, &str)], audio: Vec<u8>) -> Form {
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, (*value).to_owned()));
    form.part("audio", Part::bytes(audio).file_name("call.wav").mime_str("audio/wav").unwrap())
}

async fn send_form(client: &Client, form: Form) -> Answer {
    Answer::to(client.request(Method::POST, "/api/calls").multipart(form)).await
}

/// Nothing of any upload is left but the calls themselves.
async fn nothing_but(app: &TestApp, tenant: &TestTenant, calls: i64) {
    let schema = &tenant.schema;
    assert_eq!(app.database.count(&format!("select count(*) from {schema}.calls")).await, calls);
    assert_eq!(app.database.count(&format!("select count(*) from {schema}.audio_files")).await, calls);
    assert_eq!(app.database.count("select count(*) from platform.uploads").await, 0, "uploads that nobody ended");
    assert_eq!(app.objects().await.len(), usize::try_from(calls).unwrap());
    assert_eq!(app.files().len(), usize::try_from(calls).unwrap(), "{:?}", app.files());
}

#[tokio::test]
async fn a_recording_is_taken_once_in_either_form() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let query = format!("organization_id={}&external_id=a%201&agent_channel=1", tenant.sales);
    let first = admin.upload(&query, wav(1)).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let id = first.text("call_id");
    assert_eq!(first.header("location"), format!("/api/calls/{id}"));
    let said = ["status", "channel", "duration_ms", "external_id"].map(|field| first.body[field].clone());
    assert_eq!(said, [json!("received"), json!("phone"), json!(1_000), json!("a 1")]);

    // The same bytes in the other form are the same recording.
    let again = send_form(&admin, form(&[("organization_id", &tenant.sales)], wav(1))).await;
    assert_eq!(again.refused(409, "duplicate-audio")["resource_id"], json!(id));
    nothing_but(&app, &tenant, 1).await;

    // Another organization may have it as well; the two know nothing of each other.
    let other = send_form(&admin, form(&[("organization_id", &tenant.support), ("language", "en-GB")], wav(1))).await;
    assert_eq!((other.status, &other.body["language"]), (202, &json!("en-GB")), "{}", other.body);
    let flac = admin.upload(&format!("organization_id={}", tenant.sales), FLAC).await;
    assert_eq!(flac.status, 202, "{}", flac.body);
    assert!(flac.body["duration_ms"].as_i64().unwrap() > 10_000);
    nothing_but(&app, &tenant, 3).await;

    // Same external id, other bytes: refused by name, and not stored.
    let taken = admin.upload(&query, wav(2)).await.refused(409, "conflict");
    assert_eq!(taken["resource_id"], json!(id));
    nothing_but(&app, &tenant, 3).await;
    app.drain().await;
    let failure = &app.call(&admin, &id).await["failure"];
    assert_eq!((&failure["stage"], &failure["kind"]), (&json!("transcribe"), &json!("no_recogniser")));
    app.finish().await;
}

#[tokio::test]
async fn an_upload_is_repeated_under_its_key() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let path = format!("/api/calls?organization_id={}", tenant.sales);
    let bare = async |key: &str, bytes: Vec<u8>| {
        let request = admin.request(Method::POST, &path).header("idempotency-key", key);
        Answer::to(request.header("content-type", "application/octet-stream").body(bytes)).await
    };
    let first = bare("k1", wav(1)).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, ""));
    let again = bare("k1", wav(1)).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(again.body, first.body);
    bare("k1", wav(2)).await.refused(422, "idempotency-key-reused");
    let in_form = async |bytes: Vec<u8>| {
        let request = admin.request(Method::POST, "/api/calls").header("idempotency-key", "k2");
        Answer::to(request.multipart(form(&[("organization_id", &tenant.sales)], bytes))).await
    };
    let first = in_form(wav(3)).await;
    assert_eq!(in_form(wav(3)).await.body, first.body);
    in_form(wav(4)).await.refused(422, "idempotency-key-reused");
    nothing_but(&app, &tenant, 2).await;
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn of_two_at_once_one_is_taken() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let query = format!("organization_id={}", tenant.sales);
    for tone in 1..6 {
        let (one, other) = tokio::join!(admin.upload(&query, wav(tone)), admin.upload(&query, wav(tone)));
        let (taken, refused) = if one.status == 202 { (one, other) } else { (other, one) };
        assert_eq!(taken.status, 202, "{}", taken.body);
        assert_eq!(refused.refused(409, "duplicate-audio")["resource_id"], json!(taken.text("call_id")));
        nothing_but(&app, &tenant, i64::from(tone)).await;
    }
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_whole_recording_is_refused_and_leaves_nothing() {
    let app = TestApp::with(|config| config.upload.max_bytes = 20_000).await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let organization = format!("organization_id={}", tenant.sales);
    let mut cut = wav(1);
    cut.truncate(WAV_HEADER_BYTES + 5_000);
    let long = [wav(1), vec![0; 10_000]].concat();
    let cases = [
        (cut, 422, "truncated-audio"),
        (wav(1)[..20].to_vec(), 422, "truncated-audio"),
        (b"<html>not a recording</html>".to_vec(), 415, "not-audio"),
        (b"%PDF-1.7 renamed to call.wav".to_vec(), 415, "not-audio"),
        (vec![], 415, "not-audio"),
        (long, 413, "too-large"),
    ];
    for (bytes, status, slug) in cases {
        admin.upload(&organization, bytes.clone()).await.refused(status, slug);
        send_form(&admin, form(&[("organization_id", &tenant.sales)], bytes)).await.refused(status, slug);
        nothing_but(&app, &tenant, 0).await;
    }
    // No length announced: the limit holds while the bytes come.
    let pieces = (0..30).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 1_000]));
    let streamed = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    admin.upload(&organization, streamed).await.refused(413, "too-large");
    nothing_but(&app, &tenant, 0).await;

    let typed = admin.request(Method::POST, "/api/calls").header("content-type", "text/plain").body("hello");
    Answer::to(typed).await.refused(415, "unsupported-media-type");
    app.finish().await;
}

#[tokio::test]
async fn what_is_said_about_a_recording_is_checked_before_it_is_stored() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let nobody = "00000000-0000-7000-8000-000000000000";
    let (elsewhere, _) = app.agent(&tenant, &tenant.support, "sue").await;
    for (query, status, slug, field) in [
        (String::new(), 400, "validation", "organization_id"),
        (format!("organization_id={}&colour=red", tenant.sales), 400, "unknown-field", "colour"),
        (format!("organization_id={}&agent_channel=3", tenant.sales), 400, "validation", "agent_channel"),
        (format!("organization_id={}&external_id=a%00b", tenant.sales), 400, "validation", "external_id"),
        (format!("organization_id={nobody}"), 422, "unprocessable", "organization_id"),
        (format!("organization_id={}&agent_id={elsewhere}", tenant.sales), 422, "unprocessable", "agent_id"),
        (format!("organization_id={}&scorecard_id={nobody}", tenant.sales), 422, "unprocessable", "scorecard_id"),
    ] {
        let bare = admin.upload(&query, wav(1)).await.refused(status, slug);
        assert_eq!(bare["errors"][0]["field"], json!(field), "{bare}");
        let fields = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let form = fields.fold(Form::new(), |form, (name, value)| form.text(name, value));
        let refused = send_form(&admin, form.part("audio", Part::bytes(wav(1)))).await.refused(status, slug);
        assert_eq!(refused["errors"][0]["field"], json!(field), "{refused}");
    }
    let late = Form::new().part("audio", Part::bytes(wav(1))).text("organization_id", tenant.sales.clone());
    assert_eq!(send_form(&admin, late).await.status, 400, "fields come before the file");
    let after = form(&[("organization_id", &tenant.sales)], wav(1)).text("language", "en");
    assert_eq!(send_form(&admin, after).await.status, 400, "nothing comes after the file");
    nothing_but(&app, &tenant, 0).await;
    app.finish().await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_leaves_nothing() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    // Two parts of the store's size and more, so that some are on the disk already.
    let body = [wav(1), vec![1; 12_000_000]].concat();
    let mut connection = tokio::net::TcpStream::connect(admin.base.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /api/calls?organization_id={} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        tenant.sales,
        admin.token.as_deref().unwrap(),
        2 * body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body).await.unwrap();
    let mut seen = false;
    for _ in 0..500 {
        seen = app.database.count("select count(*) from platform.uploads").await == 1 && !app.files().is_empty();
        if seen {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(seen, "the upload never began");
    drop(connection);

    app.advance(1);
    for _ in 0..500 {
        app.app.sweep().await.unwrap();
        if app.database.count("select count(*) from platform.uploads").await == 0 && app.files().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    nothing_but(&app, &tenant, 0).await;
    app.finish().await;
}

#[tokio::test]
async fn an_object_that_nobody_finished_is_swept_and_others_stay() {
    let app = TestApp::with(|config| config.worker.abandoned_upload_seconds = 60).await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    admin.upload(&format!("organization_id={}", tenant.sales), wav(1)).await.expect(202);
    // What a crash between the object and its call leaves behind.
    let orphan = object_store::path::Path::from(format!("{}/2026/x/y", tenant.id));
    object_store::ObjectStoreExt::put(app.app.objects().as_ref(), &orphan, wav(2).into()).await.unwrap();
    let note = format!(
        "insert into platform.uploads values ('{orphan}', '{}', '{}', '{}')",
        tenant.id,
        tenant.sales,
        app.now().to_rfc3339()
    );
    app.database.execute(&note).await;
    assert_eq!(app.app.sweep().await.unwrap(), 0, "it is too young");
    app.advance(61);
    assert_eq!(app.app.sweep().await.unwrap(), 1);
    nothing_but(&app, &tenant, 1).await;
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn a_recording_is_played_whole_and_in_parts() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let bytes = wav(5);
    let sent = admin.upload(&format!("organization_id={}", tenant.sales), bytes.clone()).await;
    let path = format!("/api/calls/{}/audio", sent.text("call_id"));
    let size = bytes.len();
    let whole = admin.get(&path).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "audio/wav"));
    assert_eq!(whole.header("content-length"), size.to_string());
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.bytes == bytes, "the bytes come back as they went");
    for (range, from, to) in [("bytes=0-0", 0, 1), ("bytes=44-", 44, size), ("bytes=-100", size - 100, size)] {
        let part = Answer::to(admin.request(Method::GET, &path).header("range", range)).await;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/{size}", to - 1), "{range}");
        assert!(part.bytes == bytes[from..to], "{range}");
    }
    let outside = Answer::to(admin.request(Method::GET, &path).header("range", format!("bytes={size}-"))).await;
    assert_eq!(outside.header("content-range"), format!("bytes */{size}"));
    outside.refused(416, "range-not-satisfiable");
    let strange = Answer::to(admin.request(Method::GET, &path).header("range", "lines=1-2")).await;
    assert_eq!((strange.status, strange.bytes.len()), (200, size));
    let absent: Value =
        admin.get("/api/calls/00000000-0000-7000-8000-000000000000/audio").await.refused(404, "not-found");
    assert_eq!(absent["status"], json!(404));
    app.drain().await;
    app.finish().await;
}

/// An upload whose last bytes come when the test sends them.
async fn slow_upload(
    app: &TestApp,
    tenant: &TestTenant,
) -> (tokio::sync::mpsc::UnboundedSender<Vec<u8>>, tokio::task::JoinHandle<Answer>) {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    let pieces = futures_util::stream::unfold(receive, async |mut receive| {
        receive.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), receive))
    });
    let (admin, query) = (app.admin(tenant), format!("organization_id={}", tenant.sales));
    let body = reqwest::Body::wrap_stream(pieces);
    let answer = tokio::spawn(async move { admin.upload(&query, body).await });
    send.send(wav(1)[..1_000].to_vec()).unwrap();
    until(async || app.database.count("select count(*) from platform.uploads").await == 1).await;
    (send, answer)
}

async fn until(so: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came so far");
}

#[tokio::test]
async fn a_recording_whose_call_may_be_committed_is_left_to_the_sweep() {
    let app = TestApp::with(|config| config.worker.abandoned_upload_seconds = 60).await;
    let tenant = app.tenant("acme").await;
    let schema = &tenant.schema;
    // Only the end of the transaction fails, as it does for the client when the answer of a commit is lost.
    let broken = format!(
        "create function {schema}.lost() returns trigger language plpgsql as $$ begin raise exception 'lost'; end $$;
         create constraint trigger lost after insert on {schema}.calls deferrable initially deferred
         for each row execute function {schema}.lost()"
    );
    app.database.execute(&broken).await;
    let failed = app.admin(&tenant).upload(&format!("organization_id={}", tenant.sales), wav(1)).await;
    assert_eq!(failed.status, 500, "{}", failed.body);
    assert_eq!(app.objects().await.len(), 1, "nobody knows yet whether a call has it");
    assert_eq!(app.database.count("select count(*) from platform.uploads").await, 1);
    app.advance(61);
    assert_eq!(app.app.sweep().await.unwrap(), 1);
    nothing_but(&app, &tenant, 0).await;
    app.finish().await;
}

#[tokio::test]
async fn an_upload_that_the_sweep_has_taken_becomes_no_call() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let (send, answer) = slow_upload(&app, &tenant).await;
    app.database.execute("delete from platform.uploads").await;
    send.send(wav(1)[1_000..].to_vec()).unwrap();
    drop(send);
    answer.await.unwrap().refused(408, "request-timeout");
    nothing_but(&app, &tenant, 0).await;
    app.finish().await;
}

#[tokio::test]
async fn an_upload_that_runs_long_is_not_swept() {
    let app = TestApp::with(|config| config.worker.abandoned_upload_seconds = 6).await;
    let tenant = app.tenant("acme").await;
    let (send, answer) = slow_upload(&app, &tenant).await;
    app.advance(10);
    let noted = format!("select count(*) from platform.uploads where started_at >= '{}'", app.now().to_rfc3339());
    until(async || app.database.count(&noted).await == 1).await;
    assert_eq!(app.app.sweep().await.unwrap(), 0);
    send.send(wav(1)[1_000..].to_vec()).unwrap();
    drop(send);
    answer.await.unwrap().expect(202);
    nothing_but(&app, &tenant, 1).await;
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn a_note_that_a_call_is_about_to_end_is_not_swept() {
    let app = TestApp::with(|config| config.worker.abandoned_upload_seconds = 60).await;
    let tenant = app.tenant("acme").await;
    let orphan = object_store::path::Path::from(format!("{}/2026/x/y", tenant.id));
    object_store::ObjectStoreExt::put(app.app.objects().as_ref(), &orphan, wav(2).into()).await.unwrap();
    let at = app.now().to_rfc3339();
    let note = format!("insert into platform.uploads values ('{orphan}', '{}', '{}', '{at}')", tenant.id, tenant.sales);
    app.database.execute(&note).await;
    app.advance(61);
    let attaching = app.database.connect().await;
    attaching.batch_execute("begin; delete from platform.uploads").await.unwrap();
    assert_eq!(app.app.sweep().await.unwrap(), 0);
    assert_eq!(app.objects().await.len(), 1);
    attaching.batch_execute("rollback").await.unwrap();
    assert_eq!(app.app.sweep().await.unwrap(), 1);
    nothing_but(&app, &tenant, 0).await;
    app.finish().await;
}

#[tokio::test]
async fn a_form_whose_parts_have_no_end_of_their_heads_is_refused_soon() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let organization =
        format!("--b\r\nContent-Disposition: form-data; name=\"organization_id\"\r\n\r\n{}\r\n", tenant.sales);
    let file = [b"--b\r\nContent-Disposition: form-data; name=\"audio\"\r\n\r\n".as_slice(), &wav(1), b"\r\n"].concat();
    let padding = bytes::Bytes::from(vec![b'a'; 8 * 1024]);
    let heads = [
        b"no boundary ".to_vec(),
        b"--b\r\nContent-Disposition: form-data; name=\"audio\"; x=".to_vec(),
        [organization.as_bytes(), b"--b\r\nX: "].concat(),
        [organization.as_bytes(), &file, b"--b\r\nX: "].concat(),
    ];
    for (name, head) in heads.into_iter().enumerate() {
        let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = sent.clone();
        let pieces = std::iter::once(bytes::Bytes::from(head)).chain(std::iter::repeat_n(padding.clone(), 4 * 1024));
        let pieces = pieces.map(move |piece| {
            count.fetch_add(piece.len(), std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::io::Error>(piece)
        });
        let request =
            admin.request(Method::POST, "/api/calls").header("content-type", "multipart/form-data; boundary=b");
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let answer = request.body(body).timeout(Duration::from_secs(20)).send().await;
        // The server may have closed the connection before its answer was read; it has not taken in the 32 MiB.
        match answer {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 413, "{name}"),
            Err(error) => assert!(!error.is_timeout(), "{name}: {error}"),
        }
        let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
        assert!(sent < 16 * 1024 * 1024, "{name}: {sent} bytes were taken");
    }
    nothing_but(&app, &tenant, 0).await;
    // An ordinary form is nothing of the kind.
    let fields = Form::new()
        .text("external_id", "x".repeat(100))
        .text("language", "en")
        .text("organization_id", tenant.sales.clone())
        .part("audio", Part::bytes(wav(1)));
    send_form(&admin, fields).await.expect(202);
    app.drain().await;
    app.finish().await;
}
