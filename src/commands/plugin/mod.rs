//! `plumbline plugin …`: for the people who write plugins, and for those who run them.

mod build;
mod check;
mod new;
mod project;
mod remote;
mod test;
mod validator;

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;

pub use self::validator::{ValidatorArguments, run as run_validator};

/// What can be done with plugins.
#[derive(Subcommand)]
pub enum PluginCommand {
    /// Make a project for a new plugin.
    New(new::NewOptions),
    /// Build a project's component.
    Build(build::BuildOptions),
    /// Run the golden calls, and a project's own, on the very host of the server.
    Test(test::TestOptions),
    /// Say whether a component may be uploaded; if not, why, a line for each violation.
    Check(check::CheckOptions),
    #[command(flatten)]
    Remote(remote::RemoteCommand),
}

pub async fn run(command: PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::New(options) => new::run(&options),
        PluginCommand::Build(options) => build::run(&options).await,
        PluginCommand::Test(options) => test::run(&options).await,
        PluginCommand::Check(options) => check::run(options).await,
        PluginCommand::Remote(command) => remote::run(command).await,
    }
}
