//! TypeScript: npm installs what package-lock.json pins, and its script `build` makes the component.

use std::fs;

use super::{Project, finish, tool};
use crate::commands::Failure;

const NO_NPM: &str = "npm is not there: install Node.js 20 or newer, https://nodejs.org";

/// Builds the component.
pub async fn build(project: &Project) -> Result<(), Failure> {
    let lock = project.directory.join("package-lock.json");
    let installed = project.directory.join("node_modules/.plumbline-lock.json");
    let wanted = fs::read(&lock).map_err(|error| Failure::Said(format!("{}: {error}", lock.display())))?;
    if fs::read(&installed).ok().as_deref() != Some(wanted.as_slice()) {
        let mut install = tool("npm", &project.directory);
        // Not `npm ci`, which refuses a lock without the packages of platforms for which componentize-qjs has none. The lock's hashes hold
        // here too, and it stays as it is.
        install.args(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
        finish(&mut install, "npm install", NO_NPM).await?;
        fs::write(&installed, &wanted)?;
    }
    let mut build = tool("npm", &project.directory);
    build.args(["run", "--silent", "--loglevel=error", "build"]);
    finish(&mut build, "npm run build", NO_NPM).await?;
    Ok(())
}
