//! Recordings through the server to an S3 server and back, beside the raw client of that S3 server.
//!
//! Three processes: the S3 server (s3s-fs, this program with `--s3`), the server (`--server`), and the client, which is also the raw client: `object_store` with
//! the same settings. Upload: the whole way (token, SHA-256, sniffing, multipart to S3, the call's rows) beside a multipart upload of the same file. Playback:
//! `GET /api/calls/{id}/audio` beside a plain `get` of the same object. Turn by turn, medians. Nothing leaves this machine, so the processors are the limit:
//! over a network both sides wait for it and come closer to each other.

mod support;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, buffered::BufWriter, path::Path as Key};
use plumbline::{
    app::App,
    demo::issuer::{DevIssuer, TokenRequest},
    foundation::{clock::Clock, config},
    platform::db::Connections,
};
use poem::listener::{Acceptor, Listener, TcpListener};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use support::{
    House, Outcome, median, met,
    recording::{record, upload},
    rounded,
};

const MEGABYTES: u32 = 100;
const ROUNDS: u32 = 7;
const GOAL: f64 = 0.8;
const REALM: &str = "bench";
const BUCKET: &str = "calls";
const KEY_ID: &str = "AKIAEXAMPLE";
const SECRET: &str = "an-example-secret";
/// The part's size that the server uploads with.
const PART: usize = 5 * 1024 * 1024;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |word: &str| {
        let at = arguments.iter().position(|argument| argument == word)?;
        Some(arguments[at + 1..].to_vec())
    };
    if let Some(arguments) = after("--s3") {
        return support::run(Duration::from_secs(300), s3(arguments));
    }
    match after("--server") {
        Some(arguments) => support::run(Duration::from_secs(300), serve(arguments)),
        None => support::run(Duration::from_secs(240), bench()),
    }
}

/// Until the standard input is closed.
async fn told_to_stop() {
    let _ = tokio::io::stdin().read_to_end(&mut vec![]).await;
}

async fn s3(arguments: Vec<String>) -> Outcome<()> {
    let [root] = arguments.as_slice() else { return Err("--s3 DIRECTORY".into()) };
    let files = FileSystem::new(root).map_err(|error| format!("s3s-fs: {error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let serving = async {
        let server = Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(server.serve_connection(TokioIo::new(socket), service.clone()).into_owned());
        }
    };
    tokio::select! {
        () = serving => {}
        () = told_to_stop() => {}
    }
    Ok(())
}

async fn serve(arguments: Vec<String>) -> Outcome<()> {
    let [socket, user, s3] = arguments.as_slice() else { return Err("--server SOCKET_DIRECTORY USER S3".into()) };
    let mut settings = config::load(None)?;
    settings.objects.bucket = Some(BUCKET.to_owned());
    settings.objects.endpoint = Some(format!("http://{s3}").parse()?);
    settings.objects.access_key_id = Some(KEY_ID.into());
    settings.objects.secret_access_key = Some(SECRET.into());
    settings.identity.trust_development_issuer = true;
    let login = format!("host={socket} user={user} dbname=postgres");
    let connections = Connections::parse(&login, settings.database.lanes)?;
    let app = App::over(settings, connections, Clock::system()).await?;
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
    let address = acceptor.local_addr();
    let address = address.first().and_then(|address| address.as_socket_addr()).ok_or("no address")?;
    println!("{address}");
    let stop = CancellationToken::new();
    let guard = stop.clone();
    tokio::spawn(async move {
        told_to_stop().await;
        guard.cancel();
    });
    app.serve(acceptor, stop).await?;
    Ok(())
}

/// A part of this program in a process of its own, which ends when this is dropped.
struct Beside {
    address: String,
    _process: tokio::process::Child,
}

impl Beside {
    async fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut process = tokio::process::Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut address).await?;
        match address.trim() {
            "" => Err("a part of the bench ended at once".into()),
            address => Ok(Self { address: address.to_owned(), _process: process }),
        }
    }
}

