//! What a run over all tenants is told, and what it tells. No I/O.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;

use crate::{
    foundation::ids::TenantId,
    platform::{
        db::{DbError, OwnerError},
        tenancy::TenantStatus,
    },
    words,
};

/// How a run goes about it.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Connections that migrate at the same time.
    pub workers: usize,
    /// After how many failed tenants the run begins no other one.
    pub stop_after: Option<usize>,
    /// Who goes first; the others follow when all of these succeeded.
    pub canary: Canary,
    /// How long a migration waits for a lock on a table that is in use, in milliseconds.
    pub lock_wait_ms: u32,
    /// How often a tenant is tried while the trouble is of the kind that passes.
    pub attempts: u32,
    /// How long a tenant is waited for while somebody else works on it.
    pub patience: Duration,
}

impl Default for FleetOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: (4 * cores).min(8),
            stop_after: None,
            canary: Canary::None,
            lock_wait_ms: 2_000,
            attempts: 8,
            patience: Duration::from_secs(120),
        }
    }
}

/// Who goes first.
#[derive(Clone, Debug, PartialEq)]
pub enum Canary {
    /// Nobody.
    None,
    /// The tenants with these slugs.
    Slugs(Vec<String>),
    /// This share of the tenants that are behind, 0 to 1, and at least one.
    Share(f64),
}

impl FromStr for Canary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(number) = text.strip_suffix('%') {
            let percent: f64 = number.trim().parse().map_err(|_| format!("{text:?} is no percentage"))?;
            return if percent > 0.0 && percent <= 100.0 {
                Ok(Self::Share(percent / 100.0))
            } else {
                Err("a percentage above 0 and up to 100".to_owned())
            };
        }
        let slugs: Vec<String> =
            text.split(',').map(str::trim).filter(|slug| !slug.is_empty()).map(str::to_owned).collect();
        if slugs.is_empty() {
            Err("slugs with commas between them, or a percentage".to_owned())
        } else {
            Ok(Self::Slugs(slugs))
        }
    }
}

/// Why a run over the fleet could not begin or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// On the owner's side.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// A query was refused.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A canary that is no tenant.
    #[error("there is no tenant {0:?} for the canary wave")]
    UnknownCanary(String),
}

/// A tenant that was not migrated.
#[derive(Clone, Debug, Serialize)]
pub struct TenantFailure {
    /// Which one.
    pub tenant_id: TenantId,
    /// Its short name.
    pub slug: String,
    /// What was said; also in `platform.tenants.migration_error`.
    pub error: String,
}

/// How a run went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The version that `sql/tenant` leads to.
    pub newest: i32,
    /// The last concurrent step.
    pub newest_concurrent: i32,
    /// Tenants that were brought there.
    pub migrated: usize,
    /// Tenants that were there already, or that somebody else brought there meanwhile.
    pub current: usize,
    /// Tenants whose schema is newer than this build; they are left alone.
    pub newer: usize,
    /// Tenants that failed; their schemas are as they were.
    pub failed: usize,
    /// Tenants that were not begun, because the run stopped before.
    pub untouched: usize,
    /// Why the run stopped before its end.
    pub stopped: Option<String>,
    /// Which tenants failed and why.
    pub failures: Vec<TenantFailure>,
    /// How long it took.
    pub seconds: f64,
}

impl Summary {
    /// Whether every tenant is where it should be.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.untouched == 0
    }
}

/// What happens while a run goes on.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A wave of this many tenants begins.
    Wave {
        /// Whether it is the canary's.
        canary: bool,
        /// Whether it is for the steps outside of transactions.
        concurrent: bool,
        /// How many.
        tenants: usize,
    },
    /// A tenant is done.
    Done(&'a str),
    /// A tenant is tried again later.
    Again(&'a str, &'a str),
    /// A tenant failed.
    Failed(&'a TenantFailure),
}

/// What a run would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MigrationPlan {
    /// Migrations of the platform.
    pub platform: Vec<PlannedStep>,
    /// Migrations of the tenants, then the concurrent steps.
    pub tenants: Vec<PlannedStep>,
}

/// One pending migration.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep {
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// Whether it runs outside of transactions.
    pub concurrent: bool,
    /// How many tenants it concerns; 1 for the platform.
    pub tenants: i64,
    /// Its text.
    pub sql: String,
}

words! {
    /// Which tenants a status lists.
    pub enum StatusFilter {
        /// All that are not destroyed.
        All = "all",
        /// For whom migrations or steps outside of transactions are missing.
        Behind = "behind",
        /// Whose schema is another one than its version says.
        Drifted = "drifted",
        /// Whose last migration failed.
        Failed = "failed",
    }

    /// How a tenant's schema relates to this build.
    pub enum Version {
        /// As this build wants it.
        Current = "current",
        /// Older: migrations or steps outside of transactions are missing.
        Behind = "behind",
        /// Newer: made by a later build than this one, and served.
        Newer = "newer",
    }

    /// How a schema's catalog relates to what its version should have made.
    pub enum Drift {
        /// Table by table the same.
        None = "none",
        /// Somebody changed it by hand.
        Drifted = "drifted",
        /// There is no schema.
        Missing = "missing",
        /// This build does not know how the version looks.
        Unknown = "unknown",
    }
}

/// How one tenant stands.
#[derive(Clone, Debug, Serialize, Object)]
#[oai(rename = "FleetTenant")]
pub struct TenantState {
    /// Its id.
    pub tenant_id: TenantId,
    /// Its short name.
    pub slug: String,
    /// Where it stands in its life.
    pub status: TenantStatus,
    /// Its schema beside this build's.
    pub version: Version,
    /// The newest migration that its schema has seen.
    pub schema_version: i32,
    /// The newest step outside of transactions that its schema has seen.
    pub concurrent_version: i32,
    /// Whether the schema is what its version says.
    pub drift: Drift,
    /// The digest of the schema's catalog.
    pub fingerprint: Option<String>,
    /// When it was last migrated.
    pub migrated_at: Option<DateTime<Utc>>,
    /// Why its last migration failed.
    pub migration_error: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_a_list_or_a_share() {
        assert_eq!("acme, globex".parse(), Ok(Canary::Slugs(vec!["acme".to_owned(), "globex".to_owned()])));
        assert_eq!("5%".parse(), Ok(Canary::Share(0.05)));
        for bad in ["", ",", "0%", "101%", "-1%", "x%", "NaN%"] {
            assert!(bad.parse::<Canary>().is_err(), "{bad}");
        }
    }
}
