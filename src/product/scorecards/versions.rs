//! What stands in a scorecard's versions and its draft: reading, comparing, and whether the draft makes sense.

use std::str::FromStr;

use super::{
    ScorecardError, Scorecards,
    model::{Change, Finding, ScorecardVersion, Template, diff, lint_for},
    store,
};
use crate::{
    foundation::{
        access::Grant,
        ids::{OrganizationId, ScorecardId, ScorecardVersionId},
    },
    platform::http::{Keyed, Listing, Once},
};

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The next version while it is being written.
    Draft,
    /// The newest published version.
    Newest,
    /// The version of that number.
    Version(i32),
}

impl FromStr for Side {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "draft" => Ok(Self::Draft),
            "newest" => Ok(Self::Newest),
            number => match number.parse() {
                Ok(version) if version > 0 => Ok(Self::Version(version)),
                _ => Err("must be the number of a version, `newest` or `draft`"),
            },
        }
    }
}

impl Scorecards {
    /// One published version.
    ///
    /// # Errors
    /// [`ScorecardError::NoVersion`], also for a scorecard that the grant does not reach.
    pub async fn version(
        &self,
        grant: &Grant,
        id: ScorecardId,
        version: i32,
    ) -> Result<ScorecardVersion, ScorecardError> {
        store::find_version(&self.db.alone(grant), id, Some(version)).await?.ok_or(ScorecardError::NoVersion)
    }

    /// A page of a scorecard's published versions, newest first.
    ///
    /// # Errors
    /// [`ScorecardError::NotFound`].
    pub async fn versions(
        &self,
        grant: &Grant,
        id: ScorecardId,
        listing: &Listing,
    ) -> Result<Vec<ScorecardVersion>, ScorecardError> {
        let found = store::list_versions(&self.db.alone(grant), id, listing).await?;
        if found.is_empty() {
            self.get(grant, id).await?; // without any version, it is still there; or it is not
        }
        Ok(found)
    }

    /// What makes one definition out of another.
    ///
    /// # Errors
    /// [`ScorecardError::NotFound`], [`ScorecardError::NoVersion`], [`ScorecardError::NoDraft`].
    pub async fn compare(
        &self,
        grant: &Grant,
        id: ScorecardId,
        from: Side,
        to: Side,
    ) -> Result<Vec<Change>, ScorecardError> {
        let (from, to) = tokio::join!(Box::pin(self.side(grant, id, from)), Box::pin(self.side(grant, id, to)));
        Ok(diff(&from?.definition, &to?.definition))
    }

    /// A version; the draft as what it would be if it were published now.
    ///
    /// # Errors
    /// [`ScorecardError::NotFound`], [`ScorecardError::NoVersion`], [`ScorecardError::NoDraft`].
    pub async fn side(&self, grant: &Grant, id: ScorecardId, side: Side) -> Result<ScorecardVersion, ScorecardError> {
        let version = match side {
            Side::Draft => {
                let found = self.get(grant, id).await?;
                let definition = found.draft.ok_or(ScorecardError::NoDraft)?;
                return Ok(ScorecardVersion {
                    scorecard_version_id: ScorecardVersionId::new(),
                    scorecard_id: id,
                    organization_id: found.organization_id,
                    version: found.published_version.unwrap_or(0).saturating_add(1),
                    digest: definition.digest(),
                    definition,
                    published_at: self.now(),
                    published_by: grant.actor().to_owned(),
                });
            }
            Side::Newest => None,
            Side::Version(version) => Some(version),
        };
        match store::find_version(&self.db.alone(grant), id, version).await? {
            Some(found) => Ok(found),
            None => {
                self.get(grant, id).await?;
                Err(ScorecardError::NoVersion)
            }
        }
    }

    /// What does not make sense in a version of a scorecard, for the organization that it is of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lint(&self, grant: &Grant, of: &ScorecardVersion) -> Result<Vec<Finding>, ScorecardError> {
        let has_scorer = store::has_scorer(&self.db.alone(grant), of.organization_id).await?;
        Ok(lint_for(&of.definition, has_scorer))
    }

    /// Makes a scorecard whose draft is a template's definition, under another name if one is given.
    ///
    /// # Errors
    /// [`ScorecardError::NoTemplate`], and those of [`Scorecards::create`].
    pub async fn create_from_template(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        organization: OrganizationId,
        template: &str,
        name: Option<String>,
    ) -> Result<Once<super::model::Scorecard>, ScorecardError> {
        let mut definition = Template::find(template).ok_or(ScorecardError::NoTemplate)?.definition;
        definition.name = name.unwrap_or(definition.name);
        self.create(grant, keyed, organization, definition).await
    }
}
