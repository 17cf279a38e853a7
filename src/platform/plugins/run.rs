//! One run of a guest: its turn, its meters, and what it came to.

use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{Store, UpdateDeadline};

use super::{Limits, PluginError, PluginHost, PluginLog, engine, sandbox::Sandbox};

/// What a call came to, with what its author may want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<T> {
    /// The result, or why there is none.
    pub outcome: Result<T, PluginError>,
    /// What the guest logged.
    pub log: PluginLog,
    /// The most linear memory that the guest held, in bytes.
    pub memory_bytes: usize,
    /// From the call's turn to its end, in microseconds.
    pub elapsed_us: u64,
    /// Instructions that the guest ran, as the engine counts them: the same in every run, unless time stopped it.
    pub fuel: u64,
}

/// What runs of plugins took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Instructions, as the engine counts them.
    pub fuel: u64,
    /// Microseconds.
    pub elapsed_us: u64,
}

impl Used {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            fuel: self.fuel.saturating_add(other.fuel),
            elapsed_us: self.elapsed_us.saturating_add(other.elapsed_us),
        }
    }
}

/// The right to run now: one of the share's and one of the host's. Given back when it is dropped.
pub(super) struct Permits {
    pub(super) _share: Option<OwnedSemaphorePermit>,
    pub(super) _host: OwnedSemaphorePermit,
}

/// A call that has its turn: a fresh store with full meters.
pub(super) struct Turn {
    pub(super) store: Store<Sandbox>,
    limits: Limits,
    full: u64,
    began: Instant,
}

impl Turn {
    /// A fresh store for one call, which gives up at so many looks at the clock if `patience` says a number.
    pub(super) fn begin(
        host: &PluginHost,
        limits: &Limits,
        text_bytes: usize,
        patience: Option<u32>,
    ) -> Result<Self, PluginError> {
        let ticks = limits.call_budget.as_millis().div_ceil(engine::TICK.as_millis());
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        let mut store = Store::new(host.engine(), Sandbox::new(limits, ticks, patience));
        let full = limits.fuel(text_bytes);
        store.limiter(|sandbox| sandbox);
        store.set_fuel(full).map_err(|error| PluginError::Host(error.to_string()))?;
        store.set_hostcall_fuel(limits.transfer_bytes);
        store.set_epoch_deadline(1);
        let patient = patience.is_none();
        store.epoch_deadline_callback(move |mut store| {
            store.data_mut().tick()?;
            // Short calls are not worth a change of tasks.
            Ok(if patient { UpdateDeadline::Yield(1) } else { UpdateDeadline::Continue(1) })
        });
        Ok(Self { store, limits: limits.clone(), full, began: Instant::now() })
    }

    /// Whether it was ended because it took longer than its patience.
    pub(super) fn lost_patience(&self) -> bool {
        self.store.data().lost_patience
    }

    /// How often it looked at the clock.
    pub(super) fn looks(&self) -> u32 {
        self.store.data().looks
    }

    /// Says what came of it.
    pub(super) fn end<T>(self, result: wasmtime::Result<T>) -> Run<T> {
        let outcome = result.map_err(|error| engine::failure(&error, &self.limits, self.full));
        let elapsed_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let fuel = self.store.get_fuel().map_or(0, |left| self.full.saturating_sub(left));
        let Sandbox { log, memory_bytes, .. } = self.store.into_data();
        Run { outcome, log, memory_bytes, elapsed_us, fuel }
    }
}

impl<T> Run<T> {
    /// The same run with a closer look at its result.
    pub(super) fn and_then<U>(self, check: impl FnOnce(T) -> Result<U, PluginError>) -> Run<U> {
        let Self { outcome, log, memory_bytes, elapsed_us, fuel } = self;
        Run { outcome: outcome.and_then(check), log, memory_bytes, elapsed_us, fuel }
    }
}
