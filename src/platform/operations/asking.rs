//! What operators may ask of an operation that is there: to be called off, and to be tried again.

use chrono::{DateTime, Utc};

use super::{
    Operation,
    store::{self, find},
};
use crate::{
    foundation::{access::OperatorGrant, ids::OperationId},
    platform::{
        db::{Db, DbError},
        http::{Kind, Refusal, request_id},
    },
};

/// Why an operation stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is none.
    #[error("there is no such operation")]
    Unknown,
    /// Nothing of it can be called off any more.
    #[error("the operation has come to its end")]
    Over,
    /// It did not fail.
    #[error("only a failed operation can be retried")]
    NotFailed,
    /// Another one of its kind is under way.
    #[error("another operation of this kind is open about the tenant")]
    Open,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Unknown => Refusal::not_found("operation"),
            AskError::Over | AskError::NotFailed => Refusal::new(Kind::IllegalState, error.to_string()),
            AskError::Open => Refusal::new(Kind::OperationOpen, error.to_string()),
            AskError::Db(error) => error.into(),
        }
    }
}

/// Asks an operation to stop at its next good place and take back what it made; of a failed one, what its steps have made is taken back.
///
/// # Errors
/// [`AskError`].
pub async fn call_off(
    db: &Db,
    grant: &OperatorGrant,
    id: OperationId,
    now: DateTime<Utc>,
) -> Result<Operation, AskError> {
    db.operator(grant, "operations.cancel", async |tx| {
        let operation = find(tx, id).await?.ok_or(AskError::Unknown)?;
        if !store::request_cancel(tx, id, now).await? && !store::call_off_failed(tx, id, now).await.map_err(open)? {
            return Err(AskError::Over);
        }
        let request = request_id::current();
        store::audit(tx, grant.actor(), "operation.cancel_requested", &operation, request, now).await?;
        find(tx, id).await?.ok_or(AskError::Unknown)
    })
    .await
}

/// Lets a failed operation go on at the step that failed.
///
/// # Errors
/// [`AskError`].
pub async fn retry(db: &Db, grant: &OperatorGrant, id: OperationId, now: DateTime<Utc>) -> Result<Operation, AskError> {
    db.operator(grant, "operations.retry", async |tx| {
        let operation = find(tx, id).await?.ok_or(AskError::Unknown)?;
        if !store::retry(tx, id, now).await.map_err(open)? {
            return Err(AskError::NotFailed);
        }
        store::audit(tx, grant.actor(), "operation.retried", &operation, request_id::current(), now).await?;
        find(tx, id).await?.ok_or(AskError::Unknown)
    })
    .await
}

fn open(error: DbError) -> AskError {
    if super::is_open_already(&error) { AskError::Open } else { error.into() }
}
