//! The program as operators run it: a child process with nothing in its environment but what a test gives it.

use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};

use plumbline::{
    demo::issuer::{DevIssuer, TokenRequest},
    foundation::{clock::Clock, ids::TenantId},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    time::{Instant, timeout},
};
use tokio_postgres::config::Host;

use crate::support::{Answer, Client, Database, fresh, unmigrated};

const PATIENCE: Duration = Duration::from_secs(60);
/// Far below the drain time: nothing is running that would have to be waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The program, about to be started.
pub struct Program(pub Command);

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// In a directory of its own.
    pub fn new(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumbline"));
        command.current_dir(directory).env_clear().kill_on_drop(true).stdin(Stdio::null());
        for kept in ["PATH", "HOME", "PLUMBLINE_PG_BIN", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        Self(command)
    }

    pub fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.env(name, value);
        self
    }

    pub fn args<const N: usize>(&mut self, arguments: [&str; N]) -> &mut Self {
        self.0.args(arguments);
        self
    }

    /// With the connections of a test's database, and a port that is free.
    pub fn on(directory: &Path, database: &Database) -> Self {
        let mut program = Self::new(directory);
        program.env("DATABASE_URL", url(&database.login)).env("DATABASE_OWNER_URL", url(&database.owner));
        program.env("PLUMBLINE_SERVER__BIND", "127.0.0.1:0").env("PLUMBLINE_LOG__FORMAT", "json");
        program
    }
}

