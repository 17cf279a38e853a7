//! A component that passed every check, and the two ways to call it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::{
    Description, Identity, PluginError, PluginHost, Prompt, PromptBuilder, PromptInput, Run, ScoreInput, ScoreOutput,
    Scorer, Trace,
    abi::v1::{self, Program},
    check, engine,
    host::Compiled,
};

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// Turns answers into scores.
    Scorer,
    /// Turns a transcript and a scorecard into a prompt.
    PromptBuilder,
}

/// A component that passed every check. Cheap to clone; every call meets a fresh instance.
#[derive(Clone)]
pub struct Plugin {
    host: PluginHost,
    compiled: Arc<Compiled>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("identity", self.identity()).finish_non_exhaustive()
    }
}

impl Plugin {
    pub(super) fn new(host: PluginHost, compiled: Arc<Compiled>) -> Self {
        Self { host, compiled }
    }

    /// Which code this is.
    pub fn identity(&self) -> &Identity {
        &self.compiled.identity
    }

    /// SHA-256 of the component, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        self.compiled.identity.sha256.as_deref().unwrap_or_default()
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.compiled.description
    }

    /// What it is for.
    pub fn world(&self) -> World {
        match self.compiled.program {
            Program::Scorer(_) => World::Scorer,
            Program::PromptBuilder(_) => World::PromptBuilder,
        }
    }

    /// Asks the plugin whether it can work with these settings (JSON). To be asked before a binding is made.
    ///
    /// # Errors
    /// [`PluginError::InvalidSettings`] with the plugin's own words, or whatever else a call can meet.
    pub async fn validate_settings(&self, settings: &str) -> Result<(), PluginError> {
        self.accept(settings)?;
        let mut turn = self.host.turn().await?;
        let answer = self.compiled.program.validate_settings(&mut turn.store, settings).await;
        let run = turn.end(answer);
        run.outcome?.map_err(|words| PluginError::InvalidSettings(engine::guest_words(&words)))
    }

    /// The scorer that this plugin is under these settings (JSON).
    ///
    /// # Errors
    /// [`PluginError::WrongWorld`] for a prompt builder, [`PluginError::InvalidSettings`] for what is not JSON or too long.
    pub fn scorer(&self, settings: &str) -> Result<Arc<dyn Scorer>, PluginError> {
        self.scorer_program()?;
        self.accept(settings)?;
        Ok(Arc::new(Bound::of(self, settings)))
    }

    /// The prompt builder that this plugin is under these settings (JSON).
    ///
    /// # Errors
    /// [`PluginError::WrongWorld`] for a scorer, [`PluginError::InvalidSettings`] for what is not JSON or too long.
    pub fn prompt_builder(&self, settings: &str) -> Result<Arc<dyn PromptBuilder>, PluginError> {
        self.prompt_builder_program()?;
        self.accept(settings)?;
        Ok(Arc::new(Bound::of(self, settings)))
    }

    /// Scores once, and tells what an author wants to know of it.
    ///
    /// # Errors
    /// [`PluginError::WrongWorld`] for a prompt builder, [`PluginError::Host`]. What the guest does wrong is in the run.
    pub async fn run_score(&self, settings: &str, input: &ScoreInput) -> Result<Run<ScoreOutput>, PluginError> {
        let pre = self.scorer_program()?;
        let mut turn = self.host.turn().await?;
        let result = v1::score(pre, &mut turn.store, settings, input).await;
        let run = turn.end(result).and_then(|found| {
            let found = found.map_err(|words| PluginError::GuestError(engine::guest_words(&words)))?;
            check::score(&found, input)?;
            Ok(found)
        });
        self.note(&run);
        Ok(run)
    }

    /// Builds a prompt once, and tells what an author wants to know of it.
    ///
    /// # Errors
    /// [`PluginError::WrongWorld`] for a scorer, [`PluginError::Host`]. What the guest does wrong is in the run.
    pub async fn run_build(&self, settings: &str, input: &PromptInput) -> Result<Run<Prompt>, PluginError> {
        let pre = self.prompt_builder_program()?;
        let mut turn = self.host.turn().await?;
        let result = v1::build(pre, &mut turn.store, settings, input).await;
        let run = turn.end(result).and_then(|found| {
            let found = found.map_err(|words| PluginError::GuestError(engine::guest_words(&words)))?;
            check::prompt(&found)?;
            Ok(found)
        });
        self.note(&run);
        Ok(run)
    }

    #[cfg(test)]
    pub(super) fn is_compiled_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.compiled, &other.compiled)
    }

    fn scorer_program(&self) -> Result<&v1::ScorerProgram, PluginError> {
        match &self.compiled.program {
            Program::Scorer(pre) => Ok(pre),
            Program::PromptBuilder(_) => Err(PluginError::WrongWorld("it is a prompt builder, not a scorer".into())),
        }
    }

    fn prompt_builder_program(&self) -> Result<&v1::PromptBuilderProgram, PluginError> {
        match &self.compiled.program {
            Program::PromptBuilder(pre) => Ok(pre),
            Program::Scorer(_) => Err(PluginError::WrongWorld("it is a scorer, not a prompt builder".into())),
        }
    }

    fn accept(&self, settings: &str) -> Result<(), PluginError> {
        let allowed = self.host.limits().settings_bytes;
        if settings.len() > allowed {
            let found = format!("they have {} bytes, {allowed} are allowed", settings.len());
            return Err(PluginError::InvalidSettings(found));
        }
        serde_json::from_str::<serde::de::IgnoredAny>(settings)
            .map(|_| ())
            .map_err(|error| PluginError::InvalidSettings(format!("they are not JSON: {error}")))
    }

    /// A line for operators. The guest's own words stay out of it: they may quote the conversation.
    fn note<T>(&self, run: &Run<T>) {
        let outcome = run.outcome.as_ref().map_or_else(PluginError::code, |_| "ok");
        debug!(
            plugin = self.sha256(),
            outcome,
            elapsed_us = run.elapsed_us,
            memory_bytes = run.memory_bytes,
            fuel = run.fuel,
            "plugin called"
        );
    }
}

/// A plugin with its settings.
struct Bound {
    plugin: Plugin,
    settings: String,
    trace: Mutex<Trace>,
}

impl Bound {
    fn of(plugin: &Plugin, settings: &str) -> Self {
        Self { plugin: plugin.clone(), settings: settings.to_owned(), trace: Mutex::default() }
    }

    fn outcome<T>(&self, run: Run<T>) -> Result<T, PluginError> {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.add(&run, self.plugin.host.limits());
        run.outcome
    }

    fn trace(&self) -> Trace {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Scorer for Bound {
    fn identity(&self) -> &Identity {
        self.plugin.identity()
    }

    async fn score(&self, input: &ScoreInput) -> Result<ScoreOutput, PluginError> {
        self.outcome(self.plugin.run_score(&self.settings, input).await?)
    }

    fn trace(&self) -> Trace {
        Bound::trace(self)
    }
}

#[async_trait]
impl PromptBuilder for Bound {
    fn identity(&self) -> &Identity {
        self.plugin.identity()
    }

    async fn build(&self, input: &PromptInput) -> Result<Prompt, PluginError> {
        self.outcome(self.plugin.run_build(&self.settings, input).await?)
    }

    fn trace(&self) -> Trace {
        Bound::trace(self)
    }
}
