//! Clone: a sandbox tenant in the same installation, with ids of its own and nobody's words or names in it. Which column becomes what:
//! [`super::masking`].
//!
//! Recordings are not copied, because a voice cannot be masked; neither are jobs, so that nothing is recognised or judged twice. Calls that
//! were on their way stop where they are and say so.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use object_store::{ObjectStoreExt, path::Path};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    ArchiveError, Archives, about,
    masking::{self, Class},
    restore::{must_be_active, must_not_be_active, remove_unborn},
    store,
};
use crate::{
    foundation::{
        digest,
        ids::{OperationId, OrganizationId, TenantId},
    },
    platform::{
        audit::{PlatformEvent, audit_platform},
        db::{Bulk, NewTenant, Owner, Statements, Table, newest_tenant_version, quoted, schema_name},
        operations::{self, NewOperation, Procedure, Run, StepEnd, StepError},
    },
};

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// What is asked for. The operation is about the new tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedClone {
    /// Whom to copy.
    pub from_tenant_id: TenantId,
    /// The copy's short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The issuer whose tokens are its.
    pub issuer: String,
}

const KIND: &str = "clone_tenant";
const STEPS: &[&str] = &["tenant", "schema", "rows", "objects", "activate"];

/// The root organization of the copy: `pg_temp.other_id` in `masking.sql` makes the same of it.
fn other_id(to: TenantId, id: OrganizationId) -> OrganizationId {
    let (id, hash) = (id.to_string(), digest::of_bytes(format!("{to}{id}").as_bytes()));
    let text = format!("{}{}-{}{}-{}", &id[..15], &hash[..3], &id[19..20], &hash[3..6], &hash[6..18]);
    OrganizationId(text.parse().unwrap_or_default())
}

/// Writes a clone down; gives the new tenant's id, and the operation's.
///
/// # Errors
/// [`ArchiveError::Refused`] when there is nothing to copy, or another tenant has the slug or the issuer.
pub async fn start(
    on: &impl Statements,
    asked: &AskedClone,
    requested_by: &str,
    now: DateTime<Utc>,
) -> Result<(TenantId, OperationId), ArchiveError> {
    let found = store::find(on, asked.from_tenant_id).await?;
    let found = found.ok_or_else(|| ArchiveError::refused("not-found", "no such tenant"))?;
    found.has_data()?;
    store::check_free(on, None, &asked.slug, &asked.issuer).await?;
    let tenant = TenantId::new();
    let new = NewOperation {
        kind: KIND,
        tenant: Some((tenant, other_id(tenant, found.root_organization_id))),
        input: json!(asked),
        steps: STEPS,
        run_at: now,
        requested_by: requested_by.to_owned(),
    };
    Ok((tenant, operations::start(on, &new, now).await?))
}

/// `clone_tenant`.
pub struct CloneTenant(pub Archives);

#[async_trait::async_trait]
impl Procedure for CloneTenant {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn steps(&self) -> &'static [&'static str] {
        STEPS
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        let work = Work::new(&self.0, run).await?;
        let outcome = match name {
            "tenant" => work.tenant_row().await,
            "schema" => work.schema().await,
            "rows" => Box::pin(work.rows()).await,
            "objects" => work.objects().await,
            _ => work.activate().await,
        };
        match outcome.map_err(StepError::from) {
            Ok(note) => Ok(StepEnd::Done(note)),
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

/// One claim on a clone.
struct Work<'a> {
    archives: &'a Archives,
    run: &'a Run,
    asked: AskedClone,
    tenant: TenantId,
    root: OrganizationId,
}

impl<'a> Work<'a> {
    async fn new(archives: &'a Archives, run: &'a Run) -> Result<Self, StepError> {
        let (tenant, root) = about(run).await?;
        Ok(Self { archives, run, asked: run.input().await?, tenant, root })
    }

    async fn bulk(&self) -> Result<Bulk, ArchiveError> {
        Ok(Bulk::connect(&self.archives.owner).await?)
    }

    async fn owner(&self) -> Result<Owner, ArchiveError> {
        Ok(Owner::connect(&self.archives.owner).await?)
    }

    async fn tenant_row(&self) -> Result<Option<String>, ArchiveError> {
        let asked = self.asked.clone();
        let new = NewTenant {
            tenant_id: self.tenant,
            slug: asked.slug,
            name: asked.name,
            issuer: asked.issuer,
            root_organization_id: self.root,
        };
        let made = self.owner().await?.insert_tenant_row(&new).await?;
        if made.tenant_id != self.tenant {
            return Err(ArchiveError::refused("conflict", "a tenant with this slug and issuer is being made"));
        }
        Ok(None)
    }

