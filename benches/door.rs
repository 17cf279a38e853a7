//! Reads through the door against the same statements under bare pgbench: what the walls cost.
//!
//! The door: `calls::store::find` and `list` (a page of 50) over `Db::alone`, as the handlers call them: checkout, scope role, context, row
//! security, commit, rows made into calls. The yardstick: `pgbench -M prepared` as the owner of the tables, past row security and without a
//! transaction, with the very same statements, on the same server. Both at concurrency 8, turn by turn in one run; medians of the rounds.

mod support;

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use plumbline::{
    demo::postgres::Binaries,
    foundation::{access::Permission, ids::CallId},
    platform::db::Db,
    product::calls::store::{self, CallFilter},
};
use serde_json::json;
use tokio_postgres::Client;

use support::{House, Outcome, median, met, rounded};

const CONCURRENCY: usize = 8;
const CALLS: i32 = 50_000;
/// Both sides read these calls again and again, so that pgbench can bind the very same ids: it has no ids of its own.
const IDS: usize = 32;
const ROUNDS: usize = 5;
const SECONDS: u64 = 3;
const PAGE: i64 = 50;
const GOAL: f64 = 0.5;

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(180), bench())
}

async fn bench() -> Outcome<()> {
    let house = House::open(true, "https://issuer.invalid/bench").await?;
    let ids = fill(&house).await?;
    let db = Arc::new(Db::new(house.connections().open()?));
    let yardstick = Yardstick::new(&house, &ids)?;
    let grant = Arc::new(house.grant(Permission::ReadCalls));
    let by_id = {
        let (db, grant, ids) = (db.clone(), grant.clone(), Arc::new(ids));
        move |turn: usize| {
            let (db, grant, id) = (db.clone(), grant.clone(), ids[turn % ids.len()]);
            async move { Ok(usize::from(store::find(&db.alone(&grant), id).await?.is_some())) }
        }
    };
    let list = move |_: usize| {
        let (db, grant) = (db.clone(), grant.clone());
        async move { Ok(store::list(&db.alone(&grant), &CallFilter::default(), None, PAGE).await?.len()) }
    };
    println!("door: {CALLS} calls, concurrency {CONCURRENCY}, {ROUNDS} rounds of {SECONDS} s each, reads a second");
    println!(
        "{:>8} {:>12} {:>12} {:>7}   {:>12} {:>12} {:>7}",
        "", "find door", "pgbench", "ratio", "list door", "pgbench", "ratio"
    );
    let warm = Duration::from_millis(500);
    through_the_door(warm, 1, by_id.clone()).await?;
    through_the_door(warm, PAGE as usize, list.clone()).await?;
    let mut figures = [vec![], vec![], vec![], vec![]];
    for round in 1..=ROUNDS {
        let long = Duration::from_secs(SECONDS);
        let measured = [
            through_the_door(long, 1, by_id.clone()).await?,
            yardstick.run("find", IDS)?,
            through_the_door(long, PAGE as usize, list.clone()).await?,
            yardstick.run("list", 1)?,
        ];
        show(&format!("round {round}"), measured);
        for (all, one) in figures.iter_mut().zip(measured) {
            all.push(one);
        }
    }
    let [find, bare_find, list, bare_list] = figures.map(|values| median(&values));
    show("median", [find, bare_find, list, bare_list]);
    let (by_id_ratio, list_ratio) = (find / bare_find, list / bare_list);
    println!("goal {GOAL} each: by id {}, list {}", met(by_id_ratio >= GOAL), met(list_ratio >= GOAL));
    println!("{}", json!({ "by_id_ratio": rounded(by_id_ratio, 3), "list_ratio": rounded(list_ratio, 3) }));
    Ok(())
}

fn show(what: &str, [find, bare_find, list, bare_list]: [f64; 4]) {
    println!(
        "{what:>8} {find:>12.0} {bare_find:>12.0} {:>7.3}   {list:>12.0} {bare_list:>12.0} {:>7.3}",
        find / bare_find,
        list / bare_list
    );
}

