//! Python: a virtual environment with what requirements.txt pins, and componentize-py in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Project, finish, tool};
use crate::commands::Failure;

const NO_PYTHON: &str = "python3 is not there: install Python 3.10 or newer with its module venv";
const NO_COMPONENTIZE: &str = "requirements.txt does not install componentize-py";

/// Builds the component.
pub async fn build(project: &Project) -> Result<(), Failure> {
    let programs = environment(&project.directory).await?;
    let mut componentize = tool(programs.join("componentize-py"), &project.directory);
    componentize.args(["--quiet", "-d", "wit", "-w", project.world.name()]);
    // Its imports from WASI become traps: there is no clock, no randomness and no file.
    componentize.args(["componentize", "plugin", "-p", "src", "-p", "sdk", "--stub-wasi", "-o"]);
    componentize.arg(project.component());
    finish(&mut componentize, "componentize-py", NO_COMPONENTIZE).await?;
    Ok(())
}

/// The project's virtual environment with what requirements.txt pins; made anew when that has changed.
async fn environment(directory: &Path) -> Result<PathBuf, Failure> {
    let requirements = directory.join("requirements.txt");
    let wanted =
        fs::read(&requirements).map_err(|error| Failure::Said(format!("{}: {error}", requirements.display())))?;
    let environment = directory.join(".venv");
    let (programs, installed) = (environment.join("bin"), environment.join("plumbline-requirements.txt"));
    if fs::read(&installed).ok().as_deref() == Some(wanted.as_slice()) {
        return Ok(programs);
    }
    let mut make = tool("python3", directory);
    make.args(["-m", "venv", "--clear", ".venv"]);
    finish(&mut make, "python3 -m venv", NO_PYTHON).await?;
    let mut install = tool(programs.join("pip"), directory);
    install.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", "requirements.txt"]);
    finish(&mut install, "pip install", "python3 has no pip: install its module ensurepip (python3-venv)").await?;
    fs::write(&installed, &wanted)?;
    Ok(programs)
}
