//! Where plugins run: bytes become a [`Plugin`], compiled once for each digest.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use moka::future::Cache;
use tokio::sync::{AcquireError, Semaphore};
use wasmtime::{Engine, component::Component};

use super::{
    Description, Identity, Limits, Manifest, Plugin, PluginError, Run, Share, ShareLimits,
    abi::v1::{self, Program},
    call::{Call, Describe},
    check, engine,
    pool::{self, Pace, Pool},
    run::{Permits, Turn},
    share::{Shares, processors},
};
use crate::foundation::digest;

/// How every WebAssembly component begins: magic, version of the component format, layer.
const COMPONENT_PREAMBLE: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// The sandbox of the whole process: one engine, its limits, and the plugins compiled lately. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost {
    rooms: Arc<Rooms>,
}

struct Rooms {
    engine: Engine,
    limits: Limits,
    turns: Arc<Semaphore>,
    shares: Shares,
    /// For calls without a share: as many processors as there are.
    lanes: Arc<Semaphore>,
    pool: Pool,
    /// A compiler that works on hostile bytes must not take every core: one at a time. It cannot be interrupted either, so
    /// uploads (issue 6) are to be compiled in a child process with limits of its own before they ever come here.
    compiler: Semaphore,
    compiled: Cache<String, Arc<Compiled>>,
}

/// A component that passed every check.
pub(super) struct Compiled {
    pub(super) linked: Arc<Linked>,
    pub(super) identity: Identity,
    pub(super) description: Description,
    pub(super) manifest: Manifest,
}

/// A component that can be called.
pub(super) struct Linked {
    pub(super) program: Program,
    /// Size of its machine code.
    pub(super) code_bytes: u32,
    /// How long the compiler took.
    pub(super) compile_ms: u64,
    pace: Pace,
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
            .weigher(|_, compiled: &Arc<Compiled>| compiled.linked.code_bytes)
            .build();
        let rooms = Rooms {
            engine,
            turns: Arc::new(Semaphore::new(limits.concurrency as usize)),
            limits,
            shares: Shares::default(),
            lanes: Arc::new(Semaphore::new(processors())),
            pool: Pool::default(),
            compiler: Semaphore::new(1),
            compiled,
        };
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

    /// A share of this host under a key, such as a tenant's: its calls ([`Plugin::in_share`]) wait for each other before they wait for
    /// anybody else's. All who ask for the same key and size get the same share.
    pub fn share(&self, key: &str, limits: ShareLimits) -> Share {
        self.rooms.shares.get(key, limits)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.rooms.engine
    }

    async fn compile(&self, bytes: Bytes, sha256: String) -> Result<Arc<Compiled>, PluginError> {
        let linked = Arc::new(self.link(bytes).await?);
        let description = self.ask(&linked, &self.rooms.limits, None, &Describe).await?.outcome?;
        check::description(&description)?;
        let manifest = Manifest::of(&description)?;
        let identity = Identity {
            name: description.name.clone(),
            version: description.version.clone(),
            sha256: Some(sha256),
            wit: Some(v1::CONTRACT.to_owned()),
            engine: Some(engine::ENGINE.to_owned()),
        };
        Ok(Arc::new(Compiled { linked, identity, description, manifest }))
    }

    async fn link(&self, bytes: Bytes) -> Result<Linked, PluginError> {
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

    /// Asks a guest: on this very thread if its calls are short, else in the pool. Waits for the share's turn first, so that who waits for the
    /// host's never holds up another share.
    pub(super) async fn ask<C: Call>(
        &self,
        linked: &Arc<Linked>,
        limits: &Limits,
        share: Option<&Share>,
        call: &C,
    ) -> Result<Run<C::Out>, PluginError> {
        let permits = self.permits(share).await?;
        let text_bytes = call.text_bytes();
        if linked.pace.is_short() {
            let mut turn = Turn::begin(self, limits, text_bytes, Some(pool::SHORT))?;
            let answer = call.ask(&linked.program, &mut turn.store).await;
            if !turn.lost_patience() {
                return Ok(turn.end(answer));
            }
            linked.pace.note(pool::SHORT);
        }
        let (host, linked, limits, call) = (self.clone(), Arc::clone(linked), limits.clone(), call.to_owned());
        let lanes = share.map_or(&self.rooms.lanes, |share| &share.inner().lanes);
        let run = async move {
            let _permits = permits;
            let mut turn = Turn::begin(&host, &limits, text_bytes, None)?;
            let answer = call.ask(&linked.program, &mut turn.store).await;
            let run = turn.end(answer);
            linked.pace.note(Duration::from_micros(run.elapsed_us));
            Ok(run)
        };
        self.rooms.pool.run(Arc::clone(lanes), run).await?
    }

    async fn permits(&self, share: Option<&Share>) -> Result<Permits, PluginError> {
        let closed = |error: AcquireError| PluginError::Host(error.to_string());
        let of_share = match share {
            Some(share) => Some(Arc::clone(&share.inner().turns).acquire_owned().await.map_err(closed)?),
            None => None,
        };
        let of_host = Arc::clone(&self.rooms.turns).acquire_owned().await.map_err(closed)?;
        Ok(Permits { _share: of_share, _host: of_host })
    }
}

fn compile_and_link(engine: &Engine, bytes: &[u8]) -> Result<Linked, PluginError> {
    let began = Instant::now();
    let component = Component::new(engine, bytes).map_err(|error| PluginError::Compile(engine::message(&error)))?;
    let compile_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    link(engine, &component, compile_ms)
}

/// Looks at a compiled component from outside, and makes it callable.
fn link(engine: &Engine, component: &Component, compile_ms: u64) -> Result<Linked, PluginError> {
    let (imports, exports) = names(engine, component);
    let forbidden: Vec<_> = imports.into_iter().filter(|name| !v1::IMPORTS.contains(&name.as_str())).collect();
    if !forbidden.is_empty() {
        return Err(PluginError::ForbiddenImport(forbidden));
    }
    let exports = |name: &str| exports.iter().any(|export| export == name);
    let linked = match (exports(v1::SCORING), exports(v1::PROMPTING)) {
        (true, false) => Program::scorer(engine, component),
        (false, true) => Program::prompt_builder(engine, component),
        (true, true) => return Err(PluginError::WrongWorld("it exports both worlds; make two plugins of it".into())),
        (false, false) => {
            let wanted = format!("it exports neither {} nor {}", v1::SCORING, v1::PROMPTING);
            return Err(PluginError::WrongWorld(wanted));
        }
    };
    let program = linked.map_err(|error| PluginError::WrongWorld(engine::message(&error)))?;
    let image = component.image_range();
    let code_bytes = (image.end as usize).saturating_sub(image.start as usize);
    let code_bytes = u32::try_from(code_bytes).unwrap_or(u32::MAX);
    Ok(Linked { program, code_bytes, compile_ms, pace: Pace::default() })
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
