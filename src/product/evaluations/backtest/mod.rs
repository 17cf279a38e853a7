//! Back-testing: a plugin version, bound or not, over many stored evaluations. It scores from stored answers, so that nothing is asked and nothing is
//! paid, and it changes nothing: what would be otherwise is in its report. Tenant work, done by the tenant's ordinary jobs
//! ([why](../../../../docs/decisions/0011-a-rescore-is-tenant-work.md)).

pub mod api;
pub mod found;
pub mod model;
mod plot;
pub mod report;
pub mod run;
#[cfg(test)]
mod samples;
mod score;
pub mod spread;
pub mod store;

use std::sync::Arc;

use chrono::SubsecRound;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::model::{Backtest, BacktestStatus, Filter, Version};
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        digest,
        ids::{AgentId, BacktestId, OrganizationId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError, InTenant},
        http::{KeyError, Keyed, Kind, Listing, Once, Problem, Refusal, once},
        jobs::{self, Job},
        plugins::{PluginError, PluginHost},
        tenancy::quotas::{Exceeded, QuotaError, Quotas, UnreadableQuotas, room_for_a_job},
    },
    product::plugins::versions,
};

/// Works through the calls of a back-test, for a while.
#[derive(Debug, Serialize, Deserialize)]
pub struct BacktestCalls {
    /// Which back-test.
    pub backtest_id: BacktestId,
}

impl Job for BacktestCalls {
    const KIND: &'static str = "backtest_calls";

    fn dedup_key(&self) -> Option<String> {
        Some(self.backtest_id.to_string())
    }
}

/// Why a back-test is refused.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The tenant has no such version.
    #[error("no such plugin version")]
    NoVersion,
    /// The grant does not reach the organization.
    #[error("no such organization")]
    NoOrganization,
    /// There is none, or the grant does not reach it.
    #[error("no such back-test")]
    NotFound,
    /// It builds prompts.
    #[error(
        "a prompt builder is not back-tested: the language model would have to be asked again about every call, and paid"
    )]
    PromptBuilder,
    /// The component cannot be used, or refuses its settings.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The object store failed.
    #[error("the object store: {0}")]
    Objects(#[from] object_store::Error),
    /// Nothing fits the filter.
    #[error("no evaluated call of the organization fits")]
    NoCalls,
    /// Another one is not over.
    #[error("another back-test of the organization waits or runs")]
    Busy,
    /// It has ended.
    #[error("the back-test has ended")]
    Ended,
    /// There is no picture yet.
    #[error("the back-test has no report yet")]
    NoReport,
    /// Too many jobs wait.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// Nobody knows the tenant's quotas.
    #[error(transparent)]
    UnreadableQuotas(#[from] UnreadableQuotas),
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<QuotaError> for BacktestError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Exceeded(exceeded) => Self::Exceeded(exceeded),
            QuotaError::Unreadable(error) => Self::UnreadableQuotas(error),
            QuotaError::Db(error) => Self::Db(error),
        }
    }
}

impl From<BacktestError> for Refusal {
    fn from(error: BacktestError) -> Self {
        match error {
            BacktestError::NoVersion => Refusal::not_found("plugin version"),
            BacktestError::NoOrganization => Refusal::not_found("organization"),
            BacktestError::NotFound => Refusal::not_found("back-test"),
            BacktestError::Plugin(PluginError::Host(_)) | BacktestError::Objects(_) => Refusal::internal(&error),
            BacktestError::PromptBuilder | BacktestError::NoCalls | BacktestError::Plugin(_) => {
                Problem::new(Kind::Unprocessable, error.to_string()).into()
            }
            BacktestError::Busy | BacktestError::Ended | BacktestError::NoReport => {
                Refusal::new(Kind::IllegalState, error.to_string())
            }
            BacktestError::Exceeded(exceeded) => exceeded.into(),
            BacktestError::UnreadableQuotas(error) => Refusal::internal(&error),
            BacktestError::Key(error) => error.into(),
            BacktestError::Db(error) => error.into(),
        }
    }
}

/// What is to be tested.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBacktest {
    /// SHA-256 of the plugin version.
    pub digest: String,
    /// Whose evaluations.
    pub organization_id: OrganizationId,
    /// Under which settings.
    pub settings: Value,
    /// Which calls.
    pub filter: Filter,
}

/// The operations on back-tests. Cheap to clone.
#[derive(Clone)]
pub struct Backtests {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// Where plugins run.
    pub plugins: Arc<PluginHost>,
    /// Where they are stored.
    pub objects: Arc<dyn ObjectStore>,
}

impl Backtests {
    /// How many calls a back-test would take; nothing is written.
    ///
    /// # Errors
    /// As [`Backtests::start`], but for what concerns writing.
    pub async fn estimate(&self, grant: &Grant, new: &NewBacktest) -> Result<i32, BacktestError> {
        self.accept(grant, new).await?;
        Ok(store::count(&self.db.alone(grant), new.organization_id, &new.filter).await?)
    }