/// Calls of the organization, and some of them to be read.
async fn fill(house: &House) -> Outcome<Vec<CallId>> {
    let client = house.client().await?;
    let schema = house.schema();
    let text = format!(
        "insert into {schema}.calls
             (call_id, organization_id, external_id, channel, language, status, duration_ms, started_at, received_at, transcribed_at,
              evaluated_at, overall_score)
         select gen_random_uuid(), $1, 'bench-' || n, 'phone', 'en', 'evaluated', 240000, at, at, at, at, n % 10000 / 100.0
         from (select n, now() - n * interval '1 minute' as at from generate_series(1, $2::int4) n) calls"
    );
    client.execute(&text, &[&house.organization, &CALLS]).await?;
    client.batch_execute(&format!("vacuum analyze {schema}.calls")).await?;
    client.batch_execute("checkpoint").await?;
    some_ids(&client, &schema).await
}

async fn some_ids(client: &Client, schema: &str) -> Outcome<Vec<CallId>> {
    let text = format!("select call_id from {schema}.calls order by call_id limit {IDS}");
    Ok(client.query(&text, &[]).await?.iter().map(|row| row.get("call_id")).collect())
}

/// Reads a second by `CONCURRENCY` tasks, each of whose reads gives `rows` rows.
async fn through_the_door<F>(
    long: Duration,
    rows: usize,
    read: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Outcome<f64>
where
    F: Future<Output = Outcome<usize>> + Send,
{
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks = (0..CONCURRENCY).map(|task| {
        let (read, done) = (read.clone(), done.clone());
        tokio::spawn(async move {
            let mut turn = task;
            while started.elapsed() < long {
                let given = read(turn).await?;
                if given != rows {
                    return Err(format!("{given} rows instead of {rows}").into());
                }
                done.fetch_add(1, Ordering::Relaxed);
                turn += CONCURRENCY + 1;
            }
            Outcome::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

/// pgbench with the same statements.
struct Yardstick<'a> {
    house: &'a House,
    binary: std::path::PathBuf,
    variables: Vec<String>,
}

impl<'a> Yardstick<'a> {
    /// One script for each id, because a variable of pgbench is a number or is given on the command line.
    fn new(house: &'a House, ids: &[CallId]) -> Outcome<Self> {
        let schema = house.schema();
        let statement = |text: &str| -> String {
            let body: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
            body.join("\n").trim_end().replace("tenant.", &format!("{schema}."))
        };
        let find = statement(include_str!("../sql/queries/calls/find.sql"));
        for n in 0..ids.len() {
            let text = find.replace("$1", &format!(":id_{n}")).replace("$2", ":organizations");
            std::fs::write(script(house, "find", n), format!("{text};\n"))?;
        }
        let mut list = statement(include_str!("../sql/queries/calls/newest.sql"));
        for (parameter, variable) in [("$1", ":organizations"), ("$2", ":page")] {
            list = list.replace(parameter, variable);
        }
        std::fs::write(script(house, "list", 0), format!("{list};\n"))?;
        let mut variables = vec![format!("organizations={{{}}}", house.organization), format!("page={PAGE}")];
        variables.extend(ids.iter().zip(0..).map(|(id, n): (_, usize)| format!("id_{n}={id}")));
        let beside = Binaries::find(None)?.directory().join("pgbench");
        let binary = if beside.exists() { beside } else { "pgbench".into() };
        Ok(Self { house, binary, variables })
    }

    fn run(&self, name: &str, scripts: usize) -> Outcome<f64> {
        let mut command = Command::new(&self.binary);
        command.args(["-n", "-M", "prepared", "-j", "2", "-T", &SECONDS.to_string(), "-c", &CONCURRENCY.to_string()]);
        command.args(["-U", plumbline::demo::postgres::SUPERUSER, "-h"]).arg(self.house.postgres.socket_directory());
        for variable in &self.variables {
            command.args(["-D", variable]);
        }
        for n in 0..scripts {
            command.arg("-f").arg(script(self.house, name, n));
        }
        // The door has its list planned once per connection; so has the yardstick.
        let output = command.arg("postgres").env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan").output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
        tps.ok_or_else(|| format!("pgbench failed: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

fn script(house: &House, name: &str, n: usize) -> std::path::PathBuf {
    house.directory.path().join(format!("{name}-{n}.sql"))
}
