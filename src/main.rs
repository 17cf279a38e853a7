//! `plumbline serve | work | migrate | tenant create | demo | openapi`.

use std::{
    io::{ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use plumbline::{
    app::{App, StartError},
    demo::{self, DemoError, DemoOptions},
    foundation::{
        clock::Clock,
        config::{Config, ConfigError, LogFormat, load},
        ids::{OrganizationId, TenantId},
    },
    platform::db::{NewTenant, Owner, OwnerError},
};
use poem::listener::TcpAcceptor;
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A list of calls allocates thousands of small values, and glibc's allocator takes its time over each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls become scores that anybody can re-compute.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A settings file; docs/plumbline.sample.toml documents every setting.
    #[arg(long, global = true, env = "PLUMBLINE_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and work off jobs.
    Serve,
    /// Work off jobs alone.
    Work,
    /// Bring the platform and every tenant to the newest schema (DATABASE_OWNER_URL).
    Migrate,
    /// Tenants.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Two tenants and their conversations, evaluated before your eyes.
    Demo {
        /// End after the report; the status tells whether every call was evaluated.
        #[arg(long)]
        exit: bool,
        /// Write the report as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Where the demo keeps its data.
        #[arg(long, default_value = ".plumbline/demo")]
        directory: PathBuf,
        /// The API's port; another free one is taken when it is in use.
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Make a tenant with its own schema (DATABASE_OWNER_URL). Prints its id.
    Create {
        /// Short name: lower-case letters, digits and hyphens.
        #[arg(long, value_parser = slug)]
        slug: String,
        /// Name for people.
        #[arg(long)]
        name: String,
        /// The OIDC issuer whose tokens are the tenant's.
        #[arg(long, value_parser = issuer)]
        issuer: String,
    },
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("plumbline: {}", told(&failure));
            ExitCode::from(2)
        }
    }
}

/// A failure and its causes. Some name their cause themselves; it is not said twice.
fn told(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = load(arguments.config.as_deref())?;
    log(&config, matches!(arguments.command, Command::Demo { .. }))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            Command::Serve => serve(config).await,
            Command::Work => work(config).await,
            Command::Migrate => migrate(&config).await,
            Command::Tenant(TenantCommand::Create { slug, name, issuer }) => {
                create_tenant(&config, slug, name, issuer).await
            }
            Command::Demo { exit, json, directory, port } => {
                let stop = stop_on_signal()?;
                let options = DemoOptions { directory, exit, json, port };
                let evaluated = Box::pin(demo::run(options, config, stop)).await?;
                Ok(if evaluated { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Command::Openapi => {
                let document = App::offline_document(config)?;
                match writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&document)?) {
                    // whoever read it has seen enough
                    Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
                    _ => Ok(ExitCode::SUCCESS),
                }
            }
        }
    })
}

async fn serve(config: Config) -> Result<ExitCode, Failure> {
    let stop = stop_on_signal()?;
    let bind = config.server.bind;
    let app = App::new(config, Clock::system()).await?;
    let acceptor = TcpAcceptor::from_tokio(TcpListener::bind(bind).await?)?;
    let (served, ()) = tokio::join!(app.serve(acceptor, stop.clone()), app.work(stop.clone()));
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn work(config: Config) -> Result<ExitCode, Failure> {
    let stop = stop_on_signal()?;
    App::new(config, Clock::system()).await?.work(stop).await;
    Ok(ExitCode::SUCCESS)
}

async fn migrate(config: &Config) -> Result<ExitCode, Failure> {
    let mut owner = owner(config).await?;
    let login = connection(config.database.url.as_ref(), "DATABASE_URL")?;
    owner.migrate_platform(&login).await?;
    let migrated = owner.migrate_tenants().await?;
    println!("the platform is current; {migrated} tenants were migrated");
    Ok(ExitCode::SUCCESS)
}

async fn create_tenant(config: &Config, slug: String, name: String, issuer: String) -> Result<ExitCode, Failure> {
    let tenant =
        NewTenant { tenant_id: TenantId::new(), slug, name, issuer, root_organization_id: OrganizationId::new() };
    let tenant_id = owner(config).await?.create_tenant(&tenant).await?;
    println!("{tenant_id}");
    Ok(ExitCode::SUCCESS)
}

async fn owner(config: &Config) -> Result<Owner, Failure> {
    Ok(Owner::connect(&connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?).await?)
}

fn connection(url: Option<&SecretString>, name: &'static str) -> Result<tokio_postgres::Config, StartError> {
    let url = url.ok_or(StartError::Missing(name))?;
    url.expose_secret().parse().map_err(|_| StartError::ConnectionString(name))
}

/// The tenants table holds slugs to the same form.
fn slug(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    if (2..=40).contains(&text.len()) && starts && text.chars().all(inner) && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("2 to 40 lower-case letters, digits and hyphens, beginning with a letter, not ending with a hyphen"
            .to_owned())
    }
}

/// The issuer exactly as given: tokens name it byte for byte, and so does its discovery document.
fn issuer(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    let plain = text.chars().count() <= 500 && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if plain && matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(text.to_owned())
    } else {
        Err("an http or https URL of at most 500 characters".to_owned())
    }
}

/// Log lines go to stderr; the demo shows its report and warnings alone, unless the filter was chosen.
fn log(config: &Config, quiet: bool) -> Result<(), Failure> {
    let filter = if quiet && config.log.filter == "info" { "warn,deadpool=error" } else { config.log.filter.as_str() };
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(EnvFilter::try_new(filter)?);
    match config.log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// SIGTERM and Ctrl-C end the process gently; a second one ends it at once.
fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    let told = stop.clone();
    tokio::spawn(async move {
        for told_before in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            if told_before {
                std::process::exit(130);
            }
            tracing::info!("stopping");
            told.cancel();
        }
    });
    Ok(stop)
}
