//! `plumbline serve | work | operate | migrate | tenant … | plugin … | demo | try | openapi`.

mod commands;

use std::{
    io::{ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use plumbline::{
    app::App,
    demo::{self, DemoOptions},
    foundation::{
        clock::Clock,
        config::{Config, LogFormat, load},
    },
    trial,
};
use poem::listener::TcpAcceptor;
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use self::commands::{Failure, migrate, operate, operation, plugin, tenant, verify};

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
    /// Work off operations on whole tenants: make them, destroy them and the like (DATABASE_OWNER_URL).
    Operate {
        /// Do what is due, and end.
        #[arg(long)]
        once: bool,
    },
    /// Bring the platform and every tenant to the newest schema (DATABASE_OWNER_URL).
    Migrate(migrate::MigrateOptions),
    /// Tenants.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Long requests about tenants: list, show, cancel, retry.
    #[command(subcommand)]
    Operation(operation::OperationCommand),
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
    /// Try a scorecard on written conversations in a private database, against labels if there are some.
    Try(trial::TrialOptions),
    /// Compute an evaluation again from its receipt's bundle, without a server.
    Verify(verify::VerifyOptions),
    /// Plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Compile and try a component, as a child of a `plumbline` that has to.
    #[command(hide = true)]
    PluginValidator(plugin::ValidatorArguments),
    /// Print the OpenAPI document.
    Openapi,
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
    log(
        &config,
        matches!(
            arguments.command,
            Command::Demo { .. }
                | Command::Tenant(_)
                | Command::Operation(_)
                | Command::Try(_)
                | Command::Verify(_)
                | Command::Plugin(_)
                | Command::PluginValidator(_)
        ),
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            Command::Serve => Box::pin(serve(config)).await,
            Command::Work => Box::pin(work(config)).await,
            Command::Operate { once } => operate::run(config, once, stop_on_signal()?).await,
            Command::Migrate(options) => migrate::run(&config, options).await,
            Command::Tenant(command) => Box::pin(tenant::run(&config, command, stop_on_signal()?)).await,
            Command::Operation(command) => Box::pin(operation::run(&config, command, stop_on_signal()?)).await,
            Command::Demo { exit, json, directory, port } => {
                let stop = stop_on_signal()?;
                let options = DemoOptions { directory, exit, json, port };
                let evaluated = Box::pin(demo::run(options, config, stop)).await?;
                Ok(if evaluated { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Command::Try(options) => {
                let reached = Box::pin(trial::run(&options, config, &stop_on_signal()?)).await?;
                Ok(if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Command::Verify(options) => Box::pin(verify::run(options)).await,
            Command::Plugin(command) => Box::pin(plugin::run(command)).await,
            Command::PluginValidator(arguments) => plugin::run_validator(&arguments).await,
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

/// Log lines go to stderr; the demo shows its report and warnings alone, unless the filter was chosen.
fn log(config: &Config, quiet: bool) -> Result<(), Failure> {
    let filter = if quiet && config.log.filter == "info" {
        "warn,plumbline::platform::db::connect=error"
    } else {
        config.log.filter.as_str()
    };
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
