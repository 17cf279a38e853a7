//! The queue: claims that run out, attempts and their waits, fairness between tenants, and workers that are told to stop.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use plumbline::{
    foundation::{access::Grant, clock::Clock},
    platform::{
        db::{Db, DbError},
        jobs::{self, Handler, Job, JobError, Lease, Wake, Worker, WorkerSettings},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{TestApp, TestTenant};

/// Work for tests: what it is called decides nothing, its number tells jobs apart.
#[derive(Serialize, Deserialize)]
struct Ring {
    number: usize,
    key: Option<String>,
}

impl Job for Ring {
    const KIND: &'static str = "ring";
    const MAX_ATTEMPTS: i16 = 3;

    fn dedup_key(&self) -> Option<String> {
        self.key.clone()
    }
}

type Answer = Box<dyn Fn(&Lease) -> Result<Duration, JobError> + Send + Sync>;

/// Runs [`Ring`] as a test says: an error, or so much work before the job is finished.
struct Bell {
    db: Arc<Db>,
    clock: Clock,
    answer: Answer,
    rung: Mutex<Vec<Lease>>,
    given_up: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Handler for Bell {
    fn kind(&self) -> &'static str {
        Ring::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        self.rung.lock().unwrap().push(lease.clone());
        tokio::time::sleep((self.answer)(lease)?).await;
        self.db.tenant(&grant(lease), "ring", async |tx| jobs::finish(tx, lease).await).await
    }

    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        self.given_up.lock().unwrap().push(error.to_string());
        let now = self.clock.now();
        self.db
            .tenant(&grant(lease), "ring.gave_up", async |tx| jobs::bury(tx, lease, error, now).await.map(|_| ()))
            .await
    }
}

#[allow(clippy::disallowed_methods, reason = "a leased job is the proof")]
fn grant(lease: &Lease) -> Grant {
    let permission = plumbline::foundation::access::Permission::EvaluateCalls;
    Grant::system(lease.tenant, lease.root, lease.organization, "ring", permission)
}

impl Bell {
    fn new(app: &TestApp, answer: impl Fn(&Lease) -> Result<Duration, JobError> + Send + Sync + 'static) -> Arc<Self> {
        let (rung, given_up) = (Mutex::default(), Mutex::default());
        Arc::new(Self { db: app.app.db().clone(), clock: app.clock.clone(), answer: Box::new(answer), rung, given_up })
    }

    fn worker(self: &Arc<Self>, app: &TestApp, settings: WorkerSettings) -> Arc<Worker> {
        let handlers: Vec<Arc<dyn Handler>> = vec![self.clone()];
        Arc::new(Worker::new(self.db.clone(), app.clock.clone(), Wake::default(), settings, handlers))
    }

    fn rung(&self) -> Vec<Lease> {
        self.rung.lock().unwrap().clone()
    }
}

fn settings() -> WorkerSettings {
    WorkerSettings { concurrency: 8, poll: Duration::from_millis(5), ..WorkerSettings::default() }
}

async fn enqueue(app: &TestApp, tenant: &TestTenant, rings: std::ops::Range<usize>) {
    let grant = app.grant(tenant, &tenant.sales);
    let (organization, now) = (tenant.sales.parse().unwrap(), app.now());
    let queued: Result<(), DbError> = app
        .app
        .db()
        .tenant(&grant, "test.enqueue", async |tx| {
            for number in rings.clone() {
                jobs::enqueue(tx, organization, &Ring { number, key: None }, now, now).await?;
            }
            Ok(())
        })
        .await;
    queued.unwrap();
}

/// The tenant's one job of a status: its row as the API shows it, and how long it waits.
async fn only(app: &TestApp, tenant: &TestTenant, status: &str) -> (serde_json::Value, TimeDelta) {
    let jobs = app.jobs(tenant, status).await;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let run_at: DateTime<Utc> = jobs[0]["run_at"].as_str().unwrap().parse().unwrap();
    (jobs[0].clone(), run_at - app.now())
}

fn temporary(retry_after: Option<Duration>) -> JobError {
    JobError::Temporary { reason: "the bell is cold".to_owned(), retry_after }
}

