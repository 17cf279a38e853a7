//! The run: calls come in batches, are scored on every core in the order in which they came, and what was found is saved every few seconds.

use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::{Stream, TryStreamExt, stream};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_postgres::Row;
use tokio_util::task::AbortOnDropHandle;

use super::{
    found::{Came, Found, Took},
    model::{Backtest, Position, Standing},
    score::{self, Judge, Tested},
    store,
};
use crate::{
    foundation::{access::Grant, clock::Clock, ids::ScorecardVersionId},
    platform::{
        db::{Db, DbError},
        jobs::JobError,
        plugins::Plugin,
        tenancy::quotas,
    },
};

/// One call in so many is scored twice.
const SAMPLE: u64 = 100;
/// A version that failed so often, and at more than half of the calls, is not tried any further.
const FAULTS: u64 = 200;

/// How it goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Calls that are read at once.
    pub batch: i32,
    /// How often what was found is saved, and a look is taken whether it is to stop.
    pub save: Duration,
    /// For how long it holds its job: then others have a turn.
    pub slice: Duration,
    /// Calls that are scored at the same time.
    pub at_once: usize,
}

impl Default for Pace {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // One more for each core, so that none waits while a call is handed over.
        Self { batch: 100, save: Duration::from_secs(2), slice: Duration::from_secs(10), at_once: 2 * cores }
    }
}

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// There is more to do.
    On,
    /// All calls were looked at.
    Through,
    /// It is to stop.
    Cancelled,
    /// The version fails at most of the calls.
    Faulty,
}

/// What a back-test is worked off with.
pub struct Runner<'a> {
    /// The door to data.
    pub db: &'a Arc<Db>,
    /// Leave for the organization's evaluations.
    pub grant: &'a Grant,
    /// The time.
    pub clock: &'a Clock,
    /// The version.
    pub plugin: &'a Plugin,
    /// How to go about it.
    pub pace: Pace,
}

/// Calls that were read, and what they are judged by.
struct Batch {
    rows: Vec<Row>,
    judges: Arc<HashMap<ScorecardVersionId, Arc<Judge>>>,
}

impl Runner<'_> {
    /// Works for a while on a back-test that runs. `standing` says afterwards what was found, all of which is saved.
    ///
    /// # Errors
    /// [`JobError::LeaseLost`] when somebody else went on with it meanwhile, or it has ended; [`JobError`] of the database.
    pub async fn go_on(&self, standing: &mut Standing) -> Result<Went, JobError> {
        let tested = Arc::new(Tested::new(self.plugin.clone(), &standing.backtest.settings));
        let (began, mut saved) = (Instant::now(), Instant::now());
        let (mut done_before, mut used) = (standing.backtest.calls_done, Took::default());
        let mut came = std::pin::pin!(self.scored(standing, &tested));
        loop {
            let next = came.try_next().await?;
            let is_through = next.is_none();
            if let Some((at, came, took)) = next {
                take(standing, at, came);
                used = used.and(took);
            }
            let is_faulty = is_faulty(&standing.found);
            let is_late = began.elapsed() >= self.pace.slice;
            if is_through || is_faulty || is_late || saved.elapsed() >= self.pace.save {
                let is_cancelled = self.save(standing, done_before, used).await?;
                (saved, done_before, used) = (Instant::now(), standing.backtest.calls_done, Took::default());
                match (is_through, is_faulty, is_cancelled) {
                    (true, ..) => return Ok(Went::Through),
                    (_, true, _) => return Ok(Went::Faulty),
                    (_, _, true) => return Ok(Went::Cancelled),
                    _ if is_late => return Ok(Went::On),
                    _ => {}
                }
            }
        }
    }

    /// What came of each call, in order.
    fn scored(
        &self,
        standing: &Standing,
        tested: &Arc<Tested>,
    ) -> impl Stream<Item = Result<(Position, Came, Took), DbError>> + use<> {
        let batches = self.batches(standing);
        let mut n = standing.found.done;
        let calls = batches.map_ok(|Batch { rows, judges }| {
            stream::iter(rows.into_iter().map(move |row| Ok::<_, DbError>((row, judges.clone()))))
        });
        let tested = tested.clone();
        let scoring = calls.try_flatten().map_ok(move |(row, judges)| {
            let is_sampled = n.is_multiple_of(SAMPLE);
            n += 1;
            let tested = tested.clone();
            let task = tokio::spawn(async move { score::score(&row, &judges, &tested, is_sampled).await });
            let task = AbortOnDropHandle::new(task);
            async move {
                // A panic comes back here, where the worker looks for it; nobody else ends the task.
                task.await.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panicked) => std::panic::resume_unwind(panicked),
                    Err(_) => Err(DbError::NoRow("backtests/batch")),
                })
            }
        });
        scoring.try_buffered(self.pace.at_once.max(1))
    }

    /// Calls, one batch read ahead while another is scored.
    fn batches(&self, standing: &Standing) -> impl Stream<Item = Result<Batch, DbError>> + use<> {
        let (to, from) = mpsc::channel(1);
        let reader = Reader {
            db: self.db.clone(),
            grant: self.grant.clone(),
            backtest: standing.backtest.clone(),
            batch: self.pace.batch,
        };
        let (after, left) = (standing.after(), standing.left());
        let mut reading = JoinSet::new();
        reading.spawn(async move { reader.read(after, left, to).await });
        // The set goes with the stream: nobody reads for a run that has ended.
        stream::unfold((from, reading), async |(mut from, reading)| {
            from.recv().await.map(|batch| (batch, (from, reading)))
        })
    }

    /// Keeps what was found and counts what it took; returns whether it is to stop.
    async fn save(&self, standing: &Standing, done_before: i32, used: Took) -> Result<bool, JobError> {
        let now = self.clock.now();
        self.db
            .tenant(self.grant, "backtest.save", async |tx| {
                let saved = store::save(tx, standing, done_before).await?;
                let cancel = saved.ok_or(JobError::LeaseLost)?;
                if used != Took::default() {
                    let organization = standing.backtest.organization_id;
                    quotas::count_plugin_run(tx, organization, (used.fuel, used.elapsed_us), now).await?;
                }
                Ok(cancel)
            })
            .await
    }
}

