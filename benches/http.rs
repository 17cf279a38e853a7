//! The whole server against two peers that answer the same: `GET /api/calls?limit=50`, with a bearer token, over TCP.
//!
//! Plumbline is the program as `plumbline serve` runs it: RS256 token of a development issuer, tenant, directory and member looked up, row
//! security, one tenant's schema. The peers (benches/peers) are FastAPI with asyncpg and Fastify with postgres.js: the same token check, the same
//! rows by the same statement, the same JSON, and no row security: a predicate alone, as the tables' owner. The caller evaluates one organization
//! of three. Whichever server is measured has the
//! first core for itself; PostgreSQL and the load have the other cores. All three stand ready the whole time and take turns, round by round.
//! Beside answers a second stands what an answer costs: processor time of the server and of PostgreSQL.

mod support;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use plumbline::{
    demo::issuer::{DevIssuer, TokenRequest},
    foundation::{clock::Clock, config, ids::OrganizationId},
};
use serde_json::{Value, json};
use tokio::process::Child;

use support::{
    House, Outcome, cpu,
    load::{Measured, load, once},
    median, met, rounded,
};

const CALLS: i32 = 20_000;
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(6);
/// Connections to PostgreSQL for each server: Plumbline's own default.
const LANES: usize = 16;
const REALM: &str = "bench";
const ORGANIZATIONS: [&str; 3] = ["service", "sales", "support"];
const FASTAPI_GOAL: f64 = 10.0;
const FASTIFY_GOAL: f64 = 5.0;

fn main() -> Outcome<()> {
    let cores = Cores::of_this_machine()?;
    cores.leave_the_first()?;
    support::run(Duration::from_secs(230), bench(cores))
}

async fn bench(cores: Cores) -> Outcome<()> {
    let issuer = DevIssuer::start(0, None, Clock::system()).await?;
    let house = House::open(true, &issuer.open_realm(REALM)?).await?;
    fill(&house).await?;
    let audience = config::load(None)?.identity.audience;
    let token = issuer.token(
        REALM,
        &TokenRequest {
            subject: "bench".to_owned(),
            roles: vec!["evaluator".to_owned()],
            organizations: vec![ORGANIZATIONS[0].to_owned()],
            audience: audience.clone(),
            lifetime: Duration::from_secs(3_600),
        },
    )?;
    let request =
        format!("GET /api/calls?limit=50 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n");
    let servers = [
        Server::plumbline(&house, &cores)?,
        Server::fastapi(&house, &audience, &cores)?,
        Server::fastify(&house, &audience, &cores)?,
    ];
    compare(&servers, &request).await?;
    println!(
        "http: a page of 50 among {CALLS} calls, {CONNECTIONS} connections, {ROUNDS} rounds of {} s; servers on core 0, the rest on {}",
        LONG.as_secs(),
        cores.others
    );
    println!(
        "{:>8} {:>10} {:>9} {:>9} {:>9} {:>14} {:>14}",
        "", "", "a second", "p50, ms", "p99, ms", "server, us", "PostgreSQL, us"
    );
    for server in &servers {
        load(server.port, &request, CONNECTIONS, WARM_UP).await?;
    }
    let mut all: [Vec<Turn>; 3] = Default::default();
    for round in 1..=ROUNDS {
        for (server, turns) in servers.iter().zip(&mut all) {
            let turn = server.turn(&house, &request).await?;
            turn.show(&format!("round {round}"), server.name);
            turns.push(turn);
        }
    }
    let medians = all.map(|turns| Turn::middle(&turns));
    for (server, turn) in servers.iter().zip(&medians) {
        turn.show("median", server.name);
    }
    let [plumbline, fastapi, fastify] = medians;
    let ratio = |peer: &Turn| plumbline.load.per_second / peer.load.per_second;
    let cpu_ratio = |peer: &Turn| rounded(peer.server_us / plumbline.server_us, 2);
    let (fastapi_ratio, fastify_ratio) = (ratio(&fastapi), ratio(&fastify));
    println!(
        "goals {FASTAPI_GOAL} x FastAPI: {}, {FASTIFY_GOAL} x Fastify: {}",
        met(fastapi_ratio >= FASTAPI_GOAL),
        met(fastify_ratio >= FASTIFY_GOAL)
    );
    println!(
        "{}",
        json!({
            "fastapi_ratio": rounded(fastapi_ratio, 2),
            "fastify_ratio": rounded(fastify_ratio, 2),
            "fastapi_cpu_ratio": cpu_ratio(&fastapi),
            "fastify_cpu_ratio": cpu_ratio(&fastify),
            "plumbline": plumbline.json(),
            "fastapi": fastapi.json(),
            "fastify": fastify.json(),
        })
    );
    Ok(())
}