/// Runs a program to its end.
pub async fn run(mut program: Program, patience: Duration) -> Ended {
    let output = timeout(patience, program.0.output()).await.expect("the program ends in time").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A connection as `DATABASE_URL` spells it.
fn url(config: &tokio_postgres::Config) -> String {
    let [Host::Unix(socket)] = config.get_hosts() else { panic!("one socket, not {:?}", config.get_hosts()) };
    let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    format!("host={} port={} user={user} dbname={database}", socket.display(), config.get_ports()[0])
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A server that listens.
struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
    client: Client,
}

impl Serving {
    async fn start(mut program: Program) -> Self {
        let mut child = program.args(["serve"]).0.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let port = timeout(PATIENCE, port(&mut log)).await.expect("the server says where it listens");
        Self { child, log, client: Client::new(format!("http://127.0.0.1:{port}"), None) }
    }

    /// Asks it to end, and waits: how it ended, how long it took, and what it logged meanwhile.
    async fn terminate(mut self) -> (Option<i32>, Duration, String) {
        let began = Instant::now();
        kill_process(Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
        let mut rest = String::new();
        timeout(PATIENCE, self.log.read_to_string(&mut rest)).await.expect("the log ends").unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the server ends").unwrap();
        (status.code(), began.elapsed(), rest)
    }
}

/// The port that the log names; what else it says until then is passed over.
async fn port(log: &mut BufReader<ChildStderr>) -> u16 {
    let mut said = String::new();
    loop {
        let from = said.len();
        assert!(log.read_line(&mut said).await.unwrap() > 0, "the server ended instead of listening:\n{said}");
        let Ok(line) = serde_json::from_str::<Value>(&said[from..]) else { continue };
        if let Some(address) = line["fields"]["address"].as_str() {
            return address.rsplit(':').next().unwrap().parse().unwrap();
        }
    }
}

/// Starts `serve`, which must refuse with this in its message.
async fn refuses(mut program: Program, why: &str) {
    program.args(["serve"]);
    let ended = run(program, PATIENCE).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("plumbline: ") && last.contains(why), "{why}: {ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

#[tokio::test]
async fn serve_refuses_what_would_not_be_safe() {
    let (home, database) = (directory(), fresh().await);
    let mut mighty = Program::on(home.path(), &database);
    mighty.env("DATABASE_URL", url(&database.owner));
    refuses(mighty, "is a superuser or bypasses row security; Plumbline does not serve with it").await;

    let mut open = Program::on(home.path(), &database);
    open.env("PLUMBLINE_SERVER__BIND", "0.0.0.0:0").env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true");
    refuses(open, "loopback").await;
}

#[tokio::test]
async fn a_login_role_that_owns_tables_is_refused() {
    let (home, database) = (directory(), fresh().await);
    let role = format!("owner_of_{}", database.owner.get_dbname().unwrap());
    database.execute(&format!("create role {role} login; alter table platform.jobs owner to {role};")).await;
    let mut owning = Program::on(home.path(), &database);
    let mut login = database.login.clone();
    owning.env("DATABASE_URL", url(login.user(&role)));
    refuses(owning, "owns Plumbline's tables").await;
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    let (home, database) = (directory(), fresh().await);
    for (name, value, why) in [
        ("PLUMBLINE_BIND", "127.0.0.1:1", "PLUMBLINE_BIND is no setting of Plumbline"),
        ("PLUMBLINE_SERVER__BINDD", "127.0.0.1:1", "unknown field: found `bindd`"),
        ("PLUMBLINE_SERVER__BIND", "nowhere", "server.bind"),
        ("PLUMBLINE_WORKER__CONCURRENCY", "many", "worker.concurrency"),
        ("PLUMBLINE_CONFIG", "missing.toml", "the settings file missing.toml cannot be read"),
        ("DATABASE_URL", "postgresql://plumbline:secret@[", "the connection string DATABASE_URL cannot be read"),
        ("DATABASE_URL", "", "DATABASE_URL is needed"),
    ] {
        let mut program = Program::on(home.path(), &database);
        program.env(name, value);
        refuses(program, why).await;
    }
    std::fs::write(home.path().join("own.toml"), "[server]\nbind = \"127.0.0.1:0\"\nthreads = 3\n").unwrap();
    let mut program = Program::on(home.path(), &database);
    program.env("PLUMBLINE_CONFIG", "own.toml");
    refuses(program, "threads").await;
}

#[tokio::test]
async fn a_database_that_is_away_is_named_with_its_cause_and_no_password() {
    let (home, database) = (directory(), fresh().await);
    let mut program = Program::on(home.path(), &database);
    program
        .env("DATABASE_URL", "postgresql://plumbline_app:hunter2@127.0.0.1:1/plumbline?sslmode=disable")
        .args(["serve"]);
    let ended = run(program, PATIENCE).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("Connection refused"), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
}

#[tokio::test]
async fn from_an_empty_database_to_a_server_that_ends_gently() {
    let (home, database) = (directory(), unmigrated().await);
    refuses(Program::on(home.path(), &database), "the database is not prepared for Plumbline").await;

    let realms = DevIssuer::start(0, None, Clock::system()).await.unwrap();
    let issuer = &realms.open_realm("acme").unwrap();
    let create = async |slug: &str, issuer: &str| {
        let mut program = Program::on(home.path(), &database);
        program.env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true");
        program.args(["tenant", "create", "--slug", slug, "--name", "Acme", "--issuer", issuer]);
        if slug != "acme" {
            program.args(["--no-wait"]); // the issuer is not asked then
        }
        run(program, PATIENCE).await
    };
    let too_early = create("acme", issuer).await;
    assert_eq!(too_early.code, Some(2), "{too_early:?}");
    assert!(too_early.stderr.contains("the database is not prepared for Plumbline"), "{too_early:?}");

    for tenants in ["0 tenants", "0 tenants"] {
        let mut migrate = Program::on(home.path(), &database);
        migrate.args(["migrate"]);
        let migrated = run(migrate, PATIENCE).await;
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        assert!(migrated.stdout.contains(tenants), "{migrated:?}");
    }
    for bad in ["", "a", "Acme", "acme inc", "1acme", "acme-", "acme_1", "äcme", &"a".repeat(41)] {
        let refused = create(bad, issuer).await;
        assert_eq!(refused.code, Some(2), "{bad:?}: {refused:?}");
        assert!(refused.stderr.contains("2 to 40 lower-case letters"), "{bad:?}: {refused:?}");
    }
    let made = create("acme", issuer).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let id: TenantId = made.stdout.trim().parse().unwrap();
    for (slug, issuer, taken) in [("acme", "https://issuer.example/other", "slug"), ("other", issuer, "issuer")] {
        let refused = create(slug, issuer).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(&format!("another tenant has the {taken}")), "{refused:?}");
    }
    let active = format!("select count(*) from platform.tenants where status = 'active' and tenant_id = '{id}'");
    assert_eq!(database.count(&active).await, 1);
    // Tokens name their issuer byte for byte, so it is kept as it was given; a URL's normal form has another case and another end.
    for (slug, issuer) in [("slash", "https://issuer.example/realm/"), ("bare", "https://Issuer.example")] {
        let made = create(slug, issuer).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let kept = format!("select count(*) from platform.tenants where slug = '{slug}' and issuer = '{issuer}'");
        assert_eq!(database.count(&kept).await, 1, "{issuer}");
    }
    for bad in ["", "issuer.example", "ftp://issuer.example", "mailto:a@b.example", " https://issuer.example"] {
        assert_eq!(create("bad", bad).await.code, Some(2), "{bad:?}");
    }
    assert_eq!(database.count("select count(*) from platform.tenants").await, 3);

    let serving = Serving::start(Program::on(home.path(), &database)).await;
    let answers = async |path: &str| serving.client.get(path).await;
    assert_eq!(answers("/healthz").await.expect(200)["status"], "alive");
    assert_eq!(answers("/readyz").await.expect(200)["status"], "ready");
    answers("/api/calls").await.refused(401, "unauthorized");
    assert_eq!(answers("/openapi.json").await.expect(200)["info"]["title"], "Plumbline");
    let (code, took, log) = serving.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(took < ENDS_WITHIN, "it took {took:?} to end:\n{log}");
    assert!(log.contains("stopping"), "{log}");
}

#[tokio::test]
async fn a_server_whose_database_goes_away_is_alive_and_not_ready() {
    let (home, database) = (directory(), fresh().await);
    let serving = Serving::start(Program::on(home.path(), &database)).await;
    serving.client.get("/readyz").await.expect(200);
    let name = database.owner.get_dbname().unwrap().to_owned();
    let mut elsewhere = database.clone();
    elsewhere.owner.dbname("postgres");
    elsewhere.execute(&format!("alter database {name} with allow_connections false")).await;
    let end = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'");
    elsewhere.count(&end).await;
    serving.client.get("/healthz").await.expect(200);
    let away = serving.client.get("/readyz").await;
    assert_eq!((away.status, &away.body["status"]), (503, &Value::from("not ready")));
    elsewhere.execute(&format!("alter database {name} with allow_connections true")).await;
    assert!(ready_again(&serving.client).await, "it finds its way back by itself");
    let (code, _, log) = serving.terminate().await;
    assert_eq!(code, Some(0), "{log}");
}

async fn ready_again(client: &Client) -> bool {
    for _ in 0..100 {
        let Answer { status, .. } = client.get("/readyz").await;
        if status == 200 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test]
async fn the_document_is_printed_without_any_database() {
    let home = directory();
    let mut program = Program::new(home.path());
    program.args(["openapi"]);
    let ended = run(program, PATIENCE).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{}", document["openapi"]);
    for path in ["/api/calls", "/api/evaluation-criteria", "/api/organizations"] {
        assert!(document["paths"].get(path).is_some(), "no {path}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is written for it");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_of_the_document_is_no_failure() {
    let home = directory();
    let mut program = Program::new(home.path());
    program.args(["openapi"]);
    let mut child = program.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("the program ends in time").unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test]
async fn a_log_line_names_the_tenant_once_the_caller_is_proved() {
    let (home, database) = (directory(), fresh().await);
    let issuer = DevIssuer::start(0, None, Clock::system()).await.unwrap();
    let name = issuer.open_realm("acme").unwrap();
    let mut create = Program::on(home.path(), &database);
    create.env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true");
    create.args(["tenant", "create", "--slug", "acme", "--name", "Acme", "--issuer", &name]);
    let tenant = run(create, PATIENCE).await.stdout.trim().to_owned();
    let request = TokenRequest {
        subject: "max".to_owned(),
        roles: vec!["tenant_admin".to_owned()],
        organizations: Vec::new(),
        audience: "plumbline".to_owned(),
        lifetime: Duration::from_secs(300),
    };
    let mut program = Program::on(home.path(), &database);
    program.env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true");
    let mut serving = Serving::start(program).await;
    serving.client.get("/api/organizations").await.refused(401, "unauthorized");
    serving.client.token = Some(issuer.token("acme", &request).unwrap());
    serving.client.get("/api/organizations").await.expect(200);
    let (code, _, log) = serving.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let answered: Vec<Value> = lines.filter(|line| line["fields"]["message"] == "answered").collect();
    let tenants: Vec<&Value> = answered.iter().map(|line| &line["span"]["tenant"]).collect();
    assert_eq!(tenants, [&Value::Null, &Value::from(tenant)], "{log}");
}

#[tokio::test]
async fn the_fleet_is_migrated_and_shown() {
    let (home, database) = (directory(), unmigrated().await);
    let program = async |line: &str| {
        let mut command = Program::on(home.path(), &database);
        command.env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true").0.args(line.split(' '));
        run(command, PATIENCE).await
    };
    let json = |ended: &Ended| -> Value { serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}")) };

    let realms = DevIssuer::start(0, None, Clock::system()).await.unwrap();
    let early = program("tenant status").await;
    assert!(early.code == Some(2) && early.stderr.contains("not prepared for Plumbline"), "{early:?}");
    let dry = program("migrate --dry-run").await;
    assert!(dry.code == Some(0) && dry.stdout.contains("create table tenants ("), "{dry:?}");
    assert_eq!(database.count("select count(*) from pg_namespace where nspname = 'platform'").await, 0);
    let migrated = json(&program("migrate --json").await);
    assert_eq!((migrated["migrated"].as_u64(), migrated["failed"].as_u64()), (Some(0), Some(0)));
    for slug in ["acme", "globex"] {
        let issuer = realms.open_realm(slug).unwrap();
        let made = program(&format!("tenant create --slug {slug} --name {slug} --issuer {issuer}")).await;
        assert_eq!(made.code, Some(0), "{made:?}");
    }
    let status = program("tenant status").await;
    assert!(status.stdout.contains("acme") && status.stdout.contains("2 tenants"), "{status:?}");
    assert_eq!(json(&program("tenant status --json --behind").await), serde_json::json!([]));

    // globex has the first version alone; then that one is another than was applied.
    let id: TenantId = json(&program("tenant status --json").await)[0]["tenant_id"].as_str().unwrap().parse().unwrap();
    let schema = plumbline::platform::db::schema_name(id);
    database
        .execute(&format!(
            "create temp table kept as table {schema}.organizations;
             do $$
             declare
                 one text;
             begin
                 for one in select tablename from pg_tables where schemaname = '{schema}' and tablename <> 'refinery_schema_history' loop
                     execute format('drop table {schema}.%I cascade', one);
                 end loop;
             end $$;
             set search_path = {schema};
             {}
             insert into organizations table pg_temp.kept;
             reset search_path;
             delete from {schema}.refinery_schema_history where version > 1;
             update platform.tenants set schema_version = 1 where slug = 'globex'",
            include_str!("../../sql/tenant/V1__tenant.sql")
        ))
        .await;
    let behind = json(&program("tenant status --json --behind").await);
    let seen = (behind[0]["slug"].as_str(), behind[0]["version"].as_str(), behind[0]["drift"].as_str());
    assert_eq!(seen, (Some("globex"), Some("behind"), Some("none")), "a version of its own has its own fingerprint");
    let dry = program("migrate --dry-run").await;
    assert!(dry.stdout.contains("for 1 tenants") && dry.stdout.contains("create table usage_days"), "{dry:?}");
    let unknown = program("migrate --canary nobody").await;
    assert!(unknown.code == Some(2) && unknown.stderr.contains("no tenant \"nobody\""), "{unknown:?}");
    database.execute(&format!("update {schema}.refinery_schema_history set checksum = '7'")).await;
    let failed = program("migrate --workers 1 --canary 5%").await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stdout.contains(&format!("V1 of {schema} is another one than was applied")), "{failed:?}");
    assert_eq!(json(&program("tenant status --json --failed").await).as_array().unwrap().len(), 1);
    let history = format!("select checksum from {}.refinery_schema_history where version = 1", {
        let other = json(&program("tenant status --json").await);
        plumbline::platform::db::schema_name(other[1]["tenant_id"].as_str().unwrap().parse().unwrap())
    });
    database.execute(&format!("update {schema}.refinery_schema_history set checksum = ({history})")).await;
    let finished = program("migrate").await;
    assert!(finished.code == Some(0) && finished.stdout.contains("1 tenants migrated"), "{finished:?}");
    assert_eq!(json(&program("tenant status --json --failed").await), serde_json::json!([]));
    assert_eq!(json(&program("tenant status --json --drifted").await), serde_json::json!([]));
}