fn take(standing: &mut Standing, at: Position, came: Came) {
    standing.found.add(at.call_id, came);
    standing.at = Some(at);
    let whole = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
    standing.backtest.calls_done = whole(standing.found.done);
    standing.backtest.calls_scored = whole(standing.found.scored);
}

fn is_faulty(found: &Found) -> bool {
    let failed = found.failed();
    failed >= FAULTS && failed > found.scored
}

/// Who reads the calls.
struct Reader {
    db: Arc<Db>,
    grant: Grant,
    backtest: Backtest,
    batch: i32,
}

impl Reader {
    async fn read(self, mut after: Position, mut left: i32, to: mpsc::Sender<Result<Batch, DbError>>) {
        let mut judges = Arc::new(HashMap::new());
        while left > 0 {
            let most = self.batch.clamp(1, left);
            let batch = self.next(after, most, &mut judges).await;
            let (read, last) = match &batch {
                Ok((batch, last)) => (batch.rows.len(), *last),
                Err(_) => (0, None),
            };
            // Nobody listens any more when the run has ended.
            if to.send(batch.map(|(batch, _)| batch)).await.is_err() {
                return;
            }
            let Some(last) = last else { return };
            after = last;
            left -= i32::try_from(read).unwrap_or(i32::MAX);
            if read < most.unsigned_abs() as usize {
                return;
            }
        }
    }

    async fn next(
        &self,
        after: Position,
        most: i32,
        judges: &mut Arc<HashMap<ScorecardVersionId, Arc<Judge>>>,
    ) -> Result<(Batch, Option<Position>), DbError> {
        let on = self.db.alone(&self.grant);
        let organization = self.backtest.organization_id;
        let rows = store::batch(&on, organization, &self.backtest.filter, after, most.into()).await?;
        let mut unknown = vec![];
        for row in &rows {
            let id: ScorecardVersionId = row.try_get("scorecard_version_id")?;
            if !judges.contains_key(&id) && !unknown.contains(&id) {
                unknown.push(id);
            }
        }
        if !unknown.is_empty() {
            let found = store::scorecards(&on, organization, &unknown).await?;
            let known = Arc::make_mut(judges);
            known.extend(found.into_iter().map(|version| (version.scorecard_version_id, Arc::new(Judge::of(version)))));
        }
        let last = rows.last().map(score::position).transpose()?;
        Ok((Batch { rows, judges: judges.clone() }, last))
    }
}
