//! One run of the demo, from an empty directory to a report and a server to look around in.

use std::{collections::BTreeMap, path::Path, time::Duration};

use chrono::{DateTime, Utc};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use poem::listener::{Acceptor, TcpAcceptor};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    DemoError, DemoOptions, Report,
    client::ApiClient,
    content::{self, DemoConversation},
    issuer::DevIssuer,
    postgres::{Options, PrivatePostgres},
    providers,
    report::{CallLine, IsolationLine, StageTimes},
    setup::{OPERATORS, Settled, operator, settle},
};
use crate::{
    app::{App, StartError},
    foundation::{clock::Clock, config::Config, crypto::MasterKey},
    platform::db::{Connections, Owner},
};

const DATABASE: &str = "plumbline_demo";
const LOGIN: &str = "plumbline_app";

/// A call that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(600);

/// Runs the demo. Returns whether every call was evaluated.
///
/// # Errors
/// [`DemoError`] when it cannot run at all.
pub async fn run(options: DemoOptions, mut config: Config, stop: CancellationToken) -> Result<bool, DemoError> {
    std::fs::create_dir_all(&options.directory)?;
    if let Some(path) = &options.json {
        std::fs::write(path, "")?; // a place that cannot be written is told before a minute's work
    }
    let progress = MultiProgress::new();
    say(&progress, "starting PostgreSQL, the token issuer and the providers");
    let database = Database::open(&options.directory, &config).await?;
    let keys = options.directory.join("issuer");
    std::fs::create_dir_all(&keys)?;
    let issuer = DevIssuer::start(0, Some(keys), Clock::system()).await?;
    let providers = providers::choose(&mut config).await?;
    let acceptor = listen(options.port).await?;
    config.server.bind = address(&acceptor)?;
    config.identity.trust_development_issuer = true;
    if config.crypto.master_key.is_none() {
        config.crypto.master_key = Some(MasterKey::generate().map_err(StartError::from)?); // the database is new, and no older key in it
    }
    config.identity.operator_issuer = Some(issuer.open_realm(OPERATORS)?);
    if config.objects.bucket.is_none() {
        config.objects.directory = options.directory.join("objects");
        let _ = std::fs::remove_dir_all(&config.objects.directory); // the database is new, so are its recordings
    }
    let api: Url = format!("http://{}", config.server.bind).parse().map_err(|_| DemoError::Unexpected("address"))?;
    let mut owner = Owner::connect(&database.owner).await?;
    owner.migrate_platform(&database.connections.config).await?;
    let app = App::over(config, database.connections.clone(), Clock::system()).await?;
    let running = stop.child_token();
    let report = {
        let serving = app.serve(acceptor, running.clone());
        let working = app.work(running.clone());
        // One process does it all here; elsewhere `plumbline operate` alone has the owner's credential.
        let operating = app.operate(&database.owner, running.clone());
        let showing = async {
            let shown = show(&options, &app, &issuer, &api, providers.names.clone(), &progress).await;
            if shown.is_ok() && !options.exit {
                stop.cancelled().await;
            }
            running.cancel();
            shown
        };
        let (served, (), (), shown) = tokio::join!(serving, working, operating, showing);
        served?;
        shown?
    };
    drop((owner, app, providers)); // no connection is left when the server stops
    database.close().await?;
    Ok(report.failures.is_empty())
}

async fn show(
    options: &DemoOptions,
    app: &App,
    issuer: &DevIssuer,
    api: &Url,
    providers: providers::ProviderNames,
    progress: &MultiProgress,
) -> Result<Report, DemoError> {
    say(progress, "making two tenants, each with its own schema");
    let operator = operator(issuer, api)?;
    let mut tenants = vec![];
    for tenant in &content::tenants()? {
        let settled = settle(tenant, &operator, issuer, api).await?;
        for organization in tenant.organizations.iter().filter(|organization| organization.scorer == "plugin") {
            settled.bind_plugin(app, &organization.slug).await?;
        }
        tenants.push(settled);
    }
    let conversations = content::conversations()?;
    let evaluated = futures_util::future::try_join_all(tenants.iter().map(|tenant| {
        let own: Vec<&DemoConversation> = conversations.iter().filter(|c| c.tenant == tenant.slug).collect();
        evaluate(tenant, own, bar(progress, &tenant.name))
    }))
    .await?;
    let report = conclude(&tenants, evaluated.into_iter().flatten().collect(), providers).await?;
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    progress.clear()?;
    println!("{}", report.shown());
    if !options.exit {
        println!("{}", invitation(api, &tenants, &operator, &report));
    }
    Ok(report)
}

/// One call at its end, with its analysis.
struct Evaluated<'a> {
    conversation: &'a DemoConversation,
    agent: String,
    call_id: String,
    analysis: Value,
}

