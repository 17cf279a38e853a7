//! Rows and objects on their way in.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::SinkExt;
use object_store::{buffered::BufWriter, path::Path};
use tokio::io::AsyncWriteExt;
use tokio_postgres::CopyInSink;

use super::{Work, of_rows};
use crate::platform::{
    archive::{
        ArchiveError, JOB_COLUMNS,
        file::{Part, Reader},
    },
    db::{Bulk, BulkError, quoted},
};

/// Memory of one object on its way into the store.
const OBJECT_PART_BYTES: usize = 8 * 1024 * 1024;

impl Work<'_> {
    /// All rows and jobs in one transaction: after a crash there is none, and the step begins anew.
    pub(super) async fn rows(&self) -> Result<Option<String>, ArchiveError> {
        let mut reader = self.open().await?;
        let bulk = self.bulk().await?;
        self.is_ours(&bulk).await?;
        bulk.batch("begin").await?;
        let tables: Vec<String> =
            reader.header().tables.iter().map(|table| format!("{}.{}", self.schema, quoted(&table.name))).collect();
        if !tables.is_empty() {
            bulk.batch(&format!("truncate {}", tables.join(", "))).await?;
        }
        // What a migration to this version put into the empty schema came out again, and jobs of an earlier attempt.
        bulk.execute("delete from platform.jobs where tenant_id = $1", &[&self.tenant]).await?;
        bulk.batch("create temp table restored_jobs (like platform.jobs) on commit drop").await?;
        bulk.batch("alter table restored_jobs alter column tenant_id drop not null").await?;
        let rows = self.copy(&mut reader, &bulk).await?;
        jobs_are_such_as_are_made_here(&bulk).await?;
        let jobs =
            format!("insert into platform.jobs (tenant_id, {JOB_COLUMNS}) select $1, {JOB_COLUMNS} from restored_jobs");
        let jobs = bulk.execute(&jobs, &[&self.tenant]).await.map_err(|error| match error.unique_violation() {
            Some("jobs_pkey") => super::super::store::lives_here(),
            _ => of_rows(error),
        })?;
        bulk.batch("commit").await.map_err(of_rows)?;
        Ok(Some(format!("{rows} rows and {jobs} jobs")))
    }

    /// One COPY for each table, whatever its number of parts: rows of a table may refer to each other.
    async fn copy(&self, reader: &mut Reader, bulk: &Bulk) -> Result<u64, ArchiveError> {
        let (mut copying, mut rows): (Option<Copying>, u64) = (None, 0);
        loop {
            let part = reader.next().await?;
            let same = copying.as_ref().is_some_and(|copying| Some(&copying.part) == part.as_ref());
            if !same && let Some(ended) = copying.take() {
                rows += ended.finish().await?;
            }
            let into = match &part {
                Some(Part::Jobs) => format!("restored_jobs ({JOB_COLUMNS})"),
                Some(Part::Table(at)) => {
                    let table = &reader.header().tables[*at];
                    format!("{}.{} ({})", self.schema, quoted(&table.name), table.column_list())
                }
                Some(Part::Object(_)) | None => return Ok(rows),
            };
            let mut open = match (copying.take(), part) {
                (Some(open), _) => open,
                (None, Some(part)) => Copying { part, sink: Box::pin(bulk.copy_in(&into).await?) },
                (None, None) => return Ok(rows),
            };
            while let Some(chunk) = reader.chunk().await? {
                open.sink.send(chunk).await.map_err(|error| of_rows(error.into()))?;
            }
            copying = Some(open);
            self.run.progress(reader.unpacked_bytes(), None).await.map_err(ArchiveError::Stopped)?;
        }
    }

    /// Every object under the tenant's own prefix; what is there already is written again.
    pub(super) async fn objects(&self) -> Result<Option<String>, ArchiveError> {
        let mut reader = self.open().await?;
        self.is_ours(&self.bulk().await?).await?;
        let mut count = 0_u64;
        while let Some(part) = reader.next().await? {
            let Part::Object(tail) = part else { continue };
            let key = Path::from(format!("{}/{tail}", self.tenant));
            let store = Arc::clone(&self.archives.objects);
            let mut write = BufWriter::with_capacity(store, key, OBJECT_PART_BYTES).with_max_concurrency(2);
            while let Some(chunk) = reader.chunk().await? {
                write.put(chunk).await?;
            }
            write.shutdown().await.map_err(crate::platform::archive::file::FileError::Io)?;
            count += 1;
            self.run.progress(count, None).await.map_err(ArchiveError::Stopped)?;
        }
        Ok(Some(format!("{count} objects")))
    }
}

/// Jobs of all tenants are leased together: one that no worker could take or read would stand in everybody's way.
async fn jobs_are_such_as_are_made_here(bulk: &Bulk) -> Result<(), ArchiveError> {
    let strange = "select count(*) from restored_jobs
         where attempts > 1000 or not isfinite(run_at) or run_at > now() + interval '10 years' or not isfinite(created_at)
            or jsonb_typeof(payload) <> 'object' or pg_column_size(payload) > 4096
            or exists (select from jsonb_each(case jsonb_typeof(payload) when 'object' then payload else '{}' end)
                       where jsonb_typeof(value) <> 'string')";
    match bulk.count(strange, &[]).await? {
        0 => Ok(()),
        _ => Err(ArchiveError::invalid("a job is none that Plumbline makes")),
    }
}

/// A COPY that takes in one table, or the jobs.
struct Copying {
    part: Part,
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

impl Copying {
    async fn finish(mut self) -> Result<u64, ArchiveError> {
        self.sink.as_mut().finish().await.map_err(|error| of_rows(BulkError::from(error)))
    }
}
