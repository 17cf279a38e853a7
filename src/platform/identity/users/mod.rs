//! Users: the logins of a tenant.

pub mod api;
pub mod model;

pub(super) mod store;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Value, json};

use self::model::{Profile, User};
use super::{MemberStatus, Members};
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        ids::{OrganizationId, UserId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError, TenantTx},
        http::{ETag, IfMatch, KeyError, Keyed, Listing, Once, once},
        tenancy::InvalidField,
    },
};

/// Why an operation on users was refused.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none of that id that the grant reaches.
    #[error("no such user")]
    NotFound,
    /// The home organization is none that the grant reaches.
    #[error("no such organization")]
    NoOrganization,
    /// Another user of the tenant has the subject.
    #[error("the subject is taken")]
    SubjectTaken,
    /// It was changed since it was read.
    #[error("the user was changed since it was read")]
    Stale,
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

impl From<DbError> for UserError {
    fn from(error: DbError) -> Self {
        match error.unique_violation() {
            Some("users_subject") => Self::SubjectTaken,
            _ => Self::Db(error),
        }
    }
}

/// Users of all tenants, each behind its grant. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    db: Arc<Db>,
    members: Arc<Members>,
    clock: Clock,
}

impl Users {
    /// Over the given door; `members` is told of changes.
    pub fn new(db: Arc<Db>, members: Arc<Members>, clock: Clock) -> Self {
        Self { db, members, clock }
    }

    /// Makes a user, kept by an organization that the grant reaches (tenant admins reach the root too).
    ///
    /// # Errors
    /// [`UserError::Invalid`], [`UserError::NoOrganization`], [`UserError::SubjectTaken`], [`UserError::Key`].
    pub async fn create(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        home: OrganizationId,
        profile: Profile,
    ) -> Result<Once<User>, UserError> {
        profile.check()?;
        if !grant.reaches(home) {
            return Err(UserError::NoOrganization);
        }
        let now = self.now();
        let user = User {
            user_id: UserId::new(),
            organization_id: home,
            profile,
            status: MemberStatus::Active,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let made = self
            .db
            .tenant(grant, "users.create", async |tx| {
                once(tx, keyed, now, async || {
                    store::insert(tx, &user).await?;
                    record(tx, "user.created", &user, json!({})).await?;
                    Ok::<_, UserError>(user)
                })
                .await
            })
            .await?;
        self.members.forget(grant.tenant());
        Ok(made)
    }

    /// One user.
    ///
    /// # Errors
    /// [`UserError::NotFound`].
    pub async fn get(&self, grant: &Grant, id: UserId) -> Result<User, UserError> {
        store::find(&self.db.alone(grant), id).await?.ok_or(UserError::NotFound)
    }

    /// A page of those that the grant reaches, or of one of its organizations, newest first.
    ///
    /// # Errors
    /// [`UserError::Db`].
    pub async fn list(
        &self,
        grant: &Grant,
        only: Option<OrganizationId>,
        listing: &Listing,
    ) -> Result<Vec<User>, UserError> {
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> = reached.filter(|one| only.is_none_or(|only| only == *one)).collect();
        Ok(store::list(&self.db.alone(grant), &organizations, listing).await?)
    }

    /// Changes the profile of a user who is still as the caller read it.
    ///
    /// # Errors
    /// [`UserError::NotFound`], [`UserError::Stale`], [`UserError::Invalid`], [`UserError::SubjectTaken`].
    pub async fn update(
        &self,
        grant: &Grant,
        id: UserId,
        expected: &IfMatch,
        edit: impl FnOnce(&mut Profile),
    ) -> Result<User, UserError> {
        self.change(grant, "user.updated", id, Some(expected), |user| edit(&mut user.profile)).await
    }

    /// Lets a user in no more.
    ///
    /// # Errors
    /// [`UserError::NotFound`], [`UserError::Stale`] when somebody else changed it just now.
    pub async fn deactivate(&self, grant: &Grant, id: UserId) -> Result<User, UserError> {
        self.change(grant, "user.deactivated", id, None, |user| user.status = MemberStatus::Deactivated).await
    }

    async fn change(
        &self,
        grant: &Grant,
        action: &'static str,
        id: UserId,
        expected: Option<&IfMatch>,
        edit: impl FnOnce(&mut User),
    ) -> Result<User, UserError> {
        let now = self.now();
        let changed = self
            .db
            .tenant(grant, "users.change", async |tx| {
                let found = store::find(tx, id).await?.ok_or(UserError::NotFound)?;
                if expected.is_some_and(|expected| expected.allows(&found.etag()).is_err()) {
                    return Err(UserError::Stale);
                }
                let mut edited = found.clone();
                edit(&mut edited);
                if edited == found {
                    return Ok(found);
                }
                edited.profile.check()?;
                if !store::update(tx, &edited, now).await? {
                    return Err(UserError::Stale);
                }
                record(tx, action, &edited, changed_fields(&found, &edited)).await?;
                Ok(User { revision: found.revision + 1, updated_at: now, ..edited })
            })
            .await?;
        self.members.forget(grant.tenant());
        Ok(changed)
    }

    /// As PostgreSQL keeps it: in microseconds.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }
}

impl User {
    /// Tells this revision from every other.
    pub fn etag(&self) -> ETag {
        ETag::of(self.user_id.0, self.revision)
    }
}

/// Names alone: the log holds no personal data.
fn changed_fields(old: &User, new: &User) -> Value {
    let fields = [
        ("subject", old.profile.subject != new.profile.subject),
        ("display_name", old.profile.display_name != new.profile.display_name),
        ("email", old.profile.email != new.profile.email),
        ("status", old.status != new.status),
    ];
    json!({ "fields": fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect::<Vec<_>>() })
}

async fn record(tx: &TenantTx<'_>, action: &str, user: &User, details: Value) -> Result<(), UserError> {
    Ok(audit(tx, action, "user", Some(user.user_id.0), user.organization_id, details).await?)
}
