//! What every plugin is held to before it may be bound: golden calls that it must get through, and properties that its answers must
//! have. `plumbline plugin test` runs the very same on the author's machine.

mod golden;
mod properties;
mod settings;
#[cfg(test)]
mod tests;

pub use self::{
    golden::{Golden, golden_calls},
    settings::{accepted_settings, offered_settings},
};
use super::{Check, Measure, Plugin, World};

/// What the golden calls came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conformance {
    /// The properties, in order.
    pub checks: Vec<Check>,
    /// What each call took.
    pub measures: Vec<Measure>,
}

/// Runs the golden calls under these settings (JSON) and says what each property came to.
pub async fn run(plugin: &Plugin, settings: &str) -> Vec<Check> {
    measured(plugin, settings).await.checks
}

/// The same, and what each call took.
pub async fn measured(plugin: &Plugin, settings: &str) -> Conformance {
    match plugin.world() {
        World::Scorer => properties::of_a_scorer(plugin, settings).await,
        World::PromptBuilder => properties::of_a_prompt_builder(plugin, settings).await,
    }
}
