//! Where plugins run: bytes become a [`Plugin`], compiled once for each digest.

use std::{fmt, sync::Arc, time::Instant};

use bytes::Bytes;
use moka::future::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{Engine, Store, UpdateDeadline, component::Component};

use super::{
    Description, Identity, Limits, Plugin, PluginError, PluginLog,
    abi::v1::{self, Program},
    check, engine,
    sandbox::Sandbox,
};
use crate::foundation::digest;

/// How every WebAssembly component begins: magic, version of the component format, layer.
const COMPONENT_PREAMBLE: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// Fuel that a call begins with: more than its time lets it burn.
const FULL: u64 = u64::MAX;

/// The sandbox of the whole process: one engine, its limits, and the plugins compiled lately. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost {
    rooms: Arc<Rooms>,
}

struct Rooms {
    engine: Engine,
    limits: Limits,
    turns: Semaphore,
    /// A compiler that works on hostile bytes must not take every core: one at a time. It cannot be interrupted either, so
    /// uploads (issue 6) are to be compiled in a child process with limits of its own before they ever come here.
    compiler: Semaphore,
    compiled: Cache<String, Arc<Compiled>>,
}

/// A component that passed every check.
pub(super) struct Compiled {
    pub(super) program: Program,
    pub(super) identity: Identity,
    pub(super) description: Description,
    code_bytes: u32,
}

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

/// A call that has its turn: a fresh store with full meters.
pub(super) struct Turn<'a> {
    pub(super) store: Store<Sandbox>,
    limits: &'a Limits,
    began: Instant,
    _permit: SemaphorePermit<'a>,
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHost").field("limits", &self.rooms.limits).finish_non_exhaustive()
    }
}

impl PluginHost {
    /// Starts the engine. It ends with the last host and plugin that use it.
    ///
    /// # Errors
    /// [`PluginError::Host`] if the machine does not give what the limits ask for (address space, a thread).
    pub fn new(limits: Limits) -> Result<Self, PluginError> {
        let engine = engine::start(&limits)?;
        let compiled = Cache::builder()
            .max_capacity(limits.cache_bytes)
            .weigher(|_, compiled: &Arc<Compiled>| compiled.code_bytes)
            .build();
        let turns = Semaphore::new(limits.concurrency as usize);
        let rooms = Rooms { engine, limits, turns, compiler: Semaphore::new(1), compiled };
        Ok(Self { rooms: Arc::new(rooms) })
    }

    /// Makes a plugin of a component: checks it, compiles it and asks it to describe itself, or takes what is already there for
    /// these very bytes. Many callers at once compile once.
    ///
    /// # Errors
    /// [`PluginError`] with the reason for the refusal.
    pub async fn load(&self, component: impl Into<Bytes>) -> Result<Plugin, PluginError> {
        let bytes: Bytes = component.into();
        let limit = self.rooms.limits.component_bytes;
        if bytes.len() > limit {
            return Err(PluginError::TooLarge { bytes: bytes.len(), limit });
        }
        let sha256 = digest::of_bytes(&bytes);
        let compile = self.compile(bytes, sha256.clone());
        let compiled = self.rooms.compiled.try_get_with(sha256, compile).await.map_err(|error| (*error).clone())?;
        Ok(Plugin::new(self.clone(), compiled))
    }

    /// The plugin of this digest (SHA-256, lower-case hexadecimal), if it is compiled already: spares reading its bytes.
    pub async fn loaded(&self, sha256: &str) -> Option<Plugin> {
        let compiled = self.rooms.compiled.get(sha256).await?;
        Some(Plugin::new(self.clone(), compiled))
    }

    /// What plugins may take here.
    pub fn limits(&self) -> &Limits {
        &self.rooms.limits
    }

    /// Instances that live at this moment: 0 when no call runs.
    pub fn live_instances(&self) -> u64 {
        self.rooms.engine.pooling_allocator_metrics().map_or(0, |pool| pool.core_instances())
    }

    async fn compile(&self, bytes: Bytes, sha256: String) -> Result<Arc<Compiled>, PluginError> {
        let (program, code_bytes) = self.program(bytes).await?;
        let mut turn = self.turn().await?;
        let described = program.describe(&mut turn.store).await;
        let description = turn.end(described).outcome?;
        check::description(&description)?;
        let identity = Identity {
            name: description.name.clone(),
            version: description.version.clone(),
            sha256: Some(sha256),
            wit: Some(v1::CONTRACT.to_owned()),
            engine: Some(engine::ENGINE.to_owned()),
        };
        Ok(Arc::new(Compiled { program, identity, description, code_bytes }))
    }

