//! `plumbline plugin new`: a project that builds, is tested and scores from its first minute.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rust_embed::RustEmbed;

use super::project::{Language, ProjectWorld, proper_name};
use crate::commands::Failure;

/// The contract, as every project has it.
const CONTRACT: &str = include_str!("../../../wit/v1/plumbline.wit");
/// The versions with which the SDK for Rust was tested; cargo leaves out what a project does not need.
const LOCK: &str = include_str!("../../../plugins/Cargo.lock");

#[derive(RustEmbed)]
#[folder = "plugins/templates"]
struct Templates;

#[derive(RustEmbed)]
#[folder = "plugins/sdk"]
struct RustSdk;

#[derive(RustEmbed)]
#[folder = "plugins/typescript"]
struct TypescriptSdk;

#[derive(RustEmbed)]
#[folder = "plugins/python"]
struct PythonSdk;

#[derive(clap::Args)]
pub struct NewOptions {
    /// Its name: 1 to 64 of a-z, 0-9, _ and -, a letter first.
    name: String,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// What it is for.
    #[arg(long, value_enum, default_value_t = ProjectWorld::Scorer)]
    world: ProjectWorld,
    /// Where to make it; else a directory of its name. It must be empty, or not there.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Makes the project.
pub fn run(options: &NewOptions) -> Result<ExitCode, Failure> {
    let NewOptions { name, lang, world, directory } = options;
    proper_name(name)?;
    let directory = directory.clone().unwrap_or_else(|| PathBuf::from(name));
    make(name, *lang, *world, &directory)?;
    let shown = directory.display();
    writeln!(
        std::io::stdout(),
        "{shown}: a {} in {}\n  plumbline plugin build {shown}\n  plumbline plugin test {shown}",
        world.name().replace('-', " "),
        lang.name()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the project's files into a directory that is empty or not there.
fn make(name: &str, language: Language, world: ProjectWorld, directory: &Path) -> Result<(), Failure> {
    let refused = |why: String| Failure::Said(format!("{}: {why}", directory.display()));
    match fs::read_dir(directory) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(refused("it is not empty".into()));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error.to_string())),
    }
    for (path, text) in files(name, language, world) {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// The files of a project: path and text.
fn files(name: &str, language: Language, world: ProjectWorld) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    let common = format!("{}/common/", language.name());
    let own = format!("{}/{}/", language.name(), world.name());
    let first_call = format!("calls/{}.json", world.name());
    let schema = format!("schemas/{}.json", world.name());
    for path in Templates::iter() {
        let place = if let Some(rest) = path.strip_prefix(&common) {
            match rest {
                // Named so that cargo and git leave them alone where the templates are kept.
                "Cargo.toml.txt" => "Cargo.toml".to_owned(),
                "gitignore" => ".gitignore".to_owned(),
                other => other.to_owned(),
            }
        } else if let Some(rest) = path.strip_prefix(&own) {
            format!("src/{rest}")
        } else if *path == first_call {
            "calls/first_call.json".to_owned()
        } else if *path == schema {
            "src/settings.schema.json".to_owned()
        } else {
            continue;
        };
        let text = text(Templates::get(&path));
        files.push((place, text.replace("{{name}}", name).replace("{{world}}", world.name())));
    }
    files.extend(match language {
        Language::Rust => sdk::<RustSdk>(),
        Language::Typescript => sdk::<TypescriptSdk>(),
        Language::Python => sdk::<PythonSdk>(),
    });
    if language == Language::Rust {
        files.push(("Cargo.lock".to_owned(), LOCK.to_owned()));
    }
    let contract = if language == Language::Rust { "sdk/wit/plumbline.wit" } else { "wit/plumbline.wit" };
    files.push((contract.to_owned(), CONTRACT.to_owned()));
    files
}

/// A language's SDK. What tools leave beside it, and the link to the contract, stay where they are.
fn sdk<E: RustEmbed>() -> Vec<(String, String)> {
    let ours = |path: &str| !["wit/", "target/", "build/", "__pycache__/"].iter().any(|other| path.starts_with(other));
    E::iter().filter(|path| ours(path)).map(|path| (format!("sdk/{path}"), text(E::get(&path)))).collect()
}

fn text(file: Option<rust_embed::EmbeddedFile>) -> String {
    file.map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Language, &[&str]); 3] = [
        (
            Language::Rust,
            &["Cargo.toml", "Cargo.lock", "src/lib.rs", "sdk/Cargo.toml", "sdk/src/lib.rs", "sdk/wit/plumbline.wit"],
        ),
        (
            Language::Typescript,
            &["package.json", "package-lock.json", "src/plugin.ts", "sdk/plumbline.ts", "wit/plumbline.wit"],
        ),
        (Language::Python, &["requirements.txt", "src/plugin.py", "sdk/plumbline.py", "wit/plumbline.wit"]),
    ];

    #[test]
    fn every_project_is_whole() {
        for (language, wanted) in ALL {
            for world in [ProjectWorld::Scorer, ProjectWorld::PromptBuilder] {
                let files = files("my_plugin", language, world);
                let common =
                    ["plugin.toml", "README.md", ".gitignore", "calls/first_call.json", "src/settings.schema.json"];
                for path in wanted.iter().chain(&common) {
                    let found = files.iter().filter(|(known, text)| known == path && !text.is_empty()).count();
                    assert_eq!(found, 1, "{path} of {language:?} {world:?}");
                }
                for (path, text) in &files {
                    assert!(!text.contains("{{"), "{path} of {language:?}: something is not filled in");
                }
            }
        }
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("new");
        make("a", Language::Python, ProjectWorld::Scorer, &place).unwrap();
        let again = make("a", Language::Python, ProjectWorld::Scorer, &place).unwrap_err();
        assert!(again.to_string().ends_with("it is not empty"), "{again}");
    }
}
