//! Recordings in S3 servers: s3s-fs, in this process, which checks signatures, and moto beside it (`script/moto`), which tells what uploads it still holds.

use std::{fs, io::Cursor, path::Path, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use plumbline::foundation::config::Config;
use reqwest::{Method, header::RANGE};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::{io::AsyncWriteExt, net::TcpListener, net::TcpStream, task::JoinHandle};
use url::Url;

use crate::support::{Answer, Outside, TestApp, TestTenant, wav};

const BUCKET: &str = "calls";
const KEY_ID: &str = "AKIAEXAMPLE";
const SECRET: &str = "an-example-secret";

/// A server; it ends when this is dropped.
struct S3 {
    endpoint: Url,
    kind: Kind,
}

enum Kind {
    /// Its files lie in a directory.
    S3sFs {
        root: tempfile::TempDir,
        serving: JoinHandle<()>,
    },
    Moto {
        _running: Outside,
    },
}

impl S3 {
    /// Every server that is here; one that is not has said so.
    async fn each() -> Vec<Self> {
        [Some(Self::s3s_fs().await), Self::moto().await].into_iter().flatten().collect()
    }

    async fn s3s_fs() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let serving = tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let connection = server.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
                tokio::spawn(connection);
            }
        });
        Self { endpoint, kind: Kind::S3sFs { root, serving } }
    }

    async fn moto() -> Option<Self> {
        let running = Outside::start("moto", &[])?;
        let s3 = Self { endpoint: running.url.clone(), kind: Kind::Moto { _running: running } };
        let made = s3.request(Method::PUT, "").send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.status());
        Some(s3)
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::S3sFs { .. } => "s3s-fs",
            Kind::Moto { .. } => "moto",
        }
    }

    fn settings(&self, config: &mut Config) {
        config.objects.bucket = Some(BUCKET.to_owned());
        config.objects.endpoint = Some(self.endpoint.clone());
        config.objects.access_key_id = Some(KEY_ID.into());
        config.objects.secret_access_key = Some(SECRET.into());
    }

    /// A request to moto about the bucket; it wants a signature and does not check it.
    fn request(&self, method: Method, query: &str) -> reqwest::RequestBuilder {
        let url = self.endpoint.join(&format!("{BUCKET}{query}")).unwrap();
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential={KEY_ID}/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        );
        reqwest::Client::new().request(method, url).header(reqwest::header::AUTHORIZATION, signature)
    }

    /// Recordings, and uploads or their parts, that the server holds.
    async fn files(&self) -> Vec<String> {
        let Kind::S3sFs { root, .. } = &self.kind else {
            let (objects, uploads) = tokio::join!(self.keys("?list-type=2"), self.keys("?uploads"));
            return [objects, uploads].concat();
        };
        let mut files = Vec::new();
        let mut directories = vec![root.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                } else if is_data(&entry.path()) {
                    files.push(entry.path().strip_prefix(root.path()).unwrap().display().to_string());
                }
            }
        }
        files
    }

    /// The keys that a listing of moto names.
    async fn keys(&self, query: &str) -> Vec<String> {
        let answer = self.request(Method::GET, query).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{query}");
        let list = answer.text().await.unwrap();
        let keys = list.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned());
        keys.collect()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Kind::S3sFs { serving, .. } = &self.kind {
            serving.abort();
        }
    }
}

/// The server's own notes end in `.json`.
fn is_data(path: &Path) -> bool {
    path.extension().is_none_or(|kind| kind != "json")
}

/// A recording of several parts: 16-bit PCM without any repetition that a lost part could hide behind.
fn long_recording(bytes: usize) -> Vec<u8> {
    let mut recording = wav(1)[..44].to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while recording.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        recording.extend_from_slice(&state.to_le_bytes());
    }
    let length = u32::try_from(recording.len()).unwrap();
    recording[4..8].copy_from_slice(&(length - 8).to_le_bytes());
    recording[40..44].copy_from_slice(&(length - 44).to_le_bytes());
    recording
}

fn query(tenant: &TestTenant) -> String {
    format!("organization_id={}&language=en", tenant.support)
}

async fn notes(app: &TestApp) -> i64 {
    app.database.count("select count(*) from platform.uploads").await
}