    async fn program(&self, bytes: Bytes) -> Result<(Program, u32), PluginError> {
        if !bytes.starts_with(&COMPONENT_PREAMBLE) {
            let found = if bytes.starts_with(b"\0asm") { "it is a core module" } else { "it does not begin like one" };
            return Err(PluginError::NotAComponent(found.to_owned()));
        }
        let host_failed = |error: &dyn fmt::Display| PluginError::Host(error.to_string());
        let _permit = self.rooms.compiler.acquire().await.map_err(|error| host_failed(&error))?;
        let engine = self.rooms.engine.clone();
        tokio::task::spawn_blocking(move || compile_and_link(&engine, &bytes))
            .await
            .map_err(|error| host_failed(&error))?
    }

    /// Waits for a turn, and gives a fresh store for one call.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, PluginError> {
        let limits = &self.rooms.limits;
        let permit = self.rooms.turns.acquire().await.map_err(|error| PluginError::Host(error.to_string()))?;
        let ticks = limits.call_budget.as_millis().div_ceil(engine::TICK.as_millis());
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        let mut store = Store::new(&self.rooms.engine, Sandbox::new(limits, ticks));
        store.limiter(|sandbox| sandbox);
        store.set_fuel(FULL).map_err(|error| PluginError::Host(error.to_string()))?;
        store.set_hostcall_fuel(limits.transfer_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            store.data_mut().tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        Ok(Turn { store, limits, began: Instant::now(), _permit: permit })
    }
}

impl Turn<'_> {
    /// Gives the turn back, and says what came of it.
    pub(super) fn end<T>(self, result: wasmtime::Result<T>) -> Run<T> {
        let outcome = result.map_err(|error| engine::failure(&error, self.limits));
        let elapsed_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let fuel = self.store.get_fuel().map_or(0, |left| FULL.saturating_sub(left));
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

fn compile_and_link(engine: &Engine, bytes: &[u8]) -> Result<(Program, u32), PluginError> {
    let component = Component::new(engine, bytes).map_err(|error| PluginError::Compile(engine::message(&error)))?;
    let (imports, exports) = names(engine, &component);
    let forbidden: Vec<_> = imports.into_iter().filter(|name| !v1::IMPORTS.contains(&name.as_str())).collect();
    if !forbidden.is_empty() {
        return Err(PluginError::ForbiddenImport(forbidden));
    }
    let exports = |name: &str| exports.iter().any(|export| export == name);
    let linked = match (exports(v1::SCORING), exports(v1::PROMPTING)) {
        (true, false) => Program::scorer(engine, &component),
        (false, true) => Program::prompt_builder(engine, &component),
        (true, true) => return Err(PluginError::WrongWorld("it exports both worlds; make two plugins of it".into())),
        (false, false) => {
            let wanted = format!("it exports neither {} nor {}", v1::SCORING, v1::PROMPTING);
            return Err(PluginError::WrongWorld(wanted));
        }
    };
    let program = linked.map_err(|error| PluginError::WrongWorld(engine::message(&error)))?;
    let image = component.image_range();
    let code_bytes = (image.end as usize).saturating_sub(image.start as usize);
    Ok((program, u32::try_from(code_bytes).unwrap_or(u32::MAX)))
}

/// The names of a component's imports and exports, bounded.
fn names(engine: &Engine, component: &Component) -> (Vec<String>, Vec<String>) {
    let world = component.component_type();
    let imports = world.imports(engine).map(|(name, _)| engine::guest_words(name)).collect();
    let exports = world.exports(engine).map(|(name, _)| engine::guest_words(name)).collect();
    (imports, exports)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &[u8] = include_bytes!("../../../plugins/monologue_deduction/monologue_deduction.wasm");

    #[tokio::test]
    async fn the_same_bytes_are_compiled_once() {
        let host = PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap();
        let digest = digest::of_bytes(EXAMPLE);
        assert!(host.loaded(&digest).await.is_none());
        let (one, other) = tokio::join!(host.load(EXAMPLE), host.load(EXAMPLE));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.sha256(), digest);
        assert!(one.is_compiled_like(&other), "many callers at once compile once");
        assert!(host.loaded(&digest).await.unwrap().is_compiled_like(&one));
    }

    #[tokio::test]
    async fn a_plugin_outlives_its_place_in_the_cache() {
        let host = PluginHost::new(Limits { concurrency: 2, cache_bytes: 1, ..Limits::default() }).unwrap();
        let plugin = host.load(EXAMPLE).await.unwrap();
        host.rooms.compiled.run_pending_tasks().await;
        assert!(host.loaded(plugin.sha256()).await.is_none(), "larger than the whole cache");
        plugin.validate_settings("{}").await.unwrap();
    }
}
