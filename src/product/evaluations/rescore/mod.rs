//! Re-scoring: many calls under another scorecard version. Tenant work, done by the tenant's ordinary jobs
//! ([why](../../../../docs/decisions/0011-a-rescore-is-tenant-work.md)).

pub mod api;
pub mod model;
pub mod store;

use std::sync::Arc;

use chrono::SubsecRound;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use self::model::{Estimate, Progress, Range, Rescore, RescoreReport, RescoreStatus};
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        ids::{CallId, OrganizationId, RescoreId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError, InTenant},
        http::{KeyError, Keyed, Kind, Listing, Once, Problem, Refusal, once},
        jobs::{self, Job},
        tenancy::quotas::{Exceeded, QuotaError, Quotas, UnreadableQuotas, room_for_a_job},
    },
    product::scorecards::model::ScorecardVersion,
};

/// Calls that one re-score may take.
pub const MOST_CALLS: i64 = 50_000;

/// Works through the calls of a re-score, a few at a time.
#[derive(Debug, Serialize, Deserialize)]
pub struct RescoreCalls {
    /// Which re-score.
    pub rescore_id: RescoreId,
}

impl Job for RescoreCalls {
    const KIND: &'static str = "rescore_calls";

    fn dedup_key(&self) -> Option<String> {
        Some(self.rescore_id.to_string())
    }
}

/// Assesses one call of a re-score.
#[derive(Debug, Serialize, Deserialize)]
pub struct RescoreCall {
    /// Which re-score.
    pub rescore_id: RescoreId,
    /// Which call.
    pub call_id: CallId,
}

impl Job for RescoreCall {
    const KIND: &'static str = "rescore_call";

    fn dedup_key(&self) -> Option<String> {
        Some(format!("{} {}", self.rescore_id, self.call_id))
    }
}

/// Why a re-score is refused.
#[derive(Debug, thiserror::Error)]
pub enum RescoreError {
    /// There is none, or the grant does not reach it.
    #[error("no such re-score")]
    NotFound,
    /// Nothing fits the range.
    #[error("no evaluated call of the organization fits, or all are judged by this version already")]
    NoCalls,
    /// More than one re-score takes.
    #[error("{0} calls fit; at most {MOST_CALLS} are taken at once")]
    TooMany(i64),
    /// It has ended.
    #[error("the re-score has ended")]
    Ended,
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

impl From<QuotaError> for RescoreError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Exceeded(exceeded) => Self::Exceeded(exceeded),
            QuotaError::Unreadable(error) => Self::UnreadableQuotas(error),
            QuotaError::Db(error) => Self::Db(error),
        }
    }
}

impl From<RescoreError> for Refusal {
    fn from(error: RescoreError) -> Self {
        match error {
            RescoreError::NotFound => Refusal::not_found("re-score"),
            RescoreError::NoCalls | RescoreError::TooMany(_) => {
                Problem::new(Kind::Unprocessable, error.to_string()).into()
            }
            RescoreError::Ended => Refusal::new(Kind::IllegalState, error.to_string()),
            RescoreError::Exceeded(exceeded) => exceeded.into(),
            RescoreError::UnreadableQuotas(error) => Refusal::internal(&error),
            RescoreError::Key(error) => error.into(),
            RescoreError::Db(error) => error.into(),
        }
    }
}

/// What tokens of questions and of answers cost; none where nobody knows.
pub type Price = Arc<dyn Fn(i64, i64) -> Option<Decimal> + Send + Sync>;

/// The operations on re-scores. Cheap to clone.
#[derive(Clone)]
pub struct Rescores {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// The price table's answer for the model that is asked now; none without a price table.
    pub price: Option<Price>,
}

impl Rescores {
    /// What a re-score would take; nothing is written.
    ///
    /// # Errors
    /// [`RescoreError::Db`].
    pub async fn estimate(
        &self,
        grant: &Grant,
        version: &ScorecardVersion,
        range: &Range,
    ) -> Result<Estimate, RescoreError> {
        let groups = store::estimate(&self.db.alone(grant), version, range).await?;
        let price = |prompt, completion| self.price.as_ref().and_then(|price| price(prompt, completion));
        Ok(Estimate::of(&groups, &version.definition, price))
    }

