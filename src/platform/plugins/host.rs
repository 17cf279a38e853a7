//! Where plugins run: bytes become a [`Plugin`], compiled once for each digest.

use std::{fmt, sync::Arc, time::Instant};

use bytes::Bytes;
use moka::future::Cache;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use wasmtime::{Engine, component::Component};

use super::{
    ArtefactOptions, Description, Identity, Limits, Manifest, Plugin, PluginError, Run, Share, ShareLimits,
    abi::v1::{self, Program},
    artefacts::Artefacts,
    call::{Call, Describe},
    check,
    engine::{self, Instances},
    pool::{self, Pace, Pool},
    run::{Permits, Turn},
    share::{Shares, processors},
    validator::{self, Task, ValidatorOptions},
};
use crate::foundation::digest;

/// How every WebAssembly component begins: magic, version of the component format, layer.
const COMPONENT_PREAMBLE: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// The sandbox of the whole process: one engine, its limits, and the plugins compiled lately. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost {
    rooms: Arc<Rooms>,
}

/// How plugins run here. The defaults compile in this very process and keep nothing on disk.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// What plugins may take.
    pub limits: Limits,
    /// What the plugins of one tenant may take at once, see [`PluginHost::usual_share`].
    pub share: ShareLimits,
    /// Who compiles; none: this very process, which is for components that somebody trusts.
    pub validator: Option<ValidatorOptions>,
    /// Where machine code is kept; none: nowhere.
    pub artefacts: Option<ArtefactOptions>,
}

struct Rooms {
    engine: Engine,
    limits: Limits,
    share: ShareLimits,
    validator: Option<ValidatorOptions>,
    artefacts: Option<Artefacts>,
    turns: Arc<Semaphore>,
    shares: Shares,
    /// For calls without a share: as many processors as there are.
    lanes: Arc<Semaphore>,
    pool: Pool,
    /// A compiler that works on hostile bytes must not take every core: one at a time.
    compiler: Semaphore,
    /// Uploads wait for each other, and not what is bound already for them.
    validations: Semaphore,
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
    /// A host that compiles in this very process and keeps nothing on disk.
    ///
    /// # Errors
    /// As [`PluginHost::with`].
    pub fn new(limits: Limits) -> Result<Self, PluginError> {
        Self::with(HostOptions { limits, ..HostOptions::default() })
    }

    /// Starts the engine. It ends with the last host and plugin that use it.
    ///
    /// # Errors
    /// [`PluginError::Host`] if the machine does not give what the options ask for (address space, a thread).
    pub fn with(options: HostOptions) -> Result<Self, PluginError> {
        Self::with_instances(options, Instances::Pooled)
    }