async fn evaluate<'a>(
    tenant: &Settled,
    conversations: Vec<&'a DemoConversation>,
    bar: ProgressBar,
) -> Result<Vec<Evaluated<'a>>, DemoError> {
    bar.set_length(conversations.len() as u64);
    let mut waiting = vec![];
    for conversation in conversations {
        waiting.push((conversation, tenant.upload(conversation).await?));
    }
    let mut done = vec![];
    let deadline = tokio::time::Instant::now() + LONGEST;
    while !waiting.is_empty() {
        let late = tokio::time::Instant::now() > deadline;
        let mut still = vec![];
        for (conversation, call_id) in waiting {
            let analysis = tenant.admin.get(&format!("/api/calls/{call_id}/analysis")).await?;
            let status = analysis["call_status"].as_str().unwrap_or_default();
            if late || matches!(status, "evaluated" | "failed") {
                let key = (conversation.organization.clone(), conversation.agent.clone());
                let agent = tenant.agents[&key].1.clone();
                bar.set_message(conversation.title.clone());
                bar.inc(1);
                done.push(Evaluated { conversation, agent, call_id, analysis });
            } else {
                still.push((conversation, call_id));
            }
        }
        waiting = still;
        if !waiting.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    bar.finish_with_message("done");
    Ok(done)
}

async fn conclude(
    tenants: &[Settled],
    evaluated: Vec<Evaluated<'_>>,
    providers: providers::ProviderNames,
) -> Result<Report, DemoError> {
    let mut stages: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let (mut calls, mut failures) = (vec![], vec![]);
    for done in &evaluated {
        let line = line(done);
        if line.status != "evaluated" {
            failures.push(format!(
                "{} ({}): {} {}",
                done.conversation.key,
                line.status,
                done.analysis["failure_kind"].as_str().unwrap_or("did not end in time"),
                done.analysis["failure_reason"].as_str().unwrap_or_default()
            ));
        }
        for (stage, from, to) in [
            ("transcribe", "/timestamps/received_at", "/timestamps/transcribed_at"),
            ("assess", "/timestamps/transcribed_at", "/timestamps/assessed_at"),
            ("score", "/timestamps/assessed_at", "/timestamps/evaluated_at"),
        ] {
            if stage == "transcribe" && done.conversation.audio.is_none() {
                continue;
            }
            if let Some(seconds) = between(&done.analysis, from, to) {
                stages.entry(stage).or_default().push(seconds);
            }
        }
        calls.push(line);
    }
    let (own, other) = (&tenants[0], &tenants[1]);
    let call_id = calls
        .iter()
        .find(|call| call.tenant == own.slug)
        .map(|call| call.id.clone())
        .ok_or(DemoError::Unexpected("calls"))?;
    let path = format!("/api/calls/{call_id}");
    let isolation = IsolationLine {
        own_status: own.admin.status(&path).await?.as_u16(),
        foreign_status: other.admin.status(&path).await?.as_u16(),
        call_id,
        tenant: own.slug.clone(),
        asked_by: other.slug.clone(),
    };
    if (isolation.own_status, isolation.foreign_status) != (200, 404) {
        failures.push("another tenant was not answered 404".to_owned());
    }
    let stages = stages.into_iter().map(|(stage, seconds)| (stage, StageTimes::of(seconds))).collect();
    Ok(Report { calls, providers, stages, isolation, failures })
}

fn line(done: &Evaluated<'_>) -> CallLine {
    let evaluation = &done.analysis["evaluation"];
    let with_verdict = |verdict: &str| -> Vec<String> {
        let sections = evaluation["sections"].as_array().into_iter().flatten();
        let criteria = sections.flat_map(|section| section["criteria"].as_array().into_iter().flatten());
        let found = criteria.filter(|criterion| criterion["verdict"] == verdict);
        found.filter_map(|criterion| criterion["key"].as_str().map(str::to_owned)).collect()
    };
    CallLine {
        id: done.call_id.clone(),
        tenant: done.conversation.tenant.clone(),
        organization: done.conversation.organization.clone(),
        agent: done.agent.clone(),
        title: done.conversation.title.clone(),
        channel: done.conversation.channel.clone(),
        audio: done.conversation.audio.is_some(),
        status: done.analysis["call_status"].as_str().unwrap_or_default().to_owned(),
        overall_score: evaluation["overall_score"].as_f64(),
        failed_criteria: with_verdict("no"),
        unverified_criteria: with_verdict("unverified"),
        scorer: evaluation["scorer"].as_str().map(str::to_owned),
        seconds: between(&done.analysis, "/timestamps/received_at", "/timestamps/evaluated_at"),
    }
}

