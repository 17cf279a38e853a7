use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio_postgres::NoTls;

use super::processes::wait_until;
use super::{Options, PostgresError, PrivatePostgres};

/// Names the directory to the child process of [`kill_9`].
const HOLD: &str = "PLUMBLINE_TEST_HOLD_POSTGRES";

async fn ask(server: &PrivatePostgres, sql: &str) -> String {
    let (client, connection) = server.owner_config("postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn run(server: &PrivatePostgres, sql: &str) {
    let (client, connection) = server.owner_config("postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

async fn start(directory: &Path) -> Result<PrivatePostgres, PostgresError> {
    PrivatePostgres::start(directory, Options::for_tests()).await
}

fn postmaster(directory: &Path) -> i32 {
    let text = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

fn lives(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty())
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn starts_answers_and_stops() {
    let home = tempfile::tempdir().unwrap();
    let server = start(home.path()).await.unwrap();
    assert_eq!(ask(&server, "select current_setting('listen_addresses')").await, "");
    assert_eq!(ask(&server, "select current_setting('server_encoding')").await, "UTF8");
    assert_eq!(
        ask(&server, "select lower('ÄÖ' collate \"default\")").await,
        if cfg!(target_os = "linux") { "äö" } else { "ÄÖ" }
    );
    run(&server, "create role member login").await;
    let (client, connection) = server.login_config("member", "postgres").connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let user: String = client.query_one("select session_user::text", &[]).await.unwrap().get(0);
    assert_eq!(user, "member");
    let pid = postmaster(home.path());
    // An open connection does not hold the shutdown up.
    server.stop().await.unwrap();
    assert!(!lives(pid) && !home.path().join("data/postmaster.pid").exists());
    assert!(connection.await.unwrap().is_err());
}

#[tokio::test]
async fn keeps_data_between_starts_and_dropping_stops() {
    let home = tempfile::tempdir().unwrap();
    let server = PrivatePostgres::start(home.path(), Options { durable: true, max_connections: 20 }).await.unwrap();
    assert_eq!(ask(&server, "select current_setting('fsync')").await, "on");
    run(&server, "create table kept as select 'yes'::text as answer").await;
    let pid = postmaster(home.path());
    drop(server);
    assert!(!lives(pid));
    let server = start(home.path()).await.unwrap();
    assert_eq!(ask(&server, "select answer from kept").await, "yes");
    assert_eq!(ask(&server, "select current_setting('fsync')").await, "off");
}

#[tokio::test]
async fn a_second_start_is_refused_while_the_first_lives() {
    let home = tempfile::tempdir().unwrap();
    let first = start(home.path()).await.unwrap();
    match start(home.path()).await {
        Err(PostgresError::InUse { holder, .. }) => assert_eq!(holder, std::process::id().to_string()),
        other => panic!("{other:?}"),
    }
    assert_eq!(ask(&first, "select 'alive'").await, "alive");
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket_directory() {
    let home = tempfile::tempdir().unwrap();
    let long = home.path().join("d".repeat(120));
    // The long directory's parent is ours, as a checkout's would be: let the server's user through.
    if geteuid().is_root() {
        set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
    }
    let server = start(&long).await.unwrap();
    assert!(server.socket_directory().starts_with(std::env::temp_dir()), "{:?}", server.socket_directory());
    assert_eq!(ask(&server, "select 'here'").await, "here");
    let socket_directory = server.socket_directory().to_path_buf();
    server.stop().await.unwrap();
    std::fs::remove_dir_all(socket_directory).unwrap();
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("letter.txt"), "private").unwrap();
    assert!(matches!(start(home.path()).await, Err(PostgresError::BadDirectory { .. })));
}

#[tokio::test]
async fn an_unreachable_parent_is_named() {
    if !geteuid().is_root() {
        // The server runs as ourselves then, and we made the directory.
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    match start(&closed.path().join("inner")).await {
        Err(PostgresError::Unreachable { path, .. }) => assert_eq!(path, closed.path()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stale_pid_file_of_a_living_stranger_is_no_obstacle() {
    let home = tempfile::tempdir().unwrap();
    start(home.path()).await.unwrap().stop().await.unwrap();
    let mut stranger = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    let stale = format!("{}\n{}\n1\n5432\n\n\n\nready\n", stranger.id(), home.path().join("data").display());
    std::fs::write(home.path().join("data/postmaster.pid"), stale).unwrap();
    let server = start(home.path()).await.unwrap();
    assert_eq!(ask(&server, "select 'up'").await, "up");
    assert!(stranger.try_wait().unwrap().is_none(), "a process that is not ours was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_failed_start_shows_the_log() {
    let home = tempfile::tempdir().unwrap();
    start(home.path()).await.unwrap().stop().await.unwrap();
    let settings = home.path().join("data/postgresql.conf");
    std::fs::write(&settings, "no_such_setting = on\n").unwrap();
    match start(home.path()).await {
        Err(PostgresError::Start { log, .. }) => assert!(log.contains("no_such_setting"), "{log}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn data_of_another_version_is_refused() {
    let home = tempfile::tempdir().unwrap();
    start(home.path()).await.unwrap().stop().await.unwrap();
    std::fs::write(home.path().join("data/PG_VERSION"), "9\n").unwrap();
    let text = start(home.path()).await.unwrap_err().to_string();
    assert!(text.contains("PostgreSQL 9 (which made the data directory)"), "{text}");
}

/// How much dies with the process that held the server.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    /// The process alone: the supervisor ends the server.
    Alone,
    /// The supervisor too: the server lives on as an orphan.
    WithSupervisor,
    /// Everything: pid file and socket are stale.
    WithServer,
}

#[tokio::test]
async fn after_kill_9_the_server_ends_by_itself() {
    kill_9(Death::Alone).await;
}

#[tokio::test]
async fn an_orphaned_server_is_ended_by_the_next_start() {
    kill_9(Death::WithSupervisor).await;
}

#[tokio::test]
async fn leftovers_of_a_killed_server_are_cleared() {
    kill_9(Death::WithServer).await;
}

async fn kill_9(death: Death) {
    let home = tempfile::tempdir().unwrap();
    let mut holder = hold_elsewhere(home.path());
    let ready = home.path().join("held");
    assert!(wait_until(Duration::from_secs(60), || ready.exists() || holder.try_wait().unwrap().is_some()));
    assert!(ready.exists(), "the holder ended early");
    let pid = postmaster(home.path());
    if death != Death::Alone {
        supervisors(pid).into_iter().for_each(kill);
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    match death {
        Death::Alone => assert!(wait_until(Duration::from_secs(20), || !lives(pid)), "still running"),
        Death::WithSupervisor => assert!(lives(pid)),
        Death::WithServer => kill(pid),
    }
    let server = start(home.path()).await.unwrap();
    assert_ne!(postmaster(home.path()), pid);
    assert_eq!(ask(&server, "select answer from kept").await, "yes");
    server.stop().await.unwrap();
}

/// The shell that supervises a postmaster, and the one that watches the pipe: its process group without PostgreSQL's own.
fn supervisors(postmaster: i32) -> Vec<i32> {
    let group = |pid: i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(2)?.parse().ok()
    };
    let wanted = group(postmaster).unwrap();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let shells: Vec<i32> = pids
        .filter(|pid| group(*pid) == Some(wanted))
        .filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sh"))
        .collect();
    assert_eq!(shells.len(), 2, "{shells:?}");
    shells
}

/// This test binary once more, running [`hold`] alone.
fn hold_elsewhere(directory: &Path) -> Child {
    let name = format!("{}::hold", module_path!().split_once("::").unwrap().1);
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(HOLD, directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "run by the kill -9 tests in a process of its own"]
async fn hold() {
    let directory = std::env::var_os(HOLD).expect("run by the kill -9 tests");
    let directory = Path::new(&directory);
    // Durable: without it a commit may be lost with the server.
    let server = PrivatePostgres::start(directory, Options::default()).await.unwrap();
    run(&server, "create table kept as select 'yes'::text as answer").await;
    std::fs::write(directory.join("held"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
}
