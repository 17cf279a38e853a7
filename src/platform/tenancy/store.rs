//! Rows of `platform.tenants` and the directory's view of `organizations`: one function per query file.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::{
    model::{DirectoryEntry, OrganizationStatus, Tenant, TenantStatus},
    quotas,
};
use crate::{
    foundation::ids::TenantId,
    platform::db::{DbError, InTenant, PlatformTx, Statements},
    sql,
};

/// The tenant whose tokens the issuer signs.
pub(super) async fn find_by_issuer(on: &impl Statements, issuer: &str) -> Result<Option<Tenant>, DbError> {
    on.opt(sql!("tenancy/find_by_issuer"), &[&issuer]).await?.as_ref().map(tenant).transpose()
}

/// One tenant.
pub(super) async fn find_by_id(tx: &PlatformTx<'_>, tenant_id: TenantId) -> Result<Option<Tenant>, DbError> {
    tx.opt(sql!("tenancy/find_by_id"), &[&tenant_id]).await?.as_ref().map(tenant).transpose()
}

/// What time it is where changes are noted, and who changed shortly before the given time or since.
pub(super) async fn changed(
    on: &impl Statements,
    last: Option<DateTime<Utc>>,
) -> Result<(DateTime<Utc>, Vec<(TenantId, DateTime<Utc>)>), DbError> {
    let rows = on.all(sql!("tenancy/changed"), &[&last]).await?;
    let at = rows.first().ok_or(DbError::NoRow("tenancy/changed"))?.try_get("at")?;
    let mut changed = vec![];
    for row in &rows {
        if let Some(tenant_id) = row.try_get("tenant_id")? {
            changed.push((tenant_id, row.try_get("changed_at")?));
        }
    }
    Ok((at, changed))
}

/// Every organization of the tenant.
pub(super) async fn list_directory(on: &impl InTenant) -> Result<Vec<DirectoryEntry>, DbError> {
    on.all(sql!("tenancy/list_directory"), &[&on.root()]).await?.iter().map(entry).collect()
}

fn tenant(row: &Row) -> Result<Tenant, DbError> {
    Ok(Tenant {
        tenant_id: row.try_get("tenant_id")?,
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        // A status that this version does not know is one that it must not serve.
        status: row.try_get::<_, &str>("status")?.parse().unwrap_or(TenantStatus::Suspended),
        issuer: row.try_get("issuer")?,
        root_organization_id: row.try_get("root_organization_id")?,
        schema_version: row.try_get("schema_version")?,
        quotas: quotas::read(&row.try_get("quotas")?),
    })
}

fn entry(row: &Row) -> Result<DirectoryEntry, DbError> {
    Ok(DirectoryEntry {
        organization_id: row.try_get("organization_id")?,
        slug: row.try_get("slug")?,
        status: OrganizationStatus::parse(row.try_get("status")?),
    })
}
