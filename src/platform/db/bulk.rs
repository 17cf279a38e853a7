//! Whole tenants as rows: the owner's connection for archives and clones, which copies tables out of one schema and into another. Requests
//! and jobs never come here.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use refinery::Target;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Config, CopyInSink, Row};

use super::{
    connect::single,
    error::{passes, state},
    owner::OwnerError,
    transaction::Params,
};

mod tenant {
    refinery::embed_migrations!("sql/tenant");
}

/// Rows look the same whatever the server's settings are. A name without a schema is an error.
const SESSION: &str =
    "set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set client_encoding = 'UTF8';
     set bytea_output = 'hex'; set extra_float_digits = 1; set lock_timeout = '30s'; set search_path = pg_catalog";

/// What can go wrong while tables are copied.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// There is no connection.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// PostgreSQL refused a statement, or the connection broke. What is shown holds no value of a row.
    #[error("PostgreSQL: {}", state(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The schema could not be made.
    #[error("the schema at version {version} could not be made: {reason}")]
    Schema {
        /// Which version.
        version: i32,
        /// What refinery said.
        reason: String,
    },
}

impl BulkError {
    /// Whether trying again later may help: a broken connection, a full disk, a server that starts.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Owner(OwnerError::Postgres(error)) | Self::Postgres(error) => error.code().is_none_or(passes),
            Self::Owner(_) | Self::Schema { .. } => false,
        }
    }

    /// Whether PostgreSQL refused the rows themselves: a value of another type, a broken rule, a missing reference.
    pub fn is_about_rows(&self) -> bool {
        const CLASSES: [&str; 3] = ["21", "22", "23"]; // cardinality, data, integrity
        matches!(self, Self::Postgres(error) if error.code().is_some_and(|code| CLASSES.iter().any(|class| code.code().starts_with(class))))
    }

    /// The violated unique constraint, if that is what happened.
    pub fn unique_violation(&self) -> Option<&str> {
        let Self::Postgres(error) = self else { return None };
        let error = error.as_db_error()?;
        (error.code().code() == "23505").then(|| error.constraint().unwrap_or(""))
    }
}

