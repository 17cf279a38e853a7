//! The only door to data: what it begins it ends, it leaves nothing behind, and behind it are walls.

use std::{sync::Arc, time::Duration};

use plumbline::platform::db::{Connections, Db, DbError, Params, Query, Statements};
use tokio_postgres::error::SqlState;

use crate::support::{TestApp, TestTenant};

const INSERT: Query = Query::new(
    "test/insert",
    "insert into tenant.users (user_id, organization_id, display_name, created_at, updated_at)
     values (gen_random_uuid(), $1, $2, now(), now())",
);
const COUNT: Query = Query::new("test/count", "select count(*) as users from tenant.users");
const NAMES: Query = Query::new("test/names", "select slug from tenant.organizations order by slug");
const CONTEXT: Query = Query::new(
    "test/context",
    "select current_user::text as role, coalesce(current_setting('app.organizations', true), '') as organizations,
            coalesce(current_setting('app.agent', true), '') as agent, pg_backend_pid() as pid",
);

/// A door with one connection.
fn narrow(app: &TestApp) -> Arc<Db> {
    Arc::new(Db::new(Connections::to(app.database.login.clone(), 1).open().unwrap()))
}

async fn users(app: &TestApp, tenant: &TestTenant) -> i64 {
    app.database.count(&format!("select count(*) from {}.users", tenant.schema)).await
}

fn sales(tenant: &TestTenant) -> uuid::Uuid {
    tenant.sales.parse().unwrap()
}

#[tokio::test]
async fn what_returns_an_error_or_is_cancelled_is_rolled_back() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let (db, grant) = (narrow(&app), app.grant(&tenant, &tenant.sales));
    let organization = sales(&tenant);
    let refused = db
        .tenant(&grant, "test.error", async |tx| {
            tx.execute(INSERT, &[&organization, &"Eve"]).await?;
            Err::<(), _>(DbError::NoRow("test"))
        })
        .await;
    assert!(matches!(refused, Err(DbError::NoRow("test"))));
    assert_eq!(users(&app, &tenant).await, 0);

    let (inserted, wait) = tokio::sync::oneshot::channel();
    let task = tokio::spawn({
        let (db, grant) = (db.clone(), grant.clone());
        async move {
            db.tenant(&grant, "test.cancelled", async |tx| {
                tx.execute(INSERT, &[&organization, &"Eve"]).await?;
                inserted.send(()).unwrap();
                std::future::pending::<Result<(), DbError>>().await
            })
            .await
        }
    });
    wait.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // The one lane is free again, and its new connection sees nothing of the cancelled work.
    let seen = db.alone(&grant).one(COUNT, &[]).await.unwrap().get::<_, i64>("users");
    assert_eq!((seen, users(&app, &tenant).await), (0, 0));

    let done: Result<u64, DbError> =
        db.tenant(&grant, "test.commit", async |tx| tx.execute(INSERT, &[&organization, &"Eve"]).await).await;
    assert_eq!((done.unwrap(), users(&app, &tenant).await), (1, 1));
    db.alone(&grant).execute(INSERT, &[&organization, &"Sue"]).await.unwrap();
    assert_eq!(users(&app, &tenant).await, 2, "a statement alone commits too");
    app.finish().await;
}

#[tokio::test]
async fn a_statement_that_fails_does_not_spoil_the_connection() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let (db, grant) = (narrow(&app), app.grant(&tenant, &tenant.sales));
    let wrong = Query::new("test/wrong", "select 1 / (count(*) - count(*)) as n from tenant.users");
    for _ in 0..3 {
        assert!(matches!(db.alone(&grant).all(wrong, &[]).await, Err(DbError::Statement { name: "test/wrong", .. })));
        assert_eq!(db.alone(&grant).one(COUNT, &[]).await.unwrap().get::<_, i64>("users"), 0);
        let failed: Result<_, DbError> = db.tenant(&grant, "test", async |tx| tx.all(wrong, &[]).await).await;
        assert!(failed.is_err());
    }
    app.finish().await;
}

#[tokio::test]
async fn nothing_of_the_context_outlives_its_transaction() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let (db, grant) = (narrow(&app), app.grant(&tenant, &tenant.sales));
    let inside = db.alone(&grant).one(CONTEXT, &[]).await.unwrap();
    assert_eq!(inside.get::<_, &str>("role"), "plumbline_member");
    assert!(inside.get::<_, &str>("organizations").contains(&tenant.sales));
    // The platform's transaction takes another role and sets no context: what it sees is what was left.
    let after: Result<_, DbError> = db.platform("test", async |tx| tx.one(CONTEXT, &[]).await).await;
    let after = after.unwrap();
    assert_eq!(after.get::<_, i32>("pid"), inside.get::<_, i32>("pid"), "it is the same connection");
    let left = [after.get::<_, &str>("role"), after.get("organizations"), after.get("agent")];
    assert_eq!(left, ["plumbline_platform", "", ""]);
    app.finish().await;
}

