//! What a validation found: the version's report, as its author and its tenant read it.

use serde::{Deserialize, Serialize};

use super::{Description, Identity, Manifest, PluginError, World};

/// What a validation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationReport {
    /// Whether the component may become a version.
    pub accepted: bool,
    /// Why not.
    pub problem: Option<Problem>,
    /// Which code it is, as far as it could be asked.
    pub identity: Option<Identity>,
    /// What it is for.
    pub world: Option<World>,
    /// What it says of itself.
    pub description: Option<Description>,
    /// What it reads and needs.
    pub manifest: Option<Manifest>,
    /// What was looked at, in order.
    pub checks: Vec<Check>,
    /// What each golden call took.
    pub measures: Vec<Measure>,
    /// How long the compiler took, in milliseconds; 0 if it did not end.
    pub compile_ms: u64,
    /// Size of the machine code, in bytes.
    pub artefact_bytes: u64,
}

/// Why a component is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// [`PluginError::code`], or `conformance`.
    pub code: String,
    /// A sentence for the author.
    pub message: String,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at, for example `deterministic`.
    pub name: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// What was found, in one line.
    pub detail: String,
}

/// What a golden call took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// The call.
    pub golden_call: String,
    /// Instructions, as the engine counts them.
    pub fuel: u64,
    /// Microseconds.
    pub elapsed_us: u64,
    /// The most linear memory that the guest held, in bytes.
    pub memory_bytes: u64,
}

impl From<&PluginError> for Problem {
    fn from(error: &PluginError) -> Self {
        Self { code: error.code().to_owned(), message: one_line(&error.to_string()) }
    }
}

impl Check {
    /// A check that came out well.
    pub(super) fn passed(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), passed: true, detail: detail.into() }
    }

    /// A check that did not.
    pub(super) fn failed(name: &str, detail: impl AsRef<str>) -> Self {
        Self { name: name.to_owned(), passed: false, detail: one_line(detail.as_ref()) }
    }
}

impl ValidationReport {
    /// Of a component that was refused before it could be asked anything.
    pub fn refused(problem: impl Into<Problem>) -> Self {
        Self {
            accepted: false,
            problem: Some(problem.into()),
            identity: None,
            world: None,
            description: None,
            manifest: None,
            checks: Vec::new(),
            measures: Vec::new(),
            compile_ms: 0,
            artefact_bytes: 0,
        }
    }

    /// Decides by the checks: one that failed refuses the component.
    pub(super) fn decided(mut self) -> Self {
        if self.problem.is_none() {
            let failed = self.checks.iter().find(|check| !check.passed);
            self.problem = failed.map(|check| Problem {
                code: "conformance".to_owned(),
                message: format!("{}: {}", check.name, check.detail),
            });
        }
        self.accepted = self.problem.is_none();
        self
    }

    /// Everything that speaks against the component, a line each.
    pub fn violations(&self) -> Vec<String> {
        let failed: Vec<_> = self.checks.iter().filter(|check| !check.passed).collect();
        if failed.is_empty() {
            return self.problem.iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect();
        }
        failed.iter().map(|check| format!("{}: {}", check.name, check.detail)).collect()
    }
}

/// A violation is one line, whatever the guest said.
fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
