//! A plugin version over 25,000 stored evaluations: how long it takes from asking for it to its report.
//!
//! Dialogues of forty to sixty turns, answers to 20 criteria with quotes, all of it in a private PostgreSQL that keeps what it commits. The example
//! plugin scores them through the sandbox: the job is leased, worked off in slices and saved by a worker as `plumbline serve` runs it, in this process.

mod dialogues;
mod fill;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use object_store::ObjectStoreExt;
use plumbline::{
    foundation::{access::Permission, clock::Clock, digest},
    platform::{http::IdempotencyKey, tenancy::quotas::Quotas},
    product::{
        calls::model::Utterance,
        evaluations::backtest::{
            Backtests, NewBacktest,
            model::{Backtest, BacktestStatus, Filter},
        },
    },
};
use serde_json::{Value, json};

use support::{
    House, Outcome,
    line::{Line, publish},
    met, rounded,
};

const COMPONENT: &[u8] = include_bytes!("../../plugins/monologue_deduction/monologue_deduction.wasm");
const CALLS: i32 = 25_000;
const MOST_S: f64 = 60.0;

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(240), bench())
}

async fn bench() -> Outcome<()> {
    let calls = std::env::var("PLUMBLINE_BENCH_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(CALLS);
    let house = House::open(true, "https://issuer.invalid/bench").await?;
    let definition = fill::definition()?;
    publish(&house, definition.clone()).await?;
    let began = Instant::now();
    fill::fill(&house, &definition, calls).await?;
    println!("backtest: {calls} evaluated calls were made in {:.0} s", began.elapsed().as_secs_f64());

    let line = Line::start(&house, house.connections(), nothing_is_sent).await?;
    let (backtests, new) = prepared(&house, &line, calls).await?;
    let began = Instant::now();
    let ended = tested(&house, &line, &backtests, new).await?;
    let seconds = began.elapsed().as_secs_f64();
    line.stop().await?;
    let report = check(&ended, calls)?;
    let speed = f64::from(calls) / seconds;
    let seconds_for_25000 = f64::from(CALLS) / speed;
    println!(
        "{calls} calls in {seconds:.1} s; a call took the plugin {} µs (p50), {} µs (p99), {} instructions (p50)",
        report["took"]["elapsed_us"]["p50"], report["took"]["elapsed_us"]["p99"], report["took"]["fuel"]["p50"]
    );
    println!("goal at most {MOST_S} s for {CALLS}: {}", met(seconds_for_25000 <= MOST_S));
    let figures =
        json!({ "calls": calls, "calls_per_s": rounded(speed, 0), "seconds_for_25000": rounded(seconds_for_25000, 1) });
    println!("{figures}");
    Ok(())
}

fn nothing_is_sent(_: usize) -> Vec<Utterance> {
    vec![]
}

/// The version is the tenant's, and bound to nobody.
async fn prepared(house: &House, line: &Line<'_>, calls: i32) -> Outcome<(Backtests, NewBacktest)> {
    let digest = digest::of_bytes(COMPONENT);
    let key = format!("plugins/{digest}.wasm");
    line.means.objects.put(&key.as_str().into(), COMPONENT.into()).await?;
    let text = format!(
        "insert into {}.plugin_versions (digest, organization_id, name, version, world, size_bytes, object_key, created_at)
         values ($1, $2, 'example', '1.0.0', 'scorer', 1, $3, now())",
        house.schema()
    );
    house.client().await?.execute(&text, &[&digest, &house.root, &key]).await?;
    let backtests = Backtests {
        db: line.means.db.clone(),
        clock: Clock::system(),
        plugins: line.means.plugins.clone(),
        objects: line.means.objects.clone(),
    };
    let settings = json!({"longest_turn_words": 60, "channels": ["phone"]});
    let filter = Filter { most_calls: calls, ..Filter::default() };
    Ok((backtests, NewBacktest { digest, organization_id: house.organization, settings, filter }))
}

async fn tested(house: &House, line: &Line<'_>, backtests: &Backtests, new: NewBacktest) -> Outcome<Backtest> {
    let (grant, digest) = (house.grant(Permission::ManagePlugins), new.digest.clone());
    let keyed = IdempotencyKey::default().request("bench");
    let begun = backtests.start(&grant, &keyed, &Quotas::default(), new).await?.value;
    line.wake.wake();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = backtests.get(&grant, &digest, begun.backtest_id).await?;
        if now.status.is_over() {
            return Ok(now);
        }
    }
}

/// Every call must have been scored, some otherwise than before.
fn check(ended: &Backtest, calls: i32) -> Outcome<Value> {
    let report = ended.report.as_ref().ok_or("there is no report")?;
    let all = u64::from(calls.unsigned_abs());
    let is_whole = ended.status == BacktestStatus::Succeeded && report.scored == all && report.overall.calls == all;
    let is_told = report.overall.changed > 0
        && report.determinism.sampled == all.div_ceil(100)
        && report.determinism.unequal == 0;
    if !(is_whole && is_told && report.faults.is_empty()) {
        return Err(format!("the back-test came to something else: {:?} {report:?}", ended.status).into());
    }
    Ok(serde_json::to_value(report)?)
}
