//! What is asked of the platform's own tables before an archive is written or restored.

use chrono::{DateTime, Utc};

use super::ArchiveError;
use crate::{
    foundation::ids::{OrganizationId, TenantId},
    platform::db::{DbError, Statements},
    sql,
};

/// A tenant, as far as operators see it.
pub(super) struct Found {
    /// Its root organization.
    pub root_organization_id: OrganizationId,
    /// How it stands.
    pub status: String,
}

impl Found {
    /// Fails when there is nothing to export or to copy.
    pub fn has_data(&self) -> Result<(), ArchiveError> {
        match self.status.as_str() {
            "provisioning" | "destroyed" => {
                Err(ArchiveError::refused("illegal-state", format!("the tenant is {}", self.status)))
            }
            _ => Ok(()),
        }
    }
}

/// One tenant, destroyed ones too.
pub(super) async fn find(on: &impl Statements, tenant: TenantId) -> Result<Option<Found>, DbError> {
    let row = on.opt(sql!("archive/find_tenant"), &[&tenant]).await?;
    row.map(|row| {
        Ok(Found { root_organization_id: row.try_get("root_organization_id")?, status: row.try_get("status")? })
    })
    .transpose()
}

/// Fails when the archive's tenant lives here, or another has the slug or the issuer; the tables' own rules decide in the end.
pub(super) async fn check_free(
    on: &impl Statements,
    root: Option<OrganizationId>,
    slug: &str,
    issuer: &str,
) -> Result<(), ArchiveError> {
    let Some(row) = on.opt(sql!("archive/find_taken"), &[&root, &slug, &issuer]).await? else { return Ok(()) };
    if row.try_get("lives").map_err(DbError::from)? {
        return Err(lives_here());
    }
    Err(ArchiveError::refused("conflict", "a tenant with this slug or issuer exists"))
}

/// The archive's organizations are in use.
pub(super) fn lives_here() -> ArchiveError {
    ArchiveError::refused(
        "conflict",
        "the archive's tenant, or a part of it, lives here: a clone is a copy with ids of its own",
    )
}

/// When an archive that was made at this time goes.
pub(super) fn has_expired(expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    expires_at <= now
}
