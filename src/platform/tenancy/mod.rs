//! Tenants: who they are, whether they may be served, and which organizations they have.

pub mod organizations;
pub mod quotas;

mod model;
mod store;
mod tenants;
mod text;
mod watch;

pub use self::{
    model::{Directory, DirectoryEntry, OrganizationStatus, Tenant, TenantStatus, Unserved},
    tenants::Tenants,
    text::{InvalidField, check_text},
};
