//! Transactions: what runs a query file in one tenant's schema, under one scope role.

use std::{
    borrow::Cow,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::Instant,
};

use futures_util::{
    future::{MaybeDone, maybe_done},
    poll,
};
use tokio::sync::Mutex;
use tokio_postgres::{Row, types::ToSql};

use super::{
    connection::{Answer, Key},
    error::DbError,
    lanes::{Busy, Lane, Lanes},
    query::{Plan, Query, schema_name},
};
use crate::foundation::{
    access::{Grant, OperatorGrant, Scope},
    ids::{OrganizationId, TenantId},
};

/// Parameters of a query, in the order of `$1`, `$2`, …
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How a transaction's beginning went. It is sent and not awaited, and on a fast machine its answer is there before the first statement.
type Begun = Result<(), tokio_postgres::Error>;

/// The role that the platform's own work takes.
const PLATFORM_ROLE: &str = "plumbline_platform";
/// The role that operators take.
const OPERATOR_ROLE: &str = "plumbline_operator";

/// Something that runs query files.
pub trait Statements: Sync {
    /// All rows.
    ///
    /// # Errors
    /// [`DbError::Statement`] with the query's name.
    fn all(&self, query: Query, params: Params<'_>) -> impl Future<Output = Result<Vec<Row>, DbError>> + Send;

    /// How many rows the statement changed.
    ///
    /// # Errors
    /// As [`Statements::all`].
    fn execute(&self, query: Query, params: Params<'_>) -> impl Future<Output = Result<u64, DbError>> + Send;

    /// The row, if there is one; the query's key must be unique.
    ///
    /// # Errors
    /// As [`Statements::all`].
    fn opt(&self, query: Query, params: Params<'_>) -> impl Future<Output = Result<Option<Row>, DbError>> + Send {
        async move { Ok(self.all(query, params).await?.into_iter().next()) }
    }

    /// The row of a query that always gives one.
    ///
    /// # Errors
    /// As [`Statements::all`]; [`DbError::NoRow`] when it gave none.
    fn one(&self, query: Query, params: Params<'_>) -> impl Future<Output = Result<Row, DbError>> + Send {
        async move { self.opt(query, params).await?.ok_or(DbError::NoRow(query.name)) }
    }
}

/// Statements inside one tenant, under one grant.
pub trait InTenant: Statements {
    /// What allowed the work.
    fn grant(&self) -> &Grant;

    /// The organizations whose rows a query may touch: the explicit predicate that every query carries beside row security.
    fn organizations(&self) -> &[OrganizationId] {
        self.grant().organizations()
    }

    /// The organization that tenant-wide rows belong to.
    fn root(&self) -> OrganizationId {
        self.grant().root()
    }

    /// The tenant.
    fn tenant(&self) -> TenantId {
        self.grant().tenant()
    }
}

/// Where and as whom statements run. Made once per transaction.
pub(super) struct Context {
    tenant: Option<TenantId>,
    role: &'static str,
    begin: String,
}

impl Context {
    /// What row security reads. Local to the transaction, so that nothing outlives it on the connection.
    pub(super) fn of(grant: &Grant) -> Self {
        use std::fmt::Write;

        let role = grant.scope().role();
        let mut begin = format!("begin; set local role {role}; set local app.organizations = '{{{}", grant.root());
        for organization in grant.organizations() {
            let _ = write!(begin, ",{organization}");
        }
        begin.push_str("}'");
        if let Some(agent) = grant.agent() {
            let _ = write!(begin, "; set local app.agent = '{agent}'");
        }
        Self { tenant: Some(grant.tenant()), role, begin }
    }

    pub(super) fn platform() -> Self {
        Self::outside(PLATFORM_ROLE)
    }

    /// The grant proves that an operator, or the operator's process, is at work.
    pub(super) fn operator(_: &OperatorGrant) -> Self {
        Self::outside(OPERATOR_ROLE)
    }

    /// The members' role in a tenant's schema, and nothing that row security could read.
    pub(super) fn bare(tenant: TenantId) -> Self {
        let role = Scope::Member.role();
        Self { tenant: Some(tenant), role, begin: format!("begin; set local role {role}") }
    }

    fn outside(role: &'static str) -> Self {
        Self { tenant: None, role, begin: format!("begin; set local role {role}") }
    }

    pub(super) fn begin(&self) -> &str {
        &self.begin
    }

    fn begin_for(&self, query: Query) -> Cow<'_, str> {
        match query.plan() {
            Plan::ByCost => Cow::Borrowed(&self.begin),
            Plan::Once => Cow::Owned(format!("{}; set local plan_cache_mode = force_generic_plan", self.begin)),
        }
    }

    fn key(&self, query: Query) -> Key {
        Key { query, tenant: self.tenant, role: self.role }
    }

    fn render(&self, query: Query) -> String {
        query.render(&self.tenant.map_or_else(|| "tenant_is_not_here".to_owned(), schema_name), self.role)
    }
}

/// A connection with a transaction on it. Dropped before the end (an error, a cancelled request), it closes the connection:
/// PostgreSQL rolls back, and nobody inherits a half-open transaction.
pub(super) struct Held {
    lane: Lane,
    ended: AtomicBool,
    /// Statements that are awaited together keep the order in which they were written, even when one of them has to be prepared first.
    turn: Mutex<()>,
}

impl Held {
    pub(super) fn new(lane: Lane) -> Self {
        Self { lane, ended: AtomicBool::new(false), turn: Mutex::new(()) }
    }

    pub(super) async fn batch(&self, text: &str) -> Result<(), tokio_postgres::Error> {
        self.lane.connection().batch(text).await
    }

