//! A back-test: a plugin version over many stored evaluations, which calls it takes, and how it stands. No I/O.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{found::Found, report::Report};
use crate::{
    foundation::ids::{AgentId, BacktestId, CallId, OrganizationId, ScorecardId, ScorecardVersionId},
    product::calls::model::{Channel, Direction},
    words,
};

/// Most calls of one back-test.
pub const MOST_CALLS: i32 = 100_000;
/// Calls of a back-test that names no number.
pub const USUAL_CALLS: i32 = 25_000;

words! {
    /// How a back-test stands.
    pub enum BacktestStatus {
        /// Nobody has begun.
        Waiting = "waiting",
        /// Calls are being scored.
        Running = "running",
        /// Every call was looked at.
        Succeeded = "succeeded",
        /// It came to no end: the plugin could not be loaded, or failed again and again.
        Failed = "failed",
        /// It was called off.
        Cancelled = "cancelled",
    }
}

impl BacktestStatus {
    /// Whether nothing more comes of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// Which calls a back-test takes: evaluated ones of the organization, the newest first. All of it has to fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestFilter", deny_unknown_fields)]
pub struct Filter {
    /// Calls of this agent alone.
    #[oai(default)]
    pub agent_id: Option<AgentId>,
    /// Calls received then or later.
    #[oai(default)]
    pub received_from: Option<DateTime<Utc>>,
    /// Calls received before.
    #[oai(default)]
    pub received_before: Option<DateTime<Utc>>,
    /// Calls of this queue.
    #[oai(default)]
    pub queue: Option<String>,
    /// Calls of this channel.
    #[oai(default)]
    pub channel: Option<Channel>,
    /// Calls in this direction.
    #[oai(default)]
    pub direction: Option<Direction>,
    /// Calls that are judged by a version of this scorecard.
    #[oai(default)]
    pub scorecard_id: Option<ScorecardId>,
    /// Calls that are judged by this version.
    #[oai(default)]
    pub scorecard_version_id: Option<ScorecardVersionId>,
    /// At most so many, the newest: 25,000 when absent.
    #[oai(default = "usual", validator(minimum(value = "1"), maximum(value = "100000")))]
    pub most_calls: i32,
}

fn usual() -> i32 {
    USUAL_CALLS
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            agent_id: None,
            received_from: None,
            received_before: None,
            queue: None,
            channel: None,
            direction: None,
            scorecard_id: None,
            scorecard_version_id: None,
            most_calls: USUAL_CALLS,
        }
    }
}

/// A back-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// Its id.
    pub backtest_id: BacktestId,
    /// Whose evaluations.
    pub organization_id: OrganizationId,
    /// SHA-256 of the plugin version.
    pub digest: String,
    /// Under which settings.
    pub settings: Value,
    /// Their digest.
    pub settings_digest: String,
    /// Which calls.
    pub filter: Filter,
    /// How it stands.
    pub status: BacktestStatus,
    /// Whether it is to stop.
    pub cancel_requested: bool,
    /// Calls that fitted when it was asked for.
    pub calls_total: i32,
    /// Calls that were looked at.
    pub calls_done: i32,
    /// Calls that the version scored without a fault.
    pub calls_scored: i32,
    /// Why it failed.
    pub failure: Option<String>,
    /// Who wanted it.
    pub requested_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What came of it; none before it has ended, and in lists.
    pub report: Option<Report>,
}

/// The version that is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// SHA-256 of the component.
    pub digest: String,
    /// The plugin's name.
    pub name: String,
    /// Its author's version.
    pub version: String,
    /// `scorer` or `prompt_builder`.
    pub world: String,
    /// Where the component is stored.
    pub object_key: String,
}

/// A call's place among those that are newer and older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// The call.
    pub call_id: CallId,
}

/// Where a back-test goes on.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The back-test.
    pub backtest: Backtest,
    /// The version that is tested.
    pub version: Version,
    /// The last call that was looked at; none at the beginning.
    pub at: Option<Position>,
    /// What was found until there.
    pub found: Found,
}

impl Standing {
    /// The call after which it goes on: the newest that there can have been when it was asked for, at the beginning.
    pub fn after(&self) -> Position {
        let newest = Position { received_at: self.backtest.created_at, call_id: CallId(uuid::Uuid::max()) };
        self.at.unwrap_or(newest)
    }

    /// Calls that are left to be looked at, at most.
    pub fn left(&self) -> i32 {
        self.backtest.calls_total.saturating_sub(self.backtest.calls_done).max(0)
    }
}
