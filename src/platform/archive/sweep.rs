//! Archives do not stay for ever: each holds every call of a tenant.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, path::Path};

use super::restore::delete;

/// Removes archives, made or taken in, that were written before `before`; returns how many.
///
/// # Errors
/// What the object store says; what was removed stays removed.
pub async fn sweep(objects: &dyn ObjectStore, before: DateTime<Utc>) -> Result<usize, object_store::Error> {
    let mut swept = 0;
    for prefix in ["exports", "imports"] {
        let old: Vec<Path> = objects
            .list(Some(&Path::from(prefix)))
            .try_filter_map(|object| async move { Ok((object.last_modified < before).then_some(object.location)) })
            .try_collect()
            .await?;
        for key in old {
            delete(objects, key.as_ref()).await?;
            swept += 1;
        }
    }
    if swept > 0 {
        tracing::info!(archives = swept, "expired archives swept");
    }
    Ok(swept)
}
