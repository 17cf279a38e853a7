//! Draft → active → retired, and back.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{ScorecardError, Scorecards, model::Scorecard, record, store};
use crate::foundation::{access::Grant, ids::ScorecardId};

impl Scorecards {
    /// From now on no call is judged by it. Evaluations keep their versions; the draft stays, and can be written on. Retiring it again changes nothing.
    ///
    /// # Errors
    /// [`ScorecardError::NotFound`], [`ScorecardError::NeverPublished`], [`ScorecardError::Stale`] when somebody else changed it just now.
    pub async fn retire(&self, grant: &Grant, id: ScorecardId) -> Result<Scorecard, ScorecardError> {
        self.set_retired(grant, "scorecard.retired", id, Some(self.now())).await
    }

    /// Calls are judged by its newest version again.
    ///
    /// # Errors
    /// [`ScorecardError::NotFound`], [`ScorecardError::NeverPublished`], [`ScorecardError::Stale`] when somebody else changed it just now.
    pub async fn reactivate(&self, grant: &Grant, id: ScorecardId) -> Result<Scorecard, ScorecardError> {
        self.set_retired(grant, "scorecard.reactivated", id, None).await
    }

    async fn set_retired(
        &self,
        grant: &Grant,
        action: &'static str,
        id: ScorecardId,
        retired_at: Option<DateTime<Utc>>,
    ) -> Result<Scorecard, ScorecardError> {
        let now = self.now();
        self.db
            .tenant(grant, "scorecards.set_retired", async |tx| {
                let found = store::find(tx, id).await?.ok_or(ScorecardError::NotFound)?;
                if found.published_version.is_none() {
                    return Err(ScorecardError::NeverPublished);
                }
                if found.retired_at.is_some() == retired_at.is_some() {
                    return Ok(found);
                }
                if !store::set_retired(tx, id, found.revision, retired_at, now).await? {
                    return Err(ScorecardError::Stale);
                }
                record(tx, action, &found, json!({ "version": found.published_version })).await?;
                Ok(Scorecard { retired_at, revision: found.revision + 1, updated_at: now, ..found })
            })
            .await
    }
}