    pub(super) fn with_instances(options: HostOptions, instances: Instances) -> Result<Self, PluginError> {
        let HostOptions { limits, share, validator, artefacts } = options;
        let engine = engine::start(&limits, instances)?;
        let artefacts = artefacts.map(|options| Artefacts::of(options, &engine));
        let compiled = Cache::builder()
            .max_capacity(limits.cache_bytes)
            .weigher(|_, compiled: &Arc<Compiled>| compiled.linked.code_bytes)
            .build();
        let rooms = Rooms {
            engine,
            turns: Arc::new(Semaphore::new(limits.concurrency as usize)),
            limits,
            share,
            validator,
            artefacts,
            shares: Shares::default(),
            lanes: Arc::new(Semaphore::new(processors())),
            pool: Pool::default(),
            compiler: Semaphore::new(1),
            validations: Semaphore::new(1),
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

    /// How large a share is that no plan says anything about.
    pub fn usual_share(&self) -> ShareLimits {
        self.rooms.share
    }

    pub(super) fn validator(&self) -> Option<&ValidatorOptions> {
        self.rooms.validator.as_ref()
    }

    /// Waits for the turn of an upload.
    pub(super) async fn validator_turn(&self) -> Result<SemaphorePermit<'_>, PluginError> {
        self.rooms.validations.acquire().await.map_err(|error| PluginError::Host(error.to_string()))
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.rooms.engine
    }

    async fn compile(&self, bytes: Bytes, sha256: String) -> Result<Arc<Compiled>, PluginError> {
        let linked = self.linked(bytes, &sha256).await?;
        self.described(linked, sha256).await
    }

    /// Takes machine code that this process ordered, and gives the plugin of it.
    pub(super) async fn adopt(&self, sha256: String, code: Vec<u8>, compile_ms: u64) -> Result<Plugin, PluginError> {
        let engine = self.rooms.engine.clone();
        let linked = blocking(move || link(&engine, &revived(&engine, &code)?, compile_ms)).await??;
        let described = self.described(linked, sha256.clone());
        let compiled = self.rooms.compiled.try_get_with(sha256, described).await.map_err(|error| (*error).clone())?;
        Ok(Plugin::new(self.clone(), compiled))
    }

    async fn described(&self, linked: Linked, sha256: String) -> Result<Arc<Compiled>, PluginError> {
        let linked = Arc::new(linked);
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

    /// Machine code from disk, from a child's compiler or from our own, in this order.
    async fn linked(&self, bytes: Bytes, sha256: &str) -> Result<Linked, PluginError> {
        begins_like_a_component(&bytes)?;
        if let Some(linked) = self.kept(sha256).await? {
            return Ok(linked);
        }
        let _permit = self.rooms.compiler.acquire().await.map_err(|error| PluginError::Host(error.to_string()))?;
        let engine = self.rooms.engine.clone();
        let Some(validator) = &self.rooms.validator else {
            let began = Instant::now();
            let component = compiled(engine, bytes).await?;
            let compile_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            if self.rooms.artefacts.is_some() {
                let code = component.serialize().map_err(|error| PluginError::Host(engine::message(&error)))?;
                self.keep(sha256.to_owned(), code).await;
            }
            return link(&self.rooms.engine, &component, compile_ms);
        };
        let done = validator::order(validator, &self.rooms.limits, Task::Compile, &bytes).await?;
        let code = done.code.ok_or_else(|| PluginError::Host("the validator gave no code".to_owned()))?;
        let compile_ms = done.compile_ms;
        self.keep(sha256.to_owned(), code.clone()).await;
        blocking(move || link(&engine, &revived(&engine, &code)?, compile_ms)).await?
    }

    /// The machine code of a component and nothing else: in the process that was made for it.
    pub(super) async fn compile_alone(&self, bytes: Bytes) -> Result<Vec<u8>, PluginError> {
        begins_like_a_component(&bytes)?;
        let engine = self.rooms.engine.clone();
        let component = compiled(engine, bytes).await?;
        component.serialize().map_err(|error| PluginError::Host(engine::message(&error)))
    }

    /// What is kept on disk; code that the engine does not take all the same is as good as none.
    async fn kept(&self, sha256: &str) -> Result<Option<Linked>, PluginError> {
        if self.rooms.artefacts.is_none() {
            return Ok(None);
        }
        let (rooms, sha256) = (Arc::clone(&self.rooms), sha256.to_owned());
        blocking(move || {
            let code = rooms.artefacts.as_ref().and_then(|artefacts| artefacts.read(&sha256));
            let component = code.map(|code| revived(&rooms.engine, &code));
            match component {
                Some(Ok(component)) => link(&rooms.engine, &component, 0).map(Some),
                Some(Err(error)) => {
                    tracing::warn!(plugin = sha256, %error, "the engine does not take kept machine code; it is made again");
                    Ok(None)
                }
                None => Ok(None),
            }
        })
        .await?
    }

    /// Keeps machine code on disk, where that is wanted.
    pub(super) async fn keep(&self, sha256: String, code: Vec<u8>) {
        let rooms = Arc::clone(&self.rooms);
        let kept = blocking(move || {
            if let Some(artefacts) = &rooms.artefacts {
                artefacts.write(&sha256, &code);
            }
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "machine code of a plugin is not kept");
        }
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
        if linked.pace.is_trusted() && share.is_none_or(|share| share.inner().pace.is_trusted()) {
            let mut turn = Turn::begin(self, limits, text_bytes, Some(pool::SHORT))?;
            let answer = call.ask(&linked.program, &mut turn.store).await;
            let is_over = !turn.lost_patience();
            if !is_over || answer.is_err() {
                linked.pace.went_badly();
                share.iter().for_each(|share| share.inner().pace.went_badly());
            }
            if is_over {
                return Ok(turn.end(answer));
            }
        }
        let (host, linked, limits, call) = (self.clone(), Arc::clone(linked), limits.clone(), call.to_owned());
        let lanes = Arc::clone(share.map_or(&self.rooms.lanes, |share| &share.inner().lanes));
        let share = share.cloned();
        let run = async move {
            let _permits = permits;
            let mut turn = Turn::begin(&host, &limits, text_bytes, None)?;
            let answer = call.ask(&linked.program, &mut turn.store).await;
            let went = if answer.is_ok() && turn.looks() < pool::SHORT { Pace::went_well } else { Pace::went_badly };
            went(&linked.pace);
            share.iter().for_each(|share| went(&share.inner().pace));
            Ok(turn.end(answer))
        };
        self.rooms.pool.run(lanes, run).await?
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PluginError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| PluginError::Host(error.to_string()))
}

fn begins_like_a_component(bytes: &[u8]) -> Result<(), PluginError> {
    if bytes.starts_with(&COMPONENT_PREAMBLE) {
        return Ok(());
    }
    let found = if bytes.starts_with(b"\0asm") { "it is a core module" } else { "it does not begin like one" };
    Err(PluginError::NotAComponent(found.to_owned()))
}

/// Whatever the compiler does, a panic too, it does because of these bytes.
async fn compiled(engine: Engine, bytes: Bytes) -> Result<Component, PluginError> {
    let component = tokio::task::spawn_blocking(move || Component::new(&engine, &bytes)).await;
    let component = component.map_err(|_| PluginError::Compile("the compiler broke down on it".to_owned()))?;
    component.map_err(|error| PluginError::Compile(engine::message(&error)))
}

/// A component of machine code. Never to be given anything but what the own compiler made: its child's, or what bears our seal.
#[allow(unsafe_code, reason = "machine code is trusted code; the two ways here are the child's and the seal's")]
fn revived(engine: &Engine, code: &[u8]) -> Result<Component, PluginError> {
    // SAFETY: the bytes were made by this program's own compiler and came here from a directory that only the child could write to, or under a
    // seal over all of them that only an installation's own processes can make.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| PluginError::Host(engine::message(&error)))
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
