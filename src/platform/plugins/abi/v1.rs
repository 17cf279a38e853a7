//! `plumbline:plugin@1.0.0`: a component of one of its two worlds, and how plain types cross into it and back.
//!
//! What goes in is lent and not copied: the guest's memory gets it straight from the caller's.

mod lend;
mod take;

use wasmtime::{
    Engine, Store,
    component::{Component, HasSelf, Linker},
};

use crate::platform::plugins::{
    Description, Prompt, PromptInput, ScoreInput, ScoreOutput,
    sandbox::{LogLevel, Sandbox},
};

#[allow(missing_docs, dead_code, unused_variables, reason = "generated")]
mod scorer {
    wasmtime::component::bindgen!({
        path: "wit/v1",
        world: "scorer",
        imports: { default: trappable },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

#[allow(missing_docs, dead_code, unused_variables, reason = "generated")]
mod prompt_builder {
    wasmtime::component::bindgen!({
        path: "wit/v1",
        world: "prompt-builder",
        imports: { default: trappable },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
        with: {
            "plumbline:plugin/host": super::scorer::plumbline::plugin::host,
            "plumbline:plugin/types": super::scorer::plumbline::plugin::types,
        },
    });
}

use prompt_builder::PromptBuilderPre;
use scorer::{
    Scorer, ScorerPre,
    plumbline::plugin::host::{Host, Level},
    plumbline::plugin::types,
};

/// The name of this version, as it stands in exports and receipts.
pub(in crate::platform::plugins) const CONTRACT: &str = "plumbline:plugin@1.0.0";
/// What a scorer exports.
pub(in crate::platform::plugins) const SCORING: &str = "plumbline:plugin/scoring@1.0.0";
/// What a prompt builder exports.
pub(in crate::platform::plugins) const PROMPTING: &str = "plumbline:plugin/prompting@1.0.0";
/// All that a plugin may import; `types` holds types alone.
pub(in crate::platform::plugins) const IMPORTS: [&str; 2] =
    ["plumbline:plugin/host@1.0.0", "plumbline:plugin/types@1.0.0"];

impl Host for Sandbox {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        Ok(Sandbox::log(self, level, &message)?)
    }
}

impl types::Host for Sandbox {}

/// A component of this version, compiled and linked: an instance away from a call.
pub(in crate::platform::plugins) enum Program {
    Scorer(ScorerPre<Sandbox>),
    PromptBuilder(PromptBuilderPre<Sandbox>),
}

impl Program {
    /// Links a component that exports [`SCORING`].
    pub(in crate::platform::plugins) fn scorer(engine: &Engine, component: &Component) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        Scorer::add_to_linker::<_, HasSelf<_>>(&mut linker, |sandbox| sandbox)?;
        Ok(Self::Scorer(ScorerPre::new(linker.instantiate_pre(component)?)?))
    }

    /// Links a component that exports [`PROMPTING`].
    pub(in crate::platform::plugins) fn prompt_builder(
        engine: &Engine,
        component: &Component,
    ) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        Scorer::add_to_linker::<_, HasSelf<_>>(&mut linker, |sandbox| sandbox)?;
        Ok(Self::PromptBuilder(PromptBuilderPre::new(linker.instantiate_pre(component)?)?))
    }

    pub(in crate::platform::plugins) async fn describe(
        &self,
        store: &mut Store<Sandbox>,
    ) -> wasmtime::Result<Description> {
        let found = match self {
            Self::Scorer(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.plumbline_plugin_scoring().call_describe(store).await?
            }
            Self::PromptBuilder(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.plumbline_plugin_prompting().call_describe(store).await?
            }
        };
        Ok(found.into())
    }

    pub(in crate::platform::plugins) async fn validate_settings(
        &self,
        store: &mut Store<Sandbox>,
        settings: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        match self {
            Self::Scorer(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.plumbline_plugin_scoring().call_validate_settings(store, settings).await
            }
            Self::PromptBuilder(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.plumbline_plugin_prompting().call_validate_settings(store, settings).await
            }
        }
    }
}

/// Calls `score` on a fresh instance.
pub(in crate::platform::plugins) async fn score(
    program: &Program,
    store: &mut Store<Sandbox>,
    settings: &str,
    input: &ScoreInput,
) -> wasmtime::Result<Result<ScoreOutput, String>> {
    let Program::Scorer(pre) = program else { wasmtime::bail!("it is no scorer") };
    let utterances = lend::utterances(&input.utterances);
    let criteria = lend::criteria(&input.scorecard);
    let sections = lend::sections(&input.scorecard, &criteria);
    let evidence = lend::evidence(&input.answers);
    let answers = lend::answers(&input.answers, &evidence);
    let metrics: Vec<_> = input.metrics.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let metadata = lend::pairs(&input.metadata);
    let lent = scorer::exports::plumbline::plugin::scoring::ScoreInput {
        call: lend::call(&input.call),
        utterances: &utterances,
        metrics: &metrics,
        scorecard: lend::scorecard(&input.scorecard, &sections),
        answers: &answers,
        seed: input.seed,
        evaluated_at_ms: input.evaluated_at_ms,
        metadata: &metadata,
    };
    let instance = pre.instantiate_async(&mut *store).await?;
    let found = instance.plumbline_plugin_scoring().call_score(store, settings, lent).await?;
    Ok(found.map(Into::into))
}

/// Calls `build` on a fresh instance.
pub(in crate::platform::plugins) async fn build(
    program: &Program,
    store: &mut Store<Sandbox>,
    settings: &str,
    input: &PromptInput,
) -> wasmtime::Result<Result<Prompt, String>> {
    let Program::PromptBuilder(pre) = program else { wasmtime::bail!("it is no prompt builder") };
    let utterances = lend::utterances(&input.utterances);
    let criteria = lend::criteria(&input.scorecard);
    let sections = lend::sections(&input.scorecard, &criteria);
    let metadata = lend::pairs(&input.metadata);
    let lent = prompt_builder::exports::plumbline::plugin::prompting::PromptInput {
        call: lend::call(&input.call),
        utterances: &utterances,
        scorecard: lend::scorecard(&input.scorecard, &sections),
        seed: input.seed,
        evaluated_at_ms: input.evaluated_at_ms,
        metadata: &metadata,
    };
    let instance = pre.instantiate_async(&mut *store).await?;
    let found = instance.plumbline_plugin_prompting().call_build(store, settings, lent).await?;
    Ok(found.map(Into::into))
}

#[cfg(test)]
mod tests {
    use crate::foundation::digest;

    /// A released contract never changes (wit/CHANGES.md). If this fails, make a new version instead of a new digest.
    #[test]
    fn the_contract_is_frozen() {
        let found = digest::of_bytes(include_bytes!("../../../../wit/v1/plumbline.wit"));
        assert_eq!(found, "f7b5b4e9118b384f54ea498480b3a29fb62ddda271533312da2f24c5331d453a");
    }
}
