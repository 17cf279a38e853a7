//! Reads through the door over one, a hundred and a thousand tenants at random: what it costs that every tenant has a schema.
//!
//! Every read is `calls::store::find` over `Db::alone`, as the handler of `GET /api/calls/{id}` calls it. Each number of tenants has a door of
//! its own, warmed up; they take turns in one run. The backends' own memory (anonymous pages, without what they share) and the processor
//! time of both sides are read from `/proc`; the latter says more than throughput when the machine is busy with other things. Then, on a
//! door of one connection: round trips and time of a tenant's first read there and of its next ones.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use plumbline::{
    platform::db::{Connections, Db},
    product::calls::store,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use support::{
    House, Outcome, backend,
    many::{Member, tenants},
    median, met,
    relay::Relay,
    rounded,
};

const TENANTS: [usize; 3] = [1, 100, 1_000];
const CALLS: i32 = 50;
const CONCURRENCY: usize = 8;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
/// By then a thousand tenants have met their lanes.
const WARM_UP: Duration = Duration::from_secs(8);
const DELAY: Duration = Duration::from_millis(3);
const GOAL: f64 = 0.8;

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(240), bench())
}

async fn bench() -> Outcome<()> {
    let house = House::open(false, "https://issuer.invalid/bench").await?;
    let started = Instant::now();
    let members = Arc::new(tenants(&house, TENANTS[2], CALLS).await?);
    println!("tenants: {} made in {:.0} s", members.len(), started.elapsed().as_secs_f64());
    let mut doors = vec![];
    let mut known = vec![];
    println!("{:>8} {:>22} {:>14}", "tenants", "first second, reads", "backends, MiB");
    for tenants in TENANTS {
        let db = Arc::new(Db::new(house.connections().open()?));
        let cold = read(&db, &members, tenants, Duration::from_secs(1)).await?;
        read(&db, &members, tenants, WARM_UP).await?;
        let mut own = backends(&house).await?;
        own.retain(|pid| !known.contains(pid));
        known.extend(&own);
        println!("{tenants:>8} {:>22.0} {:>14.0}", cold.per_s, memory_mib(&own)?);
        doors.push((tenants, db, own));
    }
    println!(
        "concurrency {CONCURRENCY}, {ROUNDS} rounds of {} s each; processor time of a read in µs, of this process and of the backends",
        ROUND.as_secs()
    );
    println!(
        "{:>8} {:>8} {:>10} {:>8} {:>8} {:>10} {:>10}",
        "", "tenants", "reads a s", "p50, ms", "p99, ms", "here, µs", "there, µs"
    );
    let mut figures = [const { [const { vec![] }; 5] }; 3];
    for round in 1..=ROUNDS {
        for ((tenants, db, own), all) in doors.iter().zip(&mut figures) {
            let (here, there) = (processor_us(&[std::process::id() as i32])?, processor_us(own)?);
            let reads = read(db, &members, *tenants, ROUND).await?;
            let each = |us: u64| us as f64 / reads.count as f64;
            let (here, there) =
                (each(processor_us(&[std::process::id() as i32])? - here), each(processor_us(own)? - there));
            let measured = [reads.per_s, reads.p50_ms, reads.p99_ms, here, there];
            show(&format!("round {round}"), *tenants, measured);
            for (values, value) in all.iter_mut().zip(measured) {
                values.push(value);
            }
        }
    }
    let [one, hundred, thousand] = figures.map(|all| all.map(|values| median(&values)));
    for (tenants, measured) in TENANTS.iter().zip([one, hundred, thousand]) {
        show("median", *tenants, measured);
    }
    let backend_mib = memory_mib(&doors[2].2)?;
    println!(
        "{} backends of the door with {} tenants: {backend_mib:.0} MiB of their own",
        doors[2].2.len(),
        TENANTS[2]
    );
    statements(&house, &members).await?;
    first_reads(&house, &members).await?;
    let (ratio_1000, ratio_100) = (thousand[0] / one[0], hundred[0] / one[0]);
    println!("goal {GOAL}: a thousand tenants {}", met(ratio_1000 >= GOAL));
    println!(
        "{}",
        json!({
            "ratio_1000_to_1": rounded(ratio_1000, 3), "ratio_100_to_1": rounded(ratio_100, 3),
            "p99_ms_1": rounded(one[2], 3), "p99_ms_1000": rounded(thousand[2], 3), "backend_mib_1000": rounded(backend_mib, 0),
        })
    );
    Ok(())
}

fn show(what: &str, tenants: usize, [per_s, p50, p99, here, there]: [f64; 5]) {
    println!("{what:>8} {tenants:>8} {per_s:>10.0} {p50:>8.3} {p99:>8.3} {here:>10.1} {there:>10.1}");
}

