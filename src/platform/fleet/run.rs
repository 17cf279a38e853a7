//! A run over the fleet: workers with a connection each take waves of tenants; a tenant is done or untouched, and the next run does the
//! rest. Locks are tried, never waited for: who finds a tenant taken comes back later and mostly finds it done.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_postgres::Config;

use super::{
    model::{Canary, FleetError, FleetOptions, Seen, Summary, TenantFailure},
    store,
};
use crate::{
    foundation::{clock::Clock, ids::TenantId},
    platform::{
        audit::{PlatformEvent, audit_platform},
        db::{Locked, Member, Outcome, Owner, OwnerError, TenantMigrations},
    },
};

/// Tenants whose locks and histories are asked for together.
const WAVE: usize = 16;
/// The first pause before a tenant is tried again; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// `create index concurrently` waits for transactions of others, and makes nobody wait.
const CONCURRENT_LOCK_WAIT_MS: u32 = 60_000;

/// Brings every tenant's schema to the set's newest version. `owner` says how to connect; the platform must be migrated already. `seen` is
/// told what happens. Tenants that fail are in the summary, and in `platform.tenants.migration_error`.
///
/// # Errors
/// [`FleetError`] when the run could not begin: PostgreSQL out of reach, or a canary that is no tenant.
pub async fn migrate(
    owner: &Config,
    set: &TenantMigrations,
    options: &FleetOptions,
    clock: &Clock,
    seen: &(dyn Fn(Seen<'_>) + Sync),
) -> Result<Summary, FleetError> {
    let started = Instant::now();
    let first = Owner::connect(owner).await?;
    let fleet = store::outdated(&first, set).await?;
    let (canary, rest) = chosen(&first, &options.canary, fleet.behind).await?;
    let run = Run { owner, set, options, seen, state: Mutex::default() };
    run.state().summary = Summary {
        newest: set.newest(),
        newest_concurrent: set.newest_concurrent(),
        current: fleet.current,
        newer: fleet.newer,
        ..Summary::default()
    };
    run.wave(true, canary).await;
    if run.state().summary.is_success() {
        run.wave(false, rest).await;
    } else if !rest.is_empty() {
        let mut state = run.state();
        state.summary.untouched += rest.len();
        state.summary.stopped.get_or_insert_with(|| "the canary wave did not succeed".to_owned());
    }
    run.confirm().await;
    let mut summary = run.state.into_inner().unwrap_or_else(PoisonError::into_inner).summary;
    summary.seconds = started.elapsed().as_secs_f64();
    if summary.migrated + summary.failed > 0 {
        record(owner, &summary, clock).await;
    }
    Ok(summary)
}

/// Splits those that are behind into the canary's and the others.
async fn chosen(
    owner: &Owner,
    canary: &Canary,
    mut behind: Vec<(TenantId, String)>,
) -> Result<(Vec<(TenantId, String)>, Vec<(TenantId, String)>), FleetError> {
    match canary {
        Canary::None => Ok((Vec::new(), behind)),
        Canary::Share(share) => {
            let first = (behind.len() as f64 * share).ceil() as usize;
            let rest = behind.split_off(first.min(behind.len()));
            Ok((behind, rest))
        }
        Canary::Slugs(slugs) => {
            let known = store::find_slugs(owner, slugs).await?;
            if let Some(unknown) = slugs.iter().find(|slug| !known.contains(slug)) {
                return Err(FleetError::UnknownCanary(unknown.clone()));
            }
            Ok(behind.into_iter().partition(|(_, slug)| slugs.contains(slug)))
        }
    }
}

/// The run in the platform's log.
async fn record(owner: &Config, summary: &Summary, clock: &Clock) {
    let event = PlatformEvent {
        actor: "command-line:migrate",
        action: "fleet.migrated",
        subject_kind: "fleet",
        subject_id: None,
        tenant_id: None,
        request_id: None,
        details: json!({
            "schema_version": summary.newest, "concurrent_version": summary.newest_concurrent,
            "migrated": summary.migrated, "failed": summary.failed, "untouched": summary.untouched,
        }),
        now: clock.now(),
    };
    let recorded = async {
        let owner = Owner::connect(owner).await?;
        Ok::<(), FleetError>(audit_platform(&owner, &event).await?)
    };
    if let Err(error) = recorded.await {
        tracing::warn!(%error, "the run is not in the platform's log");
    }
}

/// What is done with a tenant: first the migrations of all, then the concurrent steps, because those may take long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Migrations,
    Concurrent,
}

/// A tenant that waits for its turn.
#[derive(Clone)]
struct Task {
    tenant_id: TenantId,
    slug: String,
    tries: u32,
    /// Since when somebody else works on it.
    busy_since: Option<Instant>,
    /// Its history could not be read together with others': it is looked at by itself.
    alone: bool,
    not_before: Instant,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Task>,
    /// In the hands of workers: they may come back.
    taken: usize,
    /// Without a failure so far; whether anything was missing.
    done: HashMap<TenantId, bool>,
    /// Migrated by this run.
    migrated: HashSet<TenantId>,
    summary: Summary,
}

struct Run<'a> {
    owner: &'a Config,
    set: &'a TenantMigrations,
    options: &'a FleetOptions,
    seen: &'a (dyn Fn(Seen<'_>) + Sync),
    state: Mutex<State>,
}

