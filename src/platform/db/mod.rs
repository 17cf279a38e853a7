//! The only door to data: a [`Grant`] goes in, rows of one tenant come out.
//!
//! A statement alone takes one network round trip ([`Db::alone`]); several share a transaction ([`Db::tenant`]), and those that are
//! awaited together (`tokio::join!`) travel together. Functions of a store take `&impl InTenant` and do not care which.

mod bulk;
mod connect;
mod connection;
mod error;
mod lanes;
mod migrate;
mod owner;
mod query;
mod teardown;
mod transaction;
mod turns;
mod wave;

use std::{pin::pin, time::Instant};

use futures_util::{future::maybe_done, poll};

use self::transaction::{Context, Held};
pub use self::{
    bulk::{Bulk, BulkError, Column, Table, quoted},
    connect::{Connections, check_least_privilege},
    error::DbError,
    lanes::{Busy, Lanes},
    migrate::{Applied, Baseline, MigrationSetError, Step, TenantMigrations, newest_tenant_version},
    owner::{NewTenant, Owner, OwnerError},
    query::{Query, schema_name},
    teardown::CountedTable,
    transaction::{Alone, InTenant, Params, PlatformAlone, PlatformTx, Statements, TenantTx},
    wave::{Locked, Member, Outcome},
};
use crate::foundation::{
    access::{Grant, OperatorGrant},
    ids::TenantId,
};

/// Transactions that take longer are worth a warning.
const SLOW_MS: u64 = 1_000;

/// The door. Cheap to share behind an `Arc`.
pub struct Db {
    lanes: Lanes,
}

impl Db {
    /// A door over the given connections.
    pub fn new(lanes: Lanes) -> Self {
        Self { lanes }
    }

    /// For an operator's work that is one statement on the platform's own tables.
    pub fn operator_alone(&self, grant: &OperatorGrant) -> PlatformAlone<'_> {
        PlatformAlone::new(&self.lanes, Context::operator(grant))
    }

    /// For work that is one statement: it, its context and its commit take one round trip.
    pub fn alone<'a>(&'a self, grant: &'a Grant) -> Alone<'a> {
        Alone::new(&self.lanes, grant)
    }

    /// The same for the platform's own work.
    pub fn platform_alone(&self) -> PlatformAlone<'_> {
        PlatformAlone::new(&self.lanes, Context::platform())
    }

    /// Runs `work` in one transaction inside the grant's tenant: commits when it returns `Ok`, rolls back when it returns `Err` or is
    /// cancelled. `name` is what logs call it.
    ///
    /// # Errors
    /// What `work` returns, or [`DbError`] when the transaction cannot begin or commit.
    pub async fn tenant<T, E, F>(&self, grant: &Grant, name: &'static str, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: AsyncFnOnce(&TenantTx<'_>) -> Result<T, E>,
    {
        let context = Context::of(grant);
        let started = Instant::now();
        let held = Held::new(self.lanes.tenant(grant.tenant()).await.map_err(DbError::from)?);
        let mut begun = pin!(maybe_done(held.batch(context.begin())));
        let _ = poll!(begun.as_mut()); // on its way, not awaited: the first statement queues up behind it
        let outcome = work(&TenantTx::new(&held, &context, grant)).await;
        let outcome = finish(held.end(begun, outcome.is_ok()).await, outcome);
        observe(name, started);
        outcome
    }

    /// Runs `work` in one transaction on the platform's own tables, under the platform's role.
    ///
    /// # Errors
    /// As [`Db::tenant`].
    pub async fn platform<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: AsyncFnOnce(&PlatformTx<'_>) -> Result<T, E>,
    {
        self.outside(Context::platform(), name, work).await
    }

    /// Runs `work` in one transaction on the platform's own tables, under the operators' role.
    ///
    /// # Errors
    /// As [`Db::tenant`].
    pub async fn operator<T, E, F>(&self, grant: &OperatorGrant, name: &'static str, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: AsyncFnOnce(&PlatformTx<'_>) -> Result<T, E>,
    {
        self.outside(Context::operator(grant), name, work).await
    }

    /// Runs a query that reads in a tenant's schema without any context, to show that row security refuses it (platform/isolation).
    ///
    /// # Errors
    /// [`DbError`]: nothing else is right.
    pub async fn without_context(&self, tenant: TenantId, query: Query) -> Result<Vec<tokio_postgres::Row>, DbError> {
        self.outside(Context::bare(tenant), query.name, async |tx| tx.all(query, &[]).await).await
    }

    async fn outside<T, E, F>(&self, context: Context, name: &'static str, work: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: AsyncFnOnce(&PlatformTx<'_>) -> Result<T, E>,
    {
        let started = Instant::now();
        let held = Held::new(self.lanes.platform(name).await.map_err(DbError::from)?);
        let mut begun = pin!(maybe_done(held.batch(context.begin())));
        let _ = poll!(begun.as_mut());
        let outcome = work(&PlatformTx::new(&held, &context)).await;
        let outcome = finish(held.end(begun, outcome.is_ok()).await, outcome);
        observe(name, started);
        outcome
    }
}

impl Db {
    /// Whether PostgreSQL answers and the platform's tables are within reach. Versions are not compared here: a tenant that is behind is
    /// refused by itself.
    ///
    /// # Errors
    /// [`DbError`], also when the tables are missing.
    pub async fn check(&self) -> Result<(), DbError> {
        self.platform("db.check", async |tx| tx.one(crate::sql!("db/check"), &[]).await).await?;
        Ok(())
    }
}

/// A transaction that could not begin or commit outweighs what was done in it.
fn finish<T, E: From<DbError>>(ended: Result<(), DbError>, outcome: Result<T, E>) -> Result<T, E> {
    match (ended, outcome) {
        (Ok(()), outcome) => outcome,
        (Err(error), Ok(_)) => Err(error.into()),
        (Err(error), Err(first)) => {
            tracing::debug!(error = %error, "the rollback failed as well; the connection is closed");
            Err(first)
        }
    }
}

fn observe(name: &'static str, started: Instant) {
    let elapsed = started.elapsed();
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    if elapsed_us / 1_000 > SLOW_MS {
        tracing::warn!(transaction = name, elapsed_us, "slow transaction");
    } else {
        tracing::debug!(transaction = name, elapsed_us, "transaction");
    }
}
