//! The engine: everything about it that makes a guest stoppable and its result the same on every machine.

use std::{thread, time::Duration};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolConcurrencyLimitError, PoolingAllocationConfig, Trap,
};

use super::{
    PluginError,
    limits::{INSTANCES, Limits, MEMORIES, TABLES},
    sandbox::Stopped,
    text::bounded,
};

/// What a receipt says of the engine: a score is only bound to be equal under an equal engine.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// How often a running guest looks up: it yields to other tasks, or is stopped.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// How long a message of the engine or of a guest may become, in bytes.
const MESSAGE_BYTES: usize = 500;

/// Where instances come from. Machine code is the same for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instances {
    /// From slots that are kept ready: quick to make.
    Pooled,
    /// One by one: nothing is reserved.
    OnDemand,
}

/// Builds the engine and starts its ticker, which ends with the engine's last user.
pub(super) fn start(limits: &Limits, instances: Instances) -> Result<Engine, PluginError> {
    let engine = Engine::new(&config(limits, instances)).map_err(|error| PluginError::Host(message(&error)))?;
    let weak = engine.weak();
    let tick = move || {
        loop {
            thread::sleep(TICK);
            let Some(engine) = weak.upgrade() else { break };
            engine.increment_epoch();
        }
    };
    thread::Builder::new()
        .name("plugin-ticker".into())
        .spawn(tick)
        .map_err(|error| PluginError::Host(error.to_string()))?;
    Ok(engine)
}

fn config(limits: &Limits, instances: Instances) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    // What a call costs and where it ends, counted the same on every machine. Time stops what burns none: the host's own work.
    config.consume_fuel(true);
    config.max_wasm_stack(limits.stack_bytes);
    // Room for the host's own frames above the guest's.
    config.async_stack_size(limits.stack_bytes + (1 << 20));
    // Equal input, equal score: on every processor, in every run.
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(false);
    config.allocation_strategy(match instances {
        Instances::Pooled => InstanceAllocationStrategy::Pooling(pool(limits)),
        Instances::OnDemand => InstanceAllocationStrategy::OnDemand,
    });
    config
}

/// Slots for as many calls as may run at once, each as large as it may be: a call that has its turn never lacks a slot.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let calls = limits.concurrency;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls * INSTANCES)
        .total_memories(calls * MEMORIES)
        .total_tables(calls * TABLES)
        .total_stacks(calls)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_tables_per_module(TABLES / 4)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .max_unused_warm_slots(calls)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        // Where Linux says which pages a guest wrote, those alone are cleaned; elsewhere a call pays for the first MiB of its memory.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Why the engine ended a call, in the words of this room.
pub(super) fn failure(error: &wasmtime::Error, limits: &Limits, fuel: u64) -> PluginError {
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        return match stopped {
            Stopped::Deadline | Stopped::Impatient => PluginError::Deadline(limits.call_budget),
            Stopped::Memory(what) => PluginError::Memory(what.clone()),
            Stopped::LogFlood => PluginError::LogFlood(limits.log_messages),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return PluginError::Host(message(error));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => PluginError::Fuel(fuel),
        Some(Trap::StackOverflow) => PluginError::Stack(limits.stack_bytes),
        Some(Trap::AllocationTooLarge) => PluginError::Memory(message(error)),
        Some(_) => PluginError::Trap(message(error)),
        None => untyped(message(error)),
    }
}

/// Errors for which the engine has no public type. A test in tests/it/hostile.rs meets each of them, so a new version of the
/// engine that words them anew is noticed; until then it would merely say `trap`.
fn untyped(message: String) -> PluginError {
    if message.contains("fuel allocated for hostcalls") {
        return PluginError::OutputTooLarge("it copies more data than one call may".into());
    }
    if message.contains("resource limit exceeded") {
        return PluginError::Memory(message);
    }
    // The types of the exports are only compared when the first instance is made.
    if message.starts_with("expected `") {
        return PluginError::WrongWorld(message);
    }
    PluginError::Trap(message)
}

/// The cause at the root of an engine's error, bounded.
pub(super) fn message(error: &wasmtime::Error) -> String {
    bounded(&error.root_cause().to_string(), MESSAGE_BYTES).to_owned()
}

/// A guest's own words, bounded.
pub(super) fn guest_words(text: &str) -> String {
    bounded(text, MESSAGE_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_name_the_engine_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        let (name, version) = ENGINE.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")));
    }

    #[test]
    fn the_ticker_ends_with_the_engine() {
        let limits = Limits { concurrency: 1, ..Limits::default() };
        let engine = start(&limits, Instances::Pooled).unwrap();
        let weak = engine.weak();
        drop(engine);
        // The ticker may hold the engine for the length of one tick.
        let gone = (0..200).any(|_| {
            thread::sleep(TICK);
            weak.upgrade().is_none()
        });
        assert!(gone);
    }
}
