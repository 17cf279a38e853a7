//! What a tenant's plugin version is, and what an organization's use of one. No I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    foundation::{
        digest,
        ids::{BindingId, CallId, EvaluationId, OrganizationId, PluginRunId},
    },
    platform::{
        http::{ETag, Position},
        plugins::World,
    },
    words,
};

words! {
    /// What happens when the plugin that an organization bound fails.
    pub enum FailurePolicy {
        /// The built-in one takes its place, and the evaluation says so.
        FallBack = "fall_back",
        /// The evaluation waits for a person.
        Hold = "hold",
        /// The stage fails.
        Fail = "fail",
    }

    /// What counts of what a bound plugin gives.
    pub enum BindingMode {
        /// All of it: it takes the place of the built-in one.
        Active = "active",
        /// Nothing: it runs beside what counts, and people compare.
        Shadow = "shadow",
        /// A share of the calls, chosen by their ids.
        Canary = "canary",
    }

    /// Why a binding ended.
    pub enum EndedBecause {
        /// Another one took its place.
        Replaced = "replaced",
        /// Somebody ended it.
        Unbound = "unbound",
        /// It became the active one, as a new binding.
        Promoted = "promoted",
        /// Somebody rolled it back.
        RolledBack = "rolled_back",
        /// Too many of its runs failed.
        Faults = "faults",
        /// Its scores drifted too far from those that count.
        Drift = "drift",
    }

    /// What a plugin is for.
    pub enum PluginWorld {
        /// Turns answers into scores.
        Scorer = "scorer",
        /// Turns a transcript and a scorecard into a prompt.
        PromptBuilder = "prompt_builder",
    }

    /// Why a plugin ran.
    pub enum RunPurpose {
        /// Its score, or its prompt, counts.
        Active = "active",
        /// It was the canary, and the call is of its share.
        Canary = "canary",
        /// Beside what counts.
        Shadow = "shadow",
        /// The active one beside a canary whose score counts, to see how far they drift.
        Comparison = "comparison",
        /// Somebody tried it.
        Test = "test",
    }
}

impl FailurePolicy {
    /// The policy of that word in `plugin_bindings`.
    pub fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl From<World> for PluginWorld {
    fn from(world: World) -> Self {
        match world {
            World::Scorer => Self::Scorer,
            World::PromptBuilder => Self::PromptBuilder,
        }
    }
}

/// An organization's use of a plugin, as whoever runs it needs it.
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

/// A component that the tenant has. It never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginVersion {
    /// SHA-256 of the component: its identity.
    pub digest: String,
    /// The name it gives itself.
    pub name: String,
    /// Its author's version.
    pub version: String,
    /// What it is for.
    pub world: PluginWorld,
    /// A sentence for the person who binds it.
    pub summary: String,
    /// The component's size.
    pub size_bytes: i64,
    /// Where the component is stored.
    pub object_key: String,
    /// JSON Schema of its settings, if it gives one.
    pub settings_schema: Option<Value>,
    /// The fields that it reads and the limits that it asks for; empty when it says nothing.
    pub manifest: Value,
    /// What its validation found; none of one from before there were reports, and none in a list.
    pub report: Option<Value>,
    /// Who uploaded it.
    pub uploaded_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Whether an organization that the caller reaches uses it.
    pub is_bound: bool,
}

impl PluginVersion {
    /// Where it stands in a list: a digest has no room in a cursor, but its first half is as unique.
    pub fn position(&self) -> Position {
        let half = self.digest.get(..32).and_then(|half| half.parse().ok()).unwrap_or(Uuid::nil());
        Position::new(self.created_at, half)
    }
}

/// When a canary is rolled back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackRules {
    /// The share of failed runs that is one too many, in hundredths of a percent.
    pub most_faults: i32,
    /// How far its scores may be from those of the active one on average, in hundredths of a point.
    pub most_drift: i32,
    /// Over at least so many runs.
    pub least_runs: i32,
}

