//! Migrations by refinery: `sql/platform` once, `sql/tenant` in every tenant's schema.

mod batch;
mod set;

use std::sync::LazyLock;

use refinery::{Migration, Runner};
use refinery_core::error::Kind;
use tokio_postgres::Client;

pub(super) use self::batch::{MARK, plan};
pub use self::{
    batch::Applied,
    set::{Baseline, MigrationSetError, Step, TenantMigrations},
};
use super::OwnerError;

mod platform {
    refinery::embed_migrations!("sql/platform");
}

/// The version that `sql/tenant` leads to.
pub fn newest_tenant_version() -> i32 {
    TenantMigrations::embedded().newest()
}

/// Brings the platform's schema to the newest version; returns how many migrations that took. refinery has no lock of its own: two
/// servers starting at once would both migrate. The lock is the session's and ends with it.
pub(super) async fn platform(client: &mut Client) -> Result<usize, OwnerError> {
    client.execute("select pg_advisory_lock(hashtextextended('plumbline.migrate.platform', 0))", &[]).await?;
    client.batch_execute("set search_path = platform").await?;
    let runner: Runner = platform::migrations::runner();
    let outcome = runner.set_grouped(true).run_async(client).await;
    client.batch_execute("reset search_path").await?;
    client.execute("select pg_advisory_unlock(hashtextextended('plumbline.migrate.platform', 0))", &[]).await?;
    match outcome {
        Ok(report) => Ok(report.applied_migrations().len()),
        Err(error) => Err(refused("platform", &error)),
    }
}

/// The platform's migrations that are not applied yet.
pub(super) async fn pending_of_platform(client: &Client) -> Result<Vec<Step<'static>>, OwnerError> {
    static ALL: LazyLock<Vec<Migration>> = LazyLock::new(|| platform::migrations::runner().get_migrations().clone());
    let known = client.query_one("select to_regclass('platform.refinery_schema_history') is not null", &[]).await?;
    let mut applied = Vec::new();
    if known.get(0) {
        let history =
            "select version, name, applied_on, checksum from platform.refinery_schema_history order by version";
        applied.extend(client.query(history, &[]).await?.iter().map(Applied::of));
    }
    let plan = plan(&ALL, "platform", &applied).await?;
    Ok(set::after(&ALL, 0).filter(|step| plan.versions.contains(&step.version)).collect())
}

/// What refinery found wrong, by its kind.
fn refused(schema: &str, error: &refinery::Error) -> OwnerError {
    let schema = schema.to_owned();
    match error.kind() {
        Kind::DivergentVersion(applied, _) => OwnerError::Divergent { schema, version: applied.version() },
        Kind::MissingVersion(missing) => {
            OwnerError::Missing { schema, version: missing.version(), applied: missing.applied_on().is_some() }
        }
        _ => OwnerError::Migration { schema, version: None, reason: reason(error), temporary: false },
    }
}

/// refinery keeps PostgreSQL's message in the source of the source.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