    async fn schema(&self) -> Result<Option<String>, ArchiveError> {
        self.is_ours(&self.bulk().await?).await?;
        self.owner().await?.create_schema(self.tenant).await?;
        Ok(Some(format!("version {}", newest_tenant_version())))
    }

    async fn is_ours(&self, bulk: &Bulk) -> Result<(), ArchiveError> {
        let ours = "select count(*) from platform.tenants where tenant_id = $1 and status = 'provisioning'";
        if bulk.count(ours, &[&self.tenant]).await? == 1 {
            return Ok(());
        }
        Err(ArchiveError::refused("illegal-state", "the clone is not being made: what there was of it was taken back"))
    }

    /// All rows in one transaction and one snapshot, masked on their way by PostgreSQL itself.
    async fn rows(&self) -> Result<Option<String>, ArchiveError> {
        let bulk = self.bulk().await?;
        self.is_ours(&bulk).await?;
        bulk.batch("begin isolation level repeatable read").await?;
        let (from, to) = (schema_name(self.asked.from_tenant_id), schema_name(self.tenant));
        let (tables, own) = (bulk.tables(&from).await?, bulk.tables(&to).await?);
        if tables != own || tables.is_empty() {
            return Err(ArchiveError::refused(
                "tenant-not-ready",
                "the tenant's schema is of another version, or gone",
            ));
        }
        self.prepare(&bulk, &from, &tables).await?;
        let list: Vec<String> = tables.iter().map(|table| format!("{to}.{}", quoted(&table.name))).collect();
        bulk.batch(&format!("truncate {}", list.join(", "))).await?;
        let (mut counts, mut left) = (BTreeMap::new(), BTreeMap::new());
        for (done, table) in tables.iter().enumerate() {
            self.run.progress(done as u64, Some(tables.len() as u64)).await.map_err(ArchiveError::Stopped)?;
            match masking::class_of(&table.name) {
                None => return Err(undecided(&table.name)),
                Some(Class::Left(why)) => {
                    left.insert(table.name.clone(), why);
                }
                Some(Class::Copied(_)) => {
                    let copied = bulk.execute(&copy(table, &from, &to)?, &[]).await?;
                    counts.insert(table.name.clone(), copied);
                }
            }
        }
        self.settle(&bulk, &to).await?;
        self.nothing_of_the_original(&bulk, &to, &tables).await?;
        bulk.batch("commit").await?;
        let rows: u64 = counts.values().sum();
        self.run.keep("rows", counts).await.map_err(ArchiveError::Stopped)?;
        self.run.keep("not_copied", left).await.map_err(ArchiveError::Stopped)?;
        Ok(Some(format!("{rows} rows")))
    }

    /// What the masking functions look into: who becomes whom, a secret, and every id of the tenant.
    async fn prepare(&self, bulk: &Bulk, from: &str, tables: &[Table]) -> Result<(), ArchiveError> {
        bulk.batch(&format!(
            "create temp table clone on commit drop as
                 select '{}'::uuid as from_tenant, '{}'::uuid as to_tenant, gen_random_uuid() as secret;
             create temp table ids (id uuid primary key) on commit drop;
             insert into pg_temp.ids select from_tenant from pg_temp.clone",
            self.asked.from_tenant_id, self.tenant
        ))
        .await?;
        bulk.batch(masking::FUNCTIONS).await?;
        for table in tables {
            for column in table.columns.iter().filter(|column| column.kind == "uuid") {
                let (column, table) = (quoted(&column.name), quoted(&table.name));
                bulk.batch(&format!(
                    "insert into pg_temp.ids select distinct {column} from {from}.{table} where {column} is not null
                     on conflict do nothing"
                ))
                .await?;
            }
        }
        bulk.batch("analyze pg_temp.ids").await?;
        Ok(())
    }

    /// Calls that were on their way stop: their recordings and jobs are not here. What is stored is counted anew.
    async fn settle(&self, bulk: &Bulk, to: &str) -> Result<(), ArchiveError> {
        bulk.batch(&format!(
            "update {to}.calls set
                 failed_stage = case status when 'received' then 'transcribe' when 'transcribed' then 'assess' else 'score' end,
                 status = 'failed', failure_kind = 'masked_copy',
                 failure_reason = 'This is a masked copy: the original was on its way when it was made.'
             where status in ('received', 'transcribed', 'assessed');
             insert into {to}.usage_totals (organization_id, stored_bytes, plugins)
             select '{root}', coalesce(sum(size_bytes), 0), count(*) from {to}.plugin_versions",
            root = self.root
        ))
        .await?;
        Ok(())
    }

