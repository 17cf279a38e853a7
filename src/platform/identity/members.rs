//! Whom a token's subject is in its tenant: the user and the agent, cached.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::{
    foundation::{
        access::Grant,
        ids::{AgentId, OrganizationId, TenantId, UserId},
    },
    platform::{
        db::{Db, DbError, Statements},
        tenancy::Tenant,
    },
    sql,
};

/// How long another server may honour a user who was deactivated.
const KNOWN_FOR: Duration = Duration::from_secs(30);
const MOST_MEMBERS: u64 = 100_000;

/// Whether a user or an agent takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// Takes part.
    Active,
    /// Kept for its history.
    Deactivated,
}

impl MemberStatus {
    /// The status of that name; the columns know two.
    pub fn parse(name: &str) -> Self {
        if name == "active" { Self::Active } else { Self::Deactivated }
    }

    /// As the columns hold it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
        }
    }
}

/// A tenant's user, as the directory knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// Whether the user may come in.
    pub status: MemberStatus,
    /// The active agent that the user is.
    pub agent_id: Option<AgentId>,
}

/// Users by tenant and subject. Subjects without a user are remembered too.
pub struct Members {
    db: Arc<Db>,
    by_subject: Cache<(TenantId, String), Option<Member>>,
    /// Counts what was forgotten, so that what was read before a change is not kept after it.
    changes: AtomicU64,
}

impl Members {
    /// Over the given door, with nothing cached.
    pub fn new(db: Arc<Db>) -> Self {
        let by_subject =
            Cache::builder().max_capacity(MOST_MEMBERS).time_to_live(KNOWN_FOR).support_invalidation_closures().build();
        Self { db, by_subject, changes: AtomicU64::new(0) }
    }

    /// The tenant's user with that subject; `organizations` are all of the tenant's.
    ///
    /// # Errors
    /// [`DbError`] when it is not cached and PostgreSQL cannot tell.
    pub async fn find(
        &self,
        tenant: &Tenant,
        organizations: &[OrganizationId],
        subject: &str,
    ) -> Result<Option<Member>, DbError> {
        let key = (tenant.tenant_id, subject.to_owned());
        if let Some(member) = self.by_subject.get(&key).await {
            return Ok(member);
        }
        let changes = self.changes.load(Ordering::Acquire);
        #[allow(clippy::disallowed_methods, reason = "the subject is looked up before anybody is proved")]
        let grant = Grant::directory(tenant.tenant_id, tenant.root_organization_id, organizations.to_vec());
        let row = self.db.alone(&grant).opt(sql!("identity/find_member"), &[&subject, &organizations]).await?;
        let member = row
            .map(|row| {
                Ok::<_, DbError>(Member {
                    user_id: row.try_get("user_id")?,
                    status: MemberStatus::parse(row.try_get("status")?),
                    agent_id: row.try_get("agent_id")?,
                })
            })
            .transpose()?;
        if self.changes.load(Ordering::Acquire) == changes {
            self.by_subject.insert(key, member).await;
        }
        Ok(member)
    }

    /// Forgets the tenant's users, because one of them or of its agents has just changed.
    pub fn forget(&self, tenant: TenantId) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let forgotten = self.by_subject.invalidate_entries_if(move |(of, _), _| *of == tenant);
        debug_assert!(forgotten.is_ok(), "the cache was built to support it");
    }
}
