//! The generated adversary with patience: a million attempts to reach what belongs to others, in one world for each core.
//!
//! What is tried and what counts as a leak: tests/support/adversary. `PLUMBLINE_SEED` repeats a run, `PLUMBLINE_ATTEMPTS` changes its length.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench says so by ending")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs, reason = "the tests' own, of which the bench uses a part")]
mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use serde_json::json;

use support::adversary::{Adversary, Fared, seed};

const ATTEMPTS: u64 = 1_000_000;
/// Attempts between two looks at everything, and two lines of progress.
const TURN: u64 = 10_000;
const WORLDS: u64 = 2;
const TIMED: usize = 2_000;

/// What one world came to.
struct Outcome {
    leaks: u64,
    operations: BTreeMap<String, Fared>,
    documented: Vec<String>,
    uncovered: Vec<String>,
    /// A foreign call, and one of nobody's, in microseconds.
    timing: (f64, f64),
}

fn main() {
    let attempts = std::env::var("PLUMBLINE_ATTEMPTS").map_or(ATTEMPTS, |n| n.parse().expect("a number"));
    let seed = seed();
    println!("isolation: {attempts} attempts in {WORLDS} worlds, PLUMBLINE_SEED={seed}");
    let (started, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let worlds: Vec<_> = (0..WORLDS)
        .map(|n| {
            let done = done.clone();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(world(seed.wrapping_add(n), attempts / WORLDS, attempts, &done))
            })
        })
        .collect();
    let outcomes: Vec<Outcome> = worlds.into_iter().map(|world| world.join().unwrap()).collect();
    report(&outcomes, done.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
}

async fn world(seed: u64, mine: u64, all: u64, done: &AtomicU64) -> Outcome {
    let mut adversary = Box::pin(Adversary::new(seed)).await;
    let started = Instant::now();
    let (mut left, mut shown) = (mine, 0);
    while left > 0 {
        let turn = left.min(TURN);
        adversary.run_and_cover(usize::try_from(turn).unwrap()).await;
        adversary.compare_everything().await;
        left -= turn;
        for told in adversary.report.told.iter().skip(shown) {
            println!("{told}\n"); // at once, so that nobody waits for the end
        }
        shown = adversary.report.told.len();
        let so_far = done.fetch_add(turn, Ordering::Relaxed) + turn;
        let rate = (mine - left) as f64 / started.elapsed().as_secs_f64();
        println!("{so_far:>9} of {all}, {rate:.0} a second in this world, {} leaks", adversary.report.leaks);
    }
    let timing = adversary.timing(TIMED).await;
    adversary.interfere().await;
    let uncovered = adversary.report.uncovered(&adversary.world);
    Outcome {
        leaks: adversary.report.leaks,
        operations: adversary.report.operations.clone(),
        documented: adversary.world.operations(),
        uncovered,
        timing,
    }
}

fn report(outcomes: &[Outcome], attempts: u64, seconds: f64) {
    println!("{:<40} {:>9} {:>9} {:>9}", "operation", "attempts", "foreign", "done");
    for operation in &outcomes[0].documented {
        let all = outcomes.iter().filter_map(|outcome| outcome.operations.get(operation));
        let sum = |of: fn(&Fared) -> u64| all.clone().map(of).sum::<u64>();
        let (tried, foreign, done) = (sum(|f| f.attempts), sum(|f| f.foreign), sum(|f| f.done));
        println!("{operation:<40} {tried:>9} {foreign:>9} {done:>9}");
    }
    let everywhere = |operation: &&String| outcomes.iter().all(|outcome| outcome.uncovered.contains(operation));
    let uncovered: Vec<&String> = outcomes[0].uncovered.iter().filter(everywhere).collect();
    println!("uncovered: {uncovered:?}");
    let (foreign, nothing) = outcomes[0].timing;
    println!(
        "{}",
        json!({
            "attempts": attempts,
            "leaks": outcomes.iter().map(|outcome| outcome.leaks).sum::<u64>(),
            "operations": outcomes[0].documented.len(),
            "uncovered_operations": uncovered.len(),
            "attempts_per_s": (attempts as f64 / seconds).round(),
            "found_foreign_us": foreign.round(),
            "found_nothing_us": nothing.round(),
            "foreign_to_nothing": (foreign / nothing * 1_000.0).round() / 1_000.0,
        })
    );
}
