//! QuickJS in this very process, without WebAssembly: the source compiled once to bytecode, a fresh runtime for each call, limits of memory
//! and time.

use std::{
    fs,
    time::{Duration, Instant},
};

use rquickjs::{Context, Function, Module, Runtime, WriteOptions};

use crate::{
    Outcome, Rival,
    types::{Request, ScoreOutput},
};

const MEMORY: usize = 64 << 20;
const STACK: usize = 512 << 10;
const TIME: Duration = Duration::from_secs(1);

pub struct QuickJs(Vec<u8>);

impl QuickJs {
    pub fn of(file: &str) -> Outcome<Self> {
        let source = fs::read(file)?;
        let runtime = Runtime::new()?;
        let bytecode = Context::full(&runtime)?
            .with(|context| Module::declare(context, "scorer", source)?.write(WriteOptions::default()))?;
        Ok(Self(bytecode))
    }
}

impl Rival for QuickJs {
    #[allow(unsafe_code, reason = "bytecode that this process made")]
    fn score(&self, request: &Request) -> Outcome<ScoreOutput> {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(MEMORY);
        runtime.set_max_stack_size(STACK);
        let deadline = Instant::now() + TIME;
        runtime.set_interrupt_handler(Some(Box::new(move || Instant::now() > deadline)));
        let found: String = Context::full(&runtime)?.with(|context| {
            // SAFETY: `of` wrote it with the same QuickJS.
            let (module, ready) = unsafe { Module::load(context, &self.0) }?.eval()?;
            ready.finish::<()>()?;
            let score: Function = module.get("scoreJson")?;
            score.call((serde_json::to_string(request).unwrap_or_default(),))
        })?;
        Ok(serde_json::from_str(&found)?)
    }
}
