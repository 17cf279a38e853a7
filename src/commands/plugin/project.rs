//! A plugin's project: what `plugin.toml` says, and where things are.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use plumbline::platform::plugins::BUILT_IN;
use serde::Deserialize;

use crate::commands::Failure;

/// The file that makes a directory a plugin's project.
pub const FILE: &str = "plugin.toml";
/// As in the contract.
const NAME_BYTES: usize = 64;

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Rust,
    Typescript,
    Python,
}

impl Language {
    /// The name of its templates.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Typescript => "typescript",
            Self::Python => "python",
        }
    }
}

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectWorld {
    /// Answers become scores.
    Scorer,
    /// A transcript and a scorecard become a prompt.
    PromptBuilder,
}

impl ProjectWorld {
    /// The world's name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scorer => "scorer",
            Self::PromptBuilder => "prompt-builder",
        }
    }
}

/// What `plugin.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    name: String,
    language: Language,
    world: ProjectWorld,
}

/// A plugin's project.
#[derive(Debug)]
pub struct Project {
    /// Where it is; absolute.
    pub directory: PathBuf,
    /// Its name.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// What it is for.
    pub world: ProjectWorld,
}

impl Project {
    /// The project in a directory.
    ///
    /// # Errors
    /// A sentence that says what is missing or wrong.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join(FILE);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::Said(format!("{}: {error}; `plumbline plugin new` makes a project", file.display()))
        })?;
        let said = toml::from_str(&text).map_err(|error| Failure::Said(format!("{}: {error}", file.display())))?;
        let Said { name, language, world } = said;
        proper_name(&name)?;
        Ok(Self { directory: directory.canonicalize()?, name, language, world })
    }

    /// Where its component is once it is built.
    pub fn component(&self) -> PathBuf {
        self.directory.join("build").join(format!("{}.wasm", self.name))
    }
}

/// A name that the contract allows and that can be a crate's, a module's and a file's.
///
/// # Errors
/// A sentence that says what a name looks like.
pub fn proper_name(name: &str) -> Result<(), Failure> {
    let proper = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.len() > NAME_BYTES || !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(proper) {
        let message = format!("{name:?} is no name: 1 to {NAME_BYTES} of a-z, 0-9, _ and -, a letter first");
        return Err(Failure::Said(message));
    }
    if name == BUILT_IN {
        return Err(Failure::Said(format!("{BUILT_IN} is the name of what comes with the product")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_the_contracts_and_a_crates() {
        for right in ["a", "weighted_scorer", "two-words", "v2"] {
            assert!(proper_name(right).is_ok(), "{right}");
        }
        for wrong in ["", "2v", "_a", "Upper", "a b", "ü", "../a", "builtin", &"a".repeat(65)] {
            assert!(proper_name(wrong).is_err(), "{wrong}");
        }
    }
}
