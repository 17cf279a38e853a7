//! Organizations: made and changed by tenant admins, seen by those who belong to them.

pub mod api;
pub mod model;

mod store;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::json;

use self::model::{NewOrganization, Organization, check_name};
use super::{InvalidField, OrganizationStatus, Tenants};
use crate::{
    foundation::{access::Grant, clock::Clock, ids::OrganizationId},
    platform::{
        audit::audit,
        db::{Db, DbError, TenantTx},
        http::{ETag, IfMatch, KeyError, Keyed, Listing, Once, once},
    },
};

/// Why an operation on organizations was refused.
#[derive(Debug, thiserror::Error)]
pub enum OrganizationError {
    /// There is none of that id that the grant reaches.
    #[error("no such organization")]
    NotFound,
    /// Another organization of the tenant has the slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// It was changed since it was read.
    #[error("the organization was changed since it was read")]
    Stale,
    /// Tenant-wide rows belong to it, so it stays active.
    #[error("the root organization stays active")]
    Root,
    /// A value is not allowed.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database refused.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for OrganizationError {
    fn from(error: DbError) -> Self {
        match error.unique_violation() {
            Some("organizations_slug") => Self::SlugTaken,
            _ => Self::Db(error),
        }
    }
}

/// Organizations of all tenants, each behind its grant. Cheap to clone.
#[derive(Clone)]
pub struct Organizations {
    db: Arc<Db>,
    tenants: Arc<Tenants>,
    clock: Clock,
}

impl Organizations {
    /// Over the given door; `tenants` is told of changes.
    pub fn new(db: Arc<Db>, tenants: Arc<Tenants>, clock: Clock) -> Self {
        Self { db, tenants, clock }
    }

    /// Makes an organization. Whoever reaches every organization reaches it from the next request on.
    ///
    /// # Errors
    /// [`OrganizationError::Invalid`], [`OrganizationError::SlugTaken`], [`OrganizationError::Key`].
    pub async fn create(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        new: NewOrganization,
    ) -> Result<Once<Organization>, OrganizationError> {
        new.check()?;
        let now = self.now();
        let organization = Organization {
            organization_id: OrganizationId::new(),
            slug: new.slug,
            name: new.name,
            status: OrganizationStatus::Active,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let made = self
            .db
            .tenant(grant, "organizations.create", async |tx| {
                once(tx, keyed, now, async || {
                    store::insert(tx, &organization).await?;
                    record(tx, "organization.created", organization.organization_id, grant.root()).await?;
                    Ok::<_, OrganizationError>(organization)
                })
                .await
            })
            .await?;
        self.tenants.forget_directory(grant.tenant()).await;
        Ok(made)
    }

    /// One organization.
    ///
    /// # Errors
    /// [`OrganizationError::NotFound`].
    pub async fn get(&self, grant: &Grant, id: OrganizationId) -> Result<Organization, OrganizationError> {
        store::find(&self.db.alone(grant), id).await?.ok_or(OrganizationError::NotFound)
    }

    /// A page of those that the grant reaches, newest first.
    ///
    /// # Errors
    /// [`OrganizationError::Db`].
    pub async fn list(&self, grant: &Grant, listing: &Listing) -> Result<Vec<Organization>, OrganizationError> {
        Ok(store::list(&self.db.alone(grant), listing).await?)
    }

    /// Renames an organization that is still as the caller read it.
    ///
    /// # Errors
    /// [`OrganizationError::NotFound`], [`OrganizationError::Stale`], [`OrganizationError::Invalid`].
    pub async fn rename(
        &self,
        grant: &Grant,
        id: OrganizationId,
        expected: &IfMatch,
        name: String,
    ) -> Result<Organization, OrganizationError> {
        check_name(&name)?;
        self.change(grant, "organization.updated", id, Some(expected), |found| Organization { name, ..found }).await
    }

    /// Takes an organization out of everybody's reach; what it holds is kept.
    ///
    /// # Errors
    /// [`OrganizationError::NotFound`], [`OrganizationError::Root`], [`OrganizationError::Stale`] when somebody else changed it just now.
    pub async fn deactivate(&self, grant: &Grant, id: OrganizationId) -> Result<Organization, OrganizationError> {
        if id == grant.root() && grant.reaches(id) {
            return Err(OrganizationError::Root);
        }
        let status = OrganizationStatus::Deactivated;
        self.change(grant, "organization.deactivated", id, None, |found| Organization { status, ..found }).await
    }

    async fn change(
        &self,
        grant: &Grant,
        action: &'static str,
        id: OrganizationId,
        expected: Option<&IfMatch>,
        edit: impl FnOnce(Organization) -> Organization,
    ) -> Result<Organization, OrganizationError> {
        let now = self.now();
        let changed = self
            .db
            .tenant(grant, "organizations.change", async |tx| {
                let found = store::find(tx, id).await?.ok_or(OrganizationError::NotFound)?;
                if expected.is_some_and(|expected| expected.allows(&found.etag()).is_err()) {
                    return Err(OrganizationError::Stale);
                }
                let edited = edit(found);
                if !store::update(tx, &edited, now).await? {
                    return Err(OrganizationError::Stale);
                }
                record(tx, action, id, id).await?;
                Ok(Organization { revision: edited.revision + 1, updated_at: now, ..edited })
            })
            .await?;
        self.tenants.forget_directory(grant.tenant()).await;
        Ok(changed)
    }

    /// As PostgreSQL keeps it: in microseconds.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }
}

impl Organization {
    /// Tells this revision from every other.
    pub fn etag(&self) -> ETag {
        ETag::of(self.organization_id.0, self.revision)
    }
}

async fn record(
    tx: &TenantTx<'_>,
    action: &str,
    id: OrganizationId,
    log_of: OrganizationId,
) -> Result<(), OrganizationError> {
    Ok(audit(tx, action, "organization", Some(id.0), log_of, json!({})).await?)
}
