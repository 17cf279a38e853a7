//! The door's connections: who gets one, what they keep, and what happens when PostgreSQL takes one away.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use plumbline::{
    foundation::access::Grant,
    platform::{
        db::{Connections, Db, DbError, Query, Statements},
        tenancy::Tenants,
    },
};
use tokio::sync::Semaphore;

use crate::support::TestApp;

#[path = "../../benches/support/relay.rs"]
mod relay;

const NAMES: Query = Query::new("test/names", "select slug from tenant.organizations where slug <> $1 order by slug");
const COUNT: Query = Query::new("test/count", "select count(*) as users from tenant.users where display_name <> $1");
const PID: Query = Query::new("test/pid", "select pg_backend_pid() as pid");
const PREPARED: Query = Query::new("test/prepared", "select count(*) as prepared from pg_prepared_statements");

fn lanes(app: &TestApp, lanes: usize) -> Connections {
    Connections::to(app.database.login.clone(), lanes)
}

async fn names(db: &Db, grant: &Grant) -> Result<Vec<String>, DbError> {
    Ok(db.alone(grant).all(NAMES, &[&"-"]).await?.iter().map(|row| row.get("slug")).collect())
}

async fn pid(db: &Db, grant: &Grant) -> i32 {
    db.alone(grant).one(PID, &[]).await.unwrap().get("pid")
}

/// Transactions that hold their connections until `release` has a permit for each; `held` counts those that have one.
fn holders(db: &Arc<Db>, grant: &Grant, count: usize, held: &Arc<Semaphore>, release: &Arc<Semaphore>) -> Vec<Holder> {
    let hold = |_| {
        let (db, grant, held, release) = (db.clone(), grant.clone(), held.clone(), release.clone());
        tokio::spawn(async move {
            db.tenant(&grant, "test.holds", async |tx| {
                tx.one(PID, &[]).await?;
                held.add_permits(1);
                release.acquire().await.unwrap().forget();
                Ok(())
            })
            .await
        })
    };
    (0..count).map(hold).collect()
}

type Holder = tokio::task::JoinHandle<Result<(), DbError>>;

#[tokio::test]
async fn a_hot_tenant_leaves_connections_to_others() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let (hot, other) = (app.grant(&acme, &acme.sales), app.grant(&globex, &globex.sales));
    let db = Arc::new(Db::new(lanes(&app, 8).open().unwrap()));
    let (held, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let transactions = holders(&db, &hot, 40, &held, &release);
    held.acquire_many(5).await.unwrap().forget();
    for _ in 0..20 {
        let answered = tokio::time::timeout(Duration::from_secs(1), names(&db, &other)).await;
        assert_eq!(answered.expect("another tenant does not wait").unwrap(), ["globex", "sales"]);
        tokio::time::timeout(Duration::from_secs(1), db.check()).await.expect("nor does the platform").unwrap();
    }
    assert_eq!(held.available_permits(), 0, "40 wait for what 5 hold, and get no sixth");
    release.add_permits(40);
    for transaction in transactions {
        transaction.await.unwrap().unwrap();
    }
    assert_eq!(held.available_permits(), 35, "all of them had their turn");
    app.finish().await;
}

#[tokio::test]
async fn whoever_stops_waiting_takes_no_turn() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let grant = app.grant(&tenant, &tenant.sales);
    let db = Arc::new(Db::new(lanes(&app, 1).open().unwrap()));
    let (held, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let first = holders(&db, &grant, 1, &held, &release);
    held.acquire().await.unwrap().forget();
    let waiting = holders(&db, &grant, 10, &held, &release);
    tokio::time::sleep(Duration::from_millis(20)).await;
    for gone in &waiting[..9] {
        gone.abort();
    }
    release.add_permits(2);
    for (n, transaction) in first.into_iter().chain(waiting).enumerate() {
        let ended = transaction.await;
        assert_eq!(ended.is_ok(), n == 0 || n == 10, "{n}");
    }
    assert_eq!(held.available_permits(), 1, "the tenth alone was served after the first");
    assert_eq!(names(&db, &grant).await.unwrap(), ["acme", "sales"]);
    app.finish().await;
}

#[tokio::test]
async fn a_connection_that_postgresql_closed_is_replaced() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let grant = app.grant(&tenant, &tenant.sales);
    let db = Db::new(lanes(&app, 1).open().unwrap());
    let mut before = pid(&db, &grant).await;
    for _ in 0..3 {
        let gone = format!("select count(*) from pg_stat_activity where pid = {before}");
        app.database.execute(&format!("select pg_terminate_backend({before})")).await;
        while app.database.count(&gone).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // the end of the connection has reached us
        assert_eq!(names(&db, &grant).await.unwrap(), ["acme", "sales"], "the next request does not notice");
        let after = pid(&db, &grant).await;
        assert_ne!(before, after);
        before = after;
    }
    app.finish().await;
}

