//! Export: one snapshot of all rows, and the objects that they name, streamed into one file.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, buffered::BufWriter, path::Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::AsyncWrite;
use tokio_postgres::Config;

use super::{
    ArchiveError, Archives, Watch, about, export_key,
    file::{ArchivedTenant, Header, Manifest, Writer, Written},
    jobs_of, names_objects, restore,
};
use crate::{
    foundation::ids::{OrganizationId, TenantId},
    platform::{
        db::{Bulk, Table, quoted, schema_name},
        http::Measure,
        operations::{Procedure, Run, StepEnd, StepError},
    },
};

/// Parts of an archive in the object store: S3 takes ten thousand of them, so an archive is 160 GiB at most.
const PART_BYTES: usize = 16 * 1024 * 1024;
const PARTS_IN_FLIGHT: usize = 2;

/// How an archive is made.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Go on when the object store does not have what rows name; the manifest lists it. Otherwise that fails.
    #[serde(default)]
    pub allow_missing_objects: bool,
}

/// An archive that was written to its end.
pub struct Exported<W> {
    /// Where it went.
    pub sink: W,
    /// Its last entry.
    pub manifest: Manifest,
    /// Its length and its digest.
    pub measure: Measure,
    /// When its rows were read.
    pub exported_at: DateTime<Utc>,
}

/// Writes the archive of a tenant into `sink`: rows of one snapshot, then the objects. Memory stays at a few parts, whatever the tenant's
/// size, besides some 200 bytes for each object.
///
/// # Errors
/// [`ArchiveError`] and the sink, to be taken back, when one was begun.
pub async fn export<W: AsyncWrite + Unpin + Send>(
    owner: &Config,
    objects: &dyn ObjectStore,
    tenant: TenantId,
    options: Options,
    now: DateTime<Utc>,
    sink: W,
    watch: &dyn Watch,
) -> Result<Exported<W>, (Option<W>, ArchiveError)> {
    let nothing = |error: ArchiveError| (None, error);
    let bulk = Bulk::connect(owner).await.map_err(|error| nothing(error.into()))?;
    let header = snapshot(&bulk, tenant, now).await.map_err(nothing)?;
    let mut writer = Writer::begin(sink, &header).await.map_err(|error| nothing(error.into()))?;
    let source = Source { bulk: &bulk, objects, header: &header, options, watch };
    match source.write(&mut writer).await {
        Err(error) => Err((Some(writer.abandon()), error)),
        Ok(missing) => {
            let (sink, manifest, measure) = writer.finish(missing).await.map_err(|error| nothing(error.into()))?;
            Ok(Exported { sink, manifest, measure, exported_at: now })
        }
    }
}

/// Opens the snapshot that all rows are read in.
async fn snapshot(bulk: &Bulk, tenant: TenantId, now: DateTime<Utc>) -> Result<Header, ArchiveError> {
    bulk.batch("begin isolation level repeatable read read only").await?;
    let found = bulk
        .rows(
            "select slug, name, root_organization_id, schema_version, status from platform.tenants where tenant_id = $1",
            &[&tenant],
        )
        .await?;
    let row = found.first().ok_or_else(|| ArchiveError::refused("not-found", "no such tenant"))?;
    let status: &str = row.get("status");
    if matches!(status, "provisioning" | "destroyed") {
        return Err(ArchiveError::refused("illegal-state", format!("a tenant that is {status} has nothing to export")));
    }
    let schema = schema_name(tenant);
    let tables = bulk.tables(&schema).await?;
    for table in &tables {
        // No migration changes a table while it is read.
        bulk.batch(&format!("lock table {schema}.{} in access share mode", quoted(&table.name))).await?;
    }
    let archived = ArchivedTenant {
        tenant_id: tenant,
        slug: row.get("slug"),
        name: row.get("name"),
        root_organization_id: row.get::<_, OrganizationId>("root_organization_id"),
    };
    Ok(Header::new(row.get("schema_version"), tables, archived, now))
}

/// What an archive is made of.
struct Source<'a> {
    bulk: &'a Bulk,
    objects: &'a dyn ObjectStore,
    header: &'a Header,
    options: Options,
    watch: &'a dyn Watch,
}