#[tokio::test]
async fn waits_grow_and_the_dead_are_seen_and_brought_back() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let bell = Bell::new(&app, |lease| if lease.attempt <= 3 { Err(temporary(None)) } else { Ok(Duration::ZERO) });
    let worker = bell.worker(&app, settings());
    enqueue(&app, &acme, 0..1).await;
    for (attempt, full) in [(1, 2), (2, 4)] {
        worker.drain().await.unwrap();
        let (job, wait) = only(&app, &acme, "ready").await;
        assert_eq!((&job["attempts"], &job["last_error"]), (&json!(attempt), &json!("the bell is cold")));
        assert!(wait <= TimeDelta::seconds(full) && wait >= TimeDelta::milliseconds(full * 750), "{attempt}: {wait}");
        worker.drain().await.unwrap();
        assert_eq!(bell.rung().len(), attempt, "it is not run before its time");
        app.advance(full);
    }
    worker.drain().await.unwrap();
    assert_eq!(*bell.given_up.lock().unwrap(), ["the bell is cold"]);
    let (dead, _) = only(&app, &acme, "dead").await;
    assert_eq!((&dead["kind"], &dead["attempts"]), (&json!("ring"), &json!(3)));
    assert_eq!(app.jobs(&globex, "dead").await.len(), 0);

    let retry = format!("/api/jobs/{}/retry", dead["job_id"].as_str().unwrap());
    app.admin(&globex).post(&retry, &json!({})).await.refused(404, "not-found");
    app.caller(&acme, "max", "organization_admin", &["support"])
        .post(&retry, &json!({}))
        .await
        .refused(404, "not-found");
    let again = app.admin(&acme).post(&retry, &json!({})).await.expect(200);
    assert_eq!((&again["status"], &again["attempts"]), (&json!("ready"), &json!(0)));
    app.admin(&acme).post(&retry, &json!({})).await.refused(409, "illegal-state");
    worker.drain().await.unwrap();
    app.advance(2);
    app.database.execute("update platform.jobs set attempts = 3, max_attempts = 9").await;
    worker.drain().await.unwrap();
    assert_eq!(bell.rung().last().unwrap().attempt, 4);
    app.finish().await;
}

#[tokio::test]
async fn what_is_asked_for_is_waited_for_and_waiting_costs_no_attempt() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let first = Mutex::new(0);
    let bell = Bell::new(&app, move |_| {
        let mut first = first.lock().unwrap();
        *first += 1;
        match *first {
            1..=5 => Err(JobError::NotYet { reason: "it is early", after: Duration::from_secs(7) }),
            6 => Err(temporary(Some(Duration::from_secs(100)))),
            _ => Ok(Duration::ZERO),
        }
    });
    let worker = bell.worker(&app, settings());
    enqueue(&app, &tenant, 0..1).await;
    for _ in 0..5 {
        worker.drain().await.unwrap();
        let (job, wait) = only(&app, &tenant, "ready").await;
        assert_eq!((&job["attempts"], wait), (&json!(0), TimeDelta::seconds(7)));
        app.advance(7);
    }
    worker.drain().await.unwrap();
    let (job, wait) = only(&app, &tenant, "ready").await;
    assert_eq!((&job["attempts"], wait), (&json!(1), TimeDelta::seconds(100)));
    app.advance(100);
    worker.drain().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn a_thousand_jobs_of_one_tenant_do_not_delay_the_one_of_another() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    enqueue(&app, &acme, 0..1_000).await;
    app.advance(1);
    enqueue(&app, &globex, 0..1).await;
    let bell = Bell::new(&app, |_| Ok(Duration::ZERO));
    bell.worker(&app, settings()).drain().await.unwrap();
    let order = bell.rung();
    assert_eq!(order.len(), 1_001);
    let place = order.iter().position(|lease| lease.tenant == globex.id).unwrap();
    assert!(place < settings().concurrency, "it ran as number {place}, not in the first batch");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_never_run_one_job_twice() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    enqueue(&app, &tenant, 0..100).await;
    let bell = Bell::new(&app, |_| Ok(Duration::from_millis(3)));
    let workers = [bell.worker(&app, settings()), bell.worker(&app, settings())];
    let (one, other) = tokio::join!(workers[0].drain(), workers[1].drain());
    one.unwrap();
    other.unwrap();
    let mut numbers: Vec<usize> = bell.rung().iter().map(|lease| lease.job::<Ring>().unwrap().number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    app.finish().await;
}

