//! How often each transaction ran and how long it took, from the door's own events.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Runs and microseconds of every transaction by its name.
#[derive(Clone, Default)]
pub struct Transactions(Arc<Mutex<BTreeMap<String, (u64, u64)>>>);

impl Transactions {
    /// A table: runs and milliseconds per call.
    pub fn print(&self, calls: f64) {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{:>32} {:>10} {:>12} {:>12}", "transaction", "per call", "mean, ms", "ms per call");
        let mut sums = (0, 0);
        for (name, (runs, elapsed_us)) in counted.iter() {
            row(name, *runs, *elapsed_us, calls);
            sums = (sums.0 + runs, sums.1 + elapsed_us);
        }
        row("all", sums.0, sums.1, calls);
    }
}

fn row(name: &str, runs: u64, elapsed_us: u64, calls: f64) {
    let ms = elapsed_us as f64 / 1_000.0;
    println!("{name:>32} {:>10.2} {:>12.2} {:>12.2}", runs as f64 / calls, ms / runs as f64, ms / calls);
}

impl<S: Subscriber> Layer<S> for Transactions {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen::default();
        event.record(&mut seen);
        if let Some(name) = seen.name {
            let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = counted.entry(name).or_default();
            *entry = (entry.0 + 1, entry.1 + seen.elapsed_us);
        }
    }
}

#[derive(Default)]
struct Seen {
    name: Option<String>,
    elapsed_us: u64,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "transaction" {
            self.name = Some(value.to_owned());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "elapsed_us" {
            self.elapsed_us = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
