//! What one call carries along: its meters, and the log that the guest leaves behind.

use serde::{Deserialize, Serialize};

use super::{
    limits::{INSTANCES, Limits, MEMORIES, TABLES},
    text::bounded,
};

/// The host's reasons to stop a guest in the middle of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stopped {
    #[error("the time is used up")]
    Deadline,
    /// Not for the call, but for the thread that it was tried on.
    #[error("it is too long for its caller's thread")]
    Impatient,
    #[error("{0}")]
    Memory(String),
    #[error("too many log messages")]
    LogFlood,
}

/// How serious a log message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For the author's own search.
    Debug,
    /// Worth knowing.
    Info,
    /// Not as it should be.
    Warn,
    /// Wrong.
    Error,
}

/// What a guest logged during one call. It may quote the conversation: show it to the plugin's author, never to the server's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginLog {
    /// The first messages, in order.
    pub messages: Vec<(LogLevel, String)>,
    /// Messages that were cut or not kept.
    pub truncated: u32,
    bytes: usize,
}

impl PluginLog {
    /// Appends what another call logged, as far as there is room.
    pub(super) fn add(&mut self, more: &Self, limits: &Limits) {
        self.truncated = self.truncated.saturating_add(more.truncated);
        for (level, message) in &more.messages {
            self.keep(*level, message, limits);
        }
    }

    fn keep(&mut self, level: LogLevel, message: &str, limits: &Limits) {
        let room = limits.log_bytes_kept.saturating_sub(self.bytes);
        if self.messages.len() >= limits.log_messages_kept || room == 0 {
            self.truncated = self.truncated.saturating_add(1);
            return;
        }
        let kept = bounded(message, room);
        self.truncated = self.truncated.saturating_add(u32::from(kept.len() < message.len()));
        self.bytes += kept.len();
        self.messages.push((level, kept.to_owned()));
    }
}

/// The state of one call.
pub(super) struct Sandbox {
    pub(super) log: PluginLog,
    /// The most linear memory that the guest held, in bytes.
    pub(super) memory_bytes: usize,
    /// Whether it was ended for being too long for its caller's thread.
    pub(super) lost_patience: bool,
    ticks_left: u32,
    /// Looks at the clock until now, and the one at which it is ended.
    pub(super) looks: u32,
    patience: Option<u32>,
    logged: u32,
    limits: Limits,
}

impl Sandbox {
    pub(super) fn new(limits: &Limits, ticks: u32, patience: Option<u32>) -> Self {
        Self {
            log: PluginLog::default(),
            memory_bytes: 0,
            lost_patience: false,
            ticks_left: ticks,
            looks: 0,
            patience,
            logged: 0,
            limits: limits.clone(),
        }
    }

    /// Takes one tick of the guest's time.
    pub(super) fn tick(&mut self) -> Result<(), Stopped> {
        self.ticks_left = self.ticks_left.checked_sub(1).ok_or(Stopped::Deadline)?;
        self.looks += 1;
        if self.patience.is_some_and(|looks| self.looks >= looks) {
            self.lost_patience = true;
            return Err(Stopped::Impatient);
        }
        Ok(())
    }

    /// Takes a message of the guest.
    pub(super) fn log(&mut self, level: LogLevel, message: &str) -> Result<(), Stopped> {
        self.logged += 1;
        if self.logged > self.limits.log_messages {
            return Err(Stopped::LogFlood);
        }
        self.log.keep(level, message, &self.limits);
        Ok(())
    }
}

/// A refused growth ends the call at once: the author reads "memory" instead of whatever the guest makes of a null pointer.
impl wasmtime::ResourceLimiter for Sandbox {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > self.limits.memory_bytes {
            let allowed = self.limits.memory_bytes;
            return Err(Stopped::Memory(format!("{total} bytes of memory, {allowed} are allowed")).into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stopped::Memory(bounded(&error.to_string(), 200).to_owned()).into())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            let allowed = self.limits.table_elements;
            return Err(Stopped::Memory(format!("a table of {desired} elements, {allowed} are allowed")).into());
        }
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stopped::Memory(bounded(&error.to_string(), 200).to_owned()).into())
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_first_messages_and_counts_the_rest() {
        let limits = Limits { log_messages_kept: 2, log_bytes_kept: 8, log_messages: 4, ..Limits::default() };
        let mut sandbox = Sandbox::new(&limits, 1, None);
        sandbox.log(LogLevel::Info, "hello").unwrap();
        sandbox.log(LogLevel::Info, "grüße").unwrap();
        sandbox.log(LogLevel::Warn, "more").unwrap();
        let kept: Vec<_> = sandbox.log.messages.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(kept, ["hello", "gr"], "cut at a character, not inside of it");
        assert_eq!(sandbox.log.truncated, 2);
        sandbox.log(LogLevel::Info, "").unwrap();
        assert_eq!(sandbox.log(LogLevel::Info, ""), Err(Stopped::LogFlood));
    }

    #[test]
    fn logs_of_several_calls_have_the_room_of_one() {
        let limits = Limits { log_messages_kept: 3, log_bytes_kept: 100, ..Limits::default() };
        let one = PluginLog {
            messages: vec![(LogLevel::Info, "one".into()), (LogLevel::Warn, "two".into())],
            truncated: 1,
            bytes: 6,
        };
        let mut both = PluginLog::default();
        both.add(&one, &limits);
        assert_eq!(both, one);
        both.add(&one, &limits);
        assert_eq!((both.messages.len(), both.truncated), (3, 3));
    }

    #[test]
    fn memory_counts_over_all_memories_of_the_guest() {
        use wasmtime::ResourceLimiter;
        let mut sandbox = Sandbox::new(&Limits { memory_bytes: 100, ..Limits::default() }, 1, None);
        assert!(sandbox.memory_growing(0, 60, None).unwrap());
        let error = sandbox.memory_growing(0, 60, None).unwrap_err();
        assert!(matches!(error.downcast_ref::<Stopped>(), Some(Stopped::Memory(_))), "{error}");
        assert!(sandbox.memory_growing(60, 100, None).unwrap());
        assert_eq!(sandbox.memory_bytes, 100);
    }

    #[test]
    fn time_ends_after_the_last_tick() {
        let mut sandbox = Sandbox::new(&Limits::default(), 2, None);
        sandbox.tick().unwrap();
        sandbox.tick().unwrap();
        assert_eq!(sandbox.tick(), Err(Stopped::Deadline));
    }

    #[test]
    fn patience_ends_before_time_does() {
        let mut sandbox = Sandbox::new(&Limits::default(), 9, Some(2));
        sandbox.tick().unwrap();
        assert!(!sandbox.lost_patience);
        assert_eq!(sandbox.tick(), Err(Stopped::Impatient));
        assert!(sandbox.lost_patience);
    }
}
