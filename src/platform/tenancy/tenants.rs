//! The directory of tenants, cached: asked for every request, read from PostgreSQL twice a minute and when a tenant changed.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    model::{Directory, Tenant},
    store,
};
use crate::{
    foundation::{access::Grant, ids::TenantId},
    platform::db::{Busy, Db, DbError},
};

/// How long a new organization may go unnoticed by another server; changes of tenants are noticed within seconds ([`Tenants::watch`]).
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// How long an issuer or an id that is no tenant's stays so.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
const MOST_TENANTS: u64 = 10_000;
/// Apart from the known ones, so that a flood of invented ones pushes no tenant out.
const MOST_UNKNOWN: u64 = 4_096;
/// Look-ups of issuers that were nobody's so far, at once: anybody can invent them, so they may not take the connections of tenants.
const STRANGERS: usize = 2;
/// How long such a look-up waits for its turn.
const STRANGERS_WAIT: Duration = Duration::from_secs(1);

/// Tenants by issuer and by id, and the organizations of each.
pub struct Tenants {
    db: Arc<Db>,
    by_issuer: Cache<String, Arc<Tenant>>,
    unknown_issuers: Cache<String, ()>,
    /// Issuers that have been a tenant's: however many strangers stand in line, these do not.
    acquainted: Cache<String, ()>,
    strangers: Semaphore,
    by_id: Cache<TenantId, Arc<Tenant>>,
    unknown_ids: Cache<TenantId, ()>,
    directories: Cache<TenantId, Arc<Directory>>,
    /// Counts what was forgotten, so that what was read before a change is not kept after it.
    changes: AtomicU64,
}

impl Tenants {
    /// Over the given door, with nothing cached.
    pub fn new(db: Arc<Db>) -> Self {
        let known = || Cache::builder().max_capacity(MOST_TENANTS).time_to_live(KNOWN_FOR);
        Self {
            db,
            by_issuer: known().build(),
            unknown_issuers: Cache::builder().max_capacity(MOST_UNKNOWN).time_to_live(UNKNOWN_FOR).build(),
            acquainted: Cache::new(MOST_TENANTS),
            strangers: Semaphore::new(STRANGERS),
            by_id: Cache::builder().max_capacity(MOST_TENANTS).time_to_live(KNOWN_FOR).build(),
            unknown_ids: Cache::builder().max_capacity(MOST_UNKNOWN).time_to_live(UNKNOWN_FOR).build(),
            directories: Cache::builder().max_capacity(MOST_TENANTS).time_to_live(KNOWN_FOR).build(),
            changes: AtomicU64::new(0),
        }
    }

    /// The tenant whose tokens this issuer signs, compared byte for byte. Whether it may be served is the caller's question
    /// ([`Tenant::serve`]).
    ///
    /// # Errors
    /// [`DbError`] when it is not cached and PostgreSQL cannot tell.
    pub async fn by_issuer(&self, issuer: &str) -> Result<Option<Arc<Tenant>>, DbError> {
        if let Some(tenant) = self.by_issuer.get(issuer).await {
            return Ok(Some(tenant));
        }
        if self.unknown_issuers.contains_key(issuer) {
            return Ok(None);
        }
        let stranger = !self.acquainted.contains_key(issuer);
        let turn = if stranger { Some(self.stranger().await?) } else { None };
        if stranger && self.unknown_issuers.contains_key(issuer) {
            return Ok(None); // somebody before us in the line has asked
        }
        let changes = self.changes.load(Ordering::Acquire);
        let found = store::find_by_issuer(&self.db.platform_alone(), issuer).await?;
        let unchanged = self.changes.load(Ordering::Acquire) == changes;
        drop(turn);
        let Some(tenant) = found.map(Arc::new) else {
            if unchanged {
                self.unknown_issuers.insert(issuer.to_owned(), ()).await;
            }
            return Ok(None);
        };
        self.acquainted.insert(issuer.to_owned(), ()).await;
        if unchanged {
            self.by_issuer.insert(issuer.to_owned(), tenant.clone()).await;
            self.by_id.insert(tenant.tenant_id, tenant.clone()).await; // what a request asks next
        }
        Ok(Some(tenant))
    }

    async fn stranger(&self) -> Result<SemaphorePermit<'_>, DbError> {
        match timeout(STRANGERS_WAIT, self.strangers.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(DbError::Busy(Busy::Taken)),
        }
    }

    /// One tenant.
    ///
    /// # Errors
    /// As [`Tenants::by_issuer`].
    pub async fn by_id(&self, tenant_id: TenantId) -> Result<Option<Arc<Tenant>>, DbError> {
        if let Some(tenant) = self.by_id.get(&tenant_id).await {
            return Ok(Some(tenant));
        }
        if self.unknown_ids.contains_key(&tenant_id) {
            return Ok(None);
        }
        // Ids that nobody knows yet come from strangers too: a provider's report names one before anything is proved.
        let turn = self.stranger().await?;
        if self.unknown_ids.contains_key(&tenant_id) {
            return Ok(None);
        }
        let changes = self.changes.load(Ordering::Acquire);
        let found = self.db.platform("tenancy.find_by_id", async |tx| store::find_by_id(tx, tenant_id).await).await?;
        drop(turn);
        let unchanged = self.changes.load(Ordering::Acquire) == changes;
        let Some(tenant) = found.map(Arc::new) else {
            if unchanged {
                self.unknown_ids.insert(tenant_id, ()).await;
            }
            return Ok(None);
        };
        if unchanged {
            self.by_id.insert(tenant_id, tenant.clone()).await;
        }
        Ok(Some(tenant))
    }

    /// The tenant's organizations.
    ///
    /// # Errors
    /// As [`Tenants::by_issuer`].
    pub async fn directory(&self, tenant: &Tenant) -> Result<Arc<Directory>, DbError> {
        if let Some(directory) = self.directories.get(&tenant.tenant_id).await {
            return Ok(directory);
        }
        let changes = self.changes.load(Ordering::Acquire);
        #[allow(clippy::disallowed_methods, reason = "organizations are looked up before anybody is proved")]
        let grant = Grant::directory(tenant.tenant_id, tenant.root_organization_id, Vec::new());
        let directory = Arc::new(Directory::new(store::list_directory(&self.db.alone(&grant)).await?));
        if self.changes.load(Ordering::Acquire) == changes {
            self.directories.insert(tenant.tenant_id, directory.clone()).await;
        }
        Ok(directory)
    }

    /// Forgets the tenant's organizations, because one has just changed.
    pub async fn forget_directory(&self, tenant_id: TenantId) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.directories.invalidate(&tenant_id).await;
    }

    /// Forgets tenants, because they have just changed: whatever their issuers were, and who was nobody's issuer may be one's now.
    pub async fn forget_all(&self, changed: &HashSet<TenantId>) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.unknown_issuers.invalidate_all();
        let known: Vec<Arc<String>> = self
            .by_issuer
            .iter()
            .filter(|(_, tenant)| changed.contains(&tenant.tenant_id))
            .map(|(issuer, _)| issuer)
            .collect();
        for issuer in known {
            self.by_issuer.invalidate(issuer.as_str()).await;
        }
        for tenant in changed {
            self.by_id.invalidate(tenant).await;
            self.unknown_ids.invalidate(tenant).await;
            self.directories.invalidate(tenant).await;
        }
    }
}
