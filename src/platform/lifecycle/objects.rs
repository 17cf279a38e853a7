//! All objects of a tenant: those below `<tenant_id>/`, and the archives of it below `exports/<tenant_id>/`. A page at a time, so that a hundred thousand take no more memory than a thousand.

use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::TenantRecord;
use crate::{
    foundation::ids::TenantId,
    platform::operations::{Run, StepError},
};

/// Objects that are deleted together: as many as one request of S3 takes.
const BATCH: usize = 1_000;
/// Objects that come while others go make another pass; whoever still writes after so many passes is not done yet.
const MOST_PASSES: usize = 5;
/// Shows whose the prefix is.
const MARKER: &str = ".plumbline-tenant";

/// How much lies below a tenant's prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inventory {
    /// Objects.
    pub(super) count: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// Who is told how much is done.
#[derive(Clone, Copy)]
pub(super) enum Heard<'a> {
    /// Nobody: what goes on cannot be stopped.
    ByNobody,
    /// The operation, of so many in all; it may be called off then.
    By(&'a Run, Option<u64>),
}

impl Heard<'_> {
    async fn so_far(self, done: u64) -> Result<(), StepError> {
        match self {
            Heard::ByNobody => Ok(()),
            Heard::By(run, total) => run.progress(done, total).await,
        }
    }
}

fn prefix(tenant: TenantId) -> Path {
    Path::from(tenant.to_string())
}

/// Everything that is the tenant's.
fn all(objects: &dyn ObjectStore, tenant: TenantId) -> BoxStream<'_, object_store::Result<ObjectMeta>> {
    let archives = Path::from(format!("exports/{tenant}"));
    objects.list(Some(&prefix(tenant))).chain(objects.list(Some(&archives))).boxed()
}

/// Puts the tenant's mark below its prefix, where nothing else is yet, and reads it back.
pub(super) async fn mark(objects: &dyn ObjectStore, tenant: &TenantRecord) -> Result<(), StepError> {
    let marker = prefix(tenant.tenant_id).join(MARKER);
    let mut listed = objects.list(Some(&prefix(tenant.tenant_id)));
    while let Some(object) = listed.try_next().await.map_err(failed)? {
        if object.location != marker {
            return Err(StepError::permanent(
                "objects-exist",
                "there are objects below the new tenant's prefix already",
            ));
        }
    }
    let mark = json!({ "tenant_id": tenant.tenant_id, "slug": tenant.slug }).to_string();
    objects.put(&marker, mark.clone().into()).await.map_err(failed)?;
    let kept = objects.get(&marker).await.map_err(failed)?.bytes().await.map_err(failed)?;
    if kept != mark.as_bytes() {
        return Err(StepError::Temporary("the object store gave back something else than it was given".to_owned()));
    }
    Ok(())
}

/// Counts what lies below a tenant's prefix; a thousand at a time are told of.
pub(super) async fn count(
    objects: &dyn ObjectStore,
    tenant: TenantId,
    heard: Heard<'_>,
) -> Result<Inventory, StepError> {
    let mut found = Inventory::default();
    let mut listed = all(objects, tenant);
    while let Some(object) = listed.try_next().await.map_err(failed)? {
        found.count += 1;
        found.bytes += object.size;
        if found.count.is_multiple_of(BATCH as u64) {
            heard.so_far(found.count).await?;
        }
    }
    Ok(found)
}

/// Deletes what lies below a tenant's prefix until nothing does, and returns how many objects that were; every batch is told of.
pub(super) async fn delete(objects: &dyn ObjectStore, tenant: TenantId, heard: Heard<'_>) -> Result<u64, StepError> {
    let mut deleted = 0;
    for _ in 0..MOST_PASSES {
        let before = deleted;
        let mut batches = all(objects, tenant).try_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            let locations: Vec<_> =
                batch.map_err(|error| failed(error.1))?.into_iter().map(|object| Ok(object.location)).collect();
            let mut gone = objects.delete_stream(stream::iter(locations).boxed());
            while let Some(outcome) = gone.next().await {
                match outcome {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => deleted += 1,
                    Err(error) => return Err(failed(error)),
                }
            }
            heard.so_far(deleted).await?;
        }
        if deleted == before {
            return Ok(deleted);
        }
    }
    Err(StepError::Temporary("objects still come below the tenant's prefix".to_owned()))
}

fn failed(error: object_store::Error) -> StepError {
    StepError::Temporary(format!("the object store: {error}"))
}

#[cfg(test)]
mod tests {
    use object_store::{local::LocalFileSystem, memory::InMemory};

    use super::*;

    #[tokio::test]
    async fn only_the_tenants_own_objects_go() {
        let directory = tempfile::tempdir().expect("a directory");
        let local = LocalFileSystem::new_with_prefix(directory.path()).expect("a store").with_automatic_cleanup(true);
        let stores: [&dyn ObjectStore; 2] = [&InMemory::new(), &local];
        for objects in stores {
            let (own, other) = (TenantId::new(), TenantId::new());
            for n in 0..2_500 {
                let key = Path::from(format!("{own}/2026/{}/{n}", n % 7));
                objects.put(&key, "abc".into()).await.expect("put");
            }
            objects.put(&Path::from(format!("exports/{own}/1.plumbline")), "abc".into()).await.expect("put");
            let neighbours =
                [format!("{other}/2026/1"), format!("{own}0/2026/1"), format!("exports/{other}/1.plumbline")];
            for neighbour in &neighbours {
                objects.put(&Path::from(neighbour.as_str()), "abc".into()).await.expect("put");
            }
            let counted = count(objects, own, Heard::ByNobody).await.expect("counted");
            assert_eq!(counted, Inventory { count: 2_501, bytes: 7_503 });
            assert_eq!(delete(objects, own, Heard::ByNobody).await.expect("deleted"), 2_501);
            assert_eq!(count(objects, own, Heard::ByNobody).await.expect("counted"), Inventory::default());
            let left: Vec<_> = objects.list(None).try_collect().await.expect("listed");
            assert_eq!(left.len(), neighbours.len());
        }
    }
}
