//! Written conversations on their way through all stages, in this process: senders, a worker as `plumbline serve` runs it, and a language model
//! that takes no time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
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
            speech::SpeechOptions,
        },
        tenancy::{Tenants, quotas::Quotas},
    },
    product::{
        calls::{
            CallError,
            model::{CallDetails, Channel, Utterance},
            redaction::Company,
            written,
        },
        evaluations::cost::Prices,
        scorecards::{Scorecards, model::Definition},
    },
};
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::{House, Outcome};

const SENDERS: usize = 8;
/// What every first utterance holds, so that it can be quoted.
pub const QUOTE: &str = "Thank you for waiting, I have found your order";

/// Publishes what the house's calls are judged by.
pub async fn publish(house: &House, definition: Definition) -> Outcome<()> {
    let db = Arc::new(Db::new(house.connections().open()?));
    let scorecards = Scorecards::new(db, Clock::system());
    let grant = house.grant(Permission::ManageScorecards);
    let keyed = IdempotencyKey::default();
    let drafted = scorecards.create(&grant, &keyed.request("create"), house.organization, definition).await?;
    scorecards.publish(&grant, &keyed.request("publish"), drafted.value.scorecard_id).await?;
    Ok(())
}

/// Senders, a worker, and somebody who watches.
pub struct Line<'a> {
    conversation: fn(usize) -> Vec<Utterance>,
    house: &'a House,
    /// What the stages work with.
    pub means: Arc<Means>,
    db: Arc<Db>,
    /// Tells the worker that there is work.
    pub wake: Wake,
    watcher: Client,
    sent: AtomicUsize,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<()>,
}

impl<'a> Line<'a> {
    /// With a language model that takes no time; `conversation` is the n-th that is sent.
    pub async fn start(
        house: &'a House,
        connections: Connections,
        conversation: fn(usize) -> Vec<Utterance>,
    ) -> Outcome<Self> {
        let db = Arc::new(Db::new(connections.open()?));
        let means = Arc::new(Means {
            db: db.clone(),
            tenants: Arc::new(Tenants::new(db.clone())),
            clock: Clock::system(),
            objects: Arc::new(object_store::memory::InMemory::new()),
            speech: None,
            hearing: SpeechOptions::default(),
            language_model: Arc::new(AtOnce),
            request_characters: 288_000,
            prices: Prices::default(),
            plugins: Arc::new(PluginHost::new(Limits::default())?),
            keep_runs: chrono::TimeDelta::days(30),
            transcription_poll: Duration::from_secs(1),
            public_url: None,
            master_key: None,
        });
        let (wake, stop) = (Wake::default(), CancellationToken::new());
        let settings = WorkerSettings::default();
        let worker = Worker::new(db.clone(), Clock::system(), wake.clone(), settings, handlers(&means));
        let worker = tokio::spawn(Arc::new(worker).run(stop.clone()));
        Ok(Self {
            conversation,
            house,
            means,
            db,
            wake,
            watcher: house.client().await?,
            sent: AtomicUsize::new(0),
            stop,
            worker,
        })
    }

    /// Sends calls and returns when all are evaluated and followed up.
    pub async fn run(&self, calls: usize) -> Outcome<()> {
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
        let utterances = (self.conversation)(self.sent.fetch_add(1, Ordering::Relaxed));
        let grant = self.house.grant(Permission::UploadCalls);
        let now = Clock::system().now();
        self.db
            .tenant(&grant, "calls.receive_written", async |tx| {
                written::receive(tx, &Order, &Quotas::default(), &details, &utterances, &Company::default(), now)
                    .await
                    .map(|_| ())
            })
            .await
            .map_err(|error: CallError| error.to_string())?;
        self.wake.wake();
        Ok(())
    }

    pub async fn stop(self) -> Outcome<()> {
        self.stop.cancel();
        Ok(self.worker.await?)
    }
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
        Ok(Completed {
            content,
            model: "at-once".to_owned(),
            fingerprint: None,
            prompt_tokens: 0,
            completion_tokens: 0,
            request_id: None,
        })
    }
}
