//! A quiet tenant's scoring beside a tenant whose plugins are all hostile, against the same quiet tenant alone.
//!
//! Quiet: the example scorer over a call of 200 utterances, sent as a task of its own every few milliseconds, as a server gets its calls; the time
//! from sending to the score. Loud: every attack of `plugins/hostile` that can be loaded, over and over in as many tasks as a tenant may have calls at
//! once and as many again that wait, and one more that uploads the whole set. Both in one process on one runtime, each in its share, turn by turn
//! in one run.

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the tests' attacks, of which the bench needs the components"
)]
#[path = "../tests/support/attacks.rs"]
mod attacks;
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use plumbline::platform::plugins::{
    HostOptions, Limits, Plugin, PluginHost, ScoreInput, Scorer, ValidatorOptions, World, conformance,
};
use serde_json::json;

use support::{Outcome, median, met, rounded};

const EXAMPLE: &[u8] = include_bytes!("../plugins/monologue_deduction/monologue_deduction.wasm");
const UTTERANCES: usize = 200;
const ROUNDS: usize = 12;
const LONG: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_millis(4);
const GOAL: f64 = 1.2;

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(200), bench())
}

async fn bench() -> Outcome<()> {
    let host = host()?;
    let input = Arc::new(input());
    let quiet = host.load(EXAMPLE).await?.in_share(&host.share("quiet", host.usual_share())).scorer("{}")?;
    let loud = Loud::new(&host).await;
    println!(
        "neighbours: a call of {UTTERANCES} utterances every {} ms; {} hostile plugins beside it in every other of {} rounds of {} s",
        EVERY.as_millis(),
        loud.plugins.len(),
        2 * ROUNDS,
        LONG.as_secs()
    );
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8}",
        "", "alone p50", "p99", "beside p50", "p99", "attacks", "ratio"
    );
    calls(&quiet, &input, Duration::from_millis(500)).await?;
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let first = calls(&quiet, &input, LONG).await?;
        let attacks = loud.begin();
        let second = calls(&quiet, &input, LONG).await?;
        let attacks = attacks.end().await;
        let ratio = percentile(&second, 99.0) / percentile(&first, 99.0);
        println!(
            "{round:>8} {:>10.0} {:>10.0} {:>10.0} {:>10.0} {attacks:>10} {ratio:>8.2}",
            percentile(&first, 50.0),
            percentile(&first, 99.0),
            percentile(&second, 50.0),
            percentile(&second, 99.0),
        );
        alone.extend(first);
        beside.extend(second);
        ratios.push(ratio);
    }
    let (before, after) = (percentile(&alone, 99.0), percentile(&beside, 99.0));
    let ratio = rounded(after / before, 2);
    println!(
        "p99 of all calls: alone {before:.0} µs, beside {after:.0} µs; {ratio} times, goal {GOAL}: {}",
        met(ratio <= GOAL)
    );
    let line = json!({
        "bench": "neighbours",
        "p99_ratio": ratio,
        "p99_ratio_median_of_rounds": rounded(median(&ratios), 2),
        "p50_ratio": rounded(percentile(&beside, 50.0) / percentile(&alone, 50.0), 2),
        "p99_alone_us": before.round(),
        "p99_beside_us": after.round(),
        "calls": alone.len() + beside.len(),
        "goal": GOAL,
    });
    println!("{line}");
    Ok(())
}

fn host() -> Outcome<PluginHost> {
    let program = env!("CARGO_BIN_EXE_plumbline").into();
    let validator = ValidatorOptions { program, compile_seconds: 5, memory_bytes: 2 << 30 };
    let options = HostOptions { limits: Limits::default(), validator: Some(validator), ..HostOptions::default() };
    Ok(PluginHost::with(options)?)
}

/// The first utterances of the largest golden call.
fn input() -> ScoreInput {
    let mut input = conformance::golden_calls().pop().map(|call| call.input).unwrap_or_else(|| unreachable!());
    input.utterances.truncate(UTTERANCES);
    input.answers.iter_mut().for_each(|answer| answer.evidence.clear());
    input
}

/// Sends calls at even times, whatever became of those before; what each took, in microseconds.
async fn calls(quiet: &Arc<dyn Scorer>, input: &Arc<ScoreInput>, long: Duration) -> Outcome<Vec<f64>> {
    let mut even = tokio::time::interval(EVERY);
    let (began, mut sent) = (Instant::now(), Vec::new());
    while began.elapsed() < long {
        even.tick().await;
        let (quiet, input, at) = (Arc::clone(quiet), Arc::clone(input), Instant::now());
        sent.push(tokio::spawn(async move {
            let scored = quiet.score(&input).await;
            scored.map(|_| at.elapsed().as_secs_f64() * 1e6)
        }));
    }
    let mut took = Vec::with_capacity(sent.len());
    for call in sent {
        took.push(call.await??);
    }
    Ok(took)
}

/// The hostile tenant.
struct Loud {
    host: PluginHost,
    plugins: Arc<Vec<Plugin>>,
    uploads: Arc<Vec<Vec<u8>>>,
    tasks: u32,
}

/// Its attack, until it is ended.
struct Attack {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Loud {
    async fn new(host: &PluginHost) -> Self {
        let share = host.share("loud", host.usual_share());
        let uploads: Vec<_> = attacks::attacks().into_iter().map(|attack| attack.component).collect();
        let mut plugins = Vec::new();
        for component in &uploads {
            if let Ok(plugin) = host.load(component.clone()).await {
                plugins.push(plugin.in_share(&share));
            }
        }
        let tasks = 2 * host.usual_share().concurrency;
        Self { host: host.clone(), plugins: Arc::new(plugins), uploads: Arc::new(uploads), tasks }
    }

    fn begin(&self) -> Attack {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        let input = Arc::new(input());
        for task in 0..self.tasks as usize {
            let (plugins, input) = (Arc::clone(&self.plugins), Arc::clone(&input));
            let (stop, made) = (Arc::clone(&stop), Arc::clone(&made));
            tasks.push(tokio::spawn(async move {
                let mut next = task * 7;
                while !stop.load(Ordering::Relaxed) {
                    attack(&plugins[next % plugins.len()], &input).await;
                    made.fetch_add(1, Ordering::Relaxed);
                    next += 1;
                }
            }));
        }
        let (host, uploads, stopped) = (self.host.clone(), Arc::clone(&self.uploads), Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            for upload in uploads.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let _ = host.validate(upload.clone()).await;
            }
        }));
        Attack { stop, made, tasks }
    }
}

impl Attack {
    /// Ends it, and says how many calls it made.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
        self.made.load(Ordering::Relaxed)
    }
}

async fn attack(plugin: &Plugin, input: &ScoreInput) {
    let _ = plugin.validate_settings("{}").await;
    if plugin.world() == World::Scorer {
        let _ = plugin.run_score("{}", input).await;
    }
}

fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