/// A table of a tenant's schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// The columns that its rows are ordered by: those of its primary key.
    pub key: Vec<String>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as PostgreSQL writes it.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Table {
    /// The columns, quoted, for a statement.
    pub fn column_list(&self) -> String {
        self.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// The order of the rows, the same on every server: texts by their bytes.
    fn order(&self) -> String {
        let key = self.key.iter().map(|name| {
            let text = self.columns.iter().any(|column| column.name == *name && column.kind == "text");
            if text { format!("{} collate \"C\"", quoted(name)) } else { quoted(name) }
        });
        key.collect::<Vec<_>>().join(", ")
    }

    /// The query that gives all rows of the table in their order.
    pub fn select(&self, schema: &str) -> String {
        self.select_with(schema, |column| quoted(&column.name))
    }

    /// The same with an expression of one's own for each column.
    pub fn select_with(&self, schema: &str, expression: impl Fn(&Column) -> String) -> String {
        let columns = self.columns.iter().map(expression).collect::<Vec<_>>().join(", ");
        format!("select {columns} from {schema}.{} order by {}", quoted(&self.name), self.order())
    }
}

/// An identifier for a statement.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The owner's connection for whole tenants. Dropped in the middle of a transaction, it leaves nothing behind.
pub struct Bulk {
    client: Client,
}

impl Bulk {
    /// # Errors
    /// [`BulkError`] when PostgreSQL cannot be reached.
    pub async fn connect(config: &Config) -> Result<Self, BulkError> {
        let client = single(config).await?;
        client.batch_execute(SESSION).await?;
        Ok(Self { client })
    }

    /// Statements that give nothing back.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn batch(&self, statements: &str) -> Result<(), BulkError> {
        Ok(self.client.batch_execute(statements).await?)
    }

    /// How many rows a statement changed.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn execute(&self, statement: &str, params: Params<'_>) -> Result<u64, BulkError> {
        Ok(self.client.execute(statement, params).await?)
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn rows(&self, query: &str, params: Params<'_>) -> Result<Vec<Row>, BulkError> {
        Ok(self.client.query(query, params).await?)
    }

    /// The number that a query gives.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn count(&self, query: &str, params: Params<'_>) -> Result<i64, BulkError> {
        Ok(self.client.query_one(query, params).await?.try_get(0)?)
    }

    /// The rows of a query in PostgreSQL's text format, as they come.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn copy_out(
        &self,
        query: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, BulkError>> + Send + use<>, BulkError> {
        Ok(self.client.copy_out(&format!("copy ({query}) to stdout")).await?.map_err(BulkError::from).boxed())
    }

    /// Takes rows in PostgreSQL's text format: `into` is a table and its columns.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn copy_in(&self, into: &str) -> Result<CopyInSink<Bytes>, BulkError> {
        Ok(self.client.copy_in(&format!("copy {into} from stdin")).await?)
    }

    /// The tables of a tenant's schema as the catalog has them, each after those that it refers to; refinery's own history is none of them.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn tables(&self, schema: &str) -> Result<Vec<Table>, BulkError> {
        let found = self
            .client
            .query(
                "select c.relname::text as name,
                        array_agg(a.attname::text order by a.attnum) as columns,
                        array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum) as kinds,
                        (select array_agg(k.attname::text order by x.n)
                         from pg_index i
                         cross join unnest(i.indkey::int2[]) with ordinality as x(attnum, n)
                         join pg_attribute k on k.attrelid = c.oid and k.attnum = x.attnum
                         where i.indrelid = c.oid and i.indisprimary) as key,
                        (select array_agg(distinct r.relname::text)
                         from pg_constraint o join pg_class r on r.oid = o.confrelid
                         where o.conrelid = c.oid and o.contype = 'f' and o.confrelid <> c.oid) as refers_to
                 from pg_class c join pg_attribute a on a.attrelid = c.oid
                 where c.relnamespace = to_regnamespace($1) and c.relkind in ('r', 'p') and not c.relispartition
                   and c.relname <> 'refinery_schema_history'
                   and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                 group by c.oid, c.relname
                 order by c.relname",
                &[&schema],
            )
            .await?;
        let (mut tables, mut refers) = (Vec::new(), BTreeMap::new());
        for row in &found {
            let (name, columns): (String, Vec<String>) = (row.try_get("name")?, row.try_get("columns")?);
            let kinds: Vec<String> = row.try_get("kinds")?;
            let columns: Vec<Column> =
                columns.into_iter().zip(kinds).map(|(name, kind)| Column { name, kind }).collect();
            let key: Option<Vec<String>> = row.try_get("key")?;
            let key = key.unwrap_or_else(|| columns.iter().map(|column| column.name.clone()).collect());
            let to: Option<Vec<String>> = row.try_get("refers_to")?;
            refers.insert(name.clone(), to.unwrap_or_default());
            tables.push(Table { name, columns, key });
        }
        Ok(in_order(tables, &refers))
    }

    /// An empty schema for a tenant, with the tables of one version and the scope roles' leave to enter. What was there goes.
    ///
    /// # Errors
    /// [`BulkError`].
    pub async fn create_schema(&mut self, schema: &str, version: i32) -> Result<(), BulkError> {
        self.drop_schema(schema).await?;
        self.batch(&format!(
            "create schema {schema};
             grant usage on schema {schema} to plumbline_member, plumbline_agent, plumbline_directory;
             set search_path = {schema}"
        ))
        .await?;
        let runner = tenant::migrations::runner().set_grouped(true).set_target(Target::Version(version));
        let outcome = runner.run_async(&mut self.client).await;
        self.batch("set search_path = pg_catalog").await?;
        outcome.map_err(|error| BulkError::Schema { version, reason: error.to_string() })?;
        Ok(())
    }

    /// Removes a schema and all in it, a table at a time, because each takes room in the lock table.
    ///
    /// # Errors
    /// [`BulkError::Postgres`].
    pub async fn drop_schema(&self, schema: &str) -> Result<(), BulkError> {
        let tables = self
            .rows(
                "select relname::text as name from pg_class where relnamespace = to_regnamespace($1) and relkind in ('r', 'p')",
                &[&schema],
            )
            .await?;
        for row in &tables {
            let name: String = row.try_get("name")?;
            self.batch(&format!("drop table if exists {schema}.{} cascade", quoted(&name))).await?;
        }
        self.batch(&format!("drop schema if exists {schema} cascade")).await
    }
}

/// Tables after those that they refer to; otherwise by name.
fn in_order(tables: Vec<Table>, refers: &BTreeMap<String, Vec<String>>) -> Vec<Table> {
    let (mut left, mut ordered, mut done) = (tables, Vec::new(), BTreeSet::new());
    while !left.is_empty() {
        let ready = |table: &Table| refers[&table.name].iter().all(|to| done.contains(to) || !refers.contains_key(to));
        // A circle between tables cannot be put in order; it shows when the rows are copied in.
        let next = left.iter().position(ready).unwrap_or(0);
        let table = left.remove(next);
        done.insert(table.name.clone());
        ordered.push(table);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        let column = |name: &str, kind: &str| Column { name: name.to_owned(), kind: kind.to_owned() };
        Table {
            name: name.to_owned(),
            columns: vec![column("id", "uuid"), column("say \"so\"", "text")],
            key: vec!["id".to_owned(), "say \"so\"".to_owned()],
        }
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let refers = [("a", vec!["c"]), ("b", vec![]), ("c", vec!["b", "elsewhere"])];
        let refers: BTreeMap<String, Vec<String>> = refers
            .into_iter()
            .map(|(name, to)| (name.to_owned(), to.into_iter().map(str::to_owned).collect()))
            .collect();
        let ordered = in_order(vec![table("a"), table("b"), table("c")], &refers);
        assert_eq!(ordered.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["b", "c", "a"]);
    }

    #[test]
    fn rows_have_one_order_and_names_are_quoted() {
        assert_eq!(
            table("calls").select("t_1"),
            r#"select "id", "say ""so""" from t_1."calls" order by "id", "say ""so""" collate "C""#
        );
    }
}
