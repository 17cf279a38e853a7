//! Shares of the host: what the plugins of one tenant may take of it at once. The host does not know whose a share is.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};

use tokio::sync::Semaphore;

use super::{Allowance, pool::Pace};

/// How large a share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareLimits {
    /// Calls that run at the same time; further ones wait, and nobody else's do. At least 1.
    pub concurrency: u32,
    /// What each call may take, below the platform's limits.
    pub allowance: Allowance,
}

impl Default for ShareLimits {
    fn default() -> Self {
        Self { concurrency: 8, allowance: Allowance::default() }
    }
}

/// A share of the host, see [`super::PluginHost::share`]. Cheap to clone; all of one key and size are the same.
#[derive(Clone)]
pub struct Share {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    limits: ShareLimits,
    /// Calls that may run.
    pub(super) turns: Arc<Semaphore>,
    /// Processors that its long calls may keep busy: one fewer than there are, so that another share finds one.
    pub(super) lanes: Arc<Semaphore>,
    /// How its calls went lately, whatever their plugin: who has many bad ones may not try each of them on the server's threads.
    pub(super) pace: Pace,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

impl Share {
    /// What each call may take, below the platform's limits.
    pub(super) fn allowance(&self) -> Allowance {
        self.inner.limits.allowance
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }
}

/// All shares that somebody uses.
#[derive(Default)]
pub(super) struct Shares {
    known: Mutex<HashMap<String, Weak<Inner>>>,
}

impl Shares {
    /// The share of this key. One of another size replaces it: calls that wait or run keep the old one.
    pub(super) fn get(&self, key: &str, limits: ShareLimits) -> Share {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let current = known.get(key).and_then(Weak::upgrade).filter(|share| share.limits == limits);
        let inner = current.unwrap_or_else(|| {
            known.retain(|_, share| share.strong_count() > 0);
            let turns = Arc::new(Semaphore::new(limits.concurrency.max(1) as usize));
            let inner =
                Arc::new(Inner { limits, turns, lanes: Arc::new(Semaphore::new(lanes())), pace: Pace::default() });
            known.insert(key.to_owned(), Arc::downgrade(&inner));
            inner
        });
        Share { inner }
    }
}

/// One processor fewer than there are, and at least one.
fn lanes() -> usize {
    processors().saturating_sub(1).max(1)
}

/// Processors that this process may use.
pub(super) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_share_as_long_as_somebody_uses_it() {
        let shares = Shares::default();
        let one = shares.get("a", ShareLimits::default());
        assert!(Arc::ptr_eq(&one.inner, &shares.get("a", ShareLimits::default()).inner));
        assert!(!Arc::ptr_eq(&one.inner, &shares.get("b", ShareLimits::default()).inner));
        let larger = ShareLimits { concurrency: 9, ..ShareLimits::default() };
        let replaced = shares.get("a", larger);
        assert_eq!(replaced.inner.turns.available_permits(), 9);
        assert!(Arc::ptr_eq(&replaced.inner, &shares.get("a", larger).inner));
        drop((one, replaced));
        let _other = shares.get("c", larger);
        assert_eq!(shares.known.lock().unwrap().len(), 1, "what nobody uses is forgotten");
    }

    #[test]
    fn a_share_of_nothing_still_has_one_turn() {
        let share = Shares::default().get("a", ShareLimits { concurrency: 0, ..ShareLimits::default() });
        assert_eq!(share.inner.turns.available_permits(), 1);
    }
}
