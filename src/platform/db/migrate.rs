//! Migrations by refinery: `sql/platform` once, `sql/tenant` in every tenant's schema.

use refinery::{Migration, Report, Runner};
use tokio_postgres::Client;

use super::OwnerError;

mod platform {
    refinery::embed_migrations!("sql/platform");
}

mod tenant {
    refinery::embed_migrations!("sql/tenant");
}

/// The version that `sql/tenant` leads to.
pub fn newest_tenant_version() -> i32 {
    newest(tenant::migrations::runner().get_migrations())
}

fn newest(migrations: &[Migration]) -> i32 {
    migrations.iter().map(Migration::version).max().unwrap_or(0)
}

pub(super) async fn platform(client: &mut Client) -> Result<Report, OwnerError> {
    run(client, "platform", platform::migrations::runner()).await
}

pub(super) async fn tenant(client: &mut Client, schema: &str) -> Result<Report, OwnerError> {
    run(client, schema, tenant::migrations::runner()).await
}

/// refinery has no lock of its own: two servers starting at once would both migrate. The lock is the session's and ends with it.
async fn run(client: &mut Client, schema: &str, runner: Runner) -> Result<Report, OwnerError> {
    client.execute("select pg_advisory_lock(hashtextextended('plumbline.migrate.' || $1, 0))", &[&schema]).await?;
    client.batch_execute(&format!("set search_path = \"{schema}\"")).await?;
    let outcome = runner.set_grouped(true).run_async(client).await;
    client.batch_execute("reset search_path").await?;
    client.execute("select pg_advisory_unlock(hashtextextended('plumbline.migrate.' || $1, 0))", &[&schema]).await?;
    outcome.map_err(|error| OwnerError::Migration { schema: schema.to_owned(), reason: reason(&error) })
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