fn between(analysis: &Value, from: &str, to: &str) -> Option<f64> {
    let at = |pointer| -> Option<DateTime<Utc>> { analysis.pointer(pointer)?.as_str()?.parse().ok() };
    Some((at(to)? - at(from)?).num_milliseconds() as f64 / 1_000.0)
}

/// What to try next.
fn invitation(api: &Url, tenants: &[Settled], operator: &ApiClient, report: &Report) -> String {
    use std::fmt::Write;

    let api = api.as_str().trim_end_matches('/');
    let mut text = format!(
        "API {api}/api   document {api}/openapi.json   Swagger UI {api}/docs/ (paste a token under Authorize)\n"
    );
    for tenant in tenants {
        let _ = write!(text, "\nToken of {}'s admin:\n{}\n", tenant.name, tenant.admin.token());
    }
    let (name, token) = &tenants[0].agent;
    let _ = write!(text, "\nToken of {name}, an agent of {}, who sees own calls alone:\n{token}\n", tenants[0].name);
    let _ = write!(text, "\nToken of an operator, who sees how tenants stand and no call:\n{}\n", operator.token());
    let worst = report.calls.iter().filter(|call| call.tenant == tenants[0].slug && call.overall_score.is_some());
    let worst = worst.min_by(|a, b| a.overall_score.partial_cmp(&b.overall_score).unwrap_or(std::cmp::Ordering::Equal));
    let id = worst.map_or("", |call| call.id.as_str());
    let _ = write!(
        text,
        "\nTry (TOKEN=… and OPERATOR=… from above):\n  \
         curl -s -H \"Authorization: Bearer $TOKEN\" '{api}/api/calls?limit=5'\n  \
         curl -s -H \"Authorization: Bearer $TOKEN\" {api}/api/calls/{id}/analysis\n  \
         curl -s -H \"Authorization: Bearer $TOKEN\" '{api}/api/jobs?status=dead'\n  \
         curl -s -H \"Authorization: Bearer $OPERATOR\" {api}/api/tenants\n  \
         curl -s -H \"Authorization: Bearer $OPERATOR\" '{api}/api/operations?kind=provision_tenant'\n\n\
         The demo goes on until Ctrl-C."
    );
    text
}

fn say(progress: &MultiProgress, what: &str) {
    let _ = progress.println(format!("demo: {what}"));
    if progress.is_hidden() {
        eprintln!("demo: {what}");
    }
}

fn bar(progress: &MultiProgress, name: &str) -> ProgressBar {
    let bar = progress.add(ProgressBar::new(0)).with_prefix(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{prefix:>20} {bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

async fn listen(port: u16) -> Result<TcpAcceptor, DemoError> {
    let listener = match TcpListener::bind(("127.0.0.1", port)).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => TcpListener::bind(("127.0.0.1", 0)).await?,
        outcome => outcome?,
    };
    Ok(TcpAcceptor::from_tokio(listener)?)
}

fn address(acceptor: &TcpAcceptor) -> Result<std::net::SocketAddr, DemoError> {
    let address = acceptor.local_addr().first().and_then(|address| address.0.as_socket_addr().copied());
    address.ok_or(DemoError::Unexpected("address"))
}

/// Where the demo keeps its data: a private server, or the one that the settings name.
struct Database {
    owner: tokio_postgres::Config,
    connections: Connections,
    private: Option<PrivatePostgres>,
}

impl Database {
    async fn open(directory: &Path, config: &Config) -> Result<Self, DemoError> {
        let lanes = config.database.lanes;
        if let Some(url) = &config.database.url {
            let owner = config.database.owner_url.as_ref().ok_or_else(|| {
                DemoError::Database(
                    "with DATABASE_URL the demo needs DATABASE_OWNER_URL as well, to make its tenants".to_owned(),
                )
            })?;
            let parse = |text: &str, name: &str| {
                text.parse().map_err(|_| DemoError::Database(format!("the connection string {name} cannot be read")))
            };
            return Ok(Self {
                owner: parse(owner.expose_secret(), "DATABASE_OWNER_URL")?,
                connections: Connections::to(parse(url.expose_secret(), "DATABASE_URL")?, lanes),
                private: None,
            });
        }
        let private = PrivatePostgres::start(&directory.join("postgres"), Options::default()).await?;
        Owner::connect(&private.owner_config("postgres")).await?.renew_database(DATABASE).await?;
        Ok(Self {
            owner: private.owner_config(DATABASE),
            connections: Connections::to(private.login_config(LOGIN, DATABASE), lanes),
            private: Some(private),
        })
    }

    async fn close(self) -> Result<(), DemoError> {
        if let Some(private) = self.private {
            private.stop().await?;
        }
        Ok(())
    }
}