impl Source<'_> {
    /// Everything between header and manifest; the keys that are missing.
    async fn write<W: AsyncWrite + Unpin + Send>(&self, writer: &mut Writer<W>) -> Result<Vec<String>, ArchiveError> {
        let tenant = self.header.tenant.tenant_id;
        let schema = schema_name(tenant);
        let keys = object_keys(self.bulk, &schema, &self.header.tables).await?;
        let digests = digests(self.bulk, &schema).await?;
        let total = Some((self.header.tables.len() + 1 + keys.len()) as u64);
        let mut done = 0;
        let jobs = self.bulk.copy_out(&jobs_of(tenant)).await?;
        writer.rows(Written::Jobs, jobs.map_err(ArchiveError::from)).await?;
        for table in &self.header.tables {
            done += 1;
            self.watch.seen(done, total).await.map_err(ArchiveError::Stopped)?;
            let rows = self.bulk.copy_out(&table.select(&schema)).await?;
            writer.rows(Written::Table(&table.name), rows.map_err(ArchiveError::from)).await?;
        }
        let mut missing = Vec::new();
        for key in keys {
            done += 1;
            self.watch.seen(done, total).await.map_err(ArchiveError::Stopped)?;
            let tail = tail(tenant, &key)
                .ok_or_else(|| ArchiveError::refused("foreign-object", "a row names an object of another prefix"))?;
            match self.objects.get(&Path::from(key.as_str())).await {
                Ok(object) => {
                    let size = object.meta.size;
                    let found = writer.object(tail, size, object.into_stream().map_err(ArchiveError::from)).await?;
                    if digests.get(&key).is_some_and(|noted| *noted != found) {
                        let reason = format!("{tail} is not what was received: its row has another digest");
                        return Err(ArchiveError::refused("object-damaged", reason));
                    }
                }
                Err(object_store::Error::NotFound { .. }) => missing.push(tail.to_owned()),
                Err(error) => return Err(error.into()),
            }
        }
        if !missing.is_empty() && !self.options.allow_missing_objects {
            let first = &missing[0];
            let reason =
                format!("{} objects that rows name are not in the object store, such as {first}", missing.len());
            return Err(ArchiveError::refused("objects-missing", reason));
        }
        Ok(missing)
    }
}

/// Every object that rows name, each once, in the order of their bytes.
pub(super) async fn object_keys(bulk: &Bulk, schema: &str, tables: &[Table]) -> Result<Vec<String>, ArchiveError> {
    let mut queries = Vec::new();
    for table in tables {
        for column in table.columns.iter().filter(|column| names_objects(column)) {
            let (column, table) = (quoted(&column.name), quoted(&table.name));
            queries.push(format!("select {column} as key from {schema}.{table} where {column} is not null"));
        }
    }
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let query =
        format!("select key collate \"C\" as key from ({}) named group by 1 order by 1", queries.join(" union all "));
    Ok(bulk.rows(&query, &[]).await?.iter().map(|row| row.get("key")).collect())
}