    /// Writes a back-test down and queues it. The plugin is asked whether it accepts the settings.
    ///
    /// # Errors
    /// [`BacktestError`]; nothing is written then.
    pub async fn start(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        quotas: &Quotas,
        new: NewBacktest,
    ) -> Result<Once<Backtest>, BacktestError> {
        let calls_total = self.estimate(grant, &new).await?;
        let now = self.clock.now().trunc_subsecs(6);
        let room = room_for_a_job(&self.db, grant.tenant(), quotas).await;
        self.db
            .tenant(grant, "backtests.start", async |tx| {
                once(tx, keyed, now, async || {
                    room?;
                    if calls_total == 0 {
                        return Err(BacktestError::NoCalls);
                    }
                    let made = Backtest {
                        backtest_id: BacktestId::new(),
                        organization_id: new.organization_id,
                        settings_digest: digest::of_json(&new.settings),
                        digest: new.digest,
                        settings: new.settings,
                        filter: new.filter,
                        status: BacktestStatus::Waiting,
                        cancel_requested: false,
                        calls_total,
                        calls_done: 0,
                        calls_scored: 0,
                        failure: None,
                        requested_by: tx.grant().actor().to_owned(),
                        created_at: now,
                        started_at: None,
                        ended_at: None,
                        report: None,
                    };
                    if !store::insert(tx, &made).await? {
                        return Err(BacktestError::Busy);
                    }
                    let job = BacktestCalls { backtest_id: made.backtest_id };
                    jobs::enqueue(tx, made.organization_id, &job, now, now).await?;
                    let details = serde_json::json!({
                        "digest": made.digest, "settings_digest": made.settings_digest, "calls": calls_total, "filter": made.filter
                    });
                    let id = Some(made.backtest_id.0);
                    audit(tx, "backtest.started", "backtest", id, made.organization_id, details).await?;
                    Ok(made)
                })
                .await
            })
            .await
    }

    /// The version is the tenant's and a scorer that accepts the settings, and the organization is within reach.
    async fn accept(&self, grant: &Grant, new: &NewBacktest) -> Result<(), BacktestError> {
        if !grant.reaches(new.organization_id) {
            return Err(BacktestError::NoOrganization);
        }
        let version = self.version(grant, &new.digest).await?;
        if version.world != "scorer" {
            return Err(BacktestError::PromptBuilder);
        }
        let fetched =
            versions::load(&self.plugins, self.objects.as_ref(), grant.tenant(), &version.digest, &version.object_key)
                .await?;
        Ok(fetched?.validate_settings(&new.settings.to_string()).await?)
    }

    async fn version(&self, grant: &Grant, digest: &str) -> Result<Version, BacktestError> {
        // What is no digest names nothing, and need not be asked about.
        if digest.len() != 64 || !digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(BacktestError::NoVersion);
        }
        store::find_version(&self.db.alone(grant), digest).await?.ok_or(BacktestError::NoVersion)
    }

    /// One back-test of a version, with its report once it has ended.
    ///
    /// # Errors
    /// [`BacktestError::NotFound`].
    pub async fn get(&self, grant: &Grant, digest: &str, id: BacktestId) -> Result<Backtest, BacktestError> {
        let on = self.db.alone(grant);
        let found = store::find(&on, id).await?.filter(|found| found.digest == digest);
        let mut found = found.ok_or(BacktestError::NotFound)?;
        if let Some(report) = &mut found.report {
            let ids: Vec<AgentId> = report.agents.iter().filter_map(|agent| agent.agent_id).collect();
            let names = if ids.is_empty() { vec![] } else { store::agents(&on, &ids).await? };
            for agent in &mut report.agents {
                let name = names.iter().find(|(id, _)| Some(*id) == agent.agent_id);
                agent.display_name = name.map(|(_, name)| name.clone());
            }
        }
        Ok(found)
    }

    /// The picture of a back-test's distribution, as SVG.
    ///
    /// # Errors
    /// [`BacktestError::NotFound`], [`BacktestError::NoReport`].
    pub async fn plot(&self, grant: &Grant, digest: &str, id: BacktestId) -> Result<String, BacktestError> {
        let found = self.get(grant, digest, id).await?;
        found.report.as_ref().map(plot::svg).ok_or(BacktestError::NoReport)
    }

    /// A page of a version's back-tests that the grant reaches, newest first, without their reports.
    ///
    /// # Errors
    /// [`BacktestError::NoVersion`].
    pub async fn list(
        &self,
        grant: &Grant,
        digest: &str,
        organization: Option<OrganizationId>,
        listing: &Listing,
    ) -> Result<Vec<Backtest>, BacktestError> {
        self.version(grant, digest).await?;
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> = reached.filter(|one| organization.is_none_or(|only| only == *one)).collect();
        Ok(store::list(&self.db.alone(grant), &organizations, digest, listing).await?)
    }

    /// Lets a back-test stop, within seconds. What was found until then is its report.
    ///
    /// # Errors
    /// [`BacktestError::NotFound`], [`BacktestError::Ended`].
    pub async fn cancel(&self, grant: &Grant, digest: &str, id: BacktestId) -> Result<Backtest, BacktestError> {
        self.db
            .tenant(grant, "backtests.cancel", async |tx| {
                let found = store::find(tx, id).await?.filter(|found| found.digest == digest);
                let found = found.ok_or(BacktestError::NotFound)?;
                if !store::request_cancel(tx, id).await? {
                    return Err(BacktestError::Ended);
                }
                let details = serde_json::json!({});
                audit(tx, "backtest.cancel_requested", "backtest", Some(id.0), found.organization_id, details).await?;
                Ok(Backtest { cancel_requested: true, ..found })
            })
            .await
    }
}
