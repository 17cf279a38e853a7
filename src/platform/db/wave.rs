//! Tenants' schemas, made and migrated: the locks and histories of a wave of tenants in two queries, then a round trip and a transaction
//! each. A tenant is done or untouched, and its `schema_version` is written with what it tells of.

use std::{collections::HashSet, fmt::Write as _, pin::pin};

use futures_util::TryStreamExt;
use tokio_postgres::SimpleQueryMessage;

use super::{
    Owner, OwnerError,
    error::passes,
    migrate::{Applied, Baseline, MARK, Step, TenantMigrations, plan},
    query::schema_name,
};
use crate::foundation::ids::TenantId;

/// `hashtextextended` of this and the schema's name is the lock under which a tenant's schema is made, migrated and destroyed.
pub(super) const LOCK: &str = "plumbline.migrate.";

/// A tenant of a wave, locked.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its id.
    pub tenant_id: TenantId,
    /// The newest migration that its schema has seen.
    pub schema_version: i32,
    /// The newest concurrent step that its schema has seen.
    pub concurrent_version: i32,
    /// Whether there is such a schema at all.
    pub has_schema: bool,
    /// refinery's history, by version.
    pub applied: Vec<Applied>,
}

/// What came of locking a wave.
#[derive(Clone, Debug, Default)]
pub struct Locked {
    /// Those that are locked now.
    pub members: Vec<Member>,
    /// Those that somebody else has locked.
    pub busy: Vec<TenantId>,
}

/// What was done for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These migrations were applied.
    Migrated(Vec<i32>),
    /// Nothing was missing.
    Current,
}

