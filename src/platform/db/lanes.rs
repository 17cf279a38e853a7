//! Connections in lanes. A tenant calls a few lanes its own: there its statements are already prepared. Strict lanes
//! would starve a hot tenant, and free choice would make every statement cold everywhere; this keeps both fast.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use deadpool_postgres::{Object, Pool, PoolError, TimeoutType, Timeouts};

/// Prepared statements that one connection may hold; past it the connection forgets them all.
const MAX_STATEMENTS: usize = 2048;

/// How long a tenant waits for its own lane before it takes another's connection, where its statements are cold.
const PATIENCE: Duration = Duration::from_millis(5);

/// Pools of one connection each.
pub struct Lanes {
    lanes: Vec<Pool>,
    spread: usize,
    wait: Duration,
}

impl Lanes {
    /// `spread` is how many lanes a tenant calls its own; `wait` is how long a checkout may take in all.
    ///
    /// # Panics
    /// When `lanes` is empty.
    pub(super) fn new(lanes: Vec<Pool>, spread: usize, wait: Duration) -> Self {
        assert!(!lanes.is_empty(), "at least one lane");
        Self { spread: spread.clamp(1, lanes.len()), lanes, wait }
    }

    /// A connection for an owner (a tenant, or the platform): an idle one of its few lanes, or after a moment's patience any idle one, or
    /// the first of its home lane to come free.
    ///
    /// # Errors
    /// When none comes free within the wait, or PostgreSQL cannot be reached.
    pub(super) async fn checkout(&self, owner: impl Hash) -> Result<Object, PoolError> {
        let home = self.home(owner);
        let lane = |step| (home + step) % self.lanes.len();
        let near = (0..self.spread).map(|step| (lane(step), Duration::ZERO));
        let far = (self.spread..self.lanes.len()).map(|step| (lane(step), Duration::ZERO));
        for (lane, wait) in near.chain([(home, PATIENCE)]).chain(far).chain([(home, self.wait)]) {
            let timeouts = Timeouts { wait: Some(wait), ..Timeouts::default() };
            match self.lanes[lane].timeout_get(&timeouts).await {
                Err(PoolError::Timeout(_)) => continue,
                outcome => return outcome.map(bounded),
            }
        }
        Err(PoolError::Timeout(TimeoutType::Wait))
    }

    fn home(&self, owner: impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        owner.hash(&mut hasher);
        hasher.finish() as usize % self.lanes.len()
    }
}

fn bounded(client: Object) -> Object {
    if client.statement_cache.size() > MAX_STATEMENTS {
        client.statement_cache.clear();
    }
    client
}