async fn calls(app: &TestApp, tenant: &TestTenant) -> i64 {
    app.database.count(&format!("select count(*) from {}.calls", tenant.schema)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_goes_to_s3_in_parts_and_comes_back_in_any() {
    for s3 in S3::each().await {
        comes_back_in_any_part(&s3).await;
    }
}

async fn comes_back_in_any_part(s3: &S3) {
    let app = TestApp::with(|config| s3.settings(config)).await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let recording = long_recording(12 * 1024 * 1024 + 5);
    let id = admin.upload(&query(&tenant), recording.clone()).await;
    assert_eq!(id.status, 202, "{}", id.body);
    let path = format!("/api/calls/{}/audio", id.text("call_id"));
    assert_eq!((app.objects().await.len(), notes(&app).await), (1, 0));

    let whole = admin.get(&path).await;
    assert!(whole.status == 200 && whole.bytes == recording, "{} {}", whole.status, whole.bytes.len());
    let length = recording.len();
    let seam = 5 * 1024 * 1024; // the first part ends here
    for (range, from, to) in [
        ("bytes=0-0".to_owned(), 0, 1),
        (format!("bytes={}-{}", seam - 10, seam + 9), seam - 10, seam + 10),
        ("bytes=-77".to_owned(), length - 77, length),
    ] {
        let part = Answer::to(admin.request(Method::GET, &path).header(RANGE, &range)).await;
        assert_eq!((part.status, part.header("content-range")), (206, &*format!("bytes {from}-{}/{length}", to - 1)));
        assert!(part.bytes == recording[from..to], "{range}");
    }
    let beyond = Answer::to(admin.request(Method::GET, &path).header(RANGE, format!("bytes={length}-"))).await;
    beyond.refused(416, "range-not-satisfiable");
    let again = admin.upload(&query(&tenant), recording).await.refused(409, "duplicate-audio");
    assert_eq!(again["resource_id"], id.text("call_id").as_str());
    let stored = (app.objects().await.len(), s3.files().await.len());
    assert_eq!(stored, (1, 1), "the same recording is not stored again: {}", s3.name());
}

/// Moto takes any secret, so this is s3s-fs's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_wrong_secret_the_upload_is_refused_and_nothing_is_half_written() {
    let s3 = S3::s3s_fs().await;
    let app = TestApp::with(|config| {
        s3.settings(config);
        config.objects.secret_access_key = Some("another-secret".into());
    })
    .await;
    let tenant = app.tenant("acme").await;
    let refused = app.admin(&tenant).upload(&query(&tenant), wav(440)).await.refused(500, "internal");
    let told = refused.to_string();
    assert!(!told.contains("secret") && !told.contains("127.0.0.1") && !told.contains("Signature"), "{told}");
    assert_eq!(calls(&app, &tenant).await, 0);
    assert_eq!(s3.files().await, Vec::<String>::new(), "{}", s3.name());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_recording_does_not_stay_in_s3() {
    for s3 in S3::each().await {
        Box::pin(no_recording_does_not_stay(&s3)).await;
    }
}

async fn no_recording_does_not_stay(s3: &S3) {
    let app = TestApp::with(|config| s3.settings(config)).await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    admin.upload(&query(&tenant), vec![b'x'; 6 * 1024 * 1024]).await.refused(415, "not-audio");
    let mut cut = long_recording(6 * 1024 * 1024);
    cut.truncate(5 * 1024 * 1024 + 1);
    admin.upload(&query(&tenant), cut).await.refused(422, "truncated-audio");
    assert_eq!((calls(&app, &tenant).await, notes(&app).await), (0, 0));
    assert_eq!(s3.files().await, Vec::<String>::new(), "{}", s3.name());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_nothing_after_the_sweep() {
    for s3 in S3::each().await {
        Box::pin(an_aborted_upload_is_swept(&s3)).await;
    }
}

async fn an_aborted_upload_is_swept(s3: &S3) {
    let app = TestApp::with(|config| s3.settings(config)).await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let recording = long_recording(8 * 1024 * 1024);
    let head = format!(
        "POST /api/calls?{} HTTP/1.1\r\nhost: plumbline\r\nauthorization: Bearer {}\r\n\
         content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        query(&tenant),
        admin.token.as_deref().unwrap(),
        recording.len()
    );
    let mut socket = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap();
    let mut sent = Cursor::new([head.as_bytes(), &recording[..recording.len() - 100_000]].concat());
    tokio::io::copy(&mut sent, &mut socket).await.unwrap();
    socket.flush().await.unwrap();
    until(async || notes(&app).await == 1 && !s3.files().await.is_empty(), "a part has arrived").await;
    drop(socket);

    app.advance(1);
    until(
        async || {
            app.app.sweep().await.unwrap();
            notes(&app).await == 0
        },
        "the sweep has seen it",
    )
    .await;
    assert_eq!((app.objects().await, calls(&app, &tenant).await), (vec![], 0));
    until(async || s3.files().await.is_empty(), "no part is left").await;
    app.finish().await;
}

async fn until(so: impl AsyncFn() -> bool, what: &str) {
    for _ in 0..200 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}
