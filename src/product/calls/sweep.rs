//! The sweep: objects whose upload nobody finished are removed.

use chrono::{DateTime, Utc};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::store;
use crate::platform::db::{Db, DbError, PlatformTx};

/// Objects that one sweep looks at.
const AT_MOST: i64 = 1_000;

/// Removes what uploads that began before `before` have left behind; returns how many.
///
/// # Errors
/// [`DbError`]; an object that cannot be deleted stays noted for the next sweep.
pub async fn sweep(db: &Db, objects: &dyn ObjectStore, before: DateTime<Utc>) -> Result<usize, DbError> {
    let keys =
        db.platform("calls.abandoned_uploads", async |tx| store::abandoned_uploads(tx, before, AT_MOST).await).await?;
    let mut swept = 0;
    for key in &keys {
        match db.platform("calls.take_abandoned", async |tx| take(tx, objects, key, before).await).await {
            Ok(taken) => swept += usize::from(taken),
            Err(SweepError::Object(error)) => {
                tracing::warn!(error = %error, "an abandoned object could not be deleted")
            }
            Err(SweepError::Db(error)) => return Err(error),
        }
    }
    if swept > 0 {
        tracing::info!(objects = swept, "abandoned uploads swept");
    }
    Ok(swept)
}

/// Why one object stays for the next sweep.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Object(object_store::Error),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Deletes an object while its note is locked: a call that would have it waits, and then finds the note gone.
async fn take(
    tx: &PlatformTx<'_>,
    objects: &dyn ObjectStore,
    key: &str,
    before: DateTime<Utc>,
) -> Result<bool, SweepError> {
    if !store::take_abandoned(tx, key, before).await? {
        return Ok(false);
    }
    match objects.delete(&Path::from(key)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(true),
        Err(error) => Err(SweepError::Object(error)),
    }
}
