//! Composition root: settings in, a running application out.

mod means;
mod operate;

use std::{io, sync::Arc, time::Duration};

use chrono::TimeDelta;
use object_store::{ObjectStore, memory::InMemory};
use poem::{
    EndpointExt, Response, Server,
    endpoint::BoxEndpoint,
    listener::{Acceptor, TcpAcceptor},
};
use poem_openapi::OpenApi;
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::{
    foundation::{clock::Clock, config::Config, crypto::CryptoError},
    pipeline::{self, Means, Order, RerunApi, TryoutsApi, WebhooksApi},
    platform::{
        archive::{self, api::ArchivesApi},
        db::{Connections, Db, OwnerError, check_least_privilege},
        fleet::api::FleetApi,
        http::BodyLimit,
        identity::{
            Authenticator, DevelopmentTrustRefused, IssuerKeys, IssuerProbe, Members, TokenRules,
            agents::{Agents, api::AgentsApi},
            trust_development_issuer,
            users::{Users, api::UsersApi},
        },
        isolation::{Isolation, api::IsolationApi},
        jobs::{Wake, Worker, WorkerSettings, api::JobsApi},
        lifecycle::{Lifecycle, api::TenantsApi},
        operations::api::OperationsApi,
        plugins::PluginError,
        providers::ProviderError,
        staging::Staging,
        tenancy::{
            Tenants,
            organizations::{Organizations, api::OrganizationsApi},
            quotas::api::QuotasApi,
        },
    },
    product::{
        calls::{
            api::CallsApi,
            sweep,
            upload::{Recordings, UploadLimits},
        },
        evaluations::{
            api::EvaluationsApi,
            backtest::{Backtests, api::BacktestsApi},
            human::HumanAnswers,
            reading::Evaluations,
            receipt::{api::ReceiptsApi, keys::ReceiptKeys, reading::Receipts},
            replay::{Replays, api::ReplaysApi},
            rescore::{Price, Rescores, api::RescoresApi},
            spending::Spending,
        },
        plugins::{
            Plugins,
            api::{PluginBindingsApi, PluginsApi},
            comparison::ComparisonsApi,
        },
        scorecards::{Scorecards, api::ScorecardsApi, review::Reviewer},
    },
    server::{self, Readiness},
};