#[tokio::test]
async fn tenants_that_share_one_connection_never_see_each_other() {
    let app = TestApp::start().await;
    let tenants = [app.tenant("acme").await, app.tenant("globex").await];
    let grants = [0, 1].map(|n| [&tenants[n].sales, &tenants[n].support].map(|id| app.grant(&tenants[n], id)));
    let db = narrow(&app);
    let reads = (0..80).map(|n| {
        let (db, grant) = (&db, &grants[n % 2][n / 2 % 2]);
        async move {
            let rows = if n % 3 == 0 {
                db.tenant(grant, "test", async |tx| tx.all(NAMES, &[]).await).await
            } else {
                let alone = db.alone(grant);
                alone.all(NAMES, &[]).await
            };
            let slugs: Vec<String> = rows.unwrap().iter().map(|row| row.get("slug")).collect();
            (n, slugs)
        }
    });
    for (n, slugs) in futures_util::future::join_all(reads).await {
        // The root organization carries tenant-wide rows and is in every context.
        let mut expected = [["acme", "globex"][n % 2], ["sales", "support"][n / 2 % 2]];
        expected.sort_unstable();
        assert_eq!(slugs, expected, "{n}");
    }
    app.finish().await;
}

#[tokio::test]
async fn statements_that_are_awaited_together_keep_their_order() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let grant = app.grant(&tenant, &tenant.sales);
    let organization = sales(&tenant);
    // First all cold, then one warm behind a cold one: a known statement must not overtake the one that has to be prepared.
    for (n, warm) in [(0, false), (1, true)] {
        let db = narrow(&app);
        if warm {
            db.alone(&grant).one(COUNT, &[]).await.unwrap();
        }
        let counted: Result<_, DbError> = db
            .tenant(&grant, "test", async |tx| {
                let eve: Params<'_> = &[&organization, &"Eve"];
                let (before, inserted, after) =
                    tokio::join!(tx.one(COUNT, &[]), tx.execute(INSERT, eve), tx.one(COUNT, &[]));
                inserted?;
                Ok((before?.get::<_, i64>("users"), after?.get::<_, i64>("users")))
            })
            .await;
        assert_eq!(counted.unwrap(), (n, n + 1), "warm: {warm}");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_walls_stand_without_the_door() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.ready_tenant("acme").await, app.ready_tenant("globex").await);
    app.send(&app.admin(&acme), &crate::support::conversation(&acme.sales)).await;
    let (login, connection) = app.database.login.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let state = |outcome: Result<_, tokio_postgres::Error>| {
        outcome.map(|_: Vec<tokio_postgres::Row>| ()).unwrap_err().code().cloned()
    };
    let foreign = format!("select call_id from {}.calls", acme.schema);
    for table in [format!("{}.calls", acme.schema), "platform.jobs".to_owned(), "platform.tenants".to_owned()] {
        let bare = login.query(&format!("select * from {table}"), &[]).await;
        assert_eq!(state(bare), Some(SqlState::INSUFFICIENT_PRIVILEGE), "{table}");
    }
    for role in ["plumbline_member", "plumbline_agent"] {
        login.batch_execute(&format!("begin; set local role {role}")).await.unwrap();
        assert_eq!(state(login.query(&foreign, &[]).await), Some(SqlState::UNDEFINED_OBJECT), "no context is an error");
        login.batch_execute("rollback").await.unwrap();
    }
    // A context of one tenant, the table of another, by its full name.
    let context =
        format!("begin; set local role plumbline_member; set local app.organizations = '{{{}}}'", globex.sales);
    login.batch_execute(&context).await.unwrap();
    assert_eq!(login.query(&foreign, &[]).await.unwrap().len(), 0);
    let smuggle = format!(
        "insert into {}.users (user_id, organization_id, display_name, created_at, updated_at)
         values (gen_random_uuid(), '{}', 'Eve', now(), now()) returning user_id",
        acme.schema, globex.sales
    );
    assert_eq!(state(login.query(&smuggle, &[]).await), Some(SqlState::FOREIGN_KEY_VIOLATION));
    login.batch_execute("rollback").await.unwrap();
    login.batch_execute(&context).await.unwrap();
    let other = smuggle.replace(&globex.sales, &acme.sales);
    assert_eq!(
        state(login.query(&other, &[]).await),
        Some(SqlState::INSUFFICIENT_PRIVILEGE),
        "row security refuses it"
    );
    login.batch_execute("rollback").await.unwrap();
    app.drain().await;
    app.finish().await;
}

#[tokio::test]
async fn the_platforms_transactions_cannot_see_a_tenant() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let db = narrow(&app);
    let named: Query =
        Query::new("test/named", Box::leak(format!("select * from {}.calls", tenant.schema).into_boxed_str()));
    for query in [named, Query::new("test/calls", "select * from tenant.calls")] {
        let refused: Result<_, DbError> = db.platform("test", async |tx| tx.all(query, &[]).await).await;
        assert!(matches!(refused, Err(DbError::Statement { .. })), "{}", query.name);
    }
    let seen: Result<_, DbError> = db
        .platform("test", async |tx| tx.all(Query::new("test/tenants", "select slug from platform.tenants"), &[]).await)
        .await;
    assert_eq!(seen.unwrap().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_door_that_nobody_answers_says_so_in_time() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let grant = app.grant(&tenant, &tenant.sales);
    let mut connections = Connections::to(app.database.login.clone(), 1);
    connections.wait = Duration::from_millis(100);
    let db = Db::new(connections.open().unwrap());
    let busy: Result<(), DbError> = db
        .tenant(&grant, "test.holds", async |_| {
            let second = db.alone(&grant).one(COUNT, &[]).await;
            assert!(matches!(second, Err(DbError::Busy(_))), "the one connection is taken");
            assert!(second.err().is_some_and(|error| error.is_temporary()));
            Ok(())
        })
        .await;
    busy.unwrap();
    app.finish().await;
}