#[tokio::test]
async fn a_connection_keeps_the_statements_it_used_last() {
    let app = TestApp::start().await;
    let tenants = [app.tenant("acme").await, app.tenant("globex").await, app.tenant("initech").await];
    let grants: Vec<Grant> = tenants.iter().map(|tenant| app.grant(tenant, &tenant.sales)).collect();
    let statements = NonZeroUsize::new(4).unwrap();
    let db = Db::new(Connections { statements, ..lanes(&app, 1) }.open().unwrap());
    let prepared = async || {
        let answer = db.platform_alone().one(PREPARED, &[]).await;
        answer.unwrap().get::<_, i64>("prepared")
    };
    for round in 0..4 {
        for (grant, slug) in grants.iter().zip(["acme", "globex", "initech"]) {
            assert_eq!(names(&db, grant).await.unwrap(), [slug, "sales"], "round {round}");
            let users = db.alone(grant).one(COUNT, &[&"-"]).await.unwrap();
            assert_eq!(users.get::<_, i64>("users"), 0);
        }
        let kept = prepared().await;
        assert!(kept <= 4, "{kept} statements in round {round}");
    }
    for _ in 0..3 {
        names(&db, &grants[0]).await.unwrap();
    }
    assert_eq!(prepared().await, 4, "the bound is made use of");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_statement_takes_one_round_trip() {
    let app = TestApp::start().await;
    let tenants = [app.tenant("acme").await, app.tenant("globex").await, app.tenant("initech").await];
    let directory = tempfile::tempdir().unwrap();
    let tokio_postgres::config::Host::Unix(server) = &app.database.login.get_hosts()[0] else { panic!("a socket") };
    let relay = relay::Relay::listen(directory.path(), server, Duration::from_millis(30)).unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host_path(directory.path()).port(5432).user(app.database.login.get_user().unwrap());
    config.dbname(app.database.login.get_dbname().unwrap());
    let db = Db::new(Connections::to(config, 1).open().unwrap());
    // The first tenant's requests open the connection and teach the process what types the parameters have.
    let first = app.grant(&tenants[0], &tenants[0].sales);
    names(&db, &first).await.unwrap();
    db.alone(&first).one(COUNT, &[&"-"]).await.unwrap();
    let second = app.grant(&tenants[1], &tenants[1].sales);
    for turn in 0..4 {
        relay.take();
        assert_eq!(names(&db, &second).await.unwrap(), ["globex", "sales"]);
        assert_eq!(relay.take(), 1, "turn {turn}: cold, then prepared on the way, then prepared");
    }
    let third = app.grant(&tenants[2], &tenants[2].sales);
    for turn in 0..4 {
        relay.take();
        let both: Result<_, DbError> = db
            .tenant(&third, "test", async |tx| {
                let (names, users) = tokio::join!(tx.all(NAMES, &[&"-"]), tx.one(COUNT, &[&"-"]));
                Ok((names?.len(), users?.get::<_, i64>("users")))
            })
            .await;
        assert_eq!((both.unwrap(), relay.take()), ((2, 0), 2), "turn {turn}: both with the context, then the commit");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_flood_of_invented_issuers_takes_two_connections() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let issuer: String = {
        let client = app.database.connect().await;
        client.query_one("select issuer from platform.tenants where slug = $1", &[&tenant.slug]).await.unwrap().get(0)
    };
    let tenants = Tenants::new(Arc::new(Db::new(lanes(&app, 16).open().unwrap())));
    let open =
        "select count(*) from pg_stat_activity where application_name = 'plumbline' and datname = current_database()";
    let before = app.database.count(open).await;
    let invented: Vec<String> = (0..300).map(|n| format!("https://nobody.example/{n}")).collect();
    let asked = invented.iter().map(|issuer| tenants.by_issuer(issuer));
    let answers = futures_util::future::join_all(asked).await;
    for answer in &answers {
        assert!(matches!(answer, Ok(None) | Err(DbError::Busy(_))), "{:?}", answer.as_ref().map(Option::is_some));
    }
    assert!(answers.iter().any(Result::is_ok));
    let taken = app.database.count(open).await - before;
    assert!((1..=2).contains(&taken), "{taken} connections");
    assert_eq!(tenants.by_issuer(&issuer).await.unwrap().unwrap().tenant_id, tenant.id);
    app.finish().await;
}

#[tokio::test]
async fn a_table_that_changes_its_shape_spoils_one_answer_at_most() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let grant = app.grant(&tenant, &tenant.sales);
    let db = Db::new(lanes(&app, 1).open().unwrap());
    let kept: Query = Query::new("test/kept", "select * from tenant.users where display_name <> $1");
    for change in ["add column shoe_size int", "drop column shoe_size", "add column shoe_size text"] {
        for _ in 0..3 {
            db.alone(&grant).all(kept, &[&"-"]).await.unwrap();
        }
        app.database.execute(&format!("alter table {}.users {change}", tenant.schema)).await;
        let _ = db.alone(&grant).all(kept, &[&"-"]).await; // "cached plan must not change result type"
        db.alone(&grant).all(kept, &[&"-"]).await.unwrap();
    }
    app.finish().await;
}