/// Why the application cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that the command needs is missing.
    #[error("{0} is needed")]
    Missing(&'static str),
    /// A connection string cannot be read. The string is not shown: it holds a password.
    #[error("the connection string {0} cannot be read")]
    ConnectionString(&'static str),
    /// PostgreSQL, or the role it lets us in with.
    #[error(transparent)]
    Database(#[from] OwnerError),
    /// The object store's settings.
    #[error("the object store: {0}")]
    Objects(#[from] object_store::Error),
    /// A provider's settings.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The plugin engine.
    #[error(transparent)]
    Plugins(#[from] PluginError),
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] CryptoError),
    /// The development issuer may not be trusted here.
    #[error(transparent)]
    DevelopmentTrust(#[from] DevelopmentTrustRefused),
    /// The client that reads issuers' keys.
    #[error("the client of token issuers: {0}")]
    Issuers(#[from] reqwest::Error),
    /// The machine.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A composed application: it serves and works when it is told to.
pub struct App {
    config: Config,
    clock: Clock,
    wake: Wake,
    db: Arc<Db>,
    tenants: Arc<Tenants>,
    members: Arc<Members>,
    authenticator: Option<Arc<Authenticator>>,
    objects: Arc<dyn ObjectStore>,
    issuers: Arc<IssuerProbe>,
    means: Arc<Means>,
}

impl App {
    /// Composes the application; nothing listens or works yet.
    ///
    /// # Errors
    /// [`StartError`]; also when the login role of the database is too powerful for the walls to hold.
    pub async fn new(config: Config, clock: Clock) -> Result<Self, StartError> {
        let url = config.database.url.as_ref().ok_or(StartError::Missing("DATABASE_URL"))?;
        let connections = Connections::parse(url.expose_secret(), config.database.lanes)
            .map_err(|_| StartError::ConnectionString("DATABASE_URL"))?;
        Self::over(config, connections, clock).await
    }

    /// The same over connections that are not named by the settings: the demo's and the tests' private server.
    ///
    /// # Errors
    /// As [`App::new`].
    pub async fn over(config: Config, connections: Connections, clock: Clock) -> Result<Self, StartError> {
        check_least_privilege(&connections.config).await?;
        let trust = trust_development_issuer(config.identity.trust_development_issuer, config.server.bind)?;
        let keys = IssuerKeys::new(trust)?;
        let objects = means::objects(&config.objects)?;
        if config.crypto.master_key.is_none() {
            tracing::warn!("no master key is configured: receipts of evaluations are not signed, and say so");
        }
        let mut app = Self::composed(config, connections, objects, clock)?;
        let rules = TokenRules::new(app.config.identity.audience.clone(), 10);
        let authenticator =
            Authenticator::new(app.tenants.clone(), app.members.clone(), keys, rules, app.clock.clone())
                .with_operators(app.config.identity.operator_issuer.clone());
        app.authenticator = Some(Arc::new(authenticator));
        Ok(app)
    }

    fn composed(
        config: Config,
        connections: Connections,
        objects: Arc<dyn ObjectStore>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let connections = Connections { statements: config.database.prepared_statements, ..connections };
        let db = Arc::new(Db::new(connections.open()?));
        let tenants = Arc::new(Tenants::new(db.clone()));
        let master_key = means::master_key(&config.crypto)?;
        let means = Arc::new(Means {
            db: db.clone(),
            tenants: tenants.clone(),
            clock: clock.clone(),
            objects: objects.clone(),
            speech: means::speech(&config.speech)?,
            hearing: means::hearing(&config.speech),
            language_model: means::language_model(&config.language_model)?,
            request_characters: config.language_model.request_characters,
            prices: means::prices(&config.prices),
            plugins: means::plugins(&config.plugins, master_key.as_ref())?,
            keep_runs: TimeDelta::days(i64::from(config.plugins.keep_runs_days)),
            public_url: config.server.public_url.clone(),
            master_key,
            transcription_poll: Duration::from_secs_f64(config.speech.poll_seconds.clamp(0.01, 3_600.0)),
        });
        Ok(Self {
            tenants,
            members: Arc::new(Members::new(db.clone())),
            authenticator: None,
            issuers: Arc::new(IssuerProbe::new(config.identity.trust_development_issuer)?),
            wake: Wake::default(),
            config,
            clock,
            db,
            objects,
            means,
        })
    }

    /// The API's document, made without a database, an object store or a provider: for `plumbline openapi`.
    ///
    /// # Errors
    /// [`StartError`] when even that needs what the machine does not give.
    pub fn offline_document(config: Config) -> Result<serde_json::Value, StartError> {
        let nowhere = Connections::parse("host=/nonexistent user=nobody", 1)
            .map_err(|_| StartError::ConnectionString("offline"))?;
        let nothing = Arc::new(InMemory::new());
        Ok(server::document(Self::composed(config, nowhere, nothing, Clock::system())?.apis()))
    }

    fn apis(&self) -> impl OpenApi + 'static {
        let (db, clock) = (&self.db, &self.clock);
        let recordings = Recordings {
            objects: self.objects.clone(),
            limits: UploadLimits {
                max_bytes: self.config.upload.max_bytes,
                idle: Duration::from_secs(self.config.upload.idle_seconds),
                touch: Duration::from_secs((self.config.worker.abandoned_upload_seconds / 6).max(1)),
            },
        };
        (
            OrganizationsApi { organizations: Organizations::new(db.clone(), self.tenants.clone(), clock.clone()) },
            UsersApi { users: Users::new(db.clone(), self.members.clone(), clock.clone()) },
            AgentsApi { agents: Agents::new(db.clone(), self.members.clone(), clock.clone()) },
            CallsApi {
                db: db.clone(),
                tenants: self.tenants.clone(),
                clock: clock.clone(),
                recordings,
                stages: Arc::new(Order),
                wake: self.wake.clone(),
            },
            self.plugin_apis(),
            ScorecardsApi { scorecards: Scorecards::new(db.clone(), clock.clone()), reviewer: self.reviewer() },
            self.evaluation_apis(),
            JobsApi { db: db.clone(), clock: clock.clone(), wake: self.wake.clone() },
            WebhooksApi {
                db: db.clone(),
                clock: clock.clone(),
                tenants: self.tenants.clone(),
                wake: self.wake.clone(),
            },
            OperationsApi { db: db.clone(), clock: clock.clone() },
            ArchivesApi {
                db: db.clone(),
                clock: clock.clone(),
                objects: self.objects.clone(),
                max_bytes: self.config.archives.max_bytes,
                idle: Duration::from_secs(self.config.upload.idle_seconds),
                operator_issuer: self.config.identity.operator_issuer.clone(),
            },
            QuotasApi { db: db.clone(), tenants: self.tenants.clone(), clock: clock.clone() },
            FleetApi { db: db.clone() },
            IsolationApi {
                isolation: Isolation {
                    db: db.clone(),
                    tenants: self.tenants.clone(),
                    objects: self.objects.clone(),
                    clock: clock.clone(),
                },
            },
            TenantsApi { lifecycle: self.lifecycle() },
        )
    }

    /// What is asked about evaluations: a tuple of its own, because one holds no more than sixteen.
    fn evaluation_apis(&self) -> impl OpenApi + 'static {
        let (db, clock) = (&self.db, &self.clock);
        (
            EvaluationsApi {
                evaluations: Evaluations::new(db.clone()),
                human: HumanAnswers {
                    db: db.clone(),
                    clock: clock.clone(),
                    stages: Arc::new(Order),
                    wake: self.wake.clone(),
                },
                spending: Spending {
                    db: db.clone(),
                    evaluations: Evaluations::new(db.clone()),
                    prices: Arc::new(self.means.prices.clone()),
                },
            },
            ReceiptsApi {
                receipts: self.receipts(),
                keys: ReceiptKeys { db: db.clone(), clock: clock.clone(), master: self.means.master_key.clone() },
            },
            RescoresApi {
                rescores: Rescores { db: db.clone(), clock: clock.clone(), price: Some(self.price()) },
                scorecards: Scorecards::new(db.clone(), clock.clone()),
                tenants: self.tenants.clone(),
                wake: self.wake.clone(),
            },
            BacktestsApi {
                backtests: Backtests {
                    db: db.clone(),
                    clock: clock.clone(),
                    plugins: self.means.plugins.clone(),
                    objects: self.objects.clone(),
                },
                tenants: self.tenants.clone(),
                wake: self.wake.clone(),
            },
            TryoutsApi::new(self.means.clone(), self.patience()),
            RerunApi { db: db.clone(), clock: clock.clone(), tenants: self.tenants.clone(), wake: self.wake.clone() },
            ReplaysApi {
                replays: Replays::new(
                    self.receipts(),
                    clock.clone(),
                    self.means.request_characters,
                    self.means.keep_runs,
                ),
                tenants: self.tenants.clone(),
            },
            ComparisonsApi { db: db.clone() },
        )
    }

    /// What is asked about plugins and their use.
    fn plugin_apis(&self) -> impl OpenApi + 'static {
        let plugins = Plugins::new(
            self.db.clone(),
            self.tenants.clone(),
            self.clock.clone(),
            self.objects.clone(),
            self.means.plugins.clone(),
            Duration::from_secs(self.config.upload.idle_seconds),
        );
        (PluginsApi { plugins: plugins.clone() }, PluginBindingsApi { plugins })
    }

    fn receipts(&self) -> Receipts {
        Receipts {
            db: self.db.clone(),
            objects: self.objects.clone(),
            plugins: self.means.plugins.clone(),
            master: self.means.master_key.clone(),
        }
    }

    /// How long people wait for the language model.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.config.language_model.patience_seconds)
    }

    /// Who judges questions of scorecards.
    fn reviewer(&self) -> Reviewer {
        let prices = self.means.prices.clone();
        Reviewer {
            db: self.db.clone(),
            clock: self.clock.clone(),
            language_model: self.means.language_model.clone(),
            patience: self.patience(),
            currency: prices.currency.clone(),
            price: Arc::new(move |model, prompt, completion| prices.tokens(model, prompt, completion)),
        }
    }

    /// What tokens of the model that is asked now cost.
    fn price(&self) -> Price {
        let (prices, model) = (self.means.prices.clone(), self.means.language_model.model().to_owned());
        Arc::new(move |prompt, completion| {
            let tokens = |count: i64| u64::try_from(count).unwrap_or(0);
            let micros = prices.tokens(&model, tokens(prompt), tokens(completion))?;
            i64::try_from(micros).ok().map(|micros| Decimal::new(micros, 6))
        })
    }

    /// What may be asked about tenants' lives.
    pub fn lifecycle(&self) -> Lifecycle {
        let operators = self.config.identity.operator_issuer.clone();
        Lifecycle::new(self.db.clone(), self.clock.clone(), self.tenants.clone(), operators)
    }

    /// The HTTP service.
    pub fn service(&self) -> BoxEndpoint<'static, Response> {
        let db = self.db.clone();
        let ready = Readiness::new(move || {
            let db = db.clone();
            async move { db.check().await.map_err(|error| error.to_string()) }
        });
        let limit = BodyLimit {
            document_bytes: self.config.upload.max_json_bytes,
            upload_bytes: self.config.upload.max_bytes,
            archive_bytes: self.config.archives.max_bytes,
        };
        let service = server::service(self.apis(), limit, ready);
        match &self.authenticator {
            Some(authenticator) => service.data(authenticator.clone()).boxed(),
            None => service,
        }
    }

    /// Serves until `stop`; requests that run then have the drain time to end.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(&self, acceptor: TcpAcceptor, stop: CancellationToken) -> io::Result<()> {
        let address = acceptor.local_addr().first().map(ToString::to_string).unwrap_or_default();
        tracing::info!(%address, "listening");
        let drain = Duration::from_secs(self.config.worker.drain_seconds);
        let serving = Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(
            self.service(),
            stop.clone().cancelled_owned(),
            Some(drain),
        );
        let (served, ()) = tokio::join!(serving, self.notice(stop));
        served
    }

    /// Notices what other processes change of tenants, until `stop`; part of [`App::serve`].
    pub async fn notice(&self, stop: CancellationToken) {
        self.tenants.watch(&self.db, stop).await;
    }

    /// A worker for every kind of job.
    pub fn worker(&self) -> Arc<Worker> {
        let settings = WorkerSettings {
            concurrency: self.config.worker.concurrency.max(1),
            lease: Duration::from_secs(self.config.worker.lease_seconds.max(3)),
            drain: Duration::from_secs(self.config.worker.drain_seconds),
            ..WorkerSettings::default()
        };
        let handlers = pipeline::handlers(&self.means);
        Arc::new(Worker::new(self.db.clone(), self.clock.clone(), self.wake.clone(), settings, handlers))
    }

    /// What killed processes leave behind in a local object directory.
    pub fn staging(&self) -> Staging {
        let objects = &self.config.objects;
        Staging::of(objects.bucket.is_none().then(|| objects.directory.clone()))
    }

    /// Works off jobs, and sweeps, until `stop`.
    pub async fn work(&self, stop: CancellationToken) {
        tokio::join!(self.worker().run(stop.clone()), self.sweep_until(stop));
    }

    /// Removes what uploads that nobody finished have left behind, and archives whose time is over; returns how many objects.
    ///
    /// # Errors
    /// When PostgreSQL fails.
    pub async fn sweep(&self) -> Result<usize, crate::platform::db::DbError> {
        let age = i64::try_from(self.config.worker.abandoned_upload_seconds).unwrap_or(i64::MAX / 1_000);
        let before = self.clock.now() - TimeDelta::seconds(age);
        let keep = TimeDelta::days(self.config.archives.keep_days.into());
        let expired = archive::sweep(self.objects.as_ref(), self.clock.now() - keep).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "expired archives could not be swept");
            0
        });
        let unfinished = self.staging().remove("", Some(before.into())).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "unfinished files could not be swept");
            0
        });
        let unfinished = usize::try_from(unfinished).unwrap_or(usize::MAX);
        Ok(expired + unfinished + sweep::sweep(&self.db, self.objects.as_ref(), before).await?)
    }

    async fn sweep_until(&self, stop: CancellationToken) {
        let mut turn = tokio::time::interval(Duration::from_secs(300));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = turn.tick() => {}
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "the sweep failed");
            }
        }
    }

    /// The door to data.
    pub fn db(&self) -> &Arc<Db> {
        &self.db
    }

    /// The object store.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// What the stages work with.
    pub fn means(&self) -> &Arc<Means> {
        &self.means
    }
}