    /// Commits or rolls back; when that worked, the connection may be used again.
    pub(super) async fn end(
        &self,
        mut begun: Pin<&mut MaybeDone<impl Future<Output = Begun>>>,
        commit: bool,
    ) -> Result<(), DbError> {
        begun.as_mut().await;
        begun.take_output().unwrap_or(Ok(())).map_err(|source| DbError::Statement { name: "begin", source })?;
        let name = if commit { "commit" } else { "rollback" };
        self.batch(name).await.map_err(|source| DbError::Statement { name, source })?;
        self.ended.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn run(&self, context: &Context, query: Query, params: Params<'_>) -> Result<Answer, DbError> {
        self.statement(context, query, params).await.map_err(|source| DbError::Statement { name: query.name, source })
    }

    async fn statement(
        &self,
        context: &Context,
        query: Query,
        params: Params<'_>,
    ) -> Result<Answer, tokio_postgres::Error> {
        let (connection, key) = (self.lane.connection(), context.key(query));
        let turn = self.turn.lock().await;
        let way = connection.way(key, params.len(), || context.render(query)).await?;
        let mut answer = pin!(connection.send(key, &way, params));
        let sent = poll!(answer.as_mut());
        drop(turn);
        if let Poll::Ready(answer) = sent { answer } else { answer.await }
    }

    /// Begins, runs one statement and commits, all sent before the first answer is awaited.
    async fn whole(
        &self,
        context: &Context,
        query: Query,
        params: Params<'_>,
    ) -> Result<Answer, tokio_postgres::Error> {
        let (connection, key) = (self.lane.connection(), context.key(query));
        let begin = context.begin_for(query);
        let mut begun = pin!(maybe_done(self.batch(&begin)));
        let _ = poll!(begun.as_mut()); // on its way, not awaited: what follows queues up behind it
        let way = connection.way(key, params.len(), || context.render(query)).await?; // no network when its types are known
        let ((), answer, committed) =
            tokio::join!(biased; begun.as_mut(), connection.send(key, &way, params), self.batch("commit"));
        begun.take_output().unwrap_or(Ok(()))?;
        committed?;
        self.ended.store(true, Ordering::Relaxed);
        answer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::Relaxed) {
            self.lane.close();
        }
    }
}

/// A transaction inside one tenant.
pub struct TenantTx<'a> {
    held: &'a Held,
    context: &'a Context,
    grant: &'a Grant,
}

impl<'a> TenantTx<'a> {
    pub(super) fn new(held: &'a Held, context: &'a Context, grant: &'a Grant) -> Self {
        Self { held, context, grant }
    }
}

impl Statements for TenantTx<'_> {
    async fn all(&self, query: Query, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        Ok(self.held.run(self.context, query, params).await?.rows)
    }

    async fn execute(&self, query: Query, params: Params<'_>) -> Result<u64, DbError> {
        Ok(self.held.run(self.context, query, params).await?.changed)
    }
}

impl InTenant for TenantTx<'_> {
    fn grant(&self) -> &Grant {
        self.grant
    }
}

/// A transaction on the platform's own tables. No tenant's schema can be named in it.
pub struct PlatformTx<'a> {
    held: &'a Held,
    context: &'a Context,
}

impl<'a> PlatformTx<'a> {
    pub(super) fn new(held: &'a Held, context: &'a Context) -> Self {
        Self { held, context }
    }
}

impl Statements for PlatformTx<'_> {
    async fn all(&self, query: Query, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        Ok(self.held.run(self.context, query, params).await?.rows)
    }

    async fn execute(&self, query: Query, params: Params<'_>) -> Result<u64, DbError> {
        Ok(self.held.run(self.context, query, params).await?.changed)
    }
}

/// One statement in one round trip: the context, the statement and the commit travel together.
pub struct Alone<'a> {
    lanes: &'a Lanes,
    grant: &'a Grant,
}

impl<'a> Alone<'a> {
    pub(super) fn new(lanes: &'a Lanes, grant: &'a Grant) -> Self {
        Self { lanes, grant }
    }
}

impl Alone<'_> {
    async fn run(&self, query: Query, params: Params<'_>) -> Result<Answer, DbError> {
        let lane = self.lanes.tenant(self.grant.tenant());
        alone(lane, &Context::of(self.grant), query, params).await
    }
}

impl Statements for Alone<'_> {
    async fn all(&self, query: Query, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        Ok(self.run(query, params).await?.rows)
    }

    async fn execute(&self, query: Query, params: Params<'_>) -> Result<u64, DbError> {
        Ok(self.run(query, params).await?.changed)
    }
}

impl InTenant for Alone<'_> {
    fn grant(&self) -> &Grant {
        self.grant
    }
}

/// One statement on the platform's own tables, in one round trip.
pub struct PlatformAlone<'a> {
    lanes: &'a Lanes,
    context: Context,
}

impl<'a> PlatformAlone<'a> {
    pub(super) fn new(lanes: &'a Lanes, context: Context) -> Self {
        Self { lanes, context }
    }
}

impl Statements for PlatformAlone<'_> {
    async fn all(&self, query: Query, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        Ok(alone(self.lanes.platform(query.name), &self.context, query, params).await?.rows)
    }

    async fn execute(&self, query: Query, params: Params<'_>) -> Result<u64, DbError> {
        Ok(alone(self.lanes.platform(query.name), &self.context, query, params).await?.changed)
    }
}

async fn alone(
    lane: impl Future<Output = Result<Lane, Busy>>,
    context: &Context,
    query: Query,
    params: Params<'_>,
) -> Result<Answer, DbError> {
    let started = Instant::now();
    let held = Held::new(lane.await?);
    let answer = held.whole(context, query, params).await;
    super::observe(query.name, started);
    answer.map_err(|source| DbError::Statement { name: query.name, source })
}
