//! `plumbline plugin …`: for the people who write plugins, and for those who run them.

mod build;
mod new;
mod project;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;

/// What can be done with plugins.
#[derive(Subcommand)]
pub enum PluginCommand {
    /// Make a project for a new plugin.
    New(new::NewOptions),
    /// Build a project's component.
    Build(build::BuildOptions),
    /// Run the golden calls, and a project's own, on the very host of the server.
    Test(test::TestOptions),
}

pub async fn run(command: PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::New(options) => new::run(&options),
        PluginCommand::Build(options) => build::run(&options).await,
        PluginCommand::Test(options) => test::run(&options).await,
    }
}
