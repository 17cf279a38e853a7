//! Archives: all that a tenant has as one file, a tenant made of such a file, and a masked copy of a tenant to try things on.
//!
//! Each is an operation of idempotent steps, done by the operator's process, which alone holds the owner's credential. Whoever asks for it
//! by the API only writes it down ([`api`]). What is in an archive and how it is read by hand: docs/ARCHIVES.md.

pub mod api;
mod cloning;
mod export;
pub mod file;
mod masking;
mod restore;
mod store;
mod sweep;

use std::sync::Arc;

use object_store::ObjectStore;
use tokio_postgres::Config;

pub use self::{
    cloning::{AskedClone, CloneTenant, start as start_clone},
    export::{ExportTenant, Exported, Options, Summary, export},
    masking::{Class, TABLES, TableClass, Treatment},
    restore::{Asked, ReceiveError, RestoreTenant, receive, start as start_restore, verify},
    sweep::sweep,
};
use crate::{
    foundation::ids::{OperationId, OrganizationId, TenantId},
    platform::{
        db::{BulkError, Column, DbError, OwnerError},
        operations::{Run, StepError},
    },
};

/// What archives are made with.
#[derive(Clone)]
pub struct Archives {
    /// The owner's connection.
    pub owner: Config,
    /// Recordings, plugins and archives.
    pub objects: Arc<dyn ObjectStore>,
    /// How many days an archive is kept.
    pub keep_days: u32,
}

/// Why an archive cannot be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive itself.
    #[error(transparent)]
    File(#[from] file::FileError),
    /// The owner's connection.
    #[error(transparent)]
    Bulk(#[from] BulkError),
    /// The door.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The object store.
    #[error("the object store: {0}")]
    Objects(#[from] object_store::Error),
    /// It is not possible as things stand.
    #[error("{reason}")]
    Refused {
        /// Stable name of the cause.
        kind: &'static str,
        /// What stands in the way.
        reason: String,
    },
    /// Called off, or left to another process.
    #[error(transparent)]
    Stopped(StepError),
}

impl ArchiveError {
    fn refused(kind: &'static str, reason: impl Into<String>) -> Self {
        Self::Refused { kind, reason: reason.into() }
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Self::File(file::FileError::Invalid(reason.into()))
    }
}

impl From<OwnerError> for ArchiveError {
    fn from(error: OwnerError) -> Self {
        match error {
            OwnerError::TenantExists => Self::refused("conflict", "a tenant with this slug or issuer exists"),
            OwnerError::NotAllowed(what) => Self::refused("validation", format!("the tenant's {what} is not allowed")),
            error => Self::Bulk(error.into()),
        }
    }
}

impl From<ArchiveError> for StepError {
    fn from(error: ArchiveError) -> Self {
        let text = error.to_string();
        match error {
            ArchiveError::File(file::FileError::Invalid(_)) => Self::permanent("invalid-archive", text),
            ArchiveError::File(file::FileError::TooNew { .. }) => Self::permanent("archive-too-new", text),
            ArchiveError::File(file::FileError::Io(_)) => Self::Temporary(text),
            ArchiveError::Bulk(error) if error.is_temporary() => Self::Temporary(text),
            ArchiveError::Bulk(_) => Self::permanent("database", text),
            ArchiveError::Db(error) => error.into(),
            ArchiveError::Objects(object_store::Error::NotFound { .. }) => {
                Self::permanent("not-found", "the archive, or an object, is not in the object store")
            }
            ArchiveError::Objects(_) => Self::Temporary(text),
            ArchiveError::Refused { kind, reason } => Self::permanent(kind, reason),
            ArchiveError::Stopped(error) => error,
        }
    }
}

/// Who looks on while an archive is written or read, and may call it off.
#[async_trait::async_trait]
pub trait Watch: Send + Sync {
    /// How much is done, in units of its own.
    ///
    /// # Errors
    /// [`StepError`] when it is to stop.
    async fn seen(&self, done: u64, total: Option<u64>) -> Result<(), StepError>;
}

#[async_trait::async_trait]
impl Watch for Run {
    async fn seen(&self, done: u64, total: Option<u64>) -> Result<(), StepError> {
        self.progress(done, total).await
    }
}

/// Nobody looks on.
pub struct Unwatched;

#[async_trait::async_trait]
impl Watch for Unwatched {
    async fn seen(&self, _: u64, _: Option<u64>) -> Result<(), StepError> {
        Ok(())
    }
}

/// The tenant that an operation is about, and its root organization.
async fn about(run: &Run) -> Result<(TenantId, OrganizationId), StepError> {
    let operation = run.operation().await;
    let tenant = operation.tenant_id.zip(operation.root_organization_id);
    tenant.ok_or_else(|| StepError::permanent("input", "the operation names no tenant"))
}

/// Where the archive of an export lies: outside of the tenant's own prefix, so that no archive holds archives.
pub fn export_key(tenant: TenantId, operation: OperationId) -> String {
    format!("exports/{tenant}/{operation}.plumbline")
}

/// Where an archive waits until the tenant of that id is made of it.
pub fn import_key(tenant: TenantId) -> String {
    format!("imports/{tenant}.plumbline")
}

/// Removes an archive that waits to be restored as the tenant of that id; one that is not there is as good.
///
/// # Errors
/// What the object store says.
pub async fn forget_import(objects: &dyn ObjectStore, tenant: TenantId) -> Result<(), ArchiveError> {
    Ok(restore::delete(objects, &import_key(tenant)).await?)
}

/// Whether a column names objects in the store: by its name, which is a rule of the schema.
pub fn names_objects(column: &Column) -> bool {
    column.kind == "text" && (column.name == "object_key" || column.name.ends_with("_object_key"))
}

/// What every row of `platform.jobs` is archived with. A job that was at work waits again: the claim on it is not the tenant's.
const JOB_COLUMNS: &str = "job_id, organization_id, root_organization_id, kind, payload, status, dedup_key, attempts, max_attempts, run_at, last_error, created_at";

/// The tenant's jobs in their order, in the columns of [`JOB_COLUMNS`].
fn jobs_of(tenant: TenantId) -> String {
    let columns = JOB_COLUMNS.replace(" status,", " case status when 'leased' then 'ready' else status end as status,");
    format!("select {columns} from platform.jobs where tenant_id = '{tenant}' order by job_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_lie_outside_of_every_tenants_prefix() {
        let (tenant, operation) = (TenantId::new(), OperationId::new());
        assert!(export_key(tenant, operation).starts_with("exports/"));
        assert!(import_key(tenant).starts_with("imports/"));
        assert!(jobs_of(tenant).contains("case status when 'leased' then 'ready' else status end as status"));
    }

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_named() {
        let kind = |error: ArchiveError| match StepError::from(error) {
            StepError::Permanent { kind, .. } => kind,
            StepError::Temporary(_) => "temporary",
            _ => "other",
        };
        assert_eq!(kind(ArchiveError::invalid("x")), "invalid-archive");
        let newer = file::FileError::TooNew { what: "schema", found: 9, known: 2 };
        assert_eq!(kind(newer.into()), "archive-too-new");
        assert_eq!(kind(file::FileError::Io(std::io::ErrorKind::StorageFull.into()).into()), "temporary");
        assert_eq!(kind(OwnerError::TenantExists.into()), "conflict");
    }
}
