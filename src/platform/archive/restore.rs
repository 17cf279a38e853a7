//! Restore: a tenant made of an archive. Its rows and objects keep their ids; the tenant itself, its schema and its objects' prefix are new.
//!
//! The archive is read to its end before anything is made, and once more against what was made; only then is the tenant active. What turns out
//! to be invalid is taken back.

mod load;
mod proof;

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart, path::Path};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    ArchiveError, Archives, Watch, about,
    file::{FileError, Header, Limits, Manifest, Reader},
    import_key, names_objects,
};
use crate::{
    foundation::ids::{OperationId, OrganizationId, TenantId},
    platform::{
        audit::{PlatformEvent, audit_platform},
        db::{Bulk, NewTenant, Owner, Statements, newest_tenant_version, quoted, schema_name},
        http::UploadError,
        lifecycle::model::check_name,
        operations::{self, NewOperation, Procedure, Run, StepEnd, StepError},
    },
};

/// Parts of an archive on its way into the object store.
const PART_BYTES: usize = 16 * 1024 * 1024;
const PARTS_IN_FLIGHT: usize = 2;

/// What a restored tenant is to be called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The issuer whose tokens are its.
    pub issuer: String,
}

/// Opens an archive in the object store.
async fn open(objects: &dyn ObjectStore, key: &Path) -> Result<Reader, ArchiveError> {
    let object = objects.get(key).await?;
    let limits = Limits::for_file(object.meta.size, newest_tenant_version());
    Ok(Reader::open(object.into_stream().map_err(io::Error::other).boxed(), limits).await?)
}

/// Reads an archive to its end: gives its header and its manifest when every digest and count in it is right.
///
/// # Errors
/// [`ArchiveError`].
pub async fn verify(
    objects: &dyn ObjectStore,
    key: &Path,
    watch: &dyn Watch,
) -> Result<(Header, Manifest), ArchiveError> {
    let mut reader = Box::pin(open(objects, key)).await?;
    while reader.next().await?.is_some() {
        watch.seen(reader.unpacked_bytes(), None).await.map_err(ArchiveError::Stopped)?;
    }
    let header = reader.header().clone();
    let manifest = reader.manifest().cloned().ok_or_else(|| ArchiveError::invalid("the archive has no manifest"))?;
    Ok((header, manifest))
}

/// Why an archive was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It broke off, or was too long.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// It is none, or of a newer version.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Streams an archive into the object store, where it waits to become the tenant of that id, and reads its header. Nothing is left of what is
/// refused.
///
/// # Errors
/// [`ReceiveError`].
pub async fn receive(
    objects: &Arc<dyn ObjectStore>,
    tenant: TenantId,
    mut bytes: BoxStream<'_, Result<Bytes, UploadError>>,
) -> Result<Header, ReceiveError> {
    let key = Path::from(import_key(tenant));
    let upload = objects.put_multipart(&key).await.map_err(ArchiveError::from)?;
    let mut write = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    loop {
        let next = match bytes.next().await {
            Some(Ok(chunk)) => write.wait_for_capacity(PARTS_IN_FLIGHT).await.map(|()| Some(chunk)),
            None => Ok(None),
            Some(Err(error)) => {
                let _ = write.abort().await; // the first error is the one to tell
                return Err(error.into());
            }
        };
        match next.map_err(ArchiveError::from)? {
            Some(chunk) => write.put(chunk),
            None => break,
        }
    }
    write.finish().await.map_err(ArchiveError::from)?;
    match Box::pin(open(objects.as_ref(), &key)).await {
        Ok(reader) => Ok(reader.header().clone()),
        Err(error) => {
            delete(objects.as_ref(), key.as_ref()).await.map_err(ArchiveError::from)?;
            Err(error.into())
        }
    }
}

