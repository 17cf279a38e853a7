//! The end of a tenant's schema: counted, and dropped a few tables at a time, because one DROP SCHEMA locks everything that it drops at once
//! and fills the server's lock table.

use tokio_postgres::Row;

use super::{Owner, OwnerError, query::schema_name, wave::LOCK};
use crate::foundation::ids::TenantId;

/// How long a drop waits for whoever reads the table.
const LOCK_TIMEOUT: &str = "2s";

/// One table of a tenant's schema, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedTable {
    /// Its name.
    pub name: String,
    /// Its rows, exactly.
    pub rows: i64,
    /// What it and its indexes take on the disk.
    pub bytes: i64,
}

impl Owner {
    /// Every table of a tenant's schema with its exact number of rows, by name; nothing when there is no schema.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn count_tables(&self, tenant: TenantId) -> Result<Vec<CountedTable>, OwnerError> {
        let mut counted = vec![];
        for row in self.tables(tenant, i64::MAX).await? {
            let count = format!("select count(*) as rows from {}", row.get::<_, &str>("quoted"));
            counted.push(CountedTable {
                name: row.get("name"),
                rows: self.client.query_one(&count, &[]).await?.get("rows"),
                bytes: row.get("bytes"),
            });
        }
        Ok(counted)
    }

    /// Drops up to `at_most` tables of a tenant's schema in one transaction; returns how many. None are left when it returns 0.
    ///
    /// # Errors
    /// What PostgreSQL refused; temporary when somebody still reads a table or works on the schema.
    pub async fn drop_tables(&self, tenant: TenantId, at_most: u16) -> Result<usize, OwnerError> {
        let tables = self.tables(tenant, i64::from(at_most)).await?;
        if tables.is_empty() {
            return Ok(0);
        }
        let names: Vec<&str> = tables.iter().map(|row| row.get("quoted")).collect();
        self.locked(tenant, &format!("drop table if exists {} cascade", names.join(", "))).await?;
        Ok(tables.len())
    }

    /// Drops a tenant's schema with what is left in it, which should be no table; nothing when there is none.
    ///
    /// # Errors
    /// As [`Owner::drop_tables`].
    pub async fn drop_schema(&self, tenant: TenantId) -> Result<(), OwnerError> {
        self.locked(tenant, &format!("drop schema if exists {} cascade", schema_name(tenant))).await
    }

    /// Whether the catalog knows a tenant's schema.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn has_schema_of(&self, tenant: TenantId) -> Result<bool, OwnerError> {
        let found = "select exists (select from pg_namespace where nspname = $1)";
        Ok(self.client.query_one(found, &[&schema_name(tenant)]).await?.get(0))
    }

    /// The scope roles that may look into a tenant's schema, by name.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn scope_roles_of(&self, tenant: TenantId) -> Result<Vec<String>, OwnerError> {
        let rows = self
            .client
            .query(
                "select r.rolname::text from pg_roles r join pg_namespace n on n.nspname = $1
                 where r.rolname like 'plumbline\\_%' and not r.rolcanlogin and has_schema_privilege(r.oid, n.oid, 'usage')
                 order by 1",
                &[&schema_name(tenant)],
            )
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Takes back the row of a tenant that never came to be. `false` when it is none that is being made.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn delete_unmade(&self, tenant: TenantId) -> Result<bool, OwnerError> {
        let statement = "delete from platform.tenants where tenant_id = $1 and status = 'provisioning'";
        Ok(self.client.execute(statement, &[&tenant]).await? == 1)
    }

    async fn tables(&self, tenant: TenantId, at_most: i64) -> Result<Vec<Row>, OwnerError> {
        let tables = "select c.relname::text as name, format('%I.%I', n.nspname, c.relname) as quoted, pg_total_relation_size(c.oid) as bytes
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition
             order by c.relname limit $2";
        Ok(self.client.query(tables, &[&schema_name(tenant), &at_most]).await?)
    }

    /// One statement in a transaction of its own, alone on the tenant, and not waiting long for anybody.
    async fn locked(&self, tenant: TenantId, statement: &str) -> Result<(), OwnerError> {
        let batch = format!(
            "begin; set local lock_timeout = '{LOCK_TIMEOUT}';
             select pg_advisory_xact_lock(hashtextextended('{LOCK}{}', 0));
             {statement};
             commit",
            schema_name(tenant)
        );
        let done = self.client.batch_execute(&batch).await;
        if done.is_err()
            && let Err(error) = self.client.batch_execute("rollback").await
        {
            tracing::debug!(%error, "the rollback failed as well: the connection is gone");
        }
        Ok(done?)
    }
}
