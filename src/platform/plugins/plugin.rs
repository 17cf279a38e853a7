//! A component that passed every check, and the two ways to call it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::{
    Description, Identity, Limits, Manifest, PluginError, PluginHost, Prompt, PromptBuilder, PromptInput, Run,
    ScoreInput, ScoreOutput, Scorer, Share, Trace,
    abi::v1::Program,
    call::{Build, Call, Score, ValidateSettings},
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
    /// Of the platform, the plan of its share, and its manifest: the lowest of each.
    limits: Limits,
    share: Option<Share>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("identity", self.identity()).finish_non_exhaustive()
    }
}

impl Plugin {
    pub(super) fn new(host: PluginHost, compiled: Arc<Compiled>) -> Self {
        let limits = host.limits().min_with(compiled.manifest.limits);
        Self { host, compiled, limits, share: None }
    }

    /// The same plugin as part of a share: its calls wait for the share's turn and obey the share's limits.
    #[must_use]
    pub fn in_share(&self, share: &Share) -> Self {
        let allowance = self.compiled.manifest.limits.and(share.allowance());
        Self { limits: self.host.limits().min_with(allowance), share: Some(share.clone()), ..self.clone() }
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

    /// What it reads and needs.
    pub fn manifest(&self) -> &Manifest {
        &self.compiled.manifest
    }

    /// What each of its calls may take: the lowest of the platform's, the plan's and its own limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Size of its machine code, in bytes.
    pub fn artefact_bytes(&self) -> u64 {
        self.compiled.linked.code_bytes.into()
    }

    /// How long the compiler took, in milliseconds.
    pub fn compile_ms(&self) -> u64 {
        self.compiled.linked.compile_ms
    }

    /// What it is for.
    pub fn world(&self) -> World {
        match self.compiled.linked.program {
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
        let run = self.ask(&ValidateSettings(settings.into())).await?;
        run.outcome?.map_err(|words| PluginError::InvalidSettings(engine::guest_words(&words)))
    }

    /// The scorer that this plugin is under these settings (JSON).
    ///
    /// # Errors
    /// [`PluginError::WrongWorld`] for a prompt builder, [`PluginError::InvalidSettings`] for what is not JSON or too long.
    pub fn scorer(&self, settings: &str) -> Result<Arc<dyn Scorer>, PluginError> {
        self.as_scorer()?;
        self.accept(settings)?;
        Ok(Arc::new(Bound::of(self, settings)))
    }

    /// The prompt builder that this plugin is under these settings (JSON).
    ///
    /// # Errors
    /// [`PluginError::WrongWorld`] for a scorer, [`PluginError::InvalidSettings`] for what is not JSON or too long.
    pub fn prompt_builder(&self, settings: &str) -> Result<Arc<dyn PromptBuilder>, PluginError> {
        self.as_prompt_builder()?;
        self.accept(settings)?;
        Ok(Arc::new(Bound::of(self, settings)))
    }

    /// Scores once, and tells what an author wants to know of it.
    ///
    /// # Errors
    /// [`PluginError::WrongWorld`] for a prompt builder, [`PluginError::Host`]. What the guest does wrong is in the run.
    pub async fn run_score(&self, settings: &str, input: &ScoreInput) -> Result<Run<ScoreOutput>, PluginError> {
        self.as_scorer()?;
        let call = Score { settings: settings.into(), input: self.compiled.manifest.blank_score(input) };
        let run = self.ask(&call).await?.and_then(|found| {
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
        self.as_prompt_builder()?;
        let call = Build { settings: settings.into(), input: self.compiled.manifest.blank_prompt(input) };
        let run = self.ask(&call).await?.and_then(|found| {
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

    async fn ask<C: Call>(&self, call: &C) -> Result<Run<C::Out>, PluginError> {
        self.host.ask(&self.compiled.linked, &self.limits, self.share.as_ref(), call).await
    }

    fn as_scorer(&self) -> Result<(), PluginError> {
        match self.world() {
            World::Scorer => Ok(()),
            World::PromptBuilder => Err(PluginError::WrongWorld("it is a prompt builder, not a scorer".into())),
        }
    }

    fn as_prompt_builder(&self) -> Result<(), PluginError> {
        match self.world() {
            World::PromptBuilder => Ok(()),
            World::Scorer => Err(PluginError::WrongWorld("it is a scorer, not a prompt builder".into())),
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
        trace.add(&run, self.plugin.limits());
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
