//! refinery decides, and one batch does. refinery judges what is applied, divergent or missing and says what is to be run; what it talks
//! to here is no connection: the history was read beforehand, for many tenants in one query, and its statements are collected, so that a
//! tenant takes one round trip and one transaction.

use std::{convert::Infallible, fmt::Write as _, mem};

use refinery::{Migration, Runner};
use refinery_core::{
    AsyncMigrate,
    traits::r#async::{AsyncQuery, AsyncTransaction},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_postgres::Row;

use super::{super::OwnerError, refused};

/// A row of `refinery_schema_history`.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its version.
    pub version: i32,
    /// The file's name behind the number.
    pub name: String,
    /// When, as refinery writes it (RFC 3339).
    pub applied_on: String,
    /// refinery's checksum, a number in text.
    pub checksum: String,
}

impl Applied {
    /// Of a row with these four columns at its end. They may be null, and are then unreadable.
    pub(in crate::platform::db) fn of(row: &Row) -> Self {
        let first = row.len() - 4;
        let text = |n: usize| row.get::<_, Option<String>>(first + n).unwrap_or_default();
        Self { version: row.get(first), name: text(1), applied_on: text(2), checksum: text(3) }
    }
}

/// What a tenant needs.
#[derive(Debug)]
pub(in crate::platform::db) struct Plan {
    /// Statements for the search_path of the tenant, to be run in one transaction.
    pub sql: String,
    /// The versions that it brings, in their order.
    pub versions: Vec<i32>,
}

/// The column that tells, in the answer to a batch, which migration was begun.
pub(in crate::platform::db) const MARK: &str = "plumbline_migration";

/// What is missing in a schema with this history.
///
/// # Errors
/// [`OwnerError::Divergent`], [`OwnerError::Missing`], [`OwnerError::History`].
pub(in crate::platform::db) async fn plan(
    migrations: &[Migration],
    schema: &str,
    applied: &[Applied],
) -> Result<Plan, OwnerError> {
    let mut collected = Collected { applied: history(schema, applied)?, statements: Vec::new() };
    let runner = Runner::new(migrations).set_grouped(true);
    let report = runner.run_async(&mut collected).await.map_err(|error| refused(schema, &error))?;
    let versions: Vec<i32> = report.applied_migrations().iter().map(Migration::version).collect();
    Ok(Plan { sql: collected.text(&versions), versions })
}

/// refinery's own rows, read as it reads them.
fn history(schema: &str, applied: &[Applied]) -> Result<Vec<Migration>, OwnerError> {
    let unreadable = |version| OwnerError::History { schema: schema.to_owned(), version };
    applied
        .iter()
        .map(|row| {
            let applied_on = OffsetDateTime::parse(&row.applied_on, &Rfc3339).map_err(|_| unreadable(row.version))?;
            let checksum = row.checksum.parse().map_err(|_| unreadable(row.version))?;
            Ok(Migration::applied(row.version, row.name.clone(), applied_on, checksum))
        })
        .collect()
}

/// What refinery takes for a connection.
struct Collected {
    applied: Vec<Migration>,
    statements: Vec<String>,
}

impl Collected {
    /// The statements in their order, with a mark before each migration. refinery asks for its table first, then for each migration's text
    /// and its row.
    fn text(&self, versions: &[i32]) -> String {
        let mut text = String::new();
        let (table, pairs) = self.statements.split_at(self.statements.len().min(1));
        for statement in table {
            text.push_str(statement);
            text.push('\n');
        }
        for (pair, version) in pairs.chunks(2).zip(versions) {
            let _ = writeln!(text, "select {version} as {MARK};");
            for statement in pair {
                text.push_str(statement);
                text.push_str("\n;\n"); // the file may end in a comment
            }
        }
        text
    }
}

impl AsyncTransaction for Collected {
    type Error = Infallible;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Infallible> {
        let before = self.statements.len();
        self.statements.extend(queries.map(str::to_owned));
        Ok(self.statements.len() - before)
    }
}

impl AsyncQuery<Vec<Migration>> for Collected {
    async fn query(&mut self, _: &str) -> Result<Vec<Migration>, Infallible> {
        Ok(mem::take(&mut self.applied))
    }
}

impl AsyncMigrate for Collected {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::db::TenantMigrations;

    fn row(migration: &Migration) -> Applied {
        Applied {
            version: migration.version(),
            name: migration.name().to_owned(),
            applied_on: "2026-11-23T15:00:00Z".to_owned(),
            checksum: migration.checksum().to_string(),
        }
    }

    fn set() -> TenantMigrations {
        let next = TenantMigrations::embedded().newest() + 1;
        TenantMigrations::embedded()
            .clone()
            .with(&format!("V{next}__more"), "alter table calls add x int -- so")
            .unwrap()
    }

    #[tokio::test]
    async fn only_what_is_missing_is_planned() {
        let set = set();
        let newest = set.newest();
        let whole: Vec<Applied> = set.migrations().iter().map(row).collect();
        let nothing = plan(set.migrations(), "t_1", &whole).await.unwrap();
        assert!(nothing.versions.is_empty() && !nothing.sql.contains("alter table"), "{nothing:?}");
        let last = plan(set.migrations(), "t_1", &whole[..whole.len() - 1]).await.unwrap();
        assert_eq!(last.versions, [newest]);
        let marked = format!(
            "select {newest} as {MARK};\nalter table calls add x int -- so\n;\nINSERT INTO refinery_schema_history"
        );
        assert!(last.sql.contains(&marked), "{}", last.sql);
        let all = plan(set.migrations(), "t_1", &[]).await.unwrap();
        assert_eq!(all.versions.len(), whole.len());
        assert!(all.sql.starts_with("CREATE TABLE IF NOT EXISTS refinery_schema_history"), "{}", all.sql);
    }

    #[tokio::test]
    async fn refinery_judges_the_history() {
        let set = set();
        let whole: Vec<Applied> = set.migrations().iter().map(row).collect();
        let judged = |applied: Vec<Applied>| {
            let set = &set;
            async move { plan(set.migrations(), "t_1", &applied).await.map(|plan| plan.versions).unwrap_err().to_string() }
        };
        let mut other = whole.clone();
        other[0].checksum = "7".to_owned();
        assert!(judged(other).await.contains("V1 of t_1 is another one than was applied"));
        assert!(judged(whole[1..].to_vec()).await.contains("V1 of t_1"));
        let newer = Applied { version: set.newest() + 1, ..whole[0].clone() };
        let missing = judged([whole.clone(), vec![newer]].concat()).await;
        assert!(missing.contains(&format!("V{}", set.newest() + 1)), "{missing}");
        let mut unreadable = whole;
        unreadable[1].applied_on = "yesterday".to_owned();
        assert!(judged(unreadable).await.contains("cannot be read"));
    }
}
