//! A generated adversary: callers of every tenant, organization and role use on every operation of the OpenAPI document what belongs to others.
//!
//! Each attempt has a twin, in which everything that is another's is replaced by what is nobody's. (a) No answer holds a word, an id or a count of
//! another's; (b) attempt and twin are answered alike, to the last byte; (c) nothing of anybody else changes, nothing is queued for anybody else;
//! (d) what is the caller's own changes only by leave of the caller's roles. After every attempt the world is put back as it was furnished.

mod attempt;
mod caller;
mod callers;
mod cursors;
mod document;
mod journal;
mod maker;
mod oracle;
mod things;
mod world;

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    time::Instant,
};

use futures_util::TryStreamExt;
use object_store::ObjectStoreExt;
use plumbline::foundation::access::Permission;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use uuid::Uuid;

pub use self::world::World;
use self::{
    attempt::{Attempt, Rendered},
    caller::Caller,
    oracle::{difference, leaked, normal, trespassed},
    things::Owner,
    world::Got,
};

/// How many violations are told in full.
const TOLD: usize = 10;

/// How an operation fared.
#[derive(Clone, Debug, Default)]
pub struct Fared {
    pub attempts: u64,
    /// With something of others in the request.
    pub foreign: u64,
    /// Answered with 2xx or 304: what was asked can be asked so.
    pub done: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    pub attempts: u64,
    pub leaks: u64,
    /// The first violations.
    pub told: Vec<String>,
    pub operations: BTreeMap<String, Fared>,
}

impl Report {
    /// Operations of which nothing was proved: nothing foreign was tried, or nothing ever succeeded, so that a refusal says nothing.
    pub fn uncovered(&self, world: &World) -> Vec<String> {
        let open = world.document.operations.iter().filter(|operation| {
            self.operations.get(&operation.id).is_none_or(|fared| {
                fared.attempts == 0 || fared.done == 0 || (operation.takes_anything() && fared.foreign == 0)
            })
        });
        open.map(|operation| operation.id.clone()).collect()
    }
}

/// The adversary in its world.
pub struct Adversary {
    pub world: World,
    pub report: Report,
    rng: StdRng,
    seed: u64,
    /// Answers to twins by caller and request: the world is the same each time.
    twins: HashMap<u64, u64>,
    furnished: BTreeMap<String, String>,
    objects: Vec<String>,
}

/// `PLUMBLINE_SEED`, or a new one.
pub fn seed() -> u64 {
    match std::env::var("PLUMBLINE_SEED") {
        Ok(seed) => seed.parse().expect("PLUMBLINE_SEED is a number"),
        Err(_) => rand::random(),
    }
}

impl Adversary {
    /// In a newly furnished world.
    pub async fn new(seed: u64) -> Self {
        let world = Box::pin(World::new()).await;
        let furnished = journal::digests(&world.owner).await;
        let objects = world.app.objects().await;
        let rng = StdRng::seed_from_u64(seed);
        Self { world, report: Report::default(), rng, seed, twins: HashMap::new(), furnished, objects }
    }

    /// So many attempts at any operation.
    pub async fn run(&mut self, attempts: usize) {
        for _ in 0..attempts {
            let operation = self.rng.random_range(0..self.world.document.operations.len());
            self.attempt(operation).await;
        }
    }

    /// So many attempts, and some more at operations that had no luck: rare ones fit together seldom.
    pub async fn run_and_cover(&mut self, attempts: usize) {
        self.run(attempts).await;
        for _ in 0..20 {
            for operation in self.report.uncovered(&self.world) {
                self.run_at(&operation, 25).await;
            }
        }
    }

    /// So many attempts at one operation.
    pub async fn run_at(&mut self, operation: &str, attempts: usize) {
        let operations = &self.world.document.operations;
        let at = operations.iter().position(|one| one.id == operation).expect("it is in the document");
        for _ in 0..attempts {
            self.attempt(at).await;
        }
    }

