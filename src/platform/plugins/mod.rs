//! Scorers and prompt builders: the traits that the product calls, and the sandbox in which a customer's own run.
//!
//! The built-in scorer and a WebAssembly component obey the same trait, take the same [`ScoreInput`] and give the same
//! [`ScoreOutput`]. Nothing here knows a tenant, an organization or a table.

mod abi;
mod artefacts;
mod call;
mod check;
pub mod conformance;
mod engine;
mod error;
mod host;
mod limits;
mod manifest;
mod model;
mod plugin;
mod pool;
mod report;
mod run;
mod sandbox;
mod settings_schema;
mod share;
mod text;
mod trace;
mod validate;
mod validator;

use async_trait::async_trait;

pub use artefacts::ArtefactOptions;
pub use check::BUILT_IN;
pub use engine::ENGINE;
pub use error::PluginError;
pub use host::{HostOptions, PluginHost};
pub use limits::Limits;
pub use manifest::{Allowance, Field, Manifest};
pub use model::{
    Answer, AutoFail, CallFacts, Criterion, CriterionScore, Description, Evidence, FULL_SCORE, Given, Identity,
    Insight, InsightKind, Prompt, PromptInput, ScoreInput, ScoreOutput, Scorecard, Section, Speaker, Utterance,
    Verdict,
};
pub use plugin::{Plugin, World};
pub use report::{Check, Measure, Problem, ValidationReport};
pub use run::{Run, Used};
pub use sandbox::{LogLevel, PluginLog};
pub use settings_schema::{SettingsFault, SettingsSchema};
pub use share::{Share, ShareLimits};
pub use trace::Trace;
pub use validator::{ValidatorOptions, run_validator};

/// Turns answers into scores. Its settings are part of it: equal input gives an equal output.
#[async_trait]
pub trait Scorer: Send + Sync {
    /// Which code this is: what the receipt says.
    fn identity(&self) -> &Identity;

    /// Scores one evaluation.
    ///
    /// # Errors
    /// Any [`PluginError`] that a call can meet; a scorer that is part of the product has none.
    async fn score(&self, input: &ScoreInput) -> Result<ScoreOutput, PluginError>;

    /// What its runs left behind until now, also those that failed; nothing for what is part of the product.
    fn trace(&self) -> Trace {
        Trace::default()
    }

    /// What its runs took until now.
    fn used(&self) -> Used {
        self.trace().used
    }
}

/// Turns a transcript and a scorecard into what the language model is asked.
#[async_trait]
pub trait PromptBuilder: Send + Sync {
    /// Which code this is: what the receipt says.
    fn identity(&self) -> &Identity;

    /// Builds the prompt of one evaluation.
    ///
    /// # Errors
    /// Any [`PluginError`] that a call can meet; a builder that is part of the product has none.
    async fn build(&self, input: &PromptInput) -> Result<Prompt, PluginError>;

    /// What its runs left behind until now, also those that failed; nothing for what is part of the product.
    fn trace(&self) -> Trace {
        Trace::default()
    }

    /// What its runs took until now.
    fn used(&self) -> Used {
        self.trace().used
    }
}