/// Writes the restoration of a received archive down.
///
/// # Errors
/// [`ArchiveError::Refused`] when the archive's tenant lives here, or another has the slug or the issuer.
pub async fn start(
    on: &impl Statements,
    tenant: TenantId,
    header: &Header,
    asked: &Asked,
    requested_by: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<OperationId, ArchiveError> {
    let root = header.tenant.root_organization_id;
    // It may be the archive's own word.
    check_name(&asked.name).map_err(|_| ArchiveError::invalid("the archived tenant's name is none"))?;
    super::store::check_free(on, Some(root), &asked.slug, &asked.issuer).await?;
    let input = serde_json::to_value(asked).map_err(|error| ArchiveError::refused("input", error.to_string()))?;
    let new = NewOperation {
        kind: KIND,
        tenant: Some((tenant, root)),
        input,
        steps: STEPS,
        run_at: now,
        requested_by: requested_by.to_owned(),
    };
    Ok(operations::start(on, &new, now).await?)
}

const KIND: &str = "restore_tenant";
const STEPS: &[&str] = &["check", "tenant", "schema", "rows", "objects", "verify", "newest", "activate"];

/// `restore_tenant`.
pub struct RestoreTenant(pub Archives);

#[async_trait::async_trait]
impl Procedure for RestoreTenant {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn steps(&self) -> &'static [&'static str] {
        STEPS
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        let work = Work::new(&self.0, run).await?;
        let outcome = match name {
            "check" => work.check().await,
            "tenant" => work.tenant_row().await,
            "schema" => work.schema().await,
            "rows" => Box::pin(work.rows()).await,
            "objects" => Box::pin(work.objects()).await,
            "verify" => Box::pin(work.verify()).await,
            "newest" => Box::pin(work.newest()).await,
            _ => work.activate().await,
        };
        match outcome.map_err(StepError::from) {
            Ok(note) => Ok(StepEnd::Done(note)),
            // Nothing half-made stays of what can never become a tenant.
            Err(error @ StepError::Permanent { .. }) => {
                work.take_back().await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn call_off(&self, run: &Run) -> Result<(), StepError> {
        Ok(Work::new(&self.0, run).await?.take_back().await?)
    }
}

/// One claim on a restoration.
struct Work<'a> {
    archives: &'a Archives,
    run: &'a Run,
    tenant: TenantId,
    root: OrganizationId,
    key: Path,
    schema: String,
}

impl<'a> Work<'a> {
    async fn new(archives: &'a Archives, run: &'a Run) -> Result<Self, StepError> {
        let (tenant, root) = about(run).await?;
        let (key, schema) = (Path::from(import_key(tenant)), schema_name(tenant));
        Ok(Self { archives, run, tenant, root, key, schema })
    }

    fn store(&self) -> &dyn ObjectStore {
        self.archives.objects.as_ref()
    }

    async fn bulk(&self) -> Result<Bulk, ArchiveError> {
        Ok(Bulk::connect(&self.archives.owner).await?)
    }

    async fn open(&self) -> Result<Reader, ArchiveError> {
        let reader = Box::pin(open(self.store(), &self.key)).await?;
        if reader.header().tenant.root_organization_id != self.root {
            return Err(ArchiveError::invalid("the archive is another one than was received"));
        }
        Ok(reader)
    }

    /// The whole archive, before anything is made.
    async fn check(&self) -> Result<Option<String>, ArchiveError> {
        self.open().await?;
        let (header, manifest) = Box::pin(verify(self.store(), &self.key, self.run)).await?;
        if !manifest.missing_objects.is_empty() {
            let missing = manifest.missing_objects.len();
            self.run.keep("missing_objects", missing).await.map_err(ArchiveError::Stopped)?;
        }
        let kept = json!({
            "slug": header.tenant.slug, "plumbline": header.plumbline, "schema_version": header.schema_version,
            "exported_at": header.exported_at, "manifest_digest": manifest.digest,
        });
        self.run.keep("archive", kept).await.map_err(ArchiveError::Stopped)?;
        Ok(Some(format!("{} entries are as the manifest says", manifest.entries.len())))
    }

    async fn tenant_row(&self) -> Result<Option<String>, ArchiveError> {
        let asked: Asked = self.run.input().await.map_err(ArchiveError::Stopped)?;
        let new = NewTenant {
            tenant_id: self.tenant,
            slug: asked.slug,
            name: asked.name,
            issuer: asked.issuer,
            root_organization_id: self.root,
        };
        let lives = "select count(*) from platform.tenants
             where root_organization_id = $1 and tenant_id <> $2 and status <> 'destroyed'";
        if self.bulk().await?.count(lives, &[&self.root, &self.tenant]).await? > 0 {
            return Err(super::store::lives_here());
        }
        let made = Owner::connect(&self.archives.owner).await?.insert_tenant_row(&new).await?;
        if made.tenant_id != self.tenant {
            return Err(ArchiveError::refused("conflict", "a tenant with this slug and issuer is being made"));
        }
        Ok(None)
    }

    /// Fails unless the tenant is one that this restoration is making: everything else keeps its hands off it.
    async fn is_ours(&self, bulk: &Bulk) -> Result<(), ArchiveError> {
        let ours = "select count(*) from platform.tenants
             where tenant_id = $1 and root_organization_id = $2 and status = 'provisioning'";
        if bulk.count(ours, &[&self.tenant, &self.root]).await? == 1 {
            return Ok(());
        }
        Err(ArchiveError::refused("illegal-state", "the tenant is not being made: what there was of it was taken back"))
    }

    /// An empty schema as it was where the archive was made.
    async fn schema(&self) -> Result<Option<String>, ArchiveError> {
        let header = self.open().await?.header().clone();
        let mut bulk = self.bulk().await?;
        self.is_ours(&bulk).await?;
        bulk.create_schema(&self.schema, header.schema_version).await?;
        if bulk.tables(&self.schema).await? != header.tables {
            let version = header.schema_version;
            return Err(ArchiveError::invalid(format!(
                "the archive's tables are not those of schema version {version}"
            )));
        }
        Ok(Some(format!("version {}", header.schema_version)))
    }

    /// The schema of this version, and keys that lead to the tenant's own objects.
    async fn newest(&self) -> Result<Option<String>, ArchiveError> {
        let reader = self.open().await?;
        let (old, new) = (reader.header().tenant.tenant_id, self.tenant);
        let bulk = self.bulk().await?;
        self.is_ours(&bulk).await?;
        bulk.batch("begin").await?;
        for table in &reader.header().tables {
            for column in table.columns.iter().filter(|column| names_objects(column)) {
                let (table, column) = (quoted(&table.name), quoted(&column.name));
                bulk.batch(&format!(
                    "update {schema}.{table} set {column} = '{new}' || substr({column}, length('{old}') + 1)
                     where starts_with({column}, '{old}/')",
                    schema = self.schema
                ))
                .await?;
            }
        }
        bulk.batch("commit").await?;
        Owner::connect(&self.archives.owner).await?.create_schema(self.tenant).await?;
        // What the archive says that it uses is not asked: it is counted.
        bulk.batch(&format!(
            "insert into {schema}.usage_totals (organization_id, stored_bytes, plugins)
             select '{root}', (select coalesce(sum(size_bytes), 0) from {schema}.audio_files) + coalesce(sum(size_bytes), 0), count(*)
             from {schema}.plugin_versions
             on conflict (organization_id) do update set stored_bytes = excluded.stored_bytes, plugins = excluded.plugins",
            schema = self.schema,
            root = self.root
        ))
        .await?;
        Ok(Some(format!("version {}", newest_tenant_version())))
    }

    async fn activate(&self) -> Result<Option<String>, ArchiveError> {
        let run = self.run;
        if Owner::connect(&self.archives.owner).await?.activate(self.tenant).await? {
            let event = PlatformEvent {
                actor: run.grant().actor(),
                action: "tenant.restored",
                subject_kind: "tenant",
                subject_id: Some(self.tenant.0),
                tenant_id: Some(self.tenant),
                request_id: None,
                details: json!({ "operation_id": run.operation_id().await }),
                now: run.now(),
            };
            audit_platform(&run.db().operator_alone(run.grant()), &event).await?;
        } else {
            must_be_active(&self.bulk().await?, self.tenant).await?;
        }
        delete(self.store(), self.key.as_ref()).await?;
        Ok(None)
    }

    /// Removes what was made, as long as it is not active, and the archive.
    async fn take_back(&self) -> Result<(), ArchiveError> {
        let bulk = self.bulk().await?;
        let ours = "select count(*) from platform.tenants where tenant_id = $1 and status = 'provisioning'";
        if bulk.count(ours, &[&self.tenant]).await? == 1 {
            remove_unborn(&bulk, self.store(), self.tenant).await?;
        } else {
            must_not_be_active(&bulk, self.tenant).await?;
        }
        Ok(delete(self.store(), self.key.as_ref()).await?)
    }
}

const ACTIVE: &str = "select count(*) from platform.tenants where tenant_id = $1 and status = 'active'";

/// A tenant that cannot be activated, and was not before, has lost what its steps made.
pub(super) async fn must_be_active(bulk: &Bulk, tenant: TenantId) -> Result<(), ArchiveError> {
    match bulk.count(ACTIVE, &[&tenant]).await? {
        1 => Ok(()),
        _ => Err(ArchiveError::refused("illegal-state", "the tenant is not there any more, or has no schema")),
    }
}

/// What is alive is not called off.
pub(super) async fn must_not_be_active(bulk: &Bulk, tenant: TenantId) -> Result<(), ArchiveError> {
    match bulk.count(ACTIVE, &[&tenant]).await? {
        0 => Ok(()),
        _ => Err(ArchiveError::refused("illegal-state", "the tenant is active; off-board it")),
    }
}

/// Removes a tenant that never was active: its schema, jobs and objects, and last its row.
pub(super) async fn remove_unborn(
    bulk: &Bulk,
    objects: &dyn ObjectStore,
    tenant: TenantId,
) -> Result<(), ArchiveError> {
    bulk.drop_schema(&schema_name(tenant)).await?;
    bulk.execute("delete from platform.jobs where tenant_id = $1", &[&tenant]).await?;
    let prefix = Path::from(tenant.to_string());
    let mut found = objects.list(Some(&prefix));
    while let Some(object) = found.try_next().await? {
        delete(objects, object.location.as_ref()).await?;
    }
    bulk.execute("delete from platform.tenants where tenant_id = $1 and status = 'provisioning'", &[&tenant]).await?;
    Ok(())
}

/// Deletes an object; one that is not there is as good.
pub(super) async fn delete(objects: &dyn ObjectStore, key: &str) -> Result<(), object_store::Error> {
    match objects.delete(&Path::from(key)).await {
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        other => other,
    }
}

/// What PostgreSQL refused about the rows themselves is the archive's fault.
fn of_rows(error: crate::platform::db::BulkError) -> ArchiveError {
    if error.is_about_rows() {
        FileError::Invalid(format!("the archive's rows break a rule of the schema: {error}")).into()
    } else {
        error.into()
    }
}
