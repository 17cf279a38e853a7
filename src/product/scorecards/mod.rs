//! Scorecards: what an organization's calls are judged by, drafted, published, and never changed afterwards.

pub mod api;
pub mod model;
mod retirement;
pub mod review;
mod store;
mod versions;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::json;

use self::model::{Definition, Scorecard, ScorecardVersion, Severity, Violation, lint_for};
pub use self::versions::Side;
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        ids::{OrganizationId, ScorecardId, ScorecardVersionId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError, TenantTx},
        http::{ETag, IfMatch, KeyError, Keyed, Kind, Listing, Once, Problem, Refusal, etag::stale, once},
    },
};

/// Why an operation on scorecards says no.
#[derive(Debug, thiserror::Error)]
pub enum ScorecardError {
    /// There is none, or the grant does not reach it.
    #[error("no such scorecard")]
    NotFound,
    /// The scorecard has no version of that number.
    #[error("no such version of the scorecard")]
    NoVersion,
    /// The grant does not reach the organization.
    #[error("no such organization")]
    NoOrganization,
    /// The definition breaks the rules of its type.
    #[error("the definition makes no sense in {} places", .0.len())]
    Invalid(Vec<Violation>),
    /// Another scorecard of the organization has the name.
    #[error("the organization has a scorecard of that name")]
    NameTaken,
    /// There is nothing to publish.
    #[error("the scorecard has no draft")]
    NoDraft,
    /// The draft says what the newest version says.
    #[error("the draft is the same as version {0}")]
    Unchanged(i32),
    /// It cannot be retired before it judges anything.
    #[error("the scorecard was never published, so there is nothing to retire")]
    NeverPublished,
    /// It is retired, and takes no new versions.
    #[error("the scorecard is retired; reactivate it before you publish")]
    Retired,
    /// There is no template of that key.
    #[error("there is no such template")]
    NoTemplate,
    /// Somebody else changed it first.
    #[error("the scorecard was changed since it was read")]
    Stale,
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ScorecardError> for Refusal {
    fn from(error: ScorecardError) -> Self {
        match error {
            ScorecardError::NotFound => Refusal::not_found("scorecard"),
            ScorecardError::NoVersion => Refusal::not_found("scorecard version"),
            ScorecardError::NoOrganization => Refusal::not_found("organization"),
            ScorecardError::Invalid(violations) => {
                let problem = Problem::new(Kind::InvalidScorecard, "the definition makes no sense");
                let add = |problem: Problem, wrong: Violation| problem.field(wrong.field, wrong.message);
                violations.into_iter().fold(problem, add).into()
            }
            ScorecardError::NameTaken => {
                Problem::new(Kind::Conflict, error.to_string()).field("name", "is taken").into()
            }
            ScorecardError::NoDraft
            | ScorecardError::Unchanged(_)
            | ScorecardError::NeverPublished
            | ScorecardError::Retired => Refusal::new(Kind::IllegalState, error.to_string()),
            ScorecardError::NoTemplate => {
                Problem::new(Kind::Unprocessable, error.to_string()).field("template", "names no template").into()
            }
            ScorecardError::Stale => stale(),
            ScorecardError::Key(error) => error.into(),
            ScorecardError::Db(error) => error.into(),
        }
    }
}

/// The operations on scorecards. Cheap to clone.
#[derive(Clone)]
pub struct Scorecards {
    db: Arc<Db>,
    clock: Clock,
}

impl Scorecards {
    /// Operations behind the door, with this clock.
    pub fn new(db: Arc<Db>, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Makes a scorecard whose draft is `definition`.
    ///
    /// # Errors
    /// [`ScorecardError::Invalid`], [`ScorecardError::NoOrganization`], [`ScorecardError::NameTaken`].
    pub async fn create(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        organization: OrganizationId,
        definition: Definition,
    ) -> Result<Once<Scorecard>, ScorecardError> {
        definition.validate().map_err(ScorecardError::Invalid)?;
        if !grant.reaches(organization) {
            return Err(ScorecardError::NoOrganization);
        }
        let now = self.now();
        self.db
            .tenant(grant, "scorecards.create", async |tx| {
                once(tx, keyed, now, async || {
                    let scorecard = Scorecard {
                        scorecard_id: ScorecardId::new(),
                        organization_id: organization,
                        name: definition.name.clone(),
                        draft: Some(definition),
                        published_version: None,
                        retired_at: None,
                        revision: 1,
                        created_at: now,
                        updated_at: now,
                    };
                    store::insert(tx, &scorecard).await.map_err(named)?;
                    record(tx, "scorecard.created", &scorecard, json!({})).await?;
                    Ok(scorecard)
                })
                .await
            })
            .await
    }

    /// One scorecard.
    ///
    /// # Errors
    /// [`ScorecardError::NotFound`].
    pub async fn get(&self, grant: &Grant, id: ScorecardId) -> Result<Scorecard, ScorecardError> {
        store::find(&self.db.alone(grant), id).await?.ok_or(ScorecardError::NotFound)
    }

    /// A page of those that the grant reaches, or of one of its organizations, newest first.
    ///
    /// # Errors
    /// [`ScorecardError::Db`].
    pub async fn list(
        &self,
        grant: &Grant,
        only: Option<OrganizationId>,
        listing: &Listing,
    ) -> Result<Vec<Scorecard>, ScorecardError> {
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> = reached.filter(|one| only.is_none_or(|only| only == *one)).collect();
        Ok(store::list(&self.db.alone(grant), &organizations, listing).await?)
    }

    /// Replaces the draft of a scorecard that is still as the caller read it.
    ///
    /// # Errors
    /// [`ScorecardError::Invalid`], [`ScorecardError::NotFound`], [`ScorecardError::Stale`], [`ScorecardError::NameTaken`].
    pub async fn update_draft(
        &self,
        grant: &Grant,
        id: ScorecardId,
        expected: &IfMatch,
        definition: Definition,
    ) -> Result<Scorecard, ScorecardError> {
        definition.validate().map_err(ScorecardError::Invalid)?;
        let now = self.now();
        self.db
            .tenant(grant, "scorecards.update_draft", async |tx| {
                let found = store::find(tx, id).await?.ok_or(ScorecardError::NotFound)?;
                if expected.allows(&found.etag()).is_err() {
                    return Err(ScorecardError::Stale);
                }
                if !store::update_draft(tx, id, found.revision, &definition, now).await.map_err(named)? {
                    return Err(ScorecardError::Stale);
                }
                record(tx, "scorecard.draft_updated", &found, json!({ "revision": found.revision + 1 })).await?;
                Ok(Scorecard {
                    name: definition.name.clone(),
                    draft: Some(definition),
                    revision: found.revision + 1,
                    updated_at: now,
                    ..found
                })
            })
            .await
    }

    /// Makes the draft an immutable version; from then on calls of the organization are judged by it.
    ///
    /// # Errors
    /// [`ScorecardError::NotFound`], [`ScorecardError::NoDraft`], [`ScorecardError::Retired`], [`ScorecardError::Unchanged`], [`ScorecardError::Stale`];
    /// [`ScorecardError::Invalid`] also for what [`model::lint`] calls an error.
    pub async fn publish(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        id: ScorecardId,
    ) -> Result<Once<ScorecardVersion>, ScorecardError> {
        let now = self.now();
        self.db
            .tenant(grant, "scorecards.publish", async |tx| {
                once(tx, keyed, now, async || {
                    let (found, newest) = tokio::join!(store::find(tx, id), store::find_version(tx, id, None));
                    let found = found?.ok_or(ScorecardError::NotFound)?;
                    let newest = newest?;
                    let definition = found.draft.clone().ok_or(ScorecardError::NoDraft)?;
                    if found.retired_at.is_some() {
                        return Err(ScorecardError::Retired);
                    }
                    sensible(&definition, store::has_scorer(tx, found.organization_id).await?)?;
                    let digest = definition.digest();
                    if let Some(same) = newest.as_ref().filter(|newest| newest.digest == digest) {
                        return Err(ScorecardError::Unchanged(same.version));
                    }
                    let version = ScorecardVersion {
                        scorecard_version_id: ScorecardVersionId::new(),
                        scorecard_id: id,
                        organization_id: found.organization_id,
                        version: newest.map_or(1, |newest| newest.version + 1),
                        definition,
                        digest,
                        published_at: now,
                        published_by: grant.actor().to_owned(),
                    };
                    let written = store::publish(tx, &version, found.revision).await;
                    if !written.map_err(versioned)? {
                        return Err(ScorecardError::Stale);
                    }
                    let details = json!({ "version": version.version, "digest": version.digest });
                    record(tx, "scorecard.published", &found, details).await?;
                    Ok(version)
                })
                .await
            })
            .await
    }

    /// As PostgreSQL keeps it: in microseconds.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }
}

/// Refuses what lint calls an error; warnings are for people.
fn sensible(definition: &Definition, has_scorer: bool) -> Result<(), ScorecardError> {
    let errors = lint_for(definition, has_scorer).into_iter().filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<Violation> =
        errors.map(|finding| Violation { field: finding.field, message: finding.message }).collect();
    if errors.is_empty() { Ok(()) } else { Err(ScorecardError::Invalid(errors)) }
}

impl Scorecard {
    /// Tells this revision from every other.
    pub fn etag(&self) -> ETag {
        ETag::of(self.scorecard_id.0, self.revision)
    }
}

fn named(error: DbError) -> ScorecardError {
    match error.unique_violation() {
        Some("scorecards_name") => ScorecardError::NameTaken,
        _ => error.into(),
    }
}

/// Two publish the same draft at once: the second one finds the number taken.
fn versioned(error: DbError) -> ScorecardError {
    match error.unique_violation() {
        Some("scorecard_versions_version") => ScorecardError::Stale,
        _ => error.into(),
    }
}

async fn record(
    tx: &TenantTx<'_>,
    action: &str,
    scorecard: &Scorecard,
    details: serde_json::Value,
) -> Result<(), DbError> {
    audit(tx, action, "scorecard", Some(scorecard.scorecard_id.0), scorecard.organization_id, details).await
}
