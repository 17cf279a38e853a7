//! The price table.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What providers cost. What has no price is shown without one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricesConfig {
    /// The currency's name.
    pub currency: String,
    /// By the model's name, of which the longest beginning counts.
    pub models: BTreeMap<String, ModelPriceConfig>,
    /// An hour of audio, by the provider's name.
    pub audio_hours: BTreeMap<String, f64>,
}

/// What a language model costs.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPriceConfig {
    /// A million tokens of questions.
    pub input: f64,
    /// A million tokens of answers.
    pub output: f64,
}
