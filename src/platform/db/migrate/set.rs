//! The migrations of a tenant's schema, as a value: those of this build, or a test's own.

use std::sync::LazyLock;

use refinery::Migration;

mod transactional {
    refinery::embed_migrations!("sql/tenant");
}

mod concurrent {
    refinery::embed_migrations!("sql/tenant_concurrent");
}

static EMBEDDED: LazyLock<TenantMigrations> = LazyLock::new(|| TenantMigrations {
    migrations: transactional::migrations::runner().get_migrations().clone(),
    concurrent: concurrent::migrations::runner().get_migrations().clone(),
});

/// What a tenant's schema has to see: migrations in transactions, and afterwards steps that no transaction can hold.
#[derive(Clone, Debug)]
pub struct TenantMigrations {
    migrations: Vec<Migration>,
    concurrent: Vec<Migration>,
}

/// One migration or concurrent step, as a dry run shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Its number in its own row of numbers.
    pub version: i32,
    /// The file's name behind the number.
    pub name: &'a str,
    /// The file's text.
    pub sql: &'a str,
}

/// Why a migration is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrationSetError {
    /// The name has another form, or the number is not above those before it.
    #[error("{0:?} is no `V<number>__<name>` with a number above those before it")]
    Name(String),
    /// A step that could not be repeated after a crash.
    #[error("{0:?} is not one `create index concurrently if not exists …` or `drop index concurrently if exists …`")]
    NotConcurrent(String),
}

impl TenantMigrations {
    /// `sql/tenant` and `sql/tenant_concurrent` of this build.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Those up to a version, without concurrent steps.
    pub fn up_to(&self, version: i32) -> Self {
        let migrations = self.migrations.iter().filter(|migration| migration.version() <= version);
        Self { migrations: migrations.cloned().collect(), concurrent: Vec::new() }
    }

    /// With one migration more. `name` is a file's without `.sql`.
    ///
    /// # Errors
    /// [`MigrationSetError::Name`].
    pub fn with(mut self, name: &str, sql: &str) -> Result<Self, MigrationSetError> {
        self.migrations.push(numbered(name, sql, self.newest())?);
        Ok(self)
    }

    /// With one concurrent step more. `name` is a file's without `.sql`.
    ///
    /// # Errors
    /// [`MigrationSetError`].
    pub fn with_concurrent(mut self, name: &str, sql: &str) -> Result<Self, MigrationSetError> {
        if !may_be_repeated(sql) {
            return Err(MigrationSetError::NotConcurrent(name.to_owned()));
        }
        self.concurrent.push(numbered(name, sql, self.newest_concurrent())?);
        Ok(self)
    }

    /// The version that the migrations lead to.
    pub fn newest(&self) -> i32 {
        newest(&self.migrations)
    }

    /// The number of the last concurrent step; 0 when there is none.
    pub fn newest_concurrent(&self) -> i32 {
        newest(&self.concurrent)
    }

    /// The migrations above a version, in their order.
    pub fn steps_after(&self, version: i32) -> impl Iterator<Item = Step<'_>> {
        after(&self.migrations, version)
    }

    /// The concurrent steps above a number, in their order.
    pub fn concurrent_after(&self, version: i32) -> impl Iterator<Item = Step<'_>> {
        after(&self.concurrent, version)
    }

    pub(in crate::platform::db) fn migrations(&self) -> &[Migration] {
        &self.migrations
    }
}

fn newest(migrations: &[Migration]) -> i32 {
    migrations.iter().map(Migration::version).max().unwrap_or(0)
}

pub(super) fn after(migrations: &[Migration], version: i32) -> impl Iterator<Item = Step<'_>> {
    let mut steps: Vec<Step<'_>> = migrations
        .iter()
        .filter(|migration| migration.version() > version)
        .map(|step| Step { version: step.version(), name: step.name(), sql: step.sql().unwrap_or_default() })
        .collect();
    steps.sort_by_key(|step| step.version);
    steps.into_iter()
}

fn numbered(name: &str, sql: &str, newest: i32) -> Result<Migration, MigrationSetError> {
    let refused = || MigrationSetError::Name(name.to_owned());
    let migration = Migration::unapplied(name, sql).map_err(|_| refused())?;
    if migration.version() > newest { Ok(migration) } else { Err(refused()) }
}

/// One statement, without its comments, that does nothing the second time.
fn may_be_repeated(sql: &str) -> bool {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<String> =
        lines.flat_map(str::split_whitespace).map(str::to_lowercase).filter(|word| word != "unique").collect();
    let text = words.join(" ");
    let statement = text.strip_suffix(';').unwrap_or(&text);
    let known = ["create index concurrently if not exists ", "drop index concurrently if exists "];
    known.iter().any(|begin| statement.starts_with(begin)) && !statement.contains(';')
}

/// The script that makes a schema at once what the migrations make it one after the other: `sql/baseline/tenant.sql`.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    /// The migration that it stands for, and all before it.
    pub version: i32,
    /// The concurrent step that it stands for, and all before it.
    pub concurrent_version: i32,
    /// Its statements; the search_path says in which schema.
    pub sql: &'static str,
}

impl Baseline {
    /// The one of this build.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Baseline> = LazyLock::new(|| {
            let sql = include_str!("../../../../sql/baseline/tenant.sql");
            let number = |name| {
                sql.lines().find_map(|line| line.strip_prefix("-- ")?.strip_prefix(name)?.parse().ok()).unwrap_or(0)
            };
            Baseline { version: number("version: "), concurrent_version: number("concurrent version: "), sql }
        });
        &EMBEDDED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise() {
        let set = TenantMigrations::embedded().clone();
        let next = format!("V{}__more", set.newest() + 1);
        assert_eq!(set.clone().with(&next, "select 1").unwrap().newest(), set.newest() + 1);
        for bad in ["V1__again", "more", "V__more", "V99more"] {
            assert!(matches!(set.clone().with(bad, "select 1"), Err(MigrationSetError::Name(_))), "{bad}");
        }
    }

    #[test]
    fn a_concurrent_step_can_be_repeated() {
        for good in [
            "create index concurrently if not exists i on calls (language)",
            "-- why\ncreate unique index\n  CONCURRENTLY if not exists i on calls (language); -- so\n",
            "drop index concurrently if exists i;",
        ] {
            assert!(may_be_repeated(good), "{good}");
        }
        for bad in [
            "create index i on calls (language)",
            "create index concurrently i on calls (language)",
            "create index concurrently if not exists i on calls (language); drop table calls",
            "drop table calls",
            "",
        ] {
            assert!(!may_be_repeated(bad), "{bad}");
        }
    }

    #[test]
    fn the_embedded_steps_keep_the_rules() {
        for step in TenantMigrations::embedded().concurrent_after(0) {
            assert!(may_be_repeated(step.sql), "{}", step.name);
        }
        assert!(Baseline::embedded().version > 0 && Baseline::embedded().version <= newest(&EMBEDDED.migrations));
    }
}
