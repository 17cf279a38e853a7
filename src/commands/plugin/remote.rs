//! `plumbline plugin push | list | show | bind | bindings | rollback | runs | statistics | backtest`: plugins of a server, by its API. Which server and who asks
//! is told by PLUMBLINE_URL and PLUMBLINE_TOKEN; a token on a command line would be read by everybody on the machine.

mod backtest;
mod server;
mod shown;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use self::server::Server;
use super::super::Failure;

/// What is done with plugins of a server (PLUMBLINE_URL, PLUMBLINE_TOKEN).
#[derive(Subcommand)]
pub enum RemoteCommand {
    /// Upload a component, and bind it if asked to.
    Push {
        /// The component.
        file: PathBuf,
        /// The organization that uses it from now on: its slug or id.
        #[arg(long, value_name = "ORGANIZATION")]
        bind: Option<String>,
        #[command(flatten)]
        how: How,
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the tenant's versions, newest first.
    List {
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a version and the report of its validation.
    Show {
        /// Its digest, the beginning of one, or NAME@VERSION.
        plugin: String,
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let an organization use a version.
    Bind {
        /// Its digest, the beginning of one, or NAME@VERSION.
        plugin: String,
        /// The organization: its slug or id.
        organization: String,
        #[command(flatten)]
        how: How,
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List bindings, newest first, also those that have ended.
    Bindings {
        /// Those of this organization alone: its slug or id.
        #[arg(long)]
        organization: Option<String>,
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// End a binding and bring back what it took the place of.
    Rollback {
        /// The binding's id.
        binding: String,
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List a version's newest runs, with what they logged.
    Runs {
        /// Its digest, the beginning of one, or NAME@VERSION.
        plugin: String,
        /// Those that failed alone.
        #[arg(long)]
        faults: bool,
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a version's runs took, and how many failed of what.
    Statistics {
        /// Its digest, the beginning of one, or NAME@VERSION.
        plugin: String,
        /// Say it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a version score stored calls, and tell what would be otherwise; nothing is changed.
    Backtest(backtest::Backtest),
}

/// How an organization is to use a version.
#[derive(Args)]
pub struct How {
    /// What counts of what it gives.
    #[arg(long, value_enum, default_value_t = Mode::Active)]
    mode: Mode,
    /// Percent of the calls for which a canary counts.
    #[arg(long, value_name = "PERCENT")]
    share: Option<f64>,
    /// A file with its settings as JSON; none when absent.
    #[arg(long, value_name = "FILE.json")]
    settings: Option<PathBuf>,
    /// What happens when it fails.
    #[arg(long, value_enum, default_value_t = OnFailure::FallBack)]
    on_failure: OnFailure,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Mode {
    Active,
    Shadow,
    Canary,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum OnFailure {
    FallBack,
    Hold,
    Fail,
}

/// Does one of them. Failures, also what the server refuses, are one line and a status that is not 0.
pub async fn run(command: RemoteCommand) -> Result<ExitCode, Failure> {
    let server = Server::of_environment()?;
    let (answer, as_json, show): (Value, bool, fn(&Value) -> String) = match command {
        RemoteCommand::Push { file, bind, how, json } => {
            // Whatever is wrong on this side is said before anything is uploaded.
            let wanted = bind.map(|organization| Ok::<_, Failure>((organization, how.document()?))).transpose()?;
            let plugin = server.upload(&file).await?;
            let bound = match wanted {
                Some((organization, how)) => {
                    Some(server.bind(plugin["digest"].as_str().unwrap_or_default(), &organization, how).await?)
                }
                None => None,
            };
            (json!({ "plugin": plugin, "binding": bound }), json, shown::pushed)
        }
        RemoteCommand::List { json } => (server.pages("api/plugins?limit=200").await?, json, shown::plugins),
        RemoteCommand::Show { plugin, json } => {
            let digest = server.digest(&plugin).await?;
            (server.get(&format!("api/plugins/{digest}")).await?, json, shown::plugin)
        }
        RemoteCommand::Bind { plugin, organization, how, json } => {
            let how = how.document()?;
            let digest = server.digest(&plugin).await?;
            (server.bind(&digest, &organization, how).await?, json, shown::binding)
        }
        RemoteCommand::Bindings { organization, json } => {
            let only = match organization {
                Some(organization) => format!("&organization_id={}", server.organization(&organization).await?),
                None => String::new(),
            };
            (server.pages(&format!("api/plugin-bindings?limit=200{only}")).await?, json, shown::bindings)
        }
        RemoteCommand::Rollback { binding, json } => {
            let binding = server::id(&binding)?;
            (server.post(&format!("api/plugin-bindings/{binding}/rollback"), &json!({})).await?, json, shown::rollback)
        }
        RemoteCommand::Runs { plugin, faults, json } => {
            let digest = server.digest(&plugin).await?;
            let only = if faults { "&outcome=fault" } else { "" };
            (server.get(&format!("api/plugins/{digest}/runs?limit=50{only}")).await?, json, shown::runs)
        }
        RemoteCommand::Statistics { plugin, json } => {
            let digest = server.digest(&plugin).await?;
            (server.get(&format!("api/plugins/{digest}/statistics")).await?, json, shown::statistics)
        }
        RemoteCommand::Backtest(wanted) => return backtest::run(&server, wanted).await,
    };
    shown::say(&if as_json { serde_json::to_string_pretty(&answer)? } else { show(&answer) })?;
    Ok(ExitCode::SUCCESS)
}

/// What the file holds; nothing without one.
fn settings(file: Option<&Path>) -> Result<Value, Failure> {
    let Some(file) = file else { return Ok(json!({})) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Said(format!("{} cannot be read: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| Failure::Said(format!("{} is not JSON: {error}", file.display())))
}

impl How {
    /// As the API takes it, without version and organization.
    fn document(&self) -> Result<Value, Failure> {
        let settings = settings(self.settings.as_deref())?;
        let word = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        let mut document = json!({
            "mode": word(self.mode.to_possible_value()),
            "failure_policy": word(self.on_failure.to_possible_value()),
            "settings": settings,
        });
        if let Some(share) = self.share {
            document["canary_share_percent"] = json!(share);
        }
        Ok(document)
    }
}
