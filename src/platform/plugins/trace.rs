//! What runs of a plugin leave for its author, besides their results.

use super::{Limits, PluginLog, Run, Used};

/// What the runs of a plugin with its settings left behind: for one evaluation a scorer may be called twice, and a prompt builder once for each part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// How often it was called.
    pub runs: u32,
    /// What all runs took.
    pub used: Used,
    /// The most linear memory that any of them held, in bytes.
    pub memory_bytes: usize,
    /// What they logged: the first messages of all of them together, held to the size of one run's log.
    pub log: PluginLog,
}

impl Trace {
    /// Notes another run.
    pub(super) fn add<T>(&mut self, run: &Run<T>, limits: &Limits) {
        self.runs = self.runs.saturating_add(1);
        self.used = self.used.and(Used { fuel: run.fuel, elapsed_us: run.elapsed_us });
        self.memory_bytes = self.memory_bytes.max(run.memory_bytes);
        self.log.add(&run.log, limits);
    }
}
