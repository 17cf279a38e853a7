//! The life of a tenant: made, suspended and resumed, held, and in the end destroyed with a certificate.
//!
//! What takes long is an operation ([`crate::platform::operations`]): its request is written down by whoever may ask for it, and its steps
//! are done by the operator's process, which alone has the owner's credential.

pub mod api;
pub mod model;

mod asking;
mod certificate;
mod objects;
mod off_board;
mod provision;
mod requests;
mod store;

use std::sync::Arc;

use object_store::ObjectStore;

pub use self::{
    off_board::OffBoard,
    provision::Provision,
    requests::{Lifecycle, Requested, TenantChange},
    store::Certificate,
};
use crate::{
    foundation::ids::{OperationId, TenantId},
    platform::{
        db::{DbError, Owner, OwnerError},
        http::KeyError,
        identity::IssuerProbe,
        operations::{Run, StepError},
        staging::Staging,
        tenancy::{InvalidField, Tenants, quotas::SetError},
    },
};

/// The kind of operation that makes a tenant.
pub const PROVISION: &str = "provision_tenant";
/// The kind of operation that destroys one.
pub const OFF_BOARD: &str = "off_board_tenant";

/// Why a step fails whose tenant is gone.
const NOT_FOUND: &str = "not-found";

/// Why a request about a tenant's life was refused.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// There is no such tenant, or no certificate of it.
    #[error("no such tenant")]
    NotFound,
    /// Another tenant has the value, which must be unique.
    #[error("another tenant has the {field}")]
    Taken {
        /// Which value.
        field: &'static str,
        /// Who has it, where that is known.
        by: Option<TenantId>,
    },
    /// The tenant is not in a state that allows it.
    #[error("{0}")]
    IllegalState(&'static str),
    /// A legal hold is on.
    #[error("the tenant is under legal hold")]
    LegalHold,
    /// It is asked for already.
    #[error("such an operation is open already")]
    Open(OperationId),
    /// It was changed since it was read.
    #[error("the tenant was changed since it was read")]
    Stale,
    /// A value is not allowed.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database refused.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<SetError> for LifecycleError {
    fn from(error: SetError) -> Self {
        match error {
            SetError::NotFound => Self::NotFound,
            SetError::Destroyed => Self::IllegalState("the tenant is destroyed"),
            SetError::Stale => Self::Stale,
            SetError::Db(error) => Self::Db(error),
        }
    }
}

/// What procedures on whole tenants work with, beside what every [`Run`] gives them. Cheap to clone.
#[derive(Clone)]
pub struct Tools {
    /// Connects as the owner of Plumbline's schemas.
    pub owner: tokio_postgres::Config,
    /// Where every tenant's objects lie, below `<tenant_id>/`.
    pub objects: Arc<dyn ObjectStore>,
    /// What a killed process leaves in a local object directory.
    pub staging: Staging,
    /// This process's view of the tenants, which is told of what changes.
    pub tenants: Arc<Tenants>,
    /// Looks at issuers.
    pub issuers: Arc<IssuerProbe>,
    /// Whose tokens make operators; no tenant's.
    pub operator_issuer: Option<String>,
}

impl Tools {
    /// A connection of the owner's; a step opens its own, so that one that broke costs nothing.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached.
    pub async fn owner(&self) -> Result<Owner, OwnerError> {
        Owner::connect(&self.owner).await
    }
}

/// The tenant that an operation is about.
async fn tenant_of(run: &Run) -> Result<model::TenantRecord, StepError> {
    let gone = || StepError::permanent(NOT_FOUND, "there is no such tenant any more");
    let id = run.operation().await.tenant_id.ok_or_else(gone)?;
    store::find(&run.db().operator_alone(run.grant()), id).await?.ok_or_else(gone)
}
