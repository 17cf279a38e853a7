//! A tenant's walls, looked at and tried on demand: what an auditor can be shown, with the evidence beside every sentence.
//!
//! Nothing of what the tenant has is read for it. Catalogs are everybody's to read, and the probes run under an organization that was just
//! invented: where a wall stands, they see and change nothing.

pub mod api;

mod catalog;
mod probe;
mod surroundings;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use poem_openapi::{Enum, Object};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    foundation::{clock::Clock, digest, ids::TenantId},
    platform::{
        db::{Db, DbError},
        tenancy::{Tenant, Tenants},
    },
};

pub use self::surroundings::{CACHES, CacheKey};

/// What the checks of a tenant work with. Cheap to clone.
#[derive(Clone)]
pub struct Isolation {
    /// The door to data.
    pub db: Arc<Db>,
    /// Who the tenants are.
    pub tenants: Arc<Tenants>,
    /// Where the tenants' objects lie.
    pub objects: Arc<dyn ObjectStore>,
    /// The time.
    pub clock: Clock,
}

/// Whether every check passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename = "IsolationVerdict", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every wall stands.
    Pass,
    /// At least one does not, or could not be looked at.
    Fail,
}

/// One wall.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "IsolationCheck")]
pub struct Check {
    /// Stable name, such as `row_security`.
    name: String,
    /// What was asked.
    asked: String,
    /// What was found.
    found: String,
    /// Whether that is as it should be.
    passed: bool,
    /// What the finding rests on: names and numbers, no rows.
    evidence: Value,
}

/// All walls of one tenant.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "IsolationReport")]
pub struct Report {
    /// The tenant.
    tenant_id: TenantId,
    /// When it was looked at.
    checked_at: DateTime<Utc>,
    /// Whether every check passed.
    verdict: Verdict,
    /// The checks, in a fixed order.
    checks: Vec<Check>,
    /// SHA-256, in hex, of the JSON of `tenant_id`, `checked_at`, `verdict` and `checks`, in this order and without blanks: it tells whether a
    /// report that was filed is still the one that was given.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    digest: String,
}

impl Check {
    /// A check that found faults, or none.
    fn of(name: &str, asked: &str, faults: &[String], right: impl Into<String>, evidence: Value) -> Self {
        let found = if faults.is_empty() { right.into() } else { faults.join("; ") };
        Self { name: name.to_owned(), asked: asked.to_owned(), found, passed: faults.is_empty(), evidence }
    }

    /// What PostgreSQL refuses to tell is a wall that nobody has seen.
    ///
    /// # Errors
    /// What passes by itself, and says nothing of the walls.
    fn seen(name: &str, asked: &str, outcome: Result<Self, DbError>) -> Result<Self, DbError> {
        match outcome {
            Err(error) if error.is_temporary() => Err(error),
            Err(error) => {
                tracing::warn!(check = name, %error, "a check of the isolation report failed");
                let evidence = json!({ "sqlstate": error.sqlstate() });
                Ok(Self::of(name, asked, &["it could not be looked at".to_owned()], "", evidence))
            }
            outcome => outcome,
        }
    }

    /// Whether it is as it should be.
    pub fn passed(&self) -> bool {
        self.passed
    }
}

impl Isolation {
    /// Looks at every wall of the tenant, and tries them.
    ///
    /// # Errors
    /// [`DbError`] when PostgreSQL cannot be reached.
    pub async fn report(&self, tenant: &Tenant) -> Result<Report, DbError> {
        let probes = probe::Probes::new(&self.db, tenant);
        let mut checks = catalog::checks(&probes).await?;
        checks.extend(probes.checks().await?);
        checks.extend(surroundings::checks(self, tenant).await?);
        let verdict = if checks.iter().all(Check::passed) { Verdict::Pass } else { Verdict::Fail };
        let (tenant_id, checked_at) = (tenant.tenant_id, self.clock.now());
        let digest = digest_of(tenant_id, checked_at, verdict, &checks);
        Ok(Report { tenant_id, checked_at, verdict, checks, digest })
    }
}

fn digest_of(tenant_id: TenantId, checked_at: DateTime<Utc>, verdict: Verdict, checks: &[Check]) -> String {
    // Times are written as the API writes them.
    let told =
        json!({ "tenant_id": tenant_id, "checked_at": checked_at.to_rfc3339(), "verdict": verdict, "checks": checks });
    digest::hexadecimal(&Sha256::digest(told.to_string()))
}
