//! Extism: compiled once, a fresh plugin for each call, limits of the same kinds as ours.

use std::{fs, time::Duration};

use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};

use crate::{
    Outcome, Rival,
    types::{Request, ScoreOutput},
};

const PAGES: u32 = 1_024;
const FUEL: u64 = 10_000_000_000;

pub struct Extism(CompiledPlugin);

impl Extism {
    pub fn of(file: &str) -> Outcome<Self> {
        let manifest =
            Manifest::new([Wasm::data(fs::read(file)?)]).with_memory_max(PAGES).with_timeout(Duration::from_secs(1));
        Ok(Self(PluginBuilder::new(manifest).with_cache_disabled().with_fuel_limit(FUEL).compile()?))
    }
}

impl Rival for Extism {
    fn score(&self, request: &Request) -> Outcome<ScoreOutput> {
        let mut plugin = Plugin::new_from_compiled(&self.0)?;
        let found: Vec<u8> = plugin.call("score", serde_json::to_vec(request)?)?;
        Ok(serde_json::from_slice(&found)?)
    }
}
