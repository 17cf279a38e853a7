//! The sweep: objects whose upload nobody finished are removed.

use chrono::{DateTime, Utc};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::store;
use crate::platform::db::{Db, DbError};

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
        match objects.delete(&Path::from(key.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                db.platform("calls.end_upload", async |tx| store::end_upload(tx, key).await).await?;
                swept += 1;
            }
            Err(error) => tracing::warn!(error = %error, "an abandoned object could not be deleted"),
        }
    }
    if swept > 0 {
        tracing::info!(objects = swept, "abandoned uploads swept");
    }
    Ok(swept)
}