impl Owner {
    /// How long a statement waits for a lock before it gives up, for the rest of this connection. Requests that come after a waiting
    /// `alter table` wait behind it.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn limit_lock_waits(&self, milliseconds: u32) -> Result<(), OwnerError> {
        Ok(self.client.batch_execute(&format!("set lock_timeout = {milliseconds}")).await?)
    }

    /// Locks the tenants that nobody else works on, until [`Owner::unlock_tenants`] or the end of this connection, and reads how far they
    /// are. Who is in neither list of the answer is destroyed or unknown.
    ///
    /// # Errors
    /// What PostgreSQL refused; then nothing is locked.
    pub async fn lock_tenants(&self, tenants: &[TenantId]) -> Result<Locked, OwnerError> {
        let lock = "select id from unnest($1::uuid[]) as id
             where pg_try_advisory_lock(hashtextextended($2 || 't_' || replace(id::text, '-', ''), 0))";
        let locked = self.client.query(lock, &[&tenants, &LOCK]).await?;
        let locked: Vec<TenantId> = locked.iter().map(|row| row.get(0)).collect();
        match self.members(&locked).await {
            Ok(members) => {
                let read: HashSet<TenantId> = members.iter().map(|member| member.tenant_id).collect();
                let busy = tenants.iter().filter(|tenant| !locked.contains(tenant)).copied().collect();
                let gone: Vec<TenantId> = locked.into_iter().filter(|tenant| !read.contains(tenant)).collect();
                self.unlock_tenants(&gone).await?;
                Ok(Locked { members, busy })
            }
            Err(error) => {
                self.unlock_tenants(&locked).await?;
                Err(error)
            }
        }
    }

    /// Lets go of tenants that [`Owner::lock_tenants`] locked.
    ///
    /// # Errors
    /// What PostgreSQL refused; the locks end with this connection anyhow.
    pub async fn unlock_tenants(&self, tenants: &[TenantId]) -> Result<(), OwnerError> {
        if !tenants.is_empty() {
            let unlock = "select pg_advisory_unlock(hashtextextended($2 || 't_' || replace(id::text, '-', ''), 0))
                 from unnest($1::uuid[]) as id";
            self.client.query(unlock, &[&tenants, &LOCK]).await?;
        }
        Ok(())
    }

    /// How far locked tenants are. A second query reads all histories at once.
    async fn members(&self, tenants: &[TenantId]) -> Result<Vec<Member>, OwnerError> {
        let rows = self
            .client
            .query(
                "select t.tenant_id, t.schema_version, t.concurrent_version, n.oid is not null as has_schema,
                        exists (select from pg_class c
                                where c.relnamespace = n.oid and c.relname = 'refinery_schema_history') as has_history
                 from platform.tenants t
                 left join pg_namespace n on n.nspname = 't_' || replace(t.tenant_id::text, '-', '')
                 where t.tenant_id = any ($1) and t.status <> 'destroyed'",
                &[&tenants],
            )
            .await?;
        let mut members = Vec::with_capacity(rows.len());
        let mut histories = String::new();
        for row in &rows {
            let tenant_id: TenantId = row.get("tenant_id");
            if row.get("has_history") {
                let union = if histories.is_empty() { "" } else { "union all " };
                let schema = schema_name(tenant_id);
                let n = members.len();
                let _ = writeln!(
                    histories,
                    "{union}select {n}, version, name, applied_on, checksum from {schema}.refinery_schema_history"
                );
            }
            members.push(Member {
                tenant_id,
                schema_version: row.get("schema_version"),
                concurrent_version: row.get("concurrent_version"),
                has_schema: row.get("has_schema"),
                applied: Vec::new(),
            });
        }
        if !histories.is_empty() {
            for row in self.client.query_typed(&format!("{histories} order by 1, 2"), &[]).await? {
                let n: i32 = row.get(0);
                if let Some(member) = usize::try_from(n).ok().and_then(|n| members.get_mut(n)) {
                    member.applied.push(Applied::of(&row));
                }
            }
        }
        Ok(members)
    }

    /// Brings the schema of a locked tenant to the set's newest version: one round trip, one transaction. The commit does not wait for the
    /// disk: what a crash takes away, it takes away together with `schema_version`, and the next run does it again.
    ///
    /// # Errors
    /// [`OwnerError::Divergent`], [`OwnerError::Missing`] or [`OwnerError::History`] by refinery's judgement; [`OwnerError::NoSchema`];
    /// [`OwnerError::Migration`] when PostgreSQL refuses. Nothing was changed then.
    pub async fn migrate_tenant(&self, set: &TenantMigrations, tenant: &Member) -> Result<Outcome, OwnerError> {
        let schema = schema_name(tenant.tenant_id);
        let plan = plan(set.migrations(), &schema, &tenant.applied).await?;
        if plan.versions.is_empty() && tenant.schema_version == set.newest() {
            return Ok(Outcome::Current);
        }
        if !tenant.has_schema {
            return Err(OwnerError::NoSchema(schema));
        }
        let newest = set.newest();
        let id = tenant.tenant_id;
        let batch = format!(
            "begin; set local synchronous_commit = off; set local search_path = {schema};
             {}
             update platform.tenants set schema_version = {newest}, migrated_at = now(), migration_error = null, changed_at = now()
             where tenant_id = '{id}';
             commit",
            plan.sql
        );
        self.run(&schema, &batch).await?;
        Ok(if plan.versions.is_empty() { Outcome::Current } else { Outcome::Migrated(plan.versions) })
    }

    /// Waits until everything that was committed before is on the disk.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn flush(&self) -> Result<(), OwnerError> {
        // A commit that waits for the disk waits for all those before it.
        let commit = "begin; set local synchronous_commit = on; select pg_logical_emit_message(true, 'plumbline', 'flush'); commit";
        Ok(self.client.batch_execute(commit).await?)
    }

    /// Runs one concurrent step in a locked tenant's schema. Indexes that a crash left half-built are dropped first.
    ///
    /// # Errors
    /// [`OwnerError::Migration`] when PostgreSQL refuses; the steps before it are recorded.
    pub async fn run_concurrent_step(&self, tenant: TenantId, step: Step<'_>) -> Result<(), OwnerError> {
        let schema = schema_name(tenant);
        let refused = |error: tokio_postgres::Error| OwnerError::Migration {
            schema: schema.clone(),
            version: None,
            reason: format!("the concurrent step V{}__{}: {}", step.version, step.name, said(&error)),
            temporary: error.code().is_none_or(passes),
        };
        let invalid = "select format('drop index concurrently if exists %I.%I', n.nspname, c.relname) as statement
             from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = $1 and not i.indisvalid";
        for row in self.client.query(invalid, &[&schema]).await.map_err(refused)? {
            self.client.batch_execute(row.get("statement")).await.map_err(refused)?;
        }
        self.client.batch_execute(&format!("set search_path = {schema}")).await.map_err(refused)?;
        let done = self.client.batch_execute(step.sql).await.map_err(refused);
        self.client.batch_execute("reset search_path").await.map_err(refused)?;
        done?;
        let record = "update platform.tenants
             set concurrent_version = $2, migrated_at = now(), migration_error = null, changed_at = now() where tenant_id = $1";
        self.client.execute(record, &[&tenant, &step.version]).await.map_err(refused)?;
        Ok(())
    }

    /// The tenant's schema, whole and at the newest version, or none at all. One that is there already is brought to the newest version.
    ///
    /// # Errors
    /// [`OwnerError::Migration`] when a statement is refused; [`OwnerError::Locked`] while somebody else works on the tenant.
    pub async fn create_schema(&mut self, tenant: TenantId) -> Result<(), OwnerError> {
        self.create_schema_of(tenant, Baseline::embedded(), TenantMigrations::embedded()).await
    }

    /// [`Owner::create_schema`] with another baseline and other migrations than this build's.
    ///
    /// # Errors
    /// As [`Owner::create_schema`].
    pub async fn create_schema_of(
        &mut self,
        tenant: TenantId,
        baseline: &Baseline,
        set: &TenantMigrations,
    ) -> Result<(), OwnerError> {
        let schema = schema_name(tenant);
        let Baseline { version, concurrent_version, sql } = baseline;
        let batch = format!(
            "begin; set local lock_timeout = '10s';
             select pg_advisory_xact_lock(hashtextextended('{LOCK}{schema}', 0));
             do $known$ begin
                 if not exists (select from platform.tenants where tenant_id = '{tenant}' and status <> 'destroyed') then
                     raise no_data_found using message = 'there is no such tenant';
                 end if;
             end $known$;
             create schema {schema};
             grant usage on schema {schema} to plumbline_member, plumbline_agent, plumbline_directory;
             set local search_path = {schema};
             {sql}
             update platform.tenants set schema_version = {version}, concurrent_version = {concurrent_version}, migrated_at = now(),
                 migration_error = null, changed_at = now()
             where tenant_id = '{tenant}';
             commit"
        );
        match self.run(&schema, &batch).await {
            Ok(()) if *version == set.newest() && *concurrent_version == set.newest_concurrent() => return Ok(()),
            Ok(()) => {}
            Err(error) if !self.has_schema(&schema).await? => return Err(error),
            Err(_) => {} // it is there: made before, or begun by an older version
        }
        let locked = self.lock_tenants(&[tenant]).await?;
        let member = locked.members.first().ok_or(OwnerError::Locked(schema))?;
        let done = self.finish_schema(set, member).await;
        self.unlock_tenants(&[tenant]).await?;
        done
    }

    async fn finish_schema(&self, set: &TenantMigrations, member: &Member) -> Result<(), OwnerError> {
        let schema = schema_name(member.tenant_id);
        let grant = format!("grant usage on schema {schema} to plumbline_member, plumbline_agent, plumbline_directory");
        self.client.batch_execute(&grant).await?;
        self.migrate_tenant(set, member).await?;
        for step in set.concurrent_after(member.concurrent_version) {
            self.run_concurrent_step(member.tenant_id, step).await?;
        }
        Ok(())
    }

    async fn has_schema(&self, schema: &str) -> Result<bool, OwnerError> {
        let found = self.client.query_one("select to_regnamespace($1) is not null", &[&schema]).await?;
        Ok(found.get(0))
    }

    /// Sends a transaction as one batch; rolls back and tells which migration it was when one of its statements is refused.
    async fn run(&self, schema: &str, batch: &str) -> Result<(), OwnerError> {
        let mut version = None;
        let sent = async {
            let mut answers = pin!(self.client.simple_query_raw(batch).await?);
            while let Some(answer) = answers.try_next().await? {
                if let SimpleQueryMessage::Row(row) = answer
                    && row.columns().first().is_some_and(|column| column.name() == MARK)
                {
                    version = row.get(0).and_then(|number| number.parse().ok());
                }
            }
            Ok::<(), tokio_postgres::Error>(())
        };
        let Err(error) = sent.await else { return Ok(()) };
        let temporary = error.code().is_none_or(passes);
        let refused = OwnerError::Migration { schema: schema.to_owned(), version, reason: said(&error), temporary };
        if let Err(error) = self.client.batch_execute("rollback").await {
            tracing::debug!(%error, "the rollback failed as well: the connection is gone");
        }
        Err(refused)
    }
}

/// What PostgreSQL said, with its code and without the detail, which may carry values of rows.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refused) => format!("{} ({})", refused.message(), refused.code().code()),
        None => error.to_string(),
    }
}
