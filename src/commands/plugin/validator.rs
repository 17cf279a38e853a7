//! The hidden command `plumbline plugin-validator`: the process in which a server compiles and tries what was uploaded.

use std::{io::Write, process::ExitCode};

use plumbline::platform::plugins;

use crate::commands::Failure;

#[derive(clap::Args)]
pub struct ValidatorArguments {
    /// What to do, in JSON: from a `plumbline` to its child, and for nobody else.
    order: String,
}

/// Carries the order out. The parent gave no environment, so there are no settings but the defaults.
pub async fn run(arguments: &ValidatorArguments) -> Result<ExitCode, Failure> {
    let answer = plugins::run_validator(&arguments.order).await;
    let answer = answer.map_err(|error| Failure::Said(error.to_string()))?;
    writeln!(std::io::stdout(), "{answer}")?;
    Ok(ExitCode::SUCCESS)
}
