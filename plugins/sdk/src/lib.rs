//! Everything a plugin in Rust needs: the contract's types, typed settings, what it declares of itself, the built-in arithmetic,
//! a fast search for phrases, and a harness that runs it natively.
//!
//! ```
//! use plumbline_plugin::{About, ScoreInput, ScoreOutput, Scorer, arithmetic, export_scorer};
//!
//! struct Plain;
//!
//! impl Scorer for Plain {
//!     type Settings = plumbline_plugin::NoSettings;
//!
//!     fn about() -> About {
//!         About::new("plain", "1.0.0", "The weighted score of the scorecard.")
//!     }
//!
//!     fn score(_: &Self::Settings, input: &ScoreInput) -> Result<ScoreOutput, String> {
//!         Ok(arithmetic::weighted(&input.scorecard, &input.answers))
//!     }
//! }
//!
//! export_scorer!(Plain);
//! ```

#[cfg(all(target_arch = "wasm32", feature = "bump-allocator"))]
mod allocator;
pub mod arithmetic;
#[doc(hidden)]
#[allow(missing_docs, reason = "generated")]
pub mod bindings;
mod logging;
mod manifest;
mod plugin;
pub mod prompt;
mod search;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod whole;

pub use bindings::{
    prompt_builder::exports::plumbline::plugin::prompting::{Prompt, PromptInput},
    scorer::{
        exports::plumbline::plugin::scoring::{CriterionScore, Insight, InsightKind, ScoreInput, ScoreOutput},
        plumbline::plugin::{
            host::Level,
            types::{
                Answer, AutoFail, Call, Criterion, Description, Evidence, Scorecard, Section, Speaker, Utterance,
                Verdict,
            },
        },
    },
};
pub use logging::{debug, error, info, log, warn};
pub use manifest::{About, Field};
#[doc(hidden)]
pub use plugin::{ExportedPromptBuilder, ExportedScorer};
pub use plugin::{NoSettings, PromptBuilder, Scorer, settings};
pub use search::Phrase;
pub use serde;
pub use whole::Whole;
