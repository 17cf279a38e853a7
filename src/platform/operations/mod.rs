//! Long requests as things of their own: an operation has steps, progress, an error, and can be called off and retried.
//!
//! The serving process only writes them down. The operator's process ([`Runner`]), which alone holds the owner's credential, does them.

pub mod api;
mod asking;
mod model;
mod procedure;
mod runner;
mod store;

use chrono::{DateTime, Utc};

pub use self::{
    asking::{AskError, call_off, retry},
    model::{NewOperation, Operation, OperationError, OperationStatus, Step, StepStatus},
    procedure::{Procedure, Run, StepEnd, StepError},
    runner::Runner,
    store::OperationFilter,
};
use crate::{
    foundation::ids::OperationId,
    platform::db::{DbError, Statements},
};

/// Writes a long request down; it exists when the transaction `on` commits. Not two of a kind are open about one tenant: ask
/// [`open_about`] first, in the same transaction; who loses a race gets a unique violation of `operations_open`.
///
/// # Errors
/// [`DbError`].
pub async fn start(on: &impl Statements, new: &NewOperation, now: DateTime<Utc>) -> Result<OperationId, DbError> {
    store::insert(on, new, now).await
}

/// The open operation of a kind about a tenant.
///
/// # Errors
/// [`DbError`].
pub async fn open_about(
    on: &impl Statements,
    tenant: crate::foundation::ids::TenantId,
    kind: &str,
) -> Result<Option<OperationId>, DbError> {
    store::find_open(on, tenant, kind).await
}

/// One operation; a tenant's people find those of their own tenant alone.
///
/// # Errors
/// [`DbError`].
pub async fn find(on: &impl Statements, id: OperationId) -> Result<Option<Operation>, DbError> {
    store::find(on, id).await
}

/// The newest operations, at most so many.
///
/// # Errors
/// [`DbError`].
pub async fn newest(on: &impl Statements, filter: &OperationFilter<'_>, limit: i64) -> Result<Vec<Operation>, DbError> {
    store::list(on, filter, None, limit).await
}

/// Whether an error says that an operation of the kind is open about the tenant already.
pub fn is_open_already(error: &DbError) -> bool {
    error.unique_violation() == Some("operations_open")
}