/// One server's turn.
struct Turn {
    load: Measured,
    /// Processor time for each answer, in microseconds.
    server_us: f64,
    postgres_us: f64,
}

impl Turn {
    fn middle(turns: &[Turn]) -> Turn {
        let of = |value: fn(&Turn) -> f64| median(&turns.iter().map(value).collect::<Vec<_>>());
        let load = Measured {
            answers: 0,
            per_second: of(|turn| turn.load.per_second),
            p50_ms: of(|turn| turn.load.p50_ms),
            p99_ms: of(|turn| turn.load.p99_ms),
        };
        Turn { load, server_us: of(|turn| turn.server_us), postgres_us: of(|turn| turn.postgres_us) }
    }

    fn show(&self, what: &str, name: &str) {
        let Measured { per_second, p50_ms, p99_ms, .. } = self.load;
        println!(
            "{what:>8} {name:>10} {per_second:>9.0} {p50_ms:>9.2} {p99_ms:>9.2} {:>14.0} {:>14.0}",
            self.server_us, self.postgres_us
        );
    }

    fn json(&self) -> Value {
        json!({
            "per_s": rounded(self.load.per_second, 0),
            "p50_ms": rounded(self.load.p50_ms, 2),
            "p99_ms": rounded(self.load.p99_ms, 2),
            "server_us": rounded(self.server_us, 0),
            "postgres_us": rounded(self.postgres_us, 0),
        })
    }
}

/// All three answer the same, before anything is measured. A cursor is the server's own affair, but there must be one.
async fn compare(servers: &[Server], request: &str) -> Outcome<()> {
    let mut bodies = vec![];
    for server in servers {
        let mut body: Value = serde_json::from_slice(&server.first_answer(request).await?)?;
        let cursor = body["next_cursor"].take();
        if !cursor.is_string() || body["items"].as_array().map(Vec::len) != Some(50) {
            return Err(format!("{} gave no page of 50 with a cursor", server.name).into());
        }
        floats(&mut body);
        bodies.push(body);
    }
    for (server, body) in servers.iter().zip(&bodies) {
        if *body != bodies[0] {
            return Err(format!("{} answers {body}\n{} answers {}", server.name, servers[0].name, bodies[0]).into());
        }
    }
    Ok(())
}

/// 12 and 12.0 are the same number in JSON, and not in `serde_json`.
fn floats(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Array(items) => items.iter_mut().for_each(floats),
        Value::Object(fields) => fields.values_mut().for_each(floats),
        _ => {}
    }
}

/// Organizations, agents and calls; one call in fifty has failed.
async fn fill(house: &House) -> Outcome<()> {
    let client = house.client().await?;
    let schema = house.schema();
    for slug in &ORGANIZATIONS[1..] {
        let text = format!(
            "insert into {schema}.organizations (organization_id, root_organization_id, slug, name, created_at, updated_at)
             values ($1, $2, $3, $3, now(), now())"
        );
        client.execute(&text, &[&OrganizationId::new(), &house.root, slug]).await?;
    }
    client
        .batch_execute(&format!(
            "insert into {schema}.agents (agent_id, organization_id, display_name, created_at, updated_at)
             select gen_random_uuid(), organization_id, 'Agent ' || n, now(), now()
             from {schema}.organizations, generate_series(1, 20) n where slug <> 'bench';
             with agents as (
                 select agent_id, organization_id, row_number() over (order by agent_id) as n from {schema}.agents
             )
             insert into {schema}.calls
                 (call_id, organization_id, agent_id, external_id, channel, language, status, failed_stage, failure_kind, failure_reason,
                  duration_ms, started_at, received_at, transcribed_at, evaluated_at, overall_score)
             select gen_random_uuid(), organization_id, agent_id, 'bench-' || calls.n, 'phone', 'en',
                 case when failed then 'failed' else 'evaluated' end, case when failed then 'assess' end,
                 case when failed then 'timeout' end, case when failed then 'The language model did not answer in time.' end,
                 200000 + calls.n, at - interval '4 minutes', at, at + interval '1 minute',
                 case when not failed then at + interval '2 minutes' end, case when not failed then calls.n % 10000 / 100.0 end
             from (select n, n % 50 = 0 as failed, date_trunc('minute', now()) - n * interval '1 minute' as at
                   from generate_series(1, {CALLS}) n) calls
             join agents on agents.n = 1 + calls.n % 60;"
        ))
        .await?;
    let analyze = format!("vacuum analyze {schema}.organizations, {schema}.agents, {schema}.calls");
    client.batch_execute(&analyze).await?; // alone: it runs in no transaction
    client.batch_execute("checkpoint").await?;
    Ok(())
}

/// A server's process, on the first core; it is killed when this is dropped.
struct Server {
    name: &'static str,
    port: u16,
    process: Child,
}

