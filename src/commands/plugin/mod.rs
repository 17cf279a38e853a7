//! `plumbline plugin …`: for the people who write plugins, and for those who run them.

mod check;
mod remote;
mod validator;

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;

pub use self::validator::{ValidatorArguments, run as run_validator};

/// What can be done with plugins.
#[derive(Subcommand)]
pub enum PluginCommand {
    /// Say whether a component may be uploaded; if not, why, a line for each violation.
    Check(check::CheckOptions),
    #[command(flatten)]
    Remote(remote::RemoteCommand),
}

pub async fn run(command: PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::Check(options) => check::run(options).await,
        PluginCommand::Remote(command) => remote::run(command).await,
    }
}
