//! Rows of `organizations`: one function per query file.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::model::Organization;
use crate::{
    foundation::ids::OrganizationId,
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::Listing,
        tenancy::OrganizationStatus,
    },
    sql,
};

pub(super) async fn insert(tx: &TenantTx<'_>, new: &Organization) -> Result<(), DbError> {
    let root = tx.root();
    tx.execute(
        sql!("tenancy/insert_organization"),
        &[&new.organization_id, &root, &new.slug, &new.name, &new.created_at],
    )
    .await?;
    Ok(())
}

pub(super) async fn find(on: &impl InTenant, id: OrganizationId) -> Result<Option<Organization>, DbError> {
    let row = on.opt(sql!("tenancy/find_organization"), &[&id, &on.organizations()]).await?;
    row.as_ref().map(organization).transpose()
}

pub(super) async fn list(on: &impl InTenant, listing: &Listing) -> Result<Vec<Organization>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("tenancy/list_organizations"), &[&on.organizations(), &at, &id, &most]).await?;
    rows.iter().map(organization).collect()
}

/// Writes the name and the status over the revision that `organization` has; `false` when it has another by now.
pub(super) async fn update(
    tx: &TenantTx<'_>,
    organization: &Organization,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let status = match organization.status {
        OrganizationStatus::Active => "active",
        OrganizationStatus::Deactivated => "deactivated",
    };
    let changed = tx
        .execute(
            sql!("tenancy/update_organization"),
            &[
                &organization.organization_id,
                &tx.organizations(),
                &organization.revision,
                &organization.name,
                &status,
                &now,
            ],
        )
        .await?;
    Ok(changed == 1)
}

fn organization(row: &Row) -> Result<Organization, DbError> {
    Ok(Organization {
        organization_id: row.try_get("organization_id")?,
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        status: OrganizationStatus::parse(row.try_get("status")?),
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
