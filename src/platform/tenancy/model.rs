//! The tenant and its directory of organizations. No I/O.

use std::collections::HashMap;

use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::quotas::{Quotas, UnreadableQuotas};
use crate::{
    foundation::ids::{OrganizationId, TenantId},
    words,
};

/// A customer company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id, which also names its schema.
    pub tenant_id: TenantId,
    /// Short name in URLs.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Whether it may be served.
    pub status: TenantStatus,
    /// The OIDC issuer whose tokens are this tenant's, exactly as tokens name it.
    pub issuer: String,
    /// The organization that tenant-wide rows belong to.
    pub root_organization_id: OrganizationId,
    /// The newest migration that its schema has seen.
    pub schema_version: i32,
    /// What it may use.
    pub quotas: Result<Quotas, UnreadableQuotas>,
}

words! {
    /// Where a tenant stands.
    pub enum TenantStatus {
        /// Being made, or restored.
        Provisioning = "provisioning",
        /// Served.
        Active = "active",
        /// Not served until somebody resumes it.
        Suspended = "suspended",
        /// Not served any more; destroyed when its grace period is over.
        Leaving = "leaving",
        /// Its data is destroyed; what is left is its name and its certificate.
        Destroyed = "destroyed",
    }
}

/// Why a tenant is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// Suspended by the platform's operators.
    #[error("the tenant is suspended")]
    Suspended,
    /// About to be destroyed, or destroyed.
    #[error("the tenant is leaving")]
    Leaving,
    /// Its schema is being made or brought to this server's version.
    #[error("the tenant is being migrated")]
    NotReady,
}

impl Tenant {
    /// Whether there is anything of the tenant but its name: a destroyed one keeps its row.
    pub fn exists(&self) -> bool {
        self.status != TenantStatus::Destroyed
    }

    /// Whether requests of the tenant may be answered by a server whose newest tenant migration is `newest`.
    ///
    /// # Errors
    /// [`Unserved`] with the reason.
    pub fn serve(&self, newest: i32) -> Result<(), Unserved> {
        match self.status {
            TenantStatus::Suspended => Err(Unserved::Suspended),
            TenantStatus::Leaving | TenantStatus::Destroyed => Err(Unserved::Leaving),
            TenantStatus::Provisioning => Err(Unserved::NotReady),
            TenantStatus::Active if self.schema_version < newest => Err(Unserved::NotReady),
            TenantStatus::Active => Ok(()),
        }
    }
}

/// Whether an organization, a user or an agent takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum OrganizationStatus {
    /// Takes part.
    Active,
    /// Kept for its history; nobody reaches it any more.
    Deactivated,
}

impl OrganizationStatus {
    /// The status of that name; the column knows two.
    pub fn parse(name: &str) -> Self {
        if name == "active" { Self::Active } else { Self::Deactivated }
    }
}

/// One organization, as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its id.
    pub organization_id: OrganizationId,
    /// Its short name, unique in the tenant.
    pub slug: String,
    /// Whether it takes part.
    pub status: OrganizationStatus,
}

/// All organizations of one tenant: what turns names in tokens into ids.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    active: Vec<OrganizationId>,
    all: Vec<OrganizationId>,
    by_slug: HashMap<String, OrganizationId>,
}

impl Directory {
    /// Of the given organizations.
    pub fn new(entries: impl IntoIterator<Item = DirectoryEntry>) -> Self {
        let mut directory = Self::default();
        for entry in entries {
            directory.all.push(entry.organization_id);
            if entry.status == OrganizationStatus::Active {
                directory.active.push(entry.organization_id);
                directory.by_slug.insert(entry.slug, entry.organization_id);
            }
        }
        directory
    }

    /// Every organization, deactivated ones too.
    pub fn all(&self) -> &[OrganizationId] {
        &self.all
    }

    /// Those that take part.
    pub fn active(&self) -> &[OrganizationId] {
        &self.active
    }

    /// The active organization with this slug.
    pub fn by_slug(&self, slug: &str) -> Option<OrganizationId> {
        self.by_slug.get(slug).copied()
    }

    /// The active organization with this slug or this id.
    pub fn by_name(&self, name: &str) -> Option<OrganizationId> {
        self.by_slug(name).or_else(|| name.parse().ok().filter(|id| self.active.contains(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_served_when_active_and_current() {
        let tenant = Tenant {
            tenant_id: TenantId::new(),
            slug: "acme".to_owned(),
            name: "Acme".to_owned(),
            status: TenantStatus::Active,
            issuer: "https://id.example/realms/acme".to_owned(),
            root_organization_id: OrganizationId::new(),
            schema_version: 3,
            quotas: Ok(Quotas::default()),
        };
        assert_eq!(tenant.serve(3), Ok(()));
        assert_eq!(tenant.serve(4), Err(Unserved::NotReady));
        assert_eq!(Tenant { status: TenantStatus::Suspended, ..tenant.clone() }.serve(3), Err(Unserved::Suspended));
        assert_eq!(Tenant { status: TenantStatus::Leaving, ..tenant.clone() }.serve(3), Err(Unserved::Leaving));
        assert_eq!(Tenant { status: TenantStatus::Provisioning, ..tenant }.serve(3), Err(Unserved::NotReady));
    }

    #[test]
    fn the_directory_knows_active_organizations_by_slug_and_by_id() {
        let (open, closed) = (OrganizationId::new(), OrganizationId::new());
        let entry =
            |organization_id, slug: &str, status| DirectoryEntry { organization_id, slug: slug.to_owned(), status };
        let directory = Directory::new([
            entry(open, "sales", OrganizationStatus::Active),
            entry(closed, "old", OrganizationStatus::Deactivated),
        ]);
        assert_eq!(directory.by_name("sales"), Some(open));
        assert_eq!(directory.by_name(&open.to_string()), Some(open));
        assert_eq!(directory.by_name("old"), None);
        assert_eq!(directory.by_name(&closed.to_string()), None);
        assert_eq!(directory.by_name("unknown"), None);
        assert_eq!(directory.all().len(), 2);
    }
}
