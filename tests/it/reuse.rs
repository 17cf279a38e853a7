//! One connection for many tenants, with everything that goes wrong in between: nobody meets what another left.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plumbline::{
    foundation::{
        access::{Caller, Grant, Identity, Permission, Role},
        ids::AgentId,
    },
    platform::db::{Connections, Db, DbError, Params, Query, Statements},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio_postgres::Row;

use crate::support::{TestApp, TestTenant};

const SEEDS: u64 = 3;
const BATCHES: usize = 60;

/// Whose connection this is, as PostgreSQL sees it.
const CONTEXT: Query = Query::new(
    "test/context",
    "select current_user::text as role, coalesce(current_setting('app.organizations', true), '') as organizations,
            coalesce(current_setting('app.agent', true), '') as agent, current_setting('statement_timeout') as timeout,
            pg_current_xact_id_if_assigned() is null as untouched, pg_backend_pid() as pid",
);
const NAMES: Query = Query::new("test/names", "select slug from tenant.organizations order by slug");
const COUNT: Query = Query::new("test/count", "select count(*) as users from tenant.users where display_name = $1");
const INSERT: Query = Query::new(
    "test/insert",
    "insert into tenant.users (user_id, organization_id, display_name, created_at, updated_at)
     values (gen_random_uuid(), $1, $2, now(), now())",
);
const WRONG: Query =
    Query::new("test/wrong", "select 1 / (count(*) - count(*)) as n from tenant.users where display_name <> $1");
const HURRY: Query = Query::new("test/hurry", "set local statement_timeout = '20ms'");
const SLEEP: Query = Query::new("test/sleep", "select pg_sleep(5)");

/// What one request does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read,
    ReadTogether,
    AsAgent,
    Platform,
    Insert,
    InsertAlone,
    InsertThenFail,
    InsertThenPanic,
    InsertThenVanish,
    ReadAndVanish(u64),
    Wrong,
    WrongTogether,
    TooSlow,
}

const STEPS: [Step; 13] = [
    Step::Read,
    Step::ReadTogether,
    Step::AsAgent,
    Step::Platform,
    Step::Insert,
    Step::InsertAlone,
    Step::InsertThenFail,
    Step::InsertThenPanic,
    Step::InsertThenVanish,
    Step::ReadAndVanish(0),
    Step::Wrong,
    Step::WrongTogether,
    Step::TooSlow,
];

/// A tenant, an organization of it, and what that one may see.
struct Member {
    grant: Grant,
    agent: Grant,
    organization: uuid::Uuid,
    slugs: Vec<String>,
    name: String,
}

#[allow(clippy::disallowed_methods, reason = "a test's own caller")]
fn member(app: &TestApp, tenant: &TestTenant, organization: &str, slug: &str) -> Member {
    let mut slugs = vec![tenant.slug.clone(), slug.to_owned()];
    slugs.sort_unstable();
    let caller = Caller::proved(Identity {
        tenant: tenant.id,
        root: tenant.root,
        subject: "abe".to_owned(),
        user: None,
        agent: Some(AgentId::new()),
        roles: vec![Role::Agent],
        organizations: vec![organization.parse().unwrap()],
        every_organization: vec![],
    });
    Member {
        grant: app.grant(tenant, organization),
        agent: caller.may(Permission::ReadCalls).unwrap(),
        organization: organization.parse().unwrap(),
        slugs,
        name: format!("{}/{slug}", tenant.slug),
    }
}

impl Member {
    /// The context is this one's and nobody else's.
    fn check_context(&self, row: &Row, grant: &Grant) {
        let organizations = format!("{{{},{}}}", grant.root(), self.organization);
        let agent = grant.agent().map(|agent| agent.to_string()).unwrap_or_default();
        let found: [&str; 4] = [row.get("role"), row.get("organizations"), row.get("agent"), row.get("timeout")];
        assert_eq!(found, [grant.scope().role(), &organizations, &agent, "0"], "{}", self.name);
        assert!(row.get::<_, bool>("untouched"), "{}: a transaction of somebody else", self.name);
    }

    fn check_names(&self, rows: &[Row]) {
        let slugs: Vec<String> = rows.iter().map(|row| row.get("slug")).collect();
        assert_eq!(slugs, self.slugs, "{}", self.name);
    }