    /// No id of the original is anywhere in the copy, and the copy's root organization is the one that its tenant has.
    async fn nothing_of_the_original(&self, bulk: &Bulk, to: &str, tables: &[Table]) -> Result<(), ArchiveError> {
        for table in tables {
            let found = format!(
                "select count(*) from {to}.{} as copied
                 cross join lateral regexp_matches(copied::text, '{UUID}', 'gi') as found(groups)
                 join pg_temp.ids on ids.id = groups[1]::uuid",
                quoted(&table.name)
            );
            if bulk.count(&found, &[]).await? > 0 {
                let reason = format!("ids of the original are left in {}", table.name);
                return Err(ArchiveError::refused("not-masked", reason));
            }
        }
        let root =
            format!("select count(*) from {to}.organizations where organization_id = $1 and root_organization_id = $1");
        if bulk.count(&root, &[&self.root]).await? != 1 {
            return Err(ArchiveError::refused("not-masked", "the copy has another root organization than its tenant"));
        }
        Ok(())
    }

    /// Plugins, which are the tenant's own code and nobody's data.
    async fn objects(&self) -> Result<Option<String>, ArchiveError> {
        let bulk = self.bulk().await?;
        self.is_ours(&bulk).await?;
        let schema = schema_name(self.tenant);
        let tables = bulk.tables(&schema).await?;
        let keys = super::export::object_keys(&bulk, &schema, &tables).await?;
        for (done, key) in keys.iter().enumerate() {
            self.run.progress(done as u64, Some(keys.len() as u64)).await.map_err(ArchiveError::Stopped)?;
            let tail = super::export::tail(self.tenant, key)
                .ok_or_else(|| ArchiveError::refused("foreign-object", "a row names an object of another prefix"))?;
            let original = Path::from(format!("{}/{tail}", self.asked.from_tenant_id));
            self.archives.objects.copy(&original, &Path::from(key.as_str())).await?;
        }
        let text = format!("{} objects; recordings are not copied: a voice cannot be masked", keys.len());
        Ok(Some(text))
    }

    async fn activate(&self) -> Result<Option<String>, ArchiveError> {
        let run = self.run;
        if self.owner().await?.activate(self.tenant).await? {
            let event = PlatformEvent {
                actor: run.grant().actor(),
                action: "tenant.cloned",
                subject_kind: "tenant",
                subject_id: Some(self.tenant.0),
                tenant_id: Some(self.asked.from_tenant_id),
                request_id: None,
                details: json!({ "operation_id": run.operation_id().await, "clone_id": self.tenant }),
                now: run.now(),
            };
            audit_platform(&run.db().operator_alone(run.grant()), &event).await?;
        } else {
            must_be_active(&self.bulk().await?, self.tenant).await?;
        }
        Ok(None)
    }

    async fn take_back(&self) -> Result<(), ArchiveError> {
        let bulk = self.bulk().await?;
        let ours = "select count(*) from platform.tenants where tenant_id = $1 and status = 'provisioning'";
        if bulk.count(ours, &[&self.tenant]).await? == 1 {
            remove_unborn(&bulk, self.archives.objects.as_ref(), self.tenant).await?;
        } else {
            must_not_be_active(&bulk, self.tenant).await?;
        }
        Ok(())
    }
}

/// The statement that copies a table's rows as they become.
fn copy(table: &Table, from: &str, to: &str) -> Result<String, ArchiveError> {
    let mut values = Vec::new();
    for column in &table.columns {
        let value = masking::expression(&table.name, &column.name, &column.kind)
            .ok_or_else(|| undecided(&format!("{}.{}", table.name, column.name)))?;
        values.push(value);
    }
    let (name, columns, values) = (quoted(&table.name), table.column_list(), values.join(", "));
    Ok(format!("insert into {to}.{name} ({columns}) select {values} from {from}.{name}"))
}

fn undecided(what: &str) -> ArchiveError {
    ArchiveError::refused("not-masked", format!("nobody has decided what becomes of {what} in a clone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_time_and_nothing_else() {
        let (to, id) = (TenantId::new(), OrganizationId::new());
        let other = other_id(to, id);
        assert_eq!((&other.to_string()[..15], other), (&id.to_string()[..15], other_id(to, id)));
        assert!(other != id && other != other_id(TenantId::new(), id));
        assert_eq!(other.0.get_version_num(), 7);
    }
}
