//! `plumbline plugin build`: a project becomes a component.

mod python;
mod rust;
mod typescript;

use std::{
    ffi::OsStr,
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use plumbline::foundation::digest;
use tokio::process::Command;

use super::project::{Language, Project};
use crate::commands::Failure;

#[derive(clap::Args)]
pub struct BuildOptions {
    /// The project: a directory with a plugin.toml.
    #[arg(default_value = ".")]
    directory: PathBuf,
}

/// Builds, and says where the component is and which.
pub async fn run(options: &BuildOptions) -> Result<ExitCode, Failure> {
    let project = Project::read(&options.directory)?;
    fs::create_dir_all(project.directory.join("build"))?;
    match project.language {
        Language::Rust => rust::build(&project).await?,
        Language::Typescript => typescript::build(&project).await?,
        Language::Python => python::build(&project).await?,
    }
    let component = fs::read(project.component())?;
    let shown = options.directory.join("build").join(format!("{}.wasm", project.name));
    let digest = digest::of_bytes(&component);
    writeln!(std::io::stdout(), "{}: {} bytes, sha256 {digest}", shown.display(), component.len())?;
    Ok(ExitCode::SUCCESS)
}

/// A tool that works in the project's directory and speaks to the author on stderr.
fn tool(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a tool to its end, and gives what it wrote to stdout.
///
/// # Errors
/// `missing` when it is not there, and a sentence when it failed: it has said itself why.
async fn finish(command: &mut Command, what: &str, missing: &str) -> Result<Vec<u8>, Failure> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let child = child.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::Said(missing.to_owned()),
        _ => Failure::Said(format!("{what} cannot be started: {error}")),
    })?;
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // What a compiler wrote to stdout is what the author needs to read.
    std::io::stderr().write_all(&output.stdout)?;
    Err(Failure::Said(format!("{what} failed ({})", output.status)))
}
