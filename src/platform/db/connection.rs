//! One connection, and the statements that it knows.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use futures_util::TryStreamExt;
use lru::LruCache;
use tokio::task::AbortHandle;
use tokio_postgres::{
    Client, Error, Row, Statement,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{query::Query, transaction::Params};
use crate::foundation::ids::TenantId;

/// A statement as one connection knows it: PostgreSQL plans row security for the role that prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) query: Query,
    pub(super) tenant: Option<TenantId>,
    pub(super) role: &'static str,
}

/// Parameter types by query, learned when the first connection prepares it. They are the same in every tenant's schema, so a statement whose
/// types are known needs no answer before its parameters can be sent.
#[derive(Default)]
pub(super) struct Types(RwLock<HashMap<Query, Arc<[Type]>>>);

impl Types {
    fn of(&self, query: Query) -> Option<Arc<[Type]>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&query).cloned()
    }

    fn learn(&self, query: Query, types: &[Type]) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(query, types.into());
    }

    fn forget(&self, query: Query) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&query);
    }
}

/// How a statement goes to PostgreSQL.
pub(super) enum Way {
    /// By the name under which this connection prepared it.
    Prepared(Statement),
    /// As text with its parameters; with `keep`, it is prepared behind that, for the next time.
    Typed { text: String, types: Arc<[Type]>, keep: bool },
}

/// What came back.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    pub(super) changed: u64,
}

/// What a connection knows of statements, both bounded, the least recently used go first.
struct Known {
    /// Dropping a statement closes it at PostgreSQL.
    prepared: LruCache<Key, Statement>,
    /// How often those were sent that are not worth preparing yet.
    seen: LruCache<Key, u32>,
}

/// A connection. Dropping it closes it, whatever is under way on it.
pub(super) struct Connection {
    client: Client,
    task: AbortHandle,
    types: Arc<Types>,
    known: Mutex<Known>,
    sights: u32,
}

impl Connection {
    /// `task` is what drives the client; `statements` bounds how many it keeps prepared.
    pub(super) fn new(
        client: Client,
        task: AbortHandle,
        types: Arc<Types>,
        statements: NonZeroUsize,
        sights: u32,
    ) -> Self {
        let seen = statements.saturating_mul(NonZeroUsize::MIN.saturating_add(3));
        let known = Mutex::new(Known { prepared: LruCache::new(statements), seen: LruCache::new(seen) });
        Self { client, task, types, known, sights }
    }

    /// Whether it is of no more use: PostgreSQL has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Statements without parameters and rows.
    pub(super) async fn batch(&self, text: &str) -> Result<(), Error> {
        self.client.batch_execute(text).await
    }

    /// How the statement will go. Waits for PostgreSQL only when no connection of this process has seen the query.
    pub(super) async fn way(&self, key: Key, params: usize, render: impl Fn() -> String) -> Result<Way, Error> {
        if let Some(statement) = self.known().prepared.get(&key) {
            return Ok(Way::Prepared(statement.clone()));
        }
        let text = render();
        if let Some(types) = self.types.of(key.query).filter(|types| types.len() == params) {
            return Ok(Way::Typed { text, types, keep: self.is_worth_keeping(key) });
        }
        let statement = Box::pin(self.client.prepare(&text)).await?;
        self.types.learn(key.query, statement.params());
        self.keep(key, statement.clone());
        Ok(Way::Prepared(statement))
    }

    /// Sends the statement the first time that this is polled. When it is to be kept, it is prepared in the same round trip.
    pub(super) async fn send(&self, key: Key, way: &Way, params: Params<'_>) -> Result<Answer, Error> {
        let outcome = match way {
            Way::Prepared(statement) => self.prepared(statement, params).await,
            // Rare and large: boxed, so that the futures of all transactions stay small.
            Way::Typed { text, types, keep } => Box::pin(self.cold(key, text, types, *keep, params)).await,
        };
        if let Err(error) = &outcome {
            self.doubt(key, error);
        }
        outcome
    }

    async fn cold(
        &self,
        key: Key,
        text: &str,
        types: &[Type],
        keep: bool,
        params: Params<'_>,
    ) -> Result<Answer, Error> {
        if !keep {
            return self.typed(text, types, params).await;
        }
        let (answer, statement) =
            tokio::join!(biased; self.typed(text, types, params), self.client.prepare_typed(text, types));
        // A failure of either ends the transaction, so neither may go unnoticed; the first is the one that tells why.
        let answer = answer?;
        self.keep(key, statement?);
        Ok(answer)
    }

    async fn prepared(&self, statement: &Statement, params: Params<'_>) -> Result<Answer, Error> {
        collect(self.client.query_raw(statement, each(params)).await?).await
    }

    async fn typed(&self, text: &str, types: &[Type], params: Params<'_>) -> Result<Answer, Error> {
        collect(self.client.query_typed_raw(text, each(params).zip(types.iter().cloned())).await?).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_worth_keeping(&self, key: Key) -> bool {
        if self.sights <= 1 {
            return true;
        }
        let mut known = self.known();
        let seen = known.seen.get_or_insert_mut(key, || 0);
        *seen += 1;
        let worth = *seen >= self.sights;
        if worth {
            known.seen.pop(&key);
        }
        worth
    }

    fn keep(&self, key: Key, statement: Statement) {
        let before = self.known().prepared.push(key, statement);
        drop(before); // closes what had to make room, when nobody runs it any more
    }

    /// A schema that has changed its shape: what is known of the statement may be what is wrong with it.
    fn doubt(&self, key: Key, error: &Error) {
        const MAY_BE_OLD: [&str; 3] = ["0A", "26", "42"]; // "cached plan must not change result type", unknown names, names and types
        let class = error.code().map(SqlState::code).unwrap_or_default();
        if MAY_BE_OLD.iter().any(|old| class.starts_with(old)) {
            drop(self.known().prepared.pop(&key));
            self.types.forget(key.query);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn each<'a>(params: Params<'a>) -> impl ExactSizeIterator<Item = &'a dyn ToSql> + 'a {
    params.iter().map(|param| *param as _)
}

async fn collect(rows: tokio_postgres::RowStream) -> Result<Answer, Error> {
    let mut stream = pin!(rows);
    let mut rows = vec![];
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
    }
    Ok(Answer { rows, changed: stream.rows_affected().unwrap_or(0) })
}
