//! Rust: cargo makes a core module, and the component is made of it here.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use wit_component::ComponentEncoder;

use super::{Project, finish, tool};
use crate::commands::Failure;

const TARGET: &str = "wasm32-unknown-unknown";
const NO_CARGO: &str = "cargo is not there: install Rust, https://rustup.rs";

/// A line of cargo's messages, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the component.
pub async fn build(project: &Project) -> Result<(), Failure> {
    let sysroot = finish(tool("rustc", &project.directory).args(["--print", "sysroot"]), "rustc", NO_CARGO).await?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
    if !sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        let message = format!("Rust has no {TARGET} target here: `rustup target add {TARGET}`");
        return Err(Failure::Said(message));
    }
    let mut cargo = tool("cargo", &project.directory);
    cargo.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(project, &sysroot)?);
    let messages = finish(&mut cargo, "cargo build", NO_CARGO).await?;
    let module = module(&messages, &project.directory.join("Cargo.toml")).ok_or_else(|| {
        let why = "cargo made no WebAssembly module of it: Cargo.toml needs `crate-type = [\"cdylib\"]` under [lib]";
        Failure::Said(why.to_owned())
    })?;
    let component = component(&fs::read(module)?)
        .map_err(|why| Failure::Said(format!("the module cannot become a component: {why}")))?;
    fs::write(project.component(), component)?;
    Ok(())
}

/// The module that cargo made of the package with this manifest.
fn module(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    let mut ours = artifacts
        .filter(|message| message.reason == "compiler-artifact" && message.manifest_path.as_deref() == Some(manifest));
    ours.find_map(|message| {
        message.filenames.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
    })
}

/// The module carries its world in a custom section; equal modules give equal components.
fn component(module: &[u8]) -> Result<Vec<u8>, String> {
    let encoder = ComponentEncoder::default().module(module).map_err(|error| format!("{error:#}"))?;
    encoder.validate(true).encode().map_err(|error| format!("{error:#}"))
}

/// SIMD, and no path of this machine in the bytes: neither the project's, nor cargo's, nor the toolchain's.
fn flags(project: &Project, sysroot: &Path) -> Result<OsString, Failure> {
    let mut flags: Vec<OsString> = vec!["-Ctarget-feature=+simd128".into()];
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    };
    remap(&project.directory, "/plugin");
    remap(&sysroot.join("lib/rustlib/src/rust"), "/rust");
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let registries = cargo.map(|cargo| cargo.join("registry/src")).filter(|directory| directory.is_dir());
    if let Some(registries) = registries {
        for entry in fs::read_dir(registries)? {
            remap(&entry?.path(), "/crates");
        }
    }
    Ok(flags.join(std::ffi::OsStr::new("\u{1f}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_that_of_the_project() {
        let messages =
            br#"{"reason":"compiler-artifact","manifest_path":"/p/sdk/Cargo.toml","filenames":["/t/libsdk.rlib"]}
not json
{"reason":"compiler-artifact","manifest_path":"/p/other/Cargo.toml","filenames":["/t/other.wasm"]}
{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/p.d","/t/p.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(module(messages, Path::new("/p/Cargo.toml")), Some(PathBuf::from("/t/p.wasm")));
        assert_eq!(module(messages, Path::new("/p/sdk/Cargo.toml")), None);
        assert_eq!(module(b"", Path::new("/p/Cargo.toml")), None);
    }

    #[test]
    fn what_is_no_module_of_ours_is_refused_in_words() {
        assert!(component(b"nonsense").is_err());
    }
}
