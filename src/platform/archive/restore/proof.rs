//! Before a restored tenant is active: what is there now, held against the manifest, and against the walls between tenants.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt};
use object_store::{ObjectStoreExt, path::Path};
use sha2::{Digest, Sha256};

use super::Work;
use crate::{
    foundation::{digest::hexadecimal, ids::OrganizationId},
    platform::{
        archive::{
            ArchiveError,
            export::{object_keys, tail},
            file::{Header, Manifest, ObjectsSummary, RowsSummary},
            jobs_of, store,
        },
        db::{Bulk, schema_name},
    },
};

/// Schemas of other tenants that one statement looks into; each takes a lock.
const SCHEMAS_AT_ONCE: usize = 100;

impl Work<'_> {
    /// Every digest and count, of the archive as it is read once more and of what was made of it.
    pub(super) async fn verify(&self) -> Result<Option<String>, ArchiveError> {
        let (header, manifest) = Box::pin(super::verify(self.store(), &self.key, self.run)).await?;
        let bulk = self.bulk().await?;
        self.is_ours(&bulk).await?;
        let rows = self.rows_are_the_archives(&bulk, &header, &manifest).await?;
        self.organizations_are_its_own(&bulk).await?;
        self.rows_name_its_objects(&bulk, &header, &manifest).await?;
        self.objects_are_the_archives(&manifest).await?;
        Ok(Some(format!("{rows} rows and {} objects are those of the archive", manifest.objects.count)))
    }

    async fn rows_are_the_archives(
        &self,
        bulk: &Bulk,
        header: &Header,
        manifest: &Manifest,
    ) -> Result<u64, ArchiveError> {
        let mut rows = 0;
        for (table, summary) in header.tables.iter().zip(&manifest.tables) {
            let found = summary_of(bulk, &table.select(&self.schema)).await?;
            if found != summary.rows_alone() {
                return Err(ArchiveError::invalid(format!("the rows of {} are not those of the archive", table.name)));
            }
            rows += found.rows;
            self.run.progress(rows, None).await.map_err(ArchiveError::Stopped)?;
        }
        if summary_of(bulk, &jobs_of(self.tenant)).await? != manifest.jobs {
            return Err(ArchiveError::invalid("the jobs are not those of the archive"));
        }
        Ok(rows)
    }

    /// Row security tells tenants apart by their organizations' ids: an archive must bring none that is another's.
    async fn organizations_are_its_own(&self, bulk: &Bulk) -> Result<(), ArchiveError> {
        let found = bulk
            .rows(&format!("select organization_id, root_organization_id from {}.organizations", self.schema), &[])
            .await?;
        let ids: Vec<OrganizationId> = found.iter().map(|row| row.get("organization_id")).collect();
        if found.iter().any(|row| row.get::<_, OrganizationId>("root_organization_id") != self.root)
            || !ids.contains(&self.root)
        {
            return Err(ArchiveError::invalid("the archive's organizations do not belong to its root organization"));
        }
        let strange = "select count(*) from platform.jobs
             where tenant_id = $1 and (root_organization_id <> $2 or organization_id <> all ($3))";
        if bulk.count(strange, &[&self.tenant, &self.root, &ids]).await? > 0 {
            return Err(ArchiveError::invalid("a job belongs to an organization that is not the archive's"));
        }
        let others = bulk
            .rows(
                "select tenant_id from platform.tenants t where tenant_id <> $1
                   and to_regclass('t_' || replace(tenant_id::text, '-', '') || '.organizations') is not null
                 order by tenant_id",
                &[&self.tenant],
            )
            .await?;
        let schemas: Vec<String> = others.iter().map(|row| schema_name(row.get("tenant_id"))).collect();
        for some in schemas.chunks(SCHEMAS_AT_ONCE) {
            let each = some.iter().map(|schema| {
                format!("select count(*) as n from {schema}.organizations where organization_id = any ($1)")
            });
            let query = format!(
                "select coalesce(sum(n), 0)::int8 from ({}) found",
                each.collect::<Vec<_>>().join(" union all ")
            );
            if bulk.count(&query, &[&ids]).await? > 0 {
                return Err(store::lives_here());
            }
            self.run.check().map_err(ArchiveError::Stopped)?;
        }
        Ok(())
    }

    /// A row leads to an object of the archive, and to none elsewhere.
    async fn rows_name_its_objects(
        &self,
        bulk: &Bulk,
        header: &Header,
        manifest: &Manifest,
    ) -> Result<(), ArchiveError> {
        let there: HashSet<&str> = manifest
            .entries
            .iter()
            .filter_map(|entry| entry.path.strip_prefix("objects/"))
            .chain(manifest.missing_objects.iter().map(String::as_str))
            .collect();
        for key in object_keys(bulk, &self.schema, &header.tables).await? {
            let known = tail(header.tenant.tenant_id, &key).is_some_and(|tail| there.contains(tail));
            if !known {
                return Err(ArchiveError::invalid("a row names an object that the archive does not have"));
            }
        }
        Ok(())
    }

    async fn objects_are_the_archives(&self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let differs =
            |path: &str| ArchiveError::invalid(format!("{path} is not in the object store as it is in the archive"));
        for entry in &manifest.entries {
            let Some(tail) = entry.path.strip_prefix("objects/") else { continue };
            let object = match self.store().get(&Path::from(format!("{}/{tail}", self.tenant))).await {
                Err(object_store::Error::NotFound { .. }) => return Err(differs(&entry.path)),
                other => other?,
            };
            let mut bytes = object.into_stream();
            let mut hash = Sha256::new();
            while let Some(chunk) = bytes.try_next().await? {
                hash.update(&chunk);
            }
            if hexadecimal(&hash.finalize()) != entry.sha256 {
                return Err(differs(&entry.path));
            }
            self.run.check().map_err(ArchiveError::Stopped)?;
        }
        let prefix = Path::from(self.tenant.to_string());
        let listed: Vec<u64> = self.store().list(Some(&prefix)).map_ok(|object| object.size).try_collect().await?;
        let found = ObjectsSummary { count: listed.len() as u64, bytes: listed.iter().sum() };
        if found != manifest.objects {
            return Err(ArchiveError::invalid("there are other objects than the archive has"));
        }
        Ok(())
    }
}

/// What a query's rows are now.
async fn summary_of(bulk: &Bulk, query: &str) -> Result<RowsSummary, ArchiveError> {
    let mut rows = bulk.copy_out(query).await?.boxed();
    let (mut hash, mut summary) = (Sha256::new(), RowsSummary { rows: 0, bytes: 0, sha256: String::new() });
    while let Some(row) = rows.try_next().await? {
        hash.update(&row);
        summary.rows += memchr::memchr_iter(b'\n', &row).count() as u64;
        summary.bytes += row.len() as u64;
    }
    summary.sha256 = hexadecimal(&hash.finalize());
    Ok(summary)
}