/// What rows say of the objects that they name: SHA-256 by key.
async fn digests(bulk: &Bulk, schema: &str) -> Result<HashMap<String, String>, ArchiveError> {
    let query = format!(
        "select object_key, sha256 from {schema}.audio_files union all select object_key, digest from {schema}.plugin_versions"
    );
    Ok(bulk.rows(&query, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A key without its tenant's prefix.
pub(super) fn tail(tenant: TenantId, key: &str) -> Option<&str> {
    let tail = key.strip_prefix(&tenant.to_string())?.strip_prefix('/')?;
    super::file::is_key(tail).then_some(tail)
}

/// `export_tenant`: the archive goes into the object store and is read again before it is given to anybody.
pub struct ExportTenant(pub Archives);

/// The steps of an export.
pub(super) const STEPS: &[&str] = &["archive", "verify"];

#[async_trait::async_trait]
impl Procedure for ExportTenant {
    fn kind(&self) -> &'static str {
        "export_tenant"
    }

    fn steps(&self) -> &'static [&'static str] {
        STEPS
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        let note = match name {
            "archive" => self.archive(run).await?,
            _ => self.verify(run).await?,
        };
        Ok(StepEnd::Done(Some(note)))
    }

    async fn call_off(&self, run: &Run) -> Result<(), StepError> {
        let key = key_of(run).await?;
        restore::delete(self.0.objects.as_ref(), &key).await.map_err(ArchiveError::from)?;
        Ok(())
    }
}

async fn key_of(run: &Run) -> Result<String, StepError> {
    Ok(export_key(about(run).await?.0, run.operation_id().await))
}

impl ExportTenant {
    async fn archive(&self, run: &Run) -> Result<String, StepError> {
        let options: Options = run.input().await?;
        let key = Path::from(key_of(run).await?);
        let (tenant, _) = about(run).await?;
        let objects: Arc<dyn ObjectStore> = self.0.objects.clone();
        let sink = BufWriter::with_capacity(objects, key, PART_BYTES).with_max_concurrency(PARTS_IN_FLIGHT);
        let exported =
            Box::pin(export(&self.0.owner, self.0.objects.as_ref(), tenant, options, run.now(), sink, run)).await;
        let exported = match exported {
            Ok(exported) => exported,
            Err((sink, error)) => {
                if let Some(mut sink) = sink {
                    let _ = sink.abort().await; // the first error is the one to tell
                }
                return Err(error.into());
            }
        };
        let note = format!("{} bytes", exported.measure.size_bytes);
        run.keep("archive", Summary::of(&exported, self.0.keep_days)).await?;
        Ok(note)
    }

    /// Reads what was written, and writes the export into the tenant's own log.
    async fn verify(&self, run: &Run) -> Result<String, StepError> {
        let kept: Option<Summary> = run.kept("archive").await?;
        let kept = kept.ok_or_else(|| StepError::permanent("result", "there is no archive to verify"))?;
        let key = Path::from(key_of(run).await?);
        let manifest = restore::verify(self.0.objects.as_ref(), &key, run).await?.1;
        if manifest.digest != kept.manifest_digest {
            return Err(StepError::permanent("invalid-archive", "the archive is another one than was written"));
        }
        let operation = run.operation().await;
        let (tenant, root) = about(run).await?;
        let bulk = Bulk::connect(&self.0.owner).await.map_err(ArchiveError::from)?;
        let details = json!({ "operation_id": operation.operation_id, "sha256": kept.sha256 });
        let event = format!(
            "insert into {}.audit_events
                 (audit_event_id, organization_id, actor, action, subject_kind, subject_id, details, occurred_at)
             values ($1, $2, $3, 'tenant.exported', 'tenant', $4, $5, $6) on conflict do nothing",
            schema_name(tenant)
        );
        let asker = &operation.requested_by;
        bulk.execute(&event, &[&operation.operation_id.0, &root, asker, &tenant, &details, &run.now()])
            .await
            .map_err(ArchiveError::from)?;
        Ok(format!("{} entries are as the manifest says", manifest.entries.len()))
    }
}

/// What an operation says of the archive that it made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// How long it is.
    pub size_bytes: u64,
    /// The digest of its manifest.
    pub manifest_digest: String,
    /// When its rows were read.
    pub exported_at: DateTime<Utc>,
    /// Until when it is kept.
    pub expires_at: DateTime<Utc>,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// How many jobs wait.
    pub jobs: u64,
    /// How many objects there are.
    pub objects: u64,
    /// How long they are.
    pub object_bytes: u64,
    /// How many objects are missing.
    pub missing_objects: usize,
}

impl Summary {
    /// Of an archive that was just written.
    pub fn of<W>(exported: &Exported<W>, keep_days: u32) -> Self {
        let manifest = &exported.manifest;
        Self {
            sha256: exported.measure.sha256.clone(),
            size_bytes: exported.measure.size_bytes,
            manifest_digest: manifest.digest.clone(),
            exported_at: exported.exported_at,
            expires_at: exported.exported_at + TimeDelta::days(keep_days.into()),
            rows: manifest.tables.iter().map(|table| (table.table.clone(), table.rows)).collect(),
            jobs: manifest.jobs.rows,
            objects: manifest.objects.count,
            object_bytes: manifest.objects.bytes,
            missing_objects: manifest.missing_objects.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_the_tenant_have_a_tail() {
        let (tenant, other) = (TenantId::new(), TenantId::new());
        assert_eq!(tail(tenant, &format!("{tenant}/2026/a")), Some("2026/a"));
        for foreign in [format!("{other}/a"), format!("{tenant}a"), format!("{tenant}/../{other}/a"), String::new()] {
            assert_eq!(tail(tenant, &foreign), None, "{foreign}");
        }
    }
}