    async fn attempt(&mut self, operation: usize) {
        let attempt = maker::make(&self.world, operation, &mut self.rng);
        let (rendered, got) = self.asked(&attempt, false).await;
        let fared = self.report.operations.entry(self.world.document.operations[operation].id.clone()).or_default();
        fared.attempts += 1;
        fared.foreign += u64::from(attempt.is_foreign());
        fared.done += u64::from((200..300).contains(&got.status) || got.status == 304);
        self.report.attempts += 1;
        if attempt.is_foreign() {
            self.compare(&attempt, &rendered, &got).await;
        }
    }

    /// Sends the attempt or its twin, looks at the answer and at what changed, and puts everything back.
    async fn asked(&mut self, attempt: &Attempt, twin: bool) -> (Rendered, Got) {
        let rendered = attempt.rendered(twin);
        let method = self.world.document.operations[attempt.operation].method.clone();
        let caller = self.world.callers[attempt.caller].clone();
        let got = self.world.ask(&caller, &method, &rendered.path, &rendered.headers, rendered.body.clone()).await;
        let changes = journal::undo(&self.world.owner).await;
        let sent = rendered.text(&method);
        let stray = if attempt.stores() { self.stray_object(&caller, &got).await } else { None };
        let fault = (got.status == 500).then(|| "the server failed".to_owned());
        let told = leaked(&self.world.things, &caller, &sent, &got);
        for wrong in [told, trespassed(&caller, &got, &changes), stray, fault].into_iter().flatten() {
            let body: String = String::from_utf8_lossy(&got.body).chars().take(2_000).collect();
            self.found(&caller, &format!("{wrong}\n{sent}\n=> {} {body}", got.status));
        }
        (rendered, got)
    }

    async fn compare(&mut self, attempt: &Attempt, rendered: &Rendered, got: &Got) {
        let twin = attempt.rendered(true);
        let (request, answer) = (
            hashed(&(
                attempt.caller,
                attempt.operation,
                &twin.path,
                &twin.headers,
                &twin.body,
                attempt.foreign_slots(),
            )),
            normal(&self.world.things, attempt, false, got),
        );
        let known = match self.twins.get(&request) {
            Some(known) => *known,
            None => {
                let (_, got) = self.asked(attempt, true).await;
                let known = hashed(&normal(&self.world.things, attempt, true, &got));
                self.twins.insert(request, known);
                known
            }
        };
        if known != hashed(&answer) {
            let (_, real) = self.asked(attempt, false).await;
            let (twin, other) = self.asked(attempt, true).await;
            let method = &self.world.document.operations[attempt.operation].method;
            let told = difference(&rendered.text(method), &twin, &real, &other);
            let caller = self.world.callers[attempt.caller].clone();
            self.found(&caller, &told);
        }
    }

    /// An object that came where it should not have; what came rightly goes again.
    async fn stray_object(&self, caller: &Caller, got: &Got) -> Option<String> {
        let store = self.world.app.app.objects();
        let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
        let prefix = caller.tenant.map(|tenant| format!("{tenant}/"));
        let mut stray = None;
        for object in objects {
            let key = object.location.to_string();
            if self.objects.contains(&key) {
                continue;
            }
            let own = prefix.as_ref().is_some_and(|prefix| key.starts_with(prefix));
            // An archive that an operator sent waits to be restored.
            let taken_in =
                key.starts_with("imports/") && caller.tenant.is_none() && caller.may_any(&[Permission::ManageTenants]);
            if got.status != 202 || !(own || taken_in) {
                stray = Some(format!("an object came to {key}"));
            }
            store.delete(&object.location).await.unwrap();
        }
        stray
    }

    fn found(&mut self, caller: &Caller, what: &str) {
        self.report.leaks += 1;
        if self.report.told.len() < TOLD {
            let (n, seed) = (self.report.attempts, self.seed);
            self.report.told.push(format!("attempt {n} (PLUMBLINE_SEED={seed}) by {}: {what}", caller.name));
        }
    }

