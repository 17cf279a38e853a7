//! The walls tried: reads and writes that must come to nothing, under an organization that was invented a moment ago.

use serde_json::{Map, Value, json};

use super::Check;
use crate::{
    foundation::{
        access::{Grant, Permission},
        ids::{OrganizationId, TenantId, UserId},
    },
    platform::{
        db::{Db, DbError, Statements, TenantTx},
        tenancy::Tenant,
    },
    sql,
};

/// Why a probe's transaction ended: always so that it is rolled back.
enum Ended {
    Refused(DbError),
    /// PostgreSQL took what it should have refused.
    Taken,
}

impl From<DbError> for Ended {
    fn from(error: DbError) -> Self {
        Self::Refused(error)
    }
}

/// Probes of one tenant.
pub(super) struct Probes<'a> {
    db: &'a Db,
    root: OrganizationId,
    invented: OrganizationId,
    grant: Grant,
}

impl<'a> Probes<'a> {
    pub(super) fn new(db: &'a Db, tenant: &Tenant) -> Self {
        let invented = OrganizationId::new();
        #[allow(
            clippy::disallowed_methods,
            reason = "leave for an organization that does not exist is leave for nothing"
        )]
        let grant = Grant::system(tenant.tenant_id, invented, invented, "isolation-report", Permission::ReadTenant);
        Self { db, root: tenant.root_organization_id, invented, grant }
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.grant.tenant()
    }

    /// Reads under the invented organization, past which the catalogs alone are seen.
    pub(super) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&TenantTx<'_>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.db.tenant(&self.grant, "isolation.read", work).await
    }

    pub(super) async fn checks(&self) -> Result<Vec<Check>, DbError> {
        let read = "Are rows seen in any table by somebody of another organization, even when a query names none?";
        let context = "Is a query refused that runs without a context?";
        let write = "Is a row refused that another's context writes?";
        Ok(vec![
            Check::seen("foreign_read", read, self.foreign_read(read).await)?,
            Check::seen("missing_context", context, self.missing_context(context).await)?,
            Check::seen("foreign_write", write, self.foreign_write(write).await)?,
        ])
    }

    async fn foreign_read(&self, asked: &str) -> Result<Check, DbError> {
        let rows = self.read(async |tx| tx.all(sql!("isolation/visible"), &[]).await).await?;
        let (mut faults, mut evidence) = (vec![], Map::new());
        for row in &rows {
            let (table, visible): (&str, bool) = (row.try_get("table_name")?, row.try_get("visible")?);
            if visible {
                faults.push(format!("rows of {table} are seen"));
            }
            evidence.insert(table.to_owned(), json!({ "rows_seen": visible }));
        }
        let right = format!("no row of {} tables is", rows.len());
        Ok(Check::of("foreign_read", asked, &faults, right, Value::Object(evidence)))
    }

    async fn missing_context(&self, asked: &str) -> Result<Check, DbError> {
        let outcome = self.db.without_context(self.tenant(), sql!("isolation/without_context")).await;
        let (faults, evidence) = match outcome {
            Ok(_) => (vec!["it is answered".to_owned()], json!({ "refused": false })),
            Err(error) if error.sqlstate().is_some() && !error.is_temporary() => {
                (vec![], json!({ "refused": true, "sqlstate": error.sqlstate() }))
            }
            Err(error) => return Err(error),
        };
        Ok(Check::of("missing_context", asked, &faults, "PostgreSQL refuses it", evidence))
    }

    /// A row of the invented organization, which is none of the schema's; and one of the tenant's root, which is not the context's.
    async fn foreign_write(&self, asked: &str) -> Result<Check, DbError> {
        let (mut faults, mut evidence) = (vec![], Map::new());
        let tries = [
            ("row_of_an_unknown_organization", self.invented, "23503"), // the foreign key
            ("row_of_an_organization_outside_of_the_context", self.root, "42501"), // the policy
        ];
        for (name, organization, expected) in tries {
            let outcome = self
                .db
                .tenant(&self.grant, "isolation.write", async |tx| {
                    tx.execute(sql!("isolation/write_foreign"), &[&UserId::new(), &organization]).await?;
                    Err::<(), Ended>(Ended::Taken)
                })
                .await;
            let sqlstate = match outcome {
                Err(Ended::Refused(error)) if error.is_temporary() => return Err(error),
                Err(Ended::Refused(error)) => error.sqlstate().map(str::to_owned),
                Ok(()) | Err(Ended::Taken) => None,
            };
            if sqlstate.as_deref() != Some(expected) {
                faults.push(format!("{name} is not refused as it should be"));
            }
            evidence.insert(name.to_owned(), json!({ "refused": sqlstate.is_some(), "sqlstate": sqlstate }));
        }
        Ok(Check::of(
            "foreign_write",
            asked,
            &faults,
            "the foreign key refuses the one, the policy the other",
            evidence.into(),
        ))
    }
}