struct Reads {
    count: usize,
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Reads of random calls of the first `tenants` tenants by `CONCURRENCY` tasks.
async fn read(db: &Arc<Db>, members: &Arc<Vec<Member>>, tenants: usize, long: Duration) -> Outcome<Reads> {
    let started = Instant::now();
    let tasks = (0..CONCURRENCY).map(|task| {
        let (db, members) = (db.clone(), members.clone());
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(task as u64 ^ started.elapsed().as_nanos() as u64);
            let mut took_us = vec![];
            while started.elapsed() < long {
                let at = Instant::now();
                find(&db, &members[random.random_range(0..tenants)], random.random_range(0..CALLS as usize)).await?;
                took_us.push(at.elapsed().as_micros() as u32);
            }
            Outcome::Ok(took_us)
        })
    });
    let mut took_us = vec![];
    for task in tasks.collect::<Vec<_>>() {
        took_us.extend(task.await??);
    }
    let per_s = took_us.len() as f64 / started.elapsed().as_secs_f64();
    took_us.sort_unstable();
    let at = |share: f64| f64::from(took_us[((took_us.len() - 1) as f64 * share) as usize]) / 1_000.0;
    Ok(Reads { count: took_us.len(), per_s, p50_ms: at(0.5), p99_ms: at(0.99) })
}

async fn find(db: &Db, member: &Member, call: usize) -> Outcome<()> {
    let found = store::find(&db.alone(&member.grant), member.calls[call]).await?;
    found.map(drop).ok_or_else(|| "the call is not there".into())
}

/// What a backend keeps for a short statement and for a long one: by this the bound of prepared statements is chosen.
async fn statements(house: &House, members: &[Member]) -> Outcome<()> {
    const LOOKED_AT: usize = 200;
    let find = include_str!("../sql/queries/calls/find.sql");
    let list = include_str!("../sql/queries/calls/list.sql");
    let (none, word, at) = (None::<uuid::Uuid>, None::<&str>, None::<chrono::DateTime<chrono::Utc>>);
    let filters: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [&none, &word, &word, &at, &at, &at, &none, &50_i64];
    for (name, text, others) in [("calls/find", find, &filters[..0]), ("calls/list", list, &filters[..])] {
        let kept = backend::kept(house, &members[..LOOKED_AT], text, others).await?;
        println!(
            "{name}: a backend keeps {:.0} KiB for the prepared statement, {:.0} with its plan; {:.0} for the tenant's tables",
            kept.prepared_kib, kept.planned_kib, kept.tables_kib
        );
    }
    Ok(())
}

/// The first read of a tenant on a connection, and the next ones.
async fn first_reads(house: &House, members: &[Member]) -> Outcome<()> {
    const LOOKED_AT: usize = 200;
    const READS: usize = 4;
    let directory = tempfile::tempdir()?;
    let relay = Relay::listen(directory.path(), house.postgres.socket_directory(), DELAY)?;
    let db = Db::new(Connections { lanes: 1, ..house.behind(directory.path()) }.open()?);
    let mut round_trips = vec![];
    for member in &members[..3] {
        for call in 0..READS {
            relay.take();
            find(&db, member, call).await?;
            round_trips.push(relay.take().to_string());
        }
    }
    println!("round trips of the first {READS} reads of three tenants on one connection: {}", round_trips.join(" "));
    let db = Db::new(Connections { lanes: 1, ..house.connections() }.open()?);
    find(&db, &members[0], 0).await?;
    let mut took_ms = [const { vec![] }; READS];
    for member in &members[1..=LOOKED_AT] {
        for (call, took_ms) in took_ms.iter_mut().enumerate() {
            let at = Instant::now();
            find(&db, member, call).await?;
            took_ms.push(at.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    let medians: Vec<String> = took_ms.iter().map(|took_ms| format!("{:.3}", median(took_ms))).collect();
    println!("their time on a socket of this machine, medians of {LOOKED_AT} tenants, ms: {}", medians.join(" "));
    Ok(())
}

/// The processes that serve doors.
async fn backends(house: &House) -> Outcome<Vec<i32>> {
    let text = "select pid from pg_stat_activity where application_name = 'plumbline'";
    Ok(house.client().await?.query(text, &[]).await?.iter().map(|row| row.get("pid")).collect())
}

/// Memory that is no other process's: anonymous pages, each in equal parts where a fork still shares it.
fn memory_mib(pids: &[i32]) -> Outcome<f64> {
    let mut kib = 0_u64;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
        let value = line.and_then(|line| line.split_whitespace().next()).ok_or("no Pss_Anon in smaps_rollup")?;
        kib += value.parse::<u64>()?;
    }
    Ok(kib as f64 / 1_024.0)
}

/// User and system time so far; `/proc` counts in hundredths of a second.
fn processor_us(pids: &[i32]) -> Outcome<u64> {
    const TICK_US: u64 = 10_000;
    let mut ticks = 0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name of the program stands in parentheses and may hold anything; the times are the 12th and 13th words behind it.
        let (_, words) = text.rsplit_once(')').ok_or("no name in stat")?;
        for word in words.split_whitespace().skip(11).take(2) {
            ticks += word.parse::<u64>()?;
        }
    }
    Ok(ticks * TICK_US)
}