async fn bench() -> Outcome<()> {
    let issuer = DevIssuer::start(0, None, Clock::system()).await?;
    let house = House::open(true, &issuer.open_realm(REALM)?).await?;
    let token = issuer.token(
        REALM,
        &TokenRequest {
            subject: "bench".to_owned(),
            roles: vec!["tenant_admin".to_owned(), "organization_admin".to_owned()],
            organizations: vec!["service".to_owned()],
            audience: config::load(None)?.identity.audience,
            lifetime: Duration::from_secs(600),
        },
    )?;
    let files = tempfile::Builder::new().prefix("bench-audio-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    std::fs::create_dir_all(files.path().join("s3").join(BUCKET))?;
    let s3 = Beside::start(&["--s3", text(&files.path().join("s3"))?]).await?;
    let user = house.login().get_user().unwrap_or_default().to_owned();
    let server = Beside::start(&["--server", text(house.postgres.socket_directory())?, &user, &s3.address]).await?;
    let raw = raw(&s3.address)?;
    let client = reqwest::Client::new();
    println!("audio: {MEGABYTES} MB, {ROUNDS} rounds after one to warm up, seconds");
    println!("{:>8} {:>8} {:>8} {:>8} {:>9} {:>8} {:>8}", "", "upload", "raw", "ratio", "playback", "raw", "ratio");
    let mut took: [Vec<f64>; 4] = Default::default();
    for round in 0..=ROUNDS {
        let file = files.path().join(format!("recording-{round}.wav"));
        record(&file, MEGABYTES, u64::from(round))?; // other bytes each time: the same ones are refused
        let key = Key::from(format!("raw/{round}"));
        let uploaded = upload(&client, &server.address, &house, &token, &file).await?;
        let uploaded_raw = upload_raw(&raw, &key, &file).await?;
        let played = play(&client, &server.address, &token, std::fs::metadata(&file)?.len()).await?;
        let played_raw = play_raw(raw.as_ref(), &key).await?;
        std::fs::remove_file(&file)?;
        if round == 0 {
            continue;
        }
        println!(
            "{:>8} {uploaded:>8.3} {uploaded_raw:>8.3} {:>8.3} {played:>9.3} {played_raw:>8.3} {:>8.3}",
            format!("round {round}"),
            uploaded_raw / uploaded,
            played_raw / played
        );
        for (all, one) in took.iter_mut().zip([uploaded, uploaded_raw, played, played_raw]) {
            all.push(one);
        }
    }
    let [uploaded, uploaded_raw, played, played_raw] = took.map(|all| median(&all));
    let (upload, playback) = (uploaded_raw / uploaded, played_raw / played);
    println!("goal {GOAL} each: upload {}, playback {}", met(upload >= GOAL), met(playback >= GOAL));
    println!("{}", json!({ "upload_ratio": rounded(upload, 3), "playback_ratio": rounded(playback, 3) }));
    Ok(())
}

fn text(path: &Path) -> Outcome<&str> {
    path.to_str().ok_or_else(|| "a path that is no text".into())
}

fn raw(s3: &str) -> Outcome<Arc<dyn ObjectStore>> {
    let store = AmazonS3Builder::new()
        .with_bucket_name(BUCKET)
        .with_endpoint(format!("http://{s3}"))
        .with_region("us-east-1")
        .with_access_key_id(KEY_ID)
        .with_secret_access_key(SECRET)
        .with_allow_http(true)
        .build()?;
    Ok(Arc::new(store))
}

async fn upload_raw(store: &Arc<dyn ObjectStore>, key: &Key, file: &PathBuf) -> Outcome<f64> {
    let mut from = tokio::fs::File::open(file).await?;
    let started = Instant::now();
    let mut to = BufWriter::with_capacity(store.clone(), key.clone(), PART);
    tokio::io::copy_buf(&mut BufReader::with_capacity(512 * 1024, &mut from), &mut to).await?;
    to.shutdown().await?;
    Ok(started.elapsed().as_secs_f64())
}

/// The newest call's recording, to its last byte.
async fn play(client: &reqwest::Client, address: &str, token: &str, length: u64) -> Outcome<f64> {
    let list = client.get(format!("http://{address}/api/calls?limit=1")).bearer_auth(token).send().await?;
    let list: serde_json::Value = serde_json::from_str(&list.text().await?)?;
    let id = list["items"][0]["call_id"].as_str().ok_or("no call")?;
    let started = Instant::now();
    let answer = client.get(format!("http://{address}/api/calls/{id}/audio")).bearer_auth(token).send().await?;
    let read: u64 = answer.bytes_stream().try_fold(0, async |sum, bytes| Ok(sum + bytes.len() as u64)).await?;
    let took = started.elapsed().as_secs_f64();
    if read == length { Ok(took) } else { Err(format!("{read} bytes came back of {length}").into()) }
}

async fn play_raw(store: &dyn ObjectStore, key: &Key) -> Outcome<f64> {
    let started = Instant::now();
    let mut stream = store.get(key).await?.into_stream();
    while stream.try_next().await?.is_some() {}
    Ok(started.elapsed().as_secs_f64())
}
