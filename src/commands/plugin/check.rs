//! `plumbline plugin check`: what an upload would say, without a server.

use std::{io::Write, path::PathBuf, process::ExitCode};

use plumbline::platform::plugins::{HostOptions, Limits, PluginError, PluginHost, ValidationReport, ValidatorOptions};

use crate::commands::Failure;

/// What the compiler may take, as in the documented settings; ten times as long where it was itself built without optimisation.
const COMPILE_SECONDS: u64 = if cfg!(debug_assertions) { 600 } else { 60 };
const COMPILE_BYTES: u64 = 2 << 30;

#[derive(clap::Args)]
pub struct CheckOptions {
    /// The component.
    file: PathBuf,
    /// Give the whole report, as JSON.
    #[arg(long)]
    json: bool,
}

/// Status 0 when it may be uploaded, 1 when something speaks against it, 2 when that could not be found out.
pub async fn run(options: CheckOptions) -> Result<ExitCode, Failure> {
    let report = report(&options).await?;
    let mut out = std::io::stdout();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else if report.accepted {
        let name = report.identity.as_ref().map_or_else(String::new, |one| format!("{} {}", one.name, one.version));
        writeln!(out, "{name}: {} checks passed", report.checks.len())?;
    } else {
        for violation in report.violations() {
            writeln!(out, "{violation}")?;
        }
    }
    Ok(if report.accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn report(options: &CheckOptions) -> Result<ValidationReport, Failure> {
    let limits = Limits { concurrency: 4, ..Limits::default() };
    let path = &options.file;
    let unreadable = |error| Failure::Said(format!("{} cannot be read: {error}", path.display()));
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes > limits.component_bytes {
        return Ok(ValidationReport::refused(&PluginError::TooLarge { bytes, limit: limits.component_bytes }));
    }
    let component = std::fs::read(path).map_err(unreadable)?;
    let validator = ValidatorOptions {
        program: std::env::current_exe()?,
        compile_seconds: COMPILE_SECONDS,
        memory_bytes: COMPILE_BYTES,
    };
    let host = PluginHost::with(HostOptions { limits, validator: Some(validator), ..HostOptions::default() });
    let report = match host {
        Ok(host) => host.validate(component).await,
        Err(error) => Err(error),
    };
    report.map_err(|error| Failure::Said(error.to_string()))
}
