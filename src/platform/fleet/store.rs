//! The fleet's queries: one function per query file.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::model::{Drift, StatusFilter, TenantState, Version};
use crate::{
    foundation::ids::TenantId,
    platform::db::{DbError, Statements, TenantMigrations},
    sql,
};

/// The fleet, as a run sees it before it begins.
pub(super) struct Fleet {
    pub current: usize,
    pub newer: usize,
    pub behind: Vec<(TenantId, String)>,
}

pub(super) async fn outdated(on: &impl Statements, set: &TenantMigrations) -> Result<Fleet, DbError> {
    let row = on.one(sql!("fleet/outdated"), &[&set.newest(), &set.newest_concurrent()]).await?;
    let count = |name| row.try_get(name).map(|count: i64| usize::try_from(count).unwrap_or_default());
    let (ids, slugs): (Vec<TenantId>, Vec<String>) = (row.try_get("tenant_ids")?, row.try_get("slugs")?);
    Ok(Fleet { current: count("current")?, newer: count("newer")?, behind: ids.into_iter().zip(slugs).collect() })
}

pub(super) async fn note_failure(on: &impl Statements, tenant: TenantId, error: &str) -> Result<(), DbError> {
    on.execute(sql!("fleet/note_failure"), &[&tenant, &error]).await?;
    Ok(())
}

/// Those of the slugs that are tenants'.
pub(super) async fn find_slugs(on: &impl Statements, slugs: &[String]) -> Result<Vec<String>, DbError> {
    let rows = on.all(sql!("fleet/find_slugs"), &[&slugs]).await?;
    rows.iter().map(|row| Ok(row.try_get("slug")?)).collect()
}

/// How many tenants are at which version and concurrent step.
pub(super) async fn versions(on: &impl Statements) -> Result<Vec<(i32, i32, i64)>, DbError> {
    let rows = on.all(sql!("fleet/versions"), &[]).await?;
    let counted =
        |row: &Row| Ok((row.try_get("schema_version")?, row.try_get("concurrent_version")?, row.try_get("tenants")?));
    rows.iter().map(counted).collect()
}

/// One page of tenants. Their drift is not looked at yet.
pub(super) async fn page(
    on: &impl Statements,
    set: &TenantMigrations,
    filter: StatusFilter,
    after: Option<(DateTime<Utc>, TenantId)>,
    most: i64,
) -> Result<Vec<TenantState>, DbError> {
    let (at, id) = after.unzip();
    let (behind, failed) = (filter == StatusFilter::Behind, filter == StatusFilter::Failed);
    let (newest, concurrent) = (set.newest(), set.newest_concurrent());
    let rows = on.all(sql!("fleet/status"), &[&at, &id, &behind, &newest, &concurrent, &failed, &most]).await?;
    rows.iter().map(|row| state(row, set)).collect()
}

fn state(row: &Row, set: &TenantMigrations) -> Result<TenantState, DbError> {
    let versions: (i32, i32) = (row.try_get("schema_version")?, row.try_get("concurrent_version")?);
    Ok(TenantState {
        tenant_id: row.try_get("tenant_id")?,
        slug: row.try_get("slug")?,
        status: row.try_get("status")?,
        version: match versions.cmp(&(set.newest(), set.newest_concurrent())) {
            std::cmp::Ordering::Less => Version::Behind,
            std::cmp::Ordering::Equal => Version::Current,
            std::cmp::Ordering::Greater => Version::Newer,
        },
        schema_version: versions.0,
        concurrent_version: versions.1,
        drift: Drift::Unknown,
        fingerprint: None,
        migrated_at: row.try_get("migrated_at")?,
        migration_error: row.try_get("migration_error")?,
        created_at: row.try_get("created_at")?,
    })
}

/// The fingerprints of these schemas' catalogs, by schema.
pub(super) async fn fingerprints(on: &impl Statements, schemas: &[String]) -> Result<HashMap<String, String>, DbError> {
    let rows = on.all(sql!("fleet/fingerprint"), &[&schemas, &false]).await?;
    rows.iter().map(|row| Ok((row.try_get("schema")?, row.try_get("fingerprint")?))).collect()
}
