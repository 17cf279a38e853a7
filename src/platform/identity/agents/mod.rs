//! Agents: the people heard on calls.

pub mod api;
pub mod model;

mod store;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Value, json};

use self::model::{Agent, Profile};
use super::{MemberStatus, Members, users};
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        ids::{AgentId, OrganizationId, UserId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError, TenantTx},
        http::{ETag, IfMatch, KeyError, Keyed, Listing, Once, once},
        tenancy::InvalidField,
    },
};

/// Why an operation on agents was refused.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is none of that id that the grant reaches.
    #[error("no such agent")]
    NotFound,
    /// The home organization is none that the grant reaches.
    #[error("no such organization")]
    NoOrganization,
    /// The user to be linked is none that the grant reaches.
    #[error("no such user")]
    NoUser,
    /// The user is linked to another agent.
    #[error("the user is linked to another agent")]
    UserTaken,
    /// Another agent of the organization has the external id.
    #[error("the external id is taken")]
    ExternalIdTaken,
    /// It was changed since it was read.
    #[error("the agent was changed since it was read")]
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

impl From<DbError> for AgentError {
    fn from(error: DbError) -> Self {
        match error.unique_violation() {
            Some("agents_user") => Self::UserTaken,
            Some("agents_external_id") => Self::ExternalIdTaken,
            _ => Self::Db(error),
        }
    }
}

/// Agents of all tenants, each behind its grant. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    db: Arc<Db>,
    members: Arc<Members>,
    clock: Clock,
}

impl Agents {
    /// Over the given door; `members` is told of changes.
    pub fn new(db: Arc<Db>, members: Arc<Members>, clock: Clock) -> Self {
        Self { db, members, clock }
    }

    /// Makes an agent, in an organization that the grant reaches.
    ///
    /// # Errors
    /// [`AgentError::Invalid`], [`AgentError::NoOrganization`], [`AgentError::NoUser`], [`AgentError::Key`], and when the user or the external id is taken.
    pub async fn create(
        &self,
        grant: &Grant,
        keyed: &Keyed,
        organization: OrganizationId,
        profile: Profile,
    ) -> Result<Once<Agent>, AgentError> {
        profile.check()?;
        if !grant.reaches(organization) {
            return Err(AgentError::NoOrganization);
        }
        let now = self.now();
        let agent = Agent {
            agent_id: AgentId::new(),
            organization_id: organization,
            profile,
            status: MemberStatus::Active,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let made = self
            .db
            .tenant(grant, "agents.create", async |tx| {
                once(tx, keyed, now, async || {
                    check_user(tx, agent.profile.user_id).await?;
                    store::insert(tx, &agent).await?;
                    record(tx, "agent.created", &agent, json!({})).await?;
                    Ok::<_, AgentError>(agent)
                })
                .await
            })
            .await?;
        self.members.forget(grant.tenant());
        Ok(made)
    }

    /// One agent.
    ///
    /// # Errors
    /// [`AgentError::NotFound`].
    pub async fn get(&self, grant: &Grant, id: AgentId) -> Result<Agent, AgentError> {
        store::find(&self.db.alone(grant), id).await?.ok_or(AgentError::NotFound)
    }

    /// A page of those that the grant reaches, or of one of its organizations, newest first.
    ///
    /// # Errors
    /// [`AgentError::Db`].
    pub async fn list(
        &self,
        grant: &Grant,
        only: Option<OrganizationId>,
        listing: &Listing,
    ) -> Result<Vec<Agent>, AgentError> {
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> = reached.filter(|one| only.is_none_or(|only| only == *one)).collect();
        Ok(store::list(&self.db.alone(grant), &organizations, listing).await?)
    }

    /// Changes the profile of an agent who is still as the caller read it.
    ///
    /// # Errors
    /// [`AgentError::NotFound`], [`AgentError::Stale`], and as [`Agents::create`].
    pub async fn update(
        &self,
        grant: &Grant,
        id: AgentId,
        expected: &IfMatch,
        edit: impl FnOnce(&mut Profile),
    ) -> Result<Agent, AgentError> {
        self.change(grant, "agent.updated", id, Some(expected), |agent| edit(&mut agent.profile)).await
    }

    /// Ends an agent's part; what was heard of the agent is kept, and a linked user sees own calls no more.
    ///
    /// # Errors
    /// [`AgentError::NotFound`], [`AgentError::Stale`] when somebody else changed it just now.
    pub async fn deactivate(&self, grant: &Grant, id: AgentId) -> Result<Agent, AgentError> {
        self.change(grant, "agent.deactivated", id, None, |agent| agent.status = MemberStatus::Deactivated).await
    }

    async fn change(
        &self,
        grant: &Grant,
        action: &'static str,
        id: AgentId,
        expected: Option<&IfMatch>,
        edit: impl FnOnce(&mut Agent),
    ) -> Result<Agent, AgentError> {
        let now = self.now();
        let changed = self
            .db
            .tenant(grant, "agents.change", async |tx| {
                let found = store::find(tx, id).await?.ok_or(AgentError::NotFound)?;
                if expected.is_some_and(|expected| expected.allows(&found.etag()).is_err()) {
                    return Err(AgentError::Stale);
                }
                let mut edited = found.clone();
                edit(&mut edited);
                if edited == found {
                    return Ok(found);
                }
                edited.profile.check()?;
                if edited.profile.user_id != found.profile.user_id {
                    check_user(tx, edited.profile.user_id).await?;
                }
                if !store::update(tx, &edited, now).await? {
                    return Err(AgentError::Stale);
                }
                record(tx, action, &edited, changed_fields(&found, &edited)).await?;
                Ok(Agent { revision: found.revision + 1, updated_at: now, ..edited })
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

impl Agent {
    /// Tells this revision from every other.
    pub fn etag(&self) -> ETag {
        ETag::of(self.agent_id.0, self.revision)
    }
}

/// Names alone: the log holds no personal data.
fn changed_fields(old: &Agent, new: &Agent) -> Value {
    let fields = [
        ("user_id", old.profile.user_id != new.profile.user_id),
        ("display_name", old.profile.display_name != new.profile.display_name),
        ("external_id", old.profile.external_id != new.profile.external_id),
        ("status", old.status != new.status),
    ];
    json!({ "fields": fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect::<Vec<_>>() })
}

/// A foreign key sees every user of the tenant; the grant does not.
async fn check_user(tx: &TenantTx<'_>, user_id: Option<UserId>) -> Result<(), AgentError> {
    match user_id {
        Some(id) if users::store::find(tx, id).await?.is_none() => Err(AgentError::NoUser),
        _ => Ok(()),
    }
}

async fn record(tx: &TenantTx<'_>, action: &str, agent: &Agent, details: Value) -> Result<(), AgentError> {
    Ok(audit(tx, action, "agent", Some(agent.agent_id.0), agent.organization_id, details).await?)
}
