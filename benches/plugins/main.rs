//! One scorer in every way in which a server can run a customer's code, in one run: as native Rust, as a component in this host (Rust with the
//! SDK, TypeScript by componentize-qjs, Python by componentize-py), and by the rivals of benches/peers/plugins (Extism, an embedded QuickJS, a
//! process for each call). And what the host itself takes: a guest that does nothing, over the same 200 utterances.
//!
//! Every call is isolated from every other: a fresh instance, plugin, runtime or process. All must find the same before anything is timed.
//! They take turns; each round gives a median for each, and a figure is the median over the rounds of the ratio to native in the same round.

mod rivals;
mod sample;
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, clippy::nonminimal_bool, reason = "the SDK's search, of which the bench needs a part")]
#[path = "../../plugins/sdk/src/search.rs"]
mod search;

mod scorer {
    use plumbline::platform::plugins::{
        Answer, AutoFail, CriterionScore, Insight, InsightKind, ScoreInput, ScoreOutput, Speaker, Utterance, Verdict,
    };

    use crate::search::Phrase;

    include!("scorer.rs");
}

use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use plumbline::platform::plugins::{Limits, Plugin, PluginHost, ScoreInput, ScoreOutput};
use serde_json::{Value, json};
use wit_component::ComponentEncoder;

use rivals::{RIVALS, Rivals};
use support::{Outcome, median, met, rounded};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Rust guest for the tests, which have no WebAssembly toolchain.
const COMMITTED: &[u8] = include_bytes!("scorer.wasm");

const ROUNDS: usize = 25;
/// Calls of one round, where a call takes microseconds and where it takes milliseconds.
const MANY: usize = 200;
const FEW: usize = 20;
const MOST_OF_NATIVE: f64 = 5.0;
const MOST_OVERHEAD_US: f64 = 25.0;

/// Components, by the names of their files, of figures, and how often they are called in a round.
const GUESTS: [(&str, &str, usize); 3] = [
    ("bench_guest.wasm", "rust_to_native", MANY),
    ("typescript.wasm", "typescript_to_native", FEW),
    ("python.wasm", "python_to_native", FEW),
];

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(240), bench())
}

/// Times of one round, in microseconds.
struct Round {
    native: f64,
    nothing_native: f64,
    nothing: f64,
    others: Vec<(&'static str, f64)>,
}

/// What is called: everything of the bench that lives in this process, and the child.
struct Field {
    input: ScoreInput,
    nothing: Plugin,
    guests: Vec<(&'static str, Plugin, usize)>,
    rivals: Rivals,
}

async fn bench() -> Outcome<()> {
    let made = PathBuf::from(env::var_os("BENCH_PLUGINS").ok_or("start this by script/bench plugins")?);
    let mut field = Field::prepare(&made).await?;
    field.agree().await?;
    let mut rounds = vec![];
    for _ in 0..ROUNDS {
        rounds.push(field.round().await?);
    }
    report(&rounds);
    Ok(())
}

impl Field {
    async fn prepare(made: &Path) -> Outcome<Self> {
        let host = PluginHost::new(Limits::default())?;
        let mut guests = vec![];
        for (file, figure, calls) in GUESTS {
            guests.push((figure, load(&host, &made.join(file)).await?, calls));
        }
        let nothing = load(&host, &made.join("bench_nothing.wasm")).await?;
        committed(&made.join(GUESTS[0].0))?;
        let input = sample::input();
        let rivals = Rivals::start(made, &input)?;
        Ok(Self { input, nothing, guests, rivals })
    }

    /// Everybody finds what native Rust finds.
    async fn agree(&self) -> Outcome<()> {
        let expected = native(&self.input)?;
        for (figure, plugin, _) in &self.guests {
            let run = plugin.run_score(sample::SETTINGS, &self.input).await?;
            println!("{figure}: fuel {}, {} KiB of memory", run.fuel, run.memory_bytes >> 10);
            same(figure, &json!(run.outcome?), &json!(expected))?;
        }
        for (figure, found) in RIVALS.iter().zip(self.rivals.found()) {
            same(figure, found, &json!(expected))?;
        }
        let run = self.nothing.run_score("{}", &self.input).await?;
        same("nothing", &json!(run.outcome?), &json!(nothing(&self.input)))
    }