impl Run<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wave(&self, canary: bool, tenants: Vec<(TenantId, String)>) {
        self.phase(Phase::Migrations, canary, tenants.clone()).await;
        if self.set.newest_concurrent() > 0 && !self.stops() {
            let done = self.state().done.keys().copied().collect::<HashSet<TenantId>>();
            let next = tenants.into_iter().filter(|(tenant, _)| done.contains(tenant)).collect();
            self.phase(Phase::Concurrent, canary, next).await;
        }
        let mut state = self.state();
        for (tenant, changed) in mem::take(&mut state.done) {
            if changed {
                state.migrated.insert(tenant);
                state.summary.migrated += 1;
            } else {
                state.summary.current += 1;
            }
        }
    }

    /// Commits have not waited for the disk: waits for all of them, and asks again who is behind. A server that crashed meanwhile has
    /// forgotten its last few, version and schema alike; they are migrated once more.
    async fn confirm(&self) {
        for tries in 0..self.options.attempts.max(1) {
            if self.state().summary.migrated == 0 {
                return;
            }
            let lost = async {
                let owner = Owner::connect(self.owner).await?;
                owner.flush().await?;
                Ok::<_, FleetError>(store::outdated(&owner, self.set).await?.behind)
            };
            let lost = match lost.await {
                Ok(behind) => behind,
                Err(error) => {
                    tracing::debug!(%error, "the run cannot be confirmed yet");
                    sleep(pause(tries)).await;
                    continue;
                }
            };
            let lost: Vec<(TenantId, String)> = {
                let mut state = self.state();
                let lost = lost.into_iter().filter(|(tenant, _)| state.migrated.remove(tenant)).collect::<Vec<_>>();
                state.summary.migrated -= lost.len();
                lost
            };
            if lost.is_empty() {
                return;
            }
            self.wave(false, lost).await;
        }
        let mut state = self.state();
        state
            .summary
            .stopped
            .get_or_insert_with(|| "PostgreSQL could not be asked whether it kept everything".to_owned());
        state.summary.untouched += mem::take(&mut state.summary.migrated);
    }

    async fn phase(&self, phase: Phase, canary: bool, tenants: Vec<(TenantId, String)>) {
        if tenants.is_empty() {
            return;
        }
        (self.seen)(Seen::Wave { canary, concurrent: phase == Phase::Concurrent, tenants: tenants.len() });
        let now = Instant::now();
        let workers = self.options.workers.clamp(1, tenants.len().max(1));
        self.state().waiting = tenants
            .into_iter()
            .map(|(tenant_id, slug)| Task {
                tenant_id,
                slug,
                tries: 0,
                busy_since: None,
                alone: false,
                not_before: now,
            })
            .collect();
        join_all((0..workers).map(|_| self.worker(phase, workers))).await;
        let mut state = self.state();
        for task in mem::take(&mut state.waiting) {
            state.summary.untouched += 1;
            state.done.remove(&task.tenant_id);
        }
    }

    /// Whether no other tenant is begun.
    fn stops(&self) -> bool {
        let state = self.state();
        self.options.stop_after.is_some_and(|most| state.summary.failed >= most)
    }

    async fn worker(&self, phase: Phase, workers: usize) {
        let mut owner = None;
        loop {
            let tasks = match self.take(phase, workers) {
                Taken::Tasks(tasks) => tasks,
                Taken::Wait(until) => {
                    sleep_until(until).await;
                    continue;
                }
                Taken::Nothing => return,
            };
            let connected = match owner.take() {
                Some(owner) => Ok(owner),
                None => self.connect(phase).await,
            };
            let taken = tasks.len();
            match connected {
                Ok(connection) => {
                    if self.work(&connection, phase, tasks).await {
                        owner = Some(connection);
                    }
                }
                Err(error) => self.all_again(tasks, &error),
            }
            self.state().taken -= taken;
        }
    }

    async fn connect(&self, phase: Phase) -> Result<Owner, OwnerError> {
        let owner = Owner::connect(self.owner).await?;
        owner
            .limit_lock_waits(match phase {
                Phase::Migrations => self.options.lock_wait_ms,
                Phase::Concurrent => self.options.lock_wait_ms.max(CONCURRENT_LOCK_WAIT_MS),
            })
            .await?;
        Ok(owner)
    }

    /// The next few tenants whose time has come.
    fn take(&self, phase: Phase, workers: usize) -> Taken {
        if self.stops() {
            self.state().summary.stopped.get_or_insert_with(|| "too many tenants failed".to_owned());
            return Taken::Nothing;
        }
        let mut state = self.state();
        let now = Instant::now();
        let most = match phase {
            Phase::Migrations => (state.waiting.len() / (2 * workers)).clamp(1, WAVE),
            Phase::Concurrent => 1,
        };
        let mut tasks = Vec::new();
        for _ in 0..state.waiting.len() {
            let Some(task) = state.waiting.pop_front() else { break };
            let fits = tasks.is_empty() || !task.alone;
            if task.not_before <= now && tasks.len() < most && fits {
                tasks.push(task);
            } else {
                state.waiting.push_back(task);
            }
            if tasks.len() == most || tasks.first().is_some_and(|task| task.alone) {
                break;
            }
        }
        if !tasks.is_empty() {
            state.taken += tasks.len();
            return Taken::Tasks(tasks);
        }
        match state.waiting.iter().map(|task| task.not_before).min() {
            Some(until) => Taken::Wait(until),
            None if state.taken > 0 => Taken::Wait(now + PAUSE), // a colleague may give some back
            None => Taken::Nothing,
        }
    }

    /// Works off the tasks; `false` when the connection is of no use any more.
    async fn work(&self, owner: &Owner, phase: Phase, tasks: Vec<Task>) -> bool {
        let ids: Vec<TenantId> = tasks.iter().map(|task| task.tenant_id).collect();
        let Locked { members, busy } = match owner.lock_tenants(&ids).await {
            Ok(locked) => locked,
            Err(error) => {
                self.not_read(owner, tasks, &error).await;
                return false;
            }
        };
        let members: HashMap<TenantId, Member> = members.into_iter().map(|member| (member.tenant_id, member)).collect();
        for task in tasks {
            match members.get(&task.tenant_id) {
                Some(_) if self.stops() => self.state().waiting.push_back(task),
                Some(member) => match self.one(owner, phase, member).await {
                    Ok(changed) => self.done(&task, changed),
                    Err(error) => {
                        let text = error.to_string();
                        let failed = (task.tenant_id, self.again(task, &error));
                        if let (tenant, true) = failed
                            && let Err(error) = store::note_failure(owner, tenant, &text).await
                        {
                            tracing::warn!(tenant_id = %tenant, %error, "the failure could not be noted");
                        }
                    }
                },
                None if busy.contains(&task.tenant_id) => self.busy(task),
                None => {} // destroyed meanwhile
            }
        }
        let ids: Vec<TenantId> = members.into_keys().collect();
        !owner.is_closed() && owner.unlock_tenants(&ids).await.is_ok()
    }

    /// Whether anything was missing.
    async fn one(&self, owner: &Owner, phase: Phase, member: &Member) -> Result<bool, OwnerError> {
        match phase {
            // Somebody with a later build was here meanwhile.
            Phase::Migrations if member.schema_version > self.set.newest() => Ok(false),
            Phase::Migrations => Ok(matches!(owner.migrate_tenant(self.set, member).await?, Outcome::Migrated(_))),
            Phase::Concurrent => {
                let mut changed = false;
                for step in self.set.concurrent_after(member.concurrent_version) {
                    owner.run_concurrent_step(member.tenant_id, step).await?;
                    changed = true;
                }
                Ok(changed)
            }
        }
    }

    fn done(&self, task: &Task, changed: bool) {
        *self.state().done.entry(task.tenant_id).or_default() |= changed;
        (self.seen)(Seen::Done(&task.slug));
    }

    /// The tenant's turn comes again, or it has failed: then `true`.
    fn again(&self, mut task: Task, error: &OwnerError) -> bool {
        task.tries += 1;
        if task.tries >= self.options.attempts || !error.is_temporary() {
            self.failed(&task, error);
            return true;
        }
        (self.seen)(Seen::Again(&task.slug, &error.to_string()));
        task.not_before = Instant::now() + pause(task.tries);
        self.state().waiting.push_back(task);
        false
    }

    /// One damaged history must not fail those that were read with it.
    async fn not_read(&self, owner: &Owner, tasks: Vec<Task>, error: &OwnerError) {
        if tasks.len() > 1 && !error.is_temporary() {
            self.state().waiting.extend(tasks.into_iter().map(|task| Task { alone: true, ..task }));
            return;
        }
        for task in tasks {
            let tenant = task.tenant_id;
            if self.again(task, error)
                && let Err(error) = store::note_failure(owner, tenant, &error.to_string()).await
            {
                tracing::warn!(tenant_id = %tenant, %error, "the failure could not be noted");
            }
        }
    }

    fn all_again(&self, tasks: Vec<Task>, error: &OwnerError) {
        for task in tasks {
            self.again(task, error);
        }
    }

    /// Somebody else works on the tenant.
    fn busy(&self, mut task: Task) {
        let now = Instant::now();
        let since = *task.busy_since.get_or_insert(now);
        if now - since > self.options.patience {
            return self.failed(&task, &OwnerError::Locked(task.slug.clone()));
        }
        task.not_before = now + 2 * PAUSE;
        self.state().waiting.push_back(task);
    }

    fn failed(&self, task: &Task, error: &OwnerError) {
        let failure = TenantFailure { tenant_id: task.tenant_id, slug: task.slug.clone(), error: error.to_string() };
        (self.seen)(Seen::Failed(&failure));
        let mut state = self.state();
        state.done.remove(&task.tenant_id);
        state.summary.failed += 1;
        state.summary.failures.push(failure);
    }
}

/// Twice as long each time, and never quite the same, so that workers do not meet again.
fn pause(tries: u32) -> Duration {
    PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE).mul_f64(rand::random_range(0.75..1.25))
}

enum Taken {
    Tasks(Vec<Task>),
    Wait(Instant),
    Nothing,
}
