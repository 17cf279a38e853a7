//! `plumbline plugin test`: the golden calls of every upload, and the project's own, on the very host of the server.

mod calls;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use plumbline::platform::plugins::{
    Check, Limits, Measure, Plugin, PluginError, PluginHost, ValidationReport, conformance,
};

use super::project::Project;
use crate::commands::Failure;

#[derive(clap::Args)]
pub struct TestOptions {
    /// A project that is built, or a component.
    #[arg(default_value = ".", value_name = "DIR|FILE.wasm")]
    target: PathBuf,
    /// Settings (JSON) instead of those that the plugin's own schema offers.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Write what comes out into the project's own calls, as what is expected from now on.
    #[arg(long)]
    accept: bool,
}

/// Status 0 when everything is as it should be, 1 when something is not, 2 when that could not be found out.
pub async fn run(options: &TestOptions) -> Result<ExitCode, Failure> {
    let (file, project) = find(&options.target)?;
    let component = fs::read(&file).map_err(|error| said(&file, &error))?;
    let settings = match &options.settings {
        Some(path) => Some(fs::read_to_string(path).map_err(|error| said(path, &error))?),
        None => None,
    };
    let host = PluginHost::new(Limits { concurrency: 4, ..Limits::default() }).map_err(failed)?;
    let mut report = host.validate(component.clone()).await.map_err(failed)?;
    if report.identity.is_none() {
        show(&report.checks, &report.measures)?;
        return ended(&report.violations());
    }
    let plugin = host.load(component).await.map_err(failed)?;
    let settings = match settings {
        Some(settings) => {
            try_with(&plugin, &settings, &mut report).await;
            settings
        }
        // Without any that it takes, the report says so.
        None => conformance::accepted_settings(&plugin).await.unwrap_or_else(|_| "{}".to_owned()),
    };
    let identity = plugin.identity();
    writeln!(std::io::stdout(), "{} {}", identity.name, identity.version)?;
    show(&report.checks, &report.measures)?;
    let mut violations: Vec<String> = failures(&report.checks);
    let own = project.map(|project| project.directory.join("calls")).filter(|directory| directory.is_dir());
    if let Some(directory) = own {
        violations.extend(calls::run(&plugin, &settings, &directory, options.accept).await?);
    }
    ended(&violations)
}

/// The component, and the project if it is one's.
fn find(target: &Path) -> Result<(PathBuf, Option<Project>), Failure> {
    if !target.is_dir() {
        return Ok((target.to_owned(), None));
    }
    let project = Project::read(target)?;
    let component = project.component();
    if !component.is_file() {
        let message = format!("{} is not there: `plumbline plugin build {}`", component.display(), target.display());
        return Err(Failure::Said(message));
    }
    Ok((component, Some(project)))
}

/// The golden calls again, under settings of the author's choice.
async fn try_with(plugin: &Plugin, settings: &str, report: &mut ValidationReport) {
    let found = conformance::measured(plugin, settings).await;
    let again: Vec<&str> = found.checks.iter().map(|check| check.name.as_str()).collect();
    report.checks.retain(|check| !again.contains(&check.name.as_str()));
    report.checks.extend(found.checks);
    report.measures = found.measures;
}

fn show(checks: &[Check], measures: &[Measure]) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    for Check { name, passed, detail } in checks {
        writeln!(out, "  {} {name}: {detail}", if *passed { "ok  " } else { "FAIL" })?;
    }
    if let Some(most) = measures.iter().max_by_key(|measure| measure.memory_bytes) {
        let fuel = measures.iter().map(|measure| measure.fuel).max().unwrap_or(0);
        writeln!(out, "  at most {fuel} instructions and {} KiB of memory", most.memory_bytes >> 10)?;
    }
    Ok(())
}

fn failures(checks: &[Check]) -> Vec<String> {
    let failed = checks.iter().filter(|check| !check.passed);
    failed.map(|check| format!("{}: {}", check.name, check.detail)).collect()
}

fn ended(violations: &[String]) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout();
    if violations.is_empty() {
        writeln!(out, "everything is as it should be")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{} not as it should be:", violations.len())?;
    for violation in violations {
        writeln!(out, "  {violation}")?;
    }
    Ok(ExitCode::FAILURE)
}

fn said(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Said(format!("{}: {error}", path.display()))
}

fn failed(error: PluginError) -> Failure {
    Failure::Said(error.to_string())
}
