//! Written conversations through all stages: how many a second, and how many round trips to PostgreSQL each takes.
//!
//! A conversation of 20 utterances and a scorecard of 8 criteria. Received as the handler does it, then assessed, scored and followed up by a
//! worker as `plumbline serve` runs it, all in this process, on a private PostgreSQL that keeps what it commits. The language model takes
//! no time: it answers in this process, from the schema, with a verbatim quote for every criterion.
//!
//! Round trips are counted at a relay between the pool and the server, in a run of its own, with everything in them: leases, looks for work, heartbeats.

mod support;

use std::time::{Duration, Instant};

use plumbline::product::{
    calls::model::{Speaker, Utterance},
    scorecards::model::Definition,
};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use support::{
    House, Outcome,
    line::{Line, QUOTE, publish},
    median, met,
    relay::Relay,
    rounded,
    transactions::Transactions,
};

const UTTERANCES: usize = 20;
const CRITERIA: usize = 8;
const ROUNDS: usize = 5;
const CALLS: usize = 1_000;
const COUNTED_CALLS: usize = 400;
const DELAY: Duration = Duration::from_millis(3);
const LEAST_CALLS_PER_S: f64 = 200.0;
const MOST_ROUND_TRIPS: f64 = 12.0;

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(240), bench())
}

async fn bench() -> Outcome<()> {
    let house = House::open(true, "https://issuer.invalid/bench").await?;
    publish_scorecard(&house).await?;
    println!(
        "pipeline: {CALLS} calls a round, {UTTERANCES} utterances, {CRITERIA} criteria, 8 senders; a language model that takes no time"
    );

    let line = Line::start(&house, house.connections(), conversation).await?;
    line.run(CALLS / 2).await?;
    let mut speeds = vec![];
    for round in 1..=ROUNDS {
        let started = Instant::now();
        line.run(CALLS).await?;
        let speed = CALLS as f64 / started.elapsed().as_secs_f64();
        println!("round {round}: {speed:.0} calls/s");
        speeds.push(speed);
    }
    line.stop().await?;

    let round_trips = count_round_trips(&house).await?;

    let transactions = Transactions::default();
    let filtered = tracing_subscriber::registry()
        .with(tracing_subscriber::EnvFilter::new("plumbline=debug"))
        .with(transactions.clone());
    tracing::subscriber::set_global_default(filtered)?;
    let line = Line::start(&house, house.connections(), conversation).await?;
    line.run(CALLS).await?;
    line.stop().await?;
    transactions.print(CALLS as f64);

    let calls_per_s = median(&speeds);
    println!(
        "median {calls_per_s:.0} calls/s, goal {LEAST_CALLS_PER_S}: {}; {round_trips:.1} round trips a call, goal at most {MOST_ROUND_TRIPS}: {}",
        met(calls_per_s >= LEAST_CALLS_PER_S),
        met(round_trips <= MOST_ROUND_TRIPS)
    );
    println!("{}", json!({ "calls_per_s": rounded(calls_per_s, 1), "round_trips_per_call": rounded(round_trips, 2) }));
    Ok(())
}

/// A run behind the relay, after one that has warmed up its connections.
async fn count_round_trips(house: &House) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let relay = Relay::listen(directory.path(), house.postgres.socket_directory(), DELAY)?;
    let line = Line::start(house, house.behind(directory.path()), conversation).await?;
    line.run(COUNTED_CALLS).await?;
    relay.take();
    line.run(COUNTED_CALLS).await?;
    let round_trips = relay.take();
    line.stop().await?;
    println!(
        "{round_trips} round trips for {COUNTED_CALLS} calls, with answers held back for {} ms",
        DELAY.as_millis()
    );
    Ok(round_trips as f64 / COUNTED_CALLS as f64)
}

fn conversation(number: usize) -> Vec<Utterance> {
    let turn = |n: usize| {
        let (speaker, text) = match n % 2 {
            0 => (Speaker::Agent, format!("{QUOTE} number {number} and will look into point {n} for you right away.")),
            _ => (
                Speaker::Customer,
                format!("About point {n}: the parcel came late again, and I would like to know why that happened."),
            ),
        };
        let (start, end) = (n as i64 * 6_000, n as i64 * 6_000 + 5_000);
        Utterance { n: n as i32 + 1, speaker, start_ms: Some(start), end_ms: Some(end), text }
    };
    (0..UTTERANCES).map(turn).collect()
}

async fn publish_scorecard(house: &House) -> Outcome<()> {
    let criterion = |n: usize| {
        json!({
            "key": format!("criterion_{n}"), "question": format!("Did the agent take care of point {n}?"),
            "guidance": format!("Yes if the agent says \"I have found your order\". No if the agent refuses point {n}."), "weight": n + 1,
            "auto_fail": "none", "not_applicable": n == 0
        })
    };
    let half = |from: usize| -> Vec<Value> { (from..from + CRITERIA / 2).map(criterion).collect() };
    let definition: Definition = serde_json::from_value(json!({
        "name": "Service", "description": "",
        "sections": [
            { "key": "opening", "name": "Opening", "weight": 1, "criteria": half(0) },
            { "key": "solution", "name": "Solution", "weight": 3, "criteria": half(CRITERIA / 2) },
        ]
    }))?;
    publish(house, definition).await
}