    /// Does one thing; how many rows it left for good.
    async fn walk(&self, db: &Db, step: Step) -> Result<u64, DbError> {
        let (grant, name) = (&self.grant, &self.name);
        let (by_name, user): (Params<'_>, Params<'_>) = (&[name], &[&self.organization, name]);
        match step {
            Step::Read => self.check_names(&db.alone(grant).all(NAMES, &[]).await?),
            Step::ReadTogether => {
                db.tenant(grant, "test.together", async |tx| {
                    let (context, names, users) =
                        tokio::join!(tx.one(CONTEXT, &[]), tx.all(NAMES, &[]), tx.one(COUNT, by_name));
                    self.check_context(&context?, grant);
                    self.check_names(&names?);
                    users.map(drop)
                })
                .await?;
            }
            Step::AsAgent => self.check_context(&db.alone(&self.agent).one(CONTEXT, &[]).await?, &self.agent),
            Step::Platform => nothing_is_left(db).await,
            Step::Insert => {
                return db.tenant(grant, "test.insert", async |tx| tx.execute(INSERT, user).await).await;
            }
            Step::InsertAlone => return db.alone(grant).execute(INSERT, user).await,
            Step::InsertThenFail | Step::InsertThenPanic | Step::InsertThenVanish => {
                let refused: Result<(), DbError> = db
                    .tenant(grant, "test.insert", async |tx| {
                        tx.execute(INSERT, user).await?;
                        match step {
                            Step::InsertThenPanic => std::panic::resume_unwind(Box::new("on purpose")),
                            Step::InsertThenVanish => std::future::pending().await,
                            _ => Err(DbError::NoRow("on purpose")),
                        }
                    })
                    .await;
                assert!(matches!(refused, Err(DbError::NoRow("on purpose"))), "{name}");
            }
            Step::ReadAndVanish(_) => self.check_context(&db.alone(grant).one(CONTEXT, &[]).await?, grant),
            Step::Wrong => assert!(db.alone(grant).one(WRONG, by_name).await.is_err(), "{name}"),
            Step::WrongTogether => {
                let failed: Result<(), DbError> = db
                    .tenant(grant, "test.wrong", async |tx| {
                        let (inserted, wrong, names) =
                            tokio::join!(tx.execute(INSERT, user), tx.one(WRONG, by_name), tx.all(NAMES, &[]));
                        assert_eq!((inserted?, wrong.is_err(), names.is_err()), (1, true, true), "{name}");
                        wrong.map(drop)
                    })
                    .await;
                assert!(failed.is_err(), "{name}");
            }
            Step::TooSlow => {
                let slow: Result<(), DbError> = db
                    .tenant(grant, "test.slow", async |tx| {
                        tx.execute(HURRY, &[]).await?;
                        tx.one(SLEEP, &[]).await.map(drop)
                    })
                    .await;
                assert!(slow.is_err_and(|error| error.is_temporary()), "{name}");
            }
        }
        Ok(0)
    }
}

/// The platform takes another role and sets no context: what it sees is what was left.
async fn nothing_is_left(db: &Db) {
    let row: Result<Row, DbError> = db.platform("test.left", async |tx| tx.one(CONTEXT, &[]).await).await;
    let row = row.unwrap();
    let left: [&str; 4] = [row.get("role"), row.get("organizations"), row.get("agent"), row.get("timeout")];
    assert_eq!(left, ["plumbline_platform", "", "", "0"]);
    assert!(row.get::<_, bool>("untouched"));
}

/// Several requests at once, each a task of its own as in the server. Some are dropped while they run.
async fn batch(db: &Arc<Db>, members: &Arc<Vec<Member>>, steps: Vec<(usize, Step)>, rows: &mut BTreeMap<String, i64>) {
    let requests = steps.into_iter().map(|(who, step)| {
        let (db, members) = (db.clone(), members.clone());
        let mut task = tokio::spawn(async move { members[who].walk(&db, step).await });
        let patience = match step {
            Step::InsertThenVanish => Duration::from_millis(30),
            Step::ReadAndVanish(us) => Duration::from_micros(us),
            _ => Duration::MAX,
        };
        async move {
            let ended = tokio::time::timeout(patience, &mut task).await;
            if ended.is_err() {
                task.abort();
                assert!(task.await.map_or_else(|ended| ended.is_cancelled(), |left| left.is_ok()), "{step:?}");
            }
            (who, step, ended.ok())
        }
    });
    for (who, step, ended) in futures_util::future::join_all(requests).await {
        match ended {
            None => (), // the caller went away
            Some(Ok(left)) => {
                let left = left.unwrap_or_else(|error| panic!("{step:?}: {error:?}"));
                *rows.entry(members[who].name.clone()).or_default() += left as i64;
            }
            Some(Err(ended)) => assert!(ended.is_panic() && matches!(step, Step::InsertThenPanic), "{step:?}: {ended}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tenants_on_one_connection_leave_nothing_to_each_other() {
    let app = TestApp::start().await;
    let (mut members, mut tenants) = (vec![], vec![]);
    for slug in ["acme", "globex", "initech", "umbrella", "hooli"] {
        let tenant = app.tenant(slug).await;
        members.push(member(&app, &tenant, &tenant.sales, "sales"));
        members.push(member(&app, &tenant, &tenant.support, "support"));
        tenants.push(tenant);
    }
    let members = Arc::new(members);
    let mut rows = BTreeMap::new();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        // Few statements, so that most are cold, are closed and come again.
        let statements = [2, 8, 512][seed as usize % 3].try_into().unwrap();
        let wait = Duration::from_secs(30);
        let connections = Connections { statements, wait, ..Connections::to(app.database.login.clone(), 1) };
        let db = Arc::new(Db::new(connections.open().unwrap()));
        for _ in 0..BATCHES {
            let steps = (0..random.random_range(1..=6)).map(|_| match STEPS[random.random_range(0..STEPS.len())] {
                Step::ReadAndVanish(_) => (0, Step::ReadAndVanish(random.random_range(0..3_000))),
                step => (random.random_range(0..members.len()), step),
            });
            let steps = steps.collect();
            batch(&db, &members, steps, &mut rows).await;
            nothing_is_left(&db).await;
        }
        let mut pids = vec![];
        for member in members.iter() {
            let row = db.alone(&member.grant).one(CONTEXT, &[]).await.unwrap();
            member.check_context(&row, &member.grant);
            pids.push(row.get::<_, i32>("pid"));
        }
        pids.dedup();
        assert_eq!(pids.len(), 1, "one connection, and it lasts");
    }
    for tenant in &tenants {
        for slug in ["sales", "support"] {
            let name = format!("{}/{slug}", tenant.slug);
            let found = format!("select count(*) from {}.users where display_name = '{name}'", tenant.schema);
            assert_eq!(app.database.count(&found).await, rows.get(&name).copied().unwrap_or(0), "{name}");
        }
    }
    assert!(rows.values().sum::<i64>() > 20, "{rows:?}");
    app.finish().await;
}
