//! How much a plugin may take. All of it is per call, except where it says otherwise.

use std::time::Duration;

/// How much a plugin may take. The defaults hold a Rust, JavaScript or Python guest and stop everything else that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of a component, in bytes.
    pub component_bytes: usize,
    /// Compiled components kept in memory, in bytes of machine code, over all plugins.
    pub cache_bytes: u64,
    /// Calls that run at the same time, over all plugins; further ones wait.
    pub concurrency: u32,
    /// Time in which the guest itself runs. Waiting for a turn on a busy machine does not count.
    pub call_budget: Duration,
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

/// Core instances of one component: a Rust guest has 4, one from componentize-py 34.
pub(super) const INSTANCES: u32 = 64;
/// Tables of one component.
pub(super) const TABLES: u32 = 16;
/// Memories of one component.
pub(super) const MEMORIES: u32 = 2;
