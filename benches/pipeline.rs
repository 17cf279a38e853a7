//! Written conversations through all stages: how many a second, and how many round trips to PostgreSQL each takes.
//!
//! A conversation of 20 utterances and a scorecard of 8 criteria. Received as the handler does it, then assessed, scored and followed up by a
//! worker as `plumbline serve` runs it, all in this process, on a private PostgreSQL that keeps what it commits. The language model takes
//! no time: it answers in this process, from the schema, with a verbatim quote for every criterion.
//!
//! Round trips are counted at a relay between the pool and the server, in a run of its own, with everything in them: leases, looks for work, heartbeats.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use plumbline::{
    foundation::{access::Permission, clock::Clock},
    pipeline::{Means, Order, handlers},
    platform::{
        db::{Connections, Db},
        http::IdempotencyKey,
        jobs::{Wake, Worker, WorkerSettings},
        plugins::{Limits, PluginHost},
        providers::{
            ProviderError,
            llm::{Completed, Completion, LanguageModel},
        },
        tenancy::quotas::Quotas,
    },
    product::{
        calls::{
            CallError,
            model::{CallDetails, Channel, Speaker, Utterance},
            written,
        },
        scorecards::{Scorecards, model::Definition},
    },
};
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt;

use support::{House, Outcome, median, met, relay::Relay, rounded, transactions::Transactions};

const UTTERANCES: usize = 20;
const CRITERIA: usize = 8;
const SENDERS: usize = 8;
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
        "pipeline: {CALLS} calls a round, {UTTERANCES} utterances, {CRITERIA} criteria, {SENDERS} senders; a language model that takes no time"
    );

    let line = Line::start(&house, house.connections()).await?;
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
    let line = Line::start(&house, house.connections()).await?;
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
    let line = Line::start(house, house.behind(directory.path())).await?;
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

/// Senders, a worker, and somebody who watches.
struct Line<'a> {
    house: &'a House,
    db: Arc<Db>,
    wake: Wake,
    watcher: Client,
    sent: AtomicUsize,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<()>,
}

impl<'a> Line<'a> {
    async fn start(house: &'a House, connections: Connections) -> Outcome<Self> {
        let db = Arc::new(Db::new(connections.open()?));
        let means = Arc::new(Means {
            db: db.clone(),
            clock: Clock::system(),
            objects: Arc::new(object_store::memory::InMemory::new()),
            speech: None,
            language_model: Arc::new(AtOnce),
            prices: plumbline::product::evaluations::cost::Prices::default(),
            plugins: Arc::new(PluginHost::new(Limits::default())?),
            transcription_poll: Duration::from_secs(1),
            public_url: None,
        });
        let (wake, stop) = (Wake::default(), CancellationToken::new());
        let settings = WorkerSettings::default();
        let worker = Worker::new(db.clone(), Clock::system(), wake.clone(), settings, handlers(&means));
        let worker = tokio::spawn(Arc::new(worker).run(stop.clone()));
        Ok(Self { house, db, wake, watcher: house.client().await?, sent: AtomicUsize::new(0), stop, worker })
    }

    /// Sends calls and returns when all are evaluated and followed up.
    async fn run(&self, calls: usize) -> Outcome<()> {
        let next = AtomicUsize::new(0);
        let senders = (0..SENDERS).map(|_| async {
            while next.fetch_add(1, Ordering::Relaxed) < calls {
                self.send().await?;
            }
            Outcome::Ok(())
        });
        futures_util::future::try_join_all(senders).await?;
        while self.watcher.query_one("select exists (select from platform.jobs)", &[]).await?.get(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let text = format!(
            "select count(*) from {}.calls where status <> 'evaluated' or overall_score <> 100",
            self.house.schema()
        );
        match self.watcher.query_one(&text, &[]).await?.get::<_, i64>(0) {
            0 => Ok(()),
            wrong => Err(format!("{wrong} calls were not evaluated as they should").into()),
        }
    }

    async fn send(&self) -> Outcome<()> {
        let details = CallDetails {
            organization_id: self.house.organization,
            agent_id: None,
            scorecard_id: None,
            external_id: None,
            channel: Channel::Chat,
            queue: None,
            direction: None,
            language: Some("en".to_owned()),
            started_at: None,
            agent_channel: 1,
        };
        let utterances = conversation(self.sent.fetch_add(1, Ordering::Relaxed));
        let grant = self.house.grant(Permission::UploadCalls);
        let now = Clock::system().now();
        self.db
            .tenant(&grant, "calls.receive_written", async |tx| {
                written::receive(tx, &Order, &Quotas::default(), &details, &utterances, now).await.map(|_| ())
            })
            .await
            .map_err(|error: CallError| error.to_string())?;
        self.wake.wake();
        Ok(())
    }

    async fn stop(self) -> Outcome<()> {
        self.stop.cancel();
        Ok(self.worker.await?)
    }
}

const QUOTE: &str = "Thank you for waiting, I have found your order";

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
    let db = Arc::new(Db::new(house.connections().open()?));
    let scorecards = Scorecards::new(db, Clock::system());
    let grant = house.grant(Permission::ManageScorecards);
    let keyed = IdempotencyKey::default();
    let drafted = scorecards.create(&grant, &keyed.request("create"), house.organization, definition).await?;
    scorecards.publish(&grant, &keyed.request("publish"), drafted.value.scorecard_id).await?;
    Ok(())
}

/// Says yes to every criterion of the schema, with a quote, and takes no time over it.
struct AtOnce;

#[async_trait::async_trait]
impl LanguageModel for AtOnce {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn model(&self) -> &str {
        "at-once"
    }

    async fn complete(&self, request: &Completion) -> Result<Completed, ProviderError> {
        let criteria = request.schema["properties"].as_object().into_iter().flat_map(Map::keys);
        let answer = |key: &String| {
            let evidence = json!([{ "utterance": 1, "quote": QUOTE }]);
            let rationale = "The agent took care of it at once and said so in plain words.";
            (key.clone(), json!({ "verdict": "yes", "confidence": 0.9, "rationale": rationale, "evidence": evidence }))
        };
        let content = Value::Object(criteria.map(answer).collect()).to_string();
        Ok(Completed { content, model: "at-once".to_owned(), fingerprint: None, prompt_tokens: 0, completion_tokens: 0, request_id: None })
    }
}