    /// Lets one organization have more of everything: nobody else's answers change by it. The world is not put back after this.
    pub async fn interfere(&mut self) {
        let victim = Owner {
            tenant: Some(self.world.tenants[0].id.0),
            organization: self.world.tenants[0].sales.parse().ok(),
            ..Owner::default()
        };
        let before = self.everything_read(&victim).await;
        let tenant = self.world.tenants.remove(0);
        self.world.furnish(&tenant, &tenant.sales).await;
        self.world.tenants.insert(0, tenant);
        let after = self.everything_read(&victim).await;
        for ((caller, path, was), (_, _, is)) in before.iter().zip(&after) {
            if was != is {
                let caller = self.world.callers[*caller].clone();
                self.found(&caller, &format!("another's growth is seen at {path}\n{was}\n=> {is}"));
            }
        }
    }

    /// What everybody reads who does not see the victim: every list, and everything of their own.
    async fn everything_read(&self, victim: &Owner) -> Vec<(usize, String, String)> {
        let mut read = vec![];
        for (n, caller) in self.world.callers.iter().enumerate() {
            if caller.tenant.is_none() || caller.sees(victim) {
                continue;
            }
            for operation in self.world.document.operations.iter().filter(|one| one.method == "GET") {
                // A version is its tenant's as a whole, whichever organization it was uploaded for.
                if operation.id == "list_plugins" && caller.tenant == victim.tenant {
                    continue;
                }
                for path in cursors::lists(&self.world, operation, caller) {
                    let got = self.world.ask(caller, &operation.method, &path, &[], vec![]).await;
                    let body = String::from_utf8_lossy(&got.body).into_owned();
                    if got.status < 300 {
                        read.push((n, path, body));
                    }
                }
            }
        }
        read
    }

    /// How long a call of another organization takes to be not found, and one of nobody's: medians in microseconds of as many turns.
    #[allow(dead_code, reason = "a figure of the bench, which proves nothing")]
    pub async fn timing(&self, turns: usize) -> (f64, f64) {
        let tenant = &self.world.tenants[0];
        let caller = self.world.callers.iter().find(|caller| caller.name.ends_with("evaluator of sales")).unwrap();
        let text = format!("select call_id::text from {}.calls where organization_id <> $1", tenant.schema);
        let sales: Uuid = tenant.sales.parse().unwrap();
        let foreign = self.world.owner.query(&text, &[&sales]).await.unwrap();
        let foreign: Vec<String> = foreign.iter().map(|row| row.get(0)).collect();
        let (mut found, mut nothing) = (vec![], vec![]);
        for turn in 0..turns {
            let invented = Uuid::from_u128(0x7000_8000_0000_0000_0000 + turn as u128).to_string();
            for (id, times) in [(&foreign[turn % foreign.len()], &mut found), (&invented, &mut nothing)] {
                let started = Instant::now();
                let got = self.world.ask(caller, &Method::GET, &format!("/api/calls/{id}"), &[], vec![]).await;
                times.push(started.elapsed().as_secs_f64() * 1e6);
                assert_eq!(got.status, 404);
            }
        }
        (middle(found), middle(nothing))
    }

    /// Forgets what was found, and what twins were answered: for a world that was changed on purpose.
    pub fn forget(&mut self) {
        self.twins.clear();
        self.report = Report::default();
    }

    /// Whether every row and object is as it was furnished.
    pub async fn compare_everything(&mut self) {
        let now = journal::digests(&self.world.owner).await;
        let furnished = std::mem::take(&mut self.furnished);
        for (table, digest) in &furnished {
            if now.get(table) != Some(digest) {
                self.found(&Caller::default(), &format!("{table} is {:?} and was {digest}", now.get(table)));
            }
        }
        self.furnished = furnished;
        let objects = self.world.app.objects().await;
        if objects != self.objects {
            self.found(&Caller::default(), &format!("the objects are {objects:?} and were {:?}", self.objects));
        }
    }
}

#[allow(dead_code, reason = "as above")]
fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
