//! A 500 MB recording over loopback HTTP into the local object store: what it costs in memory, and how fast it is beside `cp`.
//!
//! The server is a process of its own (this program again, with `--server`), so that the client's memory is not counted. The whole way is
//! measured: token, `application/octet-stream`, SHA-256, sniffing, the store, fsync, the call's rows. `cp` copies the same file within the same file
//! system and the copy is synced as well. Both turn by turn, several rounds, medians. What neither syncs is shown beside.

mod support;

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use plumbline::{
    app::App,
    demo::issuer::{DevIssuer, TokenRequest},
    foundation::{clock::Clock, config},
    platform::db::Connections,
};
use poem::listener::{Acceptor, Listener, TcpListener};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio_util::sync::CancellationToken;

use support::{
    House, Outcome, median, met,
    recording::{record, upload},
    rounded, status_kib,
};

const MEGABYTES: u32 = 500;
const ROUNDS: u32 = 5;
const MOST_GROWTH_MIB: f64 = 32.0;
const LEAST_RATIO: f64 = 0.7;
const REALM: &str = "bench";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--server") {
        Some(at) => support::run(Duration::from_secs(300), serve(arguments.get(at + 1..).unwrap_or_default())),
        None => support::run(Duration::from_secs(240), bench()),
    }
}

/// The server's process: until its standard input is closed.
async fn serve(arguments: &[String]) -> Outcome<()> {
    let [socket, user, objects] = arguments else { return Err("--server SOCKET_DIRECTORY USER OBJECTS".into()) };
    let mut settings = config::load(None)?;
    settings.objects.directory = PathBuf::from(objects);
    settings.identity.trust_development_issuer = true;
    let connections =
        Connections::parse(&format!("host={socket} user={user} dbname=postgres"), settings.database.lanes)?;
    let app = App::over(settings, connections, Clock::system()).await?;
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
    let address = acceptor.local_addr();
    let address = address.first().and_then(|address| address.as_socket_addr()).ok_or("no address")?;
    println!("{address}");
    let stop = CancellationToken::new();
    let guard = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::io::stdin().read_to_end(&mut vec![]).await;
        guard.cancel();
    });
    app.serve(acceptor, stop).await?;
    Ok(())
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
    // All on one file system, and not on one in memory.
    let files = tempfile::Builder::new().prefix("bench-upload-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let server = Server::start(&house, &files.path().join("objects")).await?;
    let client = reqwest::Client::new();
    let mut warm = files.path().join("warm.wav");
    record(&warm, 1, 0)?;
    upload(&client, &server.address, &house, &token, &warm).await?;
    let before_kib = status_kib(server.id, "VmRSS")?;

    println!(
        "upload: {MEGABYTES} MB, {ROUNDS} rounds, seconds; the server's memory before: {:.1} MiB",
        before_kib as f64 / 1024.0
    );
    println!("{:>8} {:>8} {:>12} {:>7} {:>10} {:>14}", "", "upload", "cp and sync", "ratio", "cp alone", "growth, MiB");
    let (mut uploads, mut copies, mut growth) = (vec![], vec![], 0.0);
    for round in 1..=ROUNDS {
        warm = files.path().join(format!("recording-{round}.wav"));
        record(&warm, MEGABYTES, u64::from(round))?; // other bytes each time: the same ones are refused
        let uploaded = upload(&client, &server.address, &house, &token, &warm).await?;
        let (copied, bare) = copy(&warm, &files.path().join("copy.wav"))?;
        growth = (status_kib(server.id, "VmHWM")? - before_kib) as f64 / 1024.0;
        println!(
            "{:>8} {uploaded:>8.2} {copied:>12.2} {:>7.3} {bare:>10.2} {growth:>14.1}",
            format!("round {round}"),
            copied / uploaded
        );
        uploads.push(uploaded);
        copies.push(copied);
        std::fs::remove_file(&warm)?;
    }
    let ratio = median(&copies) / median(&uploads);
    println!(
        "goal at most {MOST_GROWTH_MIB} MiB: {}, at least {LEAST_RATIO}: {}",
        met(growth <= MOST_GROWTH_MIB),
        met(ratio >= LEAST_RATIO)
    );
    println!("{}", json!({ "rss_growth_mib": rounded(growth, 1), "throughput_ratio_to_cp": rounded(ratio, 3) }));
    Ok(())
}

/// A running server's process; it ends when this is dropped.
struct Server {
    id: u32,
    address: String,
    _process: tokio::process::Child,
}

impl Server {
    async fn start(house: &House, objects: &Path) -> Outcome<Self> {
        let mut process = tokio::process::Command::new(std::env::current_exe()?)
            .arg("--server")
            .arg(house.postgres.socket_directory())
            .arg(house.login().get_user().unwrap_or_default())
            .arg(objects)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = process.id().ok_or("the server ended at once")?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut address).await?;
        Ok(Self { id, address: address.trim().to_owned(), _process: process })
    }
}

/// Copies a file: seconds until the copy lies on the disk, and until `cp` has ended.
fn copy(from: &Path, to: &Path) -> Outcome<(f64, f64)> {
    let started = Instant::now();
    if !Command::new("cp").arg(from).arg(to).status()?.success() {
        return Err("cp failed".into());
    }
    let bare = started.elapsed().as_secs_f64();
    File::open(to)?.sync_all()?;
    let synced = started.elapsed().as_secs_f64();
    std::fs::remove_file(to)?;
    Ok((synced, bare))
}
