//! The life of a tenant: made, suspended and resumed, held, and in the end destroyed with a certificate.
//!
//! What takes long is an operation ([`crate::platform::operations`]): its request is written down by whoever may ask for it, and its steps
//! are done by the operator's process, which alone has the owner's credential.

use std::sync::Arc;

use object_store::ObjectStore;

use crate::platform::{
    db::{Owner, OwnerError},
    tenancy::Tenants,
};

/// What procedures on whole tenants work with, beside what every [`Run`](crate::platform::operations::Run) gives them. Cheap to clone.
#[derive(Clone)]
pub struct Tools {
    /// Connects as the owner of Plumbline's schemas.
    pub owner: tokio_postgres::Config,
    /// Where every tenant's objects lie, below `<tenant_id>/`.
    pub objects: Arc<dyn ObjectStore>,
    /// This process's view of the tenants, which is told of what changes.
    pub tenants: Arc<Tenants>,
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