    async fn round(&mut self) -> Outcome<Round> {
        let input = &self.input;
        let native = native_times(|| native(input));
        let nothing_native = native_times(|| nothing(input));
        let nothing = guest_times(&self.nothing, "{}", input, MANY).await?;
        let mut others = vec![];
        for (figure, plugin, calls) in &self.guests {
            others.push((*figure, guest_times(plugin, sample::SETTINGS, input, *calls).await?));
        }
        for (at, figure) in RIVALS.iter().enumerate() {
            others.push((*figure, median(&self.rivals.times(at, FEW)?)));
        }
        Ok(Round { native, nothing_native, nothing, others })
    }
}

fn native(input: &ScoreInput) -> Outcome<ScoreOutput> {
    Ok(scorer::score(&serde_json::from_str(sample::SETTINGS)?, input))
}

fn nothing(_: &ScoreInput) -> ScoreOutput {
    ScoreOutput { criteria: vec![], overall: None, insights: vec![], metadata: vec![] }
}

async fn load(host: &PluginHost, file: &Path) -> Outcome<Plugin> {
    Ok(host.load(component(file)?).await?)
}

/// A component; a core module of `script/bench` becomes one.
fn component(file: &Path) -> Outcome<Vec<u8>> {
    let bytes = fs::read(file)?;
    let is_component = bytes.get(4) == Some(&0x0d);
    Ok(if is_component { bytes } else { ComponentEncoder::default().module(&bytes)?.encode()? })
}

/// Says so if tests/it/bench_scorer.rs has an older component than this one, and leaves the newer one beside the module.
fn committed(module: &Path) -> Outcome<()> {
    let made = component(module)?;
    if made != COMMITTED {
        let newer = module.with_file_name("scorer.wasm");
        fs::write(&newer, made)?;
        println!("benches/plugins/scorer.wasm is not what its source gives here; {} is", newer.display());
    }
    Ok(())
}

fn same(who: &str, found: &Value, expected: &Value) -> Outcome<()> {
    if found == expected { Ok(()) } else { Err(format!("{who} found {found}, native Rust {expected}").into()) }
}

fn native_times<T>(call: impl Fn() -> T) -> f64 {
    let time = || {
        let began = Instant::now();
        black_box(call());
        began.elapsed().as_secs_f64() * 1e6
    };
    median(&(0..MANY).map(|_| time()).collect::<Vec<_>>())
}

async fn guest_times(plugin: &Plugin, settings: &str, input: &ScoreInput, calls: usize) -> Outcome<f64> {
    let mut times = vec![];
    for _ in 0..calls {
        let began = Instant::now();
        black_box(plugin.run_score(settings, black_box(input)).await?.outcome?);
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&times))
}

fn report(rounds: &[Round]) {
    let over = |of: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
    let native = over(&|round| round.native);
    println!("{:<24}{native:>10.1} us", "native");
    let mut figures = serde_json::Map::new();
    for (at, figure) in rounds.first().into_iter().flat_map(|round| &round.others).map(|other| other.0).enumerate() {
        let ratios: Vec<_> = rounds.iter().map(|round| round.others[at].1 / round.native).collect();
        let (time, ratio) = (over(&|round| round.others[at].1), median(&ratios));
        let (least, most) = ratios.iter().fold((f64::MAX, 0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
        println!("{figure:<24}{time:>10.1} us, ratio {ratio:.2} (rounds {least:.2} to {most:.2})");
        figures.insert(figure.to_owned(), json!(rounded(ratio, 2)));
    }
    let overhead = over(&|round| round.nothing - round.nothing_native);
    let rust = figures.get(GUESTS[0].1).and_then(Value::as_f64).unwrap_or(f64::NAN);
    println!("rust to native {rust:.2}, goal at most {MOST_OF_NATIVE}: {}", met(rust <= MOST_OF_NATIVE));
    println!("host overhead {overhead:.1} us, goal at most {MOST_OVERHEAD_US}: {}", met(overhead <= MOST_OVERHEAD_US));
    figures.insert("host_overhead_us".to_owned(), json!(rounded(overhead, 1)));
    println!("{}", Value::Object(figures));
}