impl Default for RollbackRules {
    fn default() -> Self {
        Self { most_faults: 500, most_drift: 1_000, least_runs: 20 }
    }
}

/// How an organization is to use a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Use {
    /// Whose calls it is for.
    pub organization_id: OrganizationId,
    /// The version.
    pub digest: String,
    /// What counts of what it gives.
    pub mode: BindingMode,
    /// The canary's share of the calls, in hundredths of a percent; none in other modes.
    pub canary_share: Option<i32>,
    /// Its settings.
    pub settings: Value,
    /// What happens when it fails.
    pub failure_policy: FailurePolicy,
    /// When a canary is rolled back.
    pub rollback: RollbackRules,
}

/// A binding as people see it, also when it has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BindingRecord {
    /// Its id.
    pub binding_id: BindingId,
    /// What it says.
    pub of: Use,
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// What the plugin is for.
    pub world: PluginWorld,
    /// The active binding whose place it took.
    pub replaces: Option<BindingId>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// How it ended; none while it has not.
    pub ended: Option<Ended>,
}

/// How a binding ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: DateTime<Utc>,
    /// Who ended it; none of those from before that was written down.
    pub by: Option<String>,
    /// Why; none as above.
    pub because: Option<EndedBecause>,
}

impl BindingRecord {
    /// It changes once: when it ends.
    pub fn etag(&self) -> ETag {
        ETag::of(self.binding_id.0, if self.ended.is_some() { 2 } else { 1 })
    }

    /// Where it stands in a list.
    pub fn position(&self) -> Position {
        Position::new(self.created_at, self.binding_id.0)
    }
}

/// What an organization asks of a version before it may score.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginPolicy {
    /// Whose policy.
    pub organization_id: OrganizationId,
    /// Calls that a finished back-test must have gone over; none when no back-test is asked for.
    pub backtest_calls: Option<i32>,
    /// 0 while nobody has set one.
    pub revision: i32,
    /// Who set it, and when.
    pub updated: Option<(String, DateTime<Utc>)>,
}

impl PluginPolicy {
    /// Tells this revision from every other.
    pub fn etag(&self) -> ETag {
        ETag::of(self.organization_id.0, self.revision)
    }
}

/// A run as the plugin's author sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginRun {
    /// Its id.
    pub plugin_run_id: PluginRunId,
    /// Whose call it was about.
    pub organization_id: OrganizationId,
    /// The binding behind it; none of a test.
    pub binding_id: Option<BindingId>,
    /// The call; none of a pasted conversation.
    pub call_id: Option<CallId>,
    /// The evaluation.
    pub evaluation_id: Option<EvaluationId>,
    /// Why it ran.
    pub purpose: RunPurpose,
    /// `ok`, or the failure's code.
    pub outcome: String,
    /// The failure in words.
    pub message: Option<String>,
    /// What it logged, as pairs of level and message.
    pub log: Value,
    /// Messages that were cut or left out.
    pub log_truncated: i32,
    /// Instructions, as the engine counts them.
    pub fuel: i64,
    /// From its turn to its end, in microseconds.
    pub elapsed_us: i64,
    /// The most linear memory that it held, in bytes.
    pub memory_bytes: i64,
    /// What it scored, in hundredths.
    pub overall: Option<i32>,
    /// The score that counts, in hundredths.
    pub counted: Option<i32>,
    /// What it returned, where that counts for nothing.
    pub output: Option<Value>,
    /// When.
    pub ran_at: DateTime<Utc>,
}

impl PluginRun {
    /// Where it stands in a list.
    pub fn position(&self) -> Position {
        Position::new(self.ran_at, self.plugin_run_id.0)
    }
}

/// The digest by which a back-test is known to have been made with the settings of a binding.
pub fn settings_digest(settings: &Value) -> String {
    digest::of_json(settings)
}
