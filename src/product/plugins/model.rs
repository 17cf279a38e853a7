//! What an organization's use of a plugin is. No I/O.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::foundation::ids::BindingId;

/// What happens when the plugin that an organization bound fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// The built-in one takes its place, and the evaluation says so.
    FallBack,
    /// The evaluation waits for a person.
    Hold,
    /// The stage fails.
    Fail,
}

impl FailurePolicy {
    /// The word of tables and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FallBack => "fall_back",
            Self::Hold => "hold",
            Self::Fail => "fail",
        }
    }

    /// The policy of that word in `plugin_bindings`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "fall_back" => Some(Self::FallBack),
            "hold" => Some(Self::Hold),
            "fail" => Some(Self::Fail),
            _ => None,
        }
    }
}

/// An organization's use of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Its id.
    pub binding_id: BindingId,
    /// SHA-256 of the component.
    pub digest: String,
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// Where the component is stored.
    pub object_key: String,
    /// Its settings.
    pub settings: Value,
    /// What happens when it fails.
    pub policy: FailurePolicy,
}