#[tokio::test]
async fn a_worker_that_falls_silent_loses_its_job_and_cannot_finish_it_any_more() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    enqueue(&app, &tenant, 0..1).await;
    let bell =
        Bell::new(&app, |lease| Ok(if lease.attempt == 3 { Duration::ZERO } else { Duration::from_secs(3_600) }));
    let worker = bell.worker(&app, settings());
    for attempt in 1..=2 {
        let silent = tokio::spawn({
            let worker = worker.clone();
            async move { worker.drain().await }
        });
        while bell.rung().len() < attempt {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        silent.abort();
        assert_eq!(only(&app, &tenant, "leased").await.0["attempts"], json!(attempt));
        app.advance(59);
        worker.reclaim().await.unwrap();
        worker.drain().await.unwrap();
        assert_eq!(bell.rung().len(), attempt, "the claim still holds");
        app.advance(2);
        worker.reclaim().await.unwrap();
        assert_eq!(app.jobs(&tenant, "ready").await.len(), 1);
    }
    let lost = bell.rung()[0].clone();
    let late = app.app.db().tenant(&grant(&lost), "late", async |tx| jobs::finish(tx, &lost).await).await;
    assert!(matches!(late, Err(JobError::LeaseLost)), "{late:?}");
    worker.drain().await.unwrap();
    assert_eq!(bell.rung().len(), 3);
    assert_eq!(bell.rung()[2].attempt, 3);

    // Silent at its last attempt, it is dead, and that is made visible.
    enqueue(&app, &tenant, 0..1).await;
    app.database
        .execute(&format!(
            "update platform.jobs set status = 'leased', attempts = 3, lease_token = gen_random_uuid(), leased_until = '{}'",
            (app.now() - TimeDelta::seconds(1)).to_rfc3339()
        ))
        .await;
    worker.reclaim().await.unwrap();
    assert_eq!(app.jobs(&tenant, "dead").await.len(), 1);
    assert_eq!(bell.given_up.lock().unwrap().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_panic_kills_its_job_and_nothing_else() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    enqueue(&app, &tenant, 0..5).await;
    let bell = Bell::new(&app, |lease| {
        assert!(lease.job::<Ring>()?.number != 2, "the clapper falls off");
        Ok(Duration::ZERO)
    });
    bell.worker(&app, settings()).drain().await.unwrap();
    assert_eq!(bell.rung().len(), 5);
    let (dead, _) = only(&app, &tenant, "dead").await;
    assert_eq!(dead["payload"]["number"], json!(2));
    assert!(dead["last_error"].as_str().unwrap().contains("panicked"));
    app.finish().await;
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_dead_at_once() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    enqueue(&app, &tenant, 0..1).await;
    app.drain().await; // the pipeline's worker knows no bells
    assert_eq!(only(&app, &tenant, "dead").await.0["last_error"], json!("no such kind of job"));
    app.finish().await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends_what_it_began() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    for (work_ms, left) in [(150, 0), (5_000, 1)] {
        enqueue(&app, &tenant, 0..1).await;
        let bell = Bell::new(&app, move |_| Ok(Duration::from_millis(work_ms)));
        let worker = bell.worker(&app, WorkerSettings { drain: Duration::from_millis(600), ..settings() });
        let stop = CancellationToken::new();
        let running = tokio::spawn(worker.clone().run(stop.clone()));
        while bell.rung().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let asked = Instant::now();
        stop.cancel();
        running.await.unwrap();
        assert!(asked.elapsed() < Duration::from_millis(2_000), "{:?}", asked.elapsed());
        assert_eq!(worker.waiting().await.unwrap(), left, "work of {work_ms} ms");
    }
    app.database.execute("delete from platform.jobs").await;
    app.finish().await;
}

#[tokio::test]
async fn a_job_lives_and_dies_with_the_transaction_that_wants_it() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let grant = app.grant(&tenant, &tenant.sales);
    let (organization, now) = (tenant.sales.parse().unwrap(), app.now());
    let keyed = |number| Ring { number, key: Some("k".to_owned()) };
    let refused: Result<(), DbError> = app
        .app
        .db()
        .tenant(&grant, "test", async |tx| {
            jobs::enqueue(tx, organization, &keyed(0), now, now).await?;
            Err(DbError::NoRow("test"))
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(app.jobs(&tenant, "ready").await.len(), 0);
    // At most one with a key, and the newest one's content counts.
    for number in 1..=3 {
        let run_at = now + TimeDelta::seconds(if number == 2 { 5 } else { 50 });
        let done: Result<(), DbError> = app
            .app
            .db()
            .tenant(&grant, "test", async |tx| {
                jobs::enqueue(tx, organization, &keyed(number), now, run_at).await.map(|_| ())
            })
            .await;
        done.unwrap();
    }
    let (job, wait) = only(&app, &tenant, "ready").await;
    assert_eq!((&job["payload"]["number"], wait), (&json!(3), TimeDelta::seconds(5)));
    let db = app.app.db().alone(&grant);
    assert!(jobs::pull_forward(&db, &keyed(0), now).await.unwrap());
    assert!(!jobs::pull_forward(&db, &keyed(0), now).await.unwrap(), "it is due already");
    let bell = Bell::new(&app, |_| Ok(Duration::ZERO));
    bell.worker(&app, settings()).drain().await.unwrap();
    assert_eq!(bell.rung().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_job_whose_failure_cannot_be_shown_is_not_buried_alone() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let (admin, schema) = (app.admin(&tenant), &tenant.schema);
    let id = app.send(&admin, &crate::support::conversation(&tenant.sales)).await;
    let refusing = format!(
        "create function {schema}.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
         create trigger refuse before update on {schema}.calls for each row execute function {schema}.refuse()"
    );
    app.database.execute(&refusing).await;
    app.drain().await;
    assert_eq!(app.jobs(&tenant, "dead").await.len(), 0);
    assert_eq!(only(&app, &tenant, "leased").await.0["kind"], json!("assess_call"));

    // While its lease runs, nobody else may begin the stage anew.
    app.database.execute(&format!("drop trigger refuse on {schema}.calls")).await;
    let failed = format!(
        "update {schema}.calls set status = 'failed', failed_stage = 'assess', failure_kind = 'k', failure_reason = 'r'"
    );
    app.database.execute(&failed).await;
    admin.post(&format!("/api/calls/{id}/retry"), &json!({})).await.refused(409, "illegal-state");
    app.advance(61);
    app.app.worker().reclaim().await.unwrap();
    app.drain().await;
    assert_eq!(app.call(&admin, &id).await["status"], json!("evaluated"));
    app.finish().await;
}

#[tokio::test]
async fn the_jobs_of_a_tenant_that_is_not_served_are_kept() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let bell = Bell::new(&app, |_| Ok(Duration::ZERO));
    let worker = bell.worker(&app, settings());
    let of_acme = format!("where tenant_id = '{}'", acme.id);
    for (change, back) in [
        ("status = 'suspended'", "status = 'active'"),
        ("schema_version = schema_version - 1", "schema_version = schema_version + 1"),
    ] {
        app.database.execute(&format!("update platform.tenants set {change} {of_acme}")).await;
        enqueue(&app, &acme, 0..2).await;
        enqueue(&app, &globex, 0..2).await;
        let before = bell.rung().len();
        worker.drain().await.unwrap();
        let rung = bell.rung();
        assert!(rung[before..].iter().all(|lease| lease.tenant == globex.id) && rung.len() == before + 2, "{change}");
        assert_eq!(worker.waiting().await.unwrap(), 2, "{change}");
        app.database.execute(&format!("update platform.tenants set {back} {of_acme}")).await;
        worker.drain().await.unwrap();
        assert_eq!(bell.rung().len(), before + 4, "{back}");
    }
    app.finish().await;
}