impl Server {
    /// The very program. Like its peers it writes no line per request.
    fn plumbline(house: &House, cores: &Cores) -> Outcome<Self> {
        let port = free_port()?;
        let login = house.login();
        let socket = house.postgres.socket_directory().display().to_string();
        let url = format!("host={socket} user={} dbname=postgres", login.get_user().unwrap_or_default());
        let mut command = cores.first(env!("CARGO_BIN_EXE_plumbline"));
        command
            .arg("serve")
            .env("DATABASE_URL", url)
            .env("PLUMBLINE_DATABASE__LANES", LANES.to_string())
            .env("PLUMBLINE_SERVER__BIND", format!("127.0.0.1:{port}"))
            .env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true")
            .env("PLUMBLINE_OBJECTS__DIRECTORY", house.directory.path().join("objects"))
            .env("PLUMBLINE_LOG__FILTER", "warn");
        Self::start("Plumbline", port, command)
    }

    fn fastapi(house: &House, audience: &str, cores: &Cores) -> Outcome<Self> {
        let port = free_port()?;
        let mut command = cores.first(&peers("BENCH_PYTHON")?.join("bin/uvicorn").display().to_string());
        command
            .args(["app:app", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"])
            .args(["--workers", "1", "--port", &port.to_string(), "--app-dir"])
            .arg(source().join("fastapi"));
        command.env("BENCH_PEER", settings(house, audience, port));
        Self::start("FastAPI", port, command)
    }

    fn fastify(house: &House, audience: &str, cores: &Cores) -> Outcome<Self> {
        let port = free_port()?;
        let mut command = cores.first("node");
        command.arg(peers("BENCH_NODE")?.join("fastify/server.js")).env("NODE_ENV", "production");
        command.env("BENCH_PEER", settings(house, audience, port));
        Self::start("Fastify", port, command)
    }

    fn start(name: &'static str, port: u16, command: Command) -> Outcome<Self> {
        let mut command = tokio::process::Command::from(command);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn();
        Ok(Self { name, port, process: process.map_err(|error| format!("{name}: {error}"))? })
    }

    async fn turn(&self, house: &House, request: &str) -> Outcome<Turn> {
        let pid = self.process.id().ok_or_else(|| format!("{} ended", self.name))?;
        let pid_file = house.directory.path().join("postgres/data/postmaster.pid");
        let postmaster = std::fs::read_to_string(pid_file)?.lines().next().unwrap_or_default().parse()?;
        let before = (cpu::of(pid)?, cpu::of_children(postmaster)?);
        let load = load(self.port, request, CONNECTIONS, LONG).await?;
        let after = (cpu::of(pid)?, cpu::of_children(postmaster)?);
        let each = |used: Duration| used.as_secs_f64() * 1_000_000.0 / load.answers as f64;
        let (server_us, postgres_us) = (each(after.0 - before.0), each(after.1.saturating_sub(before.1)));
        Ok(Turn { load, server_us, postgres_us })
    }

    /// The first answer with status 200, as soon as the server is there.
    async fn first_answer(&self, request: &str) -> Outcome<Vec<u8>> {
        let mut tries = 0;
        loop {
            match once(self.port, request).await {
                Err(_) if tries < 100 => tokio::time::sleep(Duration::from_millis(100)).await,
                outcome => return outcome.map_err(|error| format!("{}: {error}", self.name).into()),
            }
            tries += 1;
        }
    }
}

/// What both peers are told.
fn settings(house: &House, audience: &str, port: u16) -> String {
    json!({
        "port": port,
        "workers": 1,
        "connections": LANES,
        "socket": house.postgres.socket_directory(),
        "user": plumbline::demo::postgres::SUPERUSER,
        "schema": house.schema(),
        "issuer": house.issuer,
        "jwks_uri": format!("{}/protocol/openid-connect/certs", house.issuer),
        "audience": audience,
    })
    .to_string()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

fn peers(variable: &str) -> Outcome<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| "run it by `script/bench http`".into())
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The first core is the servers', the others are PostgreSQL's and the load's.
struct Cores {
    others: String,
}

impl Cores {
    fn of_this_machine() -> Outcome<Self> {
        match std::thread::available_parallelism()?.get() {
            1 => Err("this bench needs two cores".into()),
            2 => Ok(Self { others: "core 1".to_owned() }),
            cores => Ok(Self { others: format!("cores 1-{}", cores - 1) }),
        }
    }

    /// This process and whatever it starts leave the first core alone.
    fn leave_the_first(&self) -> Outcome<()> {
        let others = self.others.rsplit(' ').next().unwrap_or_default();
        let told = Command::new("taskset").args(["-acp", others, &std::process::id().to_string()]).output()?;
        if told.status.success() { Ok(()) } else { Err("taskset failed".into()) }
    }

    fn first(&self, program: &str) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", program]);
        command
    }
}
