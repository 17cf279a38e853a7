//! How much a plugin may take. All of it is per call, except where it says otherwise.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Allowance;

/// How much a plugin may take. The defaults hold a Rust, JavaScript or Python guest and stop everything else that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Size of a component, in bytes.
    pub component_bytes: usize,
    /// Compiled components kept in memory, in bytes of machine code, over all plugins.
    pub cache_bytes: u64,
    /// Calls that run at the same time, over all plugins; further ones wait.
    pub concurrency: u32,
    /// Time in which the guest itself runs. Waiting for a turn on a busy machine does not count.
    pub call_budget: Duration,
    /// Instructions that every call may run, as the engine counts them.
    pub fuel_base: u64,
    /// Instructions more for each byte of transcript, answers and settings.
    pub fuel_per_byte: u64,
    /// Instructions that no call exceeds, however long its text.
    pub fuel_most: u64,
    /// Linear memory, in bytes, over all memories of the guest.
    pub memory_bytes: usize,
    /// Stack of the guest, in bytes.
    pub stack_bytes: usize,
    /// Elements of one table.
    pub table_elements: usize,
    /// Data that one result or one log message may copy out of the guest, in bytes.
    pub transfer_bytes: usize,
    /// Size of the settings, in bytes.
    pub settings_bytes: usize,
    /// Log messages that are kept.
    pub log_messages_kept: usize,
    /// Text of log messages that is kept, in bytes.
    pub log_bytes_kept: usize,
    /// Log messages after which the call is stopped.
    pub log_messages: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 20 << 20,
            cache_bytes: 256 << 20,
            concurrency: 32,
            call_budget: Duration::from_secs(1),
            fuel_base: 200_000_000,
            fuel_per_byte: 1_000,
            fuel_most: 1_000_000_000,
            memory_bytes: 64 << 20,
            stack_bytes: 512 << 10,
            table_elements: 100_000,
            transfer_bytes: 4 << 20,
            settings_bytes: 64 << 10,
            log_messages_kept: 200,
            log_bytes_kept: 32 << 10,
            log_messages: 5_000,
        }
    }
}

impl Limits {
    /// These limits, or lower ones where a plan or a manifest sets them. Nothing is ever raised.
    #[must_use]
    pub fn min_with(&self, allowance: Allowance) -> Self {
        let Allowance { memory_bytes, time_ms, fuel } = allowance;
        let memory_bytes = memory_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Self {
            call_budget: self.call_budget.min(time_ms.map_or(Duration::MAX, Duration::from_millis)),
            memory_bytes: self.memory_bytes.min(memory_bytes),
            fuel_most: self.fuel_most.min(fuel.unwrap_or(u64::MAX)),
            ..self.clone()
        }
    }

    /// Instructions for a call with this much text.
    pub fn fuel(&self, text_bytes: usize) -> u64 {
        let text_bytes = u64::try_from(text_bytes).unwrap_or(u64::MAX);
        self.fuel_base.saturating_add(self.fuel_per_byte.saturating_mul(text_bytes)).min(self.fuel_most)
    }
}

/// Core instances of one component: a Rust guest has 4, one from componentize-py 34.
pub(super) const INSTANCES: u32 = 64;
/// Tables of one component.
pub(super) const TABLES: u32 = 16;
/// Memories of one component: one from componentize-qjs has 3.
pub(super) const MEMORIES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_and_a_manifest_only_lower() {
        let platform = Limits::default();
        assert_eq!(platform.min_with(Allowance::default()), platform);
        let greedy = Allowance { memory_bytes: Some(u64::MAX), time_ms: Some(u64::MAX), fuel: Some(u64::MAX) };
        assert_eq!(platform.min_with(greedy), platform);
        let modest = Allowance { memory_bytes: Some(1 << 20), time_ms: Some(20), fuel: Some(5_000_000) };
        let lower = platform.min_with(modest);
        assert_eq!(lower.memory_bytes, 1 << 20);
        assert_eq!(lower.call_budget, Duration::from_millis(20));
        assert_eq!(lower.fuel(0), 5_000_000, "also below what every call has");
    }

    #[test]
    fn fuel_grows_with_the_text_up_to_the_most() {
        let limits = Limits { fuel_base: 100, fuel_per_byte: 3, fuel_most: 1_000, ..Limits::default() };
        assert_eq!((limits.fuel(0), limits.fuel(10), limits.fuel(300)), (100, 130, 1_000));
        assert_eq!(limits.fuel(usize::MAX), 1_000);
    }
}
