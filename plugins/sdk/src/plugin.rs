//! The two sorts of plugin, and how each is exported.

use std::marker::PhantomData;
#[cfg(target_arch = "wasm32")]
use std::mem::ManuallyDrop;

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    About, Description, Prompt, PromptInput, ScoreInput, ScoreOutput,
    bindings::{prompt_builder::exports::plumbline::plugin::prompting, scorer::exports::plumbline::plugin::scoring},
};

/// Answers become scores. Export it with [`export_scorer!`](crate::export_scorer).
pub trait Scorer {
    /// What an organization may set. `#[serde(deny_unknown_fields, default)]` makes slips visible and every setting optional.
    type Settings: DeserializeOwned;

    /// What the plugin says of itself.
    fn about() -> About;

    /// Whether the settings make sense together; the error is a sentence for the person who wrote them.
    fn check(_settings: &Self::Settings) -> Result<(), String> {
        Ok(())
    }

    /// Scores one evaluation. Equal settings and input give an equal output: there is no clock and no randomness but
    /// `evaluated_at_ms` and `seed` of the input. The error is a sentence; the organization's failure policy then applies.
    fn score(settings: &Self::Settings, input: &ScoreInput) -> Result<ScoreOutput, String>;
}

/// A transcript and a scorecard become a prompt. Export it with [`export_prompt_builder!`](crate::export_prompt_builder).
pub trait PromptBuilder {
    /// What an organization may set. `#[serde(deny_unknown_fields, default)]` makes slips visible and every setting optional.
    type Settings: DeserializeOwned;

    /// What the plugin says of itself.
    fn about() -> About;

    /// Whether the settings make sense together; the error is a sentence for the person who wrote them.
    fn check(_settings: &Self::Settings) -> Result<(), String> {
        Ok(())
    }

    /// Builds the prompt of one evaluation. Equal settings and input give an equal prompt.
    fn build(settings: &Self::Settings, input: &PromptInput) -> Result<Prompt, String>;
}

/// The settings of a plugin that has none: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads settings. The error is a sentence for the person who wrote them.
pub fn settings<S: DeserializeOwned>(json: &str) -> Result<S, String> {
    // serde would take the fields from an array, too.
    if !json.trim_start().starts_with('{') {
        return Err("the settings must be a JSON object".into());
    }
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// A [`Scorer`] as the contract sees it.
pub struct ExportedScorer<T>(PhantomData<T>);

impl<T: Scorer> ExportedScorer<T> {
    /// Settings that the scorer accepts.
    pub(crate) fn settings(json: &str) -> Result<T::Settings, String> {
        let settings = settings(json)?;
        T::check(&settings)?;
        Ok(settings)
    }
}

impl<T: Scorer> scoring::Guest for ExportedScorer<T> {
    fn describe() -> Description {
        T::about().into()
    }

    fn validate_settings(settings: String) -> Result<(), String> {
        Self::settings(&settings).map(drop)
    }

    fn score(settings: String, input: ScoreInput) -> Result<ScoreOutput, String> {
        // The instance ends with the call: taking the input apart would be work for nothing.
        #[cfg(target_arch = "wasm32")]
        let input = ManuallyDrop::new(input);
        T::score(&Self::settings(&settings)?, &input)
    }
}

/// A [`PromptBuilder`] as the contract sees it.
pub struct ExportedPromptBuilder<T>(PhantomData<T>);

impl<T: PromptBuilder> ExportedPromptBuilder<T> {
    /// Settings that the builder accepts.
    pub(crate) fn settings(json: &str) -> Result<T::Settings, String> {
        let settings = settings(json)?;
        T::check(&settings)?;
        Ok(settings)
    }
}

impl<T: PromptBuilder> prompting::Guest for ExportedPromptBuilder<T> {
    fn describe() -> Description {
        T::about().into()
    }

    fn validate_settings(settings: String) -> Result<(), String> {
        Self::settings(&settings).map(drop)
    }

    fn build(settings: String, input: PromptInput) -> Result<Prompt, String> {
        #[cfg(target_arch = "wasm32")]
        let input = ManuallyDrop::new(input);
        T::build(&Self::settings(&settings)?, &input)
    }
}

/// Exports a [`Scorer`]: once in a crate of type `cdylib`. On machines that are not WebAssembly it only checks the type.
#[macro_export]
macro_rules! export_scorer {
    ($scorer:ty) => {
        const _: () = {
            #[allow(dead_code, reason = "native tests call the trait")]
            type Exported = $crate::ExportedScorer<$scorer>;
            // The exported symbols are names that only WebAssembly knows.
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::scorer::__export_scorer!(Exported with_types_in $crate::bindings::scorer);
        };
    };
}

/// Exports a [`PromptBuilder`]: once in a crate of type `cdylib`. On machines that are not WebAssembly it only checks the type.
#[macro_export]
macro_rules! export_prompt_builder {
    ($builder:ty) => {
        const _: () = {
            #[allow(dead_code, reason = "native tests call the trait")]
            type Exported = $crate::ExportedPromptBuilder<$builder>;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::prompt_builder::__export_prompt_builder!(
                Exported with_types_in $crate::bindings::prompt_builder
            );
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        words: u32,
    }

    impl Default for Sample {
        fn default() -> Self {
            Self { words: 7 }
        }
    }

    #[test]
    fn settings_are_an_object_of_known_fields() {
        assert_eq!(settings::<Sample>("{}"), Ok(Sample { words: 7 }));
        assert_eq!(settings::<Sample>(r#" {"words": 8}"#), Ok(Sample { words: 8 }));
        for wrong in ["", "null", "[8]", r#"{"word": 8}"#, r#"{"words": -1}"#, "{} {}"] {
            assert!(settings::<Sample>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(settings::<NoSettings>("{}"), Ok(NoSettings {}));
        assert!(settings::<NoSettings>(r#"{"a": 1}"#).is_err());
    }
}