    /// Writes a re-score down with its calls and queues it.
    ///
    /// # Errors
    /// [`RescoreError::NoCalls`], [`RescoreError::TooMany`], [`RescoreError::Exceeded`].
    pub async fn start(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        quotas: &Quotas,
        version: &ScorecardVersion,
        range: Range,
    ) -> Result<Once<Rescore>, RescoreError> {
        let now = self.clock.now().trunc_subsecs(6);
        let room = room_for_a_job(&self.db, grant.tenant(), quotas).await;
        self.db
            .tenant(grant, "rescores.start", async |tx| {
                once(tx, keyed, now, async || {
                    room?;
                    let new = Rescore {
                        rescore_id: RescoreId::new(),
                        organization_id: version.organization_id,
                        scorecard_id: version.scorecard_id,
                        scorecard_version_id: version.scorecard_version_id,
                        version: version.version,
                        range,
                        status: RescoreStatus::Waiting,
                        cancel_requested: false,
                        requested_by: tx.grant().actor().to_owned(),
                        created_at: now,
                        ended_at: None,
                        progress: Progress::default(),
                    };
                    let calls = i64::try_from(store::insert(tx, &new).await?).unwrap_or(i64::MAX);
                    match calls {
                        0 => return Err(RescoreError::NoCalls),
                        MOST_CALLS.. if calls > MOST_CALLS => return Err(RescoreError::TooMany(calls)),
                        _ => {}
                    }
                    let job = RescoreCalls { rescore_id: new.rescore_id };
                    jobs::enqueue(tx, new.organization_id, &job, now, now).await?;
                    let details = serde_json::json!({
                        "scorecard_version_id": new.scorecard_version_id, "calls": calls, "narrowed": new.range.narrowed
                    });
                    let id = Some(new.rescore_id.0);
                    audit(tx, "rescore.started", "rescore", id, new.organization_id, details).await?;
                    Ok(Rescore { progress: Progress { total: calls, waiting: calls, ..Progress::default() }, ..new })
                })
                .await
            })
            .await
    }

    /// One re-score, and how far it is.
    ///
    /// # Errors
    /// [`RescoreError::NotFound`].
    pub async fn get(&self, grant: &Grant, id: RescoreId) -> Result<Rescore, RescoreError> {
        store::find(&self.db.alone(grant), id).await?.ok_or(RescoreError::NotFound)
    }

    /// A page of those that the grant reaches, newest first.
    ///
    /// # Errors
    /// [`RescoreError::Db`].
    pub async fn list(
        &self,
        grant: &Grant,
        organization: Option<OrganizationId>,
        listing: &Listing,
    ) -> Result<Vec<Rescore>, RescoreError> {
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> = reached.filter(|one| organization.is_none_or(|only| only == *one)).collect();
        Ok(store::list(&self.db.alone(grant), &organizations, listing).await?)
    }

    /// Lets a re-score stop: calls that were not begun are left alone, those that run come to their end.
    ///
    /// # Errors
    /// [`RescoreError::NotFound`], [`RescoreError::Ended`].
    pub async fn cancel(&self, grant: &Grant, id: RescoreId) -> Result<Rescore, RescoreError> {
        self.db
            .tenant(grant, "rescores.cancel", async |tx| {
                let found = store::find(tx, id).await?.ok_or(RescoreError::NotFound)?;
                if !store::request_cancel(tx, id).await? {
                    return Err(RescoreError::Ended);
                }
                let details = serde_json::json!({});
                audit(tx, "rescore.cancel_requested", "rescore", Some(id.0), found.organization_id, details).await?;
                Ok(Rescore { cancel_requested: true, ..found })
            })
            .await
    }

    /// What a re-score changed so far.
    ///
    /// # Errors
    /// [`RescoreError::NotFound`].
    pub async fn report(&self, grant: &Grant, id: RescoreId) -> Result<RescoreReport, RescoreError> {
        self.get(grant, id).await?;
        let on = self.db.alone(grant);
        let (changes, criteria) = tokio::try_join!(store::changes(&on, id), store::criteria(&on, id))?;
        Ok(RescoreReport::of(changes, criteria))
    }
}
