//! The same scorer by the other ways in which a server can run a customer's code: Extism, an embedded QuickJS, a process for each call.
//!
//! A child of benches/plugins, which says how many calls it wants and compares what comes out: requests and answers are lines of JSON on
//! standard input and output. `bench-rivals score` is the process for one call.

mod extism_rival;
mod quickjs;
#[allow(dead_code, reason = "the bench needs no more of the SDK's search")]
#[path = "../../../../../plugins/sdk/src/search.rs"]
mod search;
mod subprocess;
mod types;

mod scorer {
    use crate::{
        search::Phrase,
        types::{
            Answer, AutoFail, CriterionScore, Insight, InsightKind, ScoreInput, ScoreOutput, Speaker, Utterance,
            Verdict,
        },
    };
    include!("../../../../plugins/scorer.rs");
}

use std::{
    error::Error,
    io::{self, BufRead, Write},
    time::Instant,
};

use serde::Deserialize;
use serde_json::json;

use crate::types::{Request, ScoreOutput};

/// Whatever goes wrong ends the bench with a word.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// A way to score: with everything prepared that one call may leave to the next without isolation being given up.
trait Rival {
    /// One call that shares no state with another.
    fn score(&self, request: &Request) -> Outcome<ScoreOutput>;
}

/// The first line: what is scored, and where the other forms of the scorer are.
#[derive(Deserialize)]
struct Given {
    request: Request,
    extism: String,
    quickjs: String,
}

/// Every further line.
#[derive(Deserialize)]
struct Round {
    rival: usize,
    calls: usize,
}

fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some("score") {
        return subprocess::child();
    }
    let mut lines = io::stdin().lock().lines();
    let first = lines.next().ok_or("no first line")??;
    let given: Given = serde_json::from_str(&first)?;
    let rivals: [Box<dyn Rival>; 3] = [
        Box::new(extism_rival::Extism::of(&given.extism)?),
        Box::new(quickjs::QuickJs::of(&given.quickjs)?),
        Box::new(subprocess::Subprocess::new()?),
    ];
    let found = rivals.iter().map(|rival| rival.score(&given.request)).collect::<Outcome<Vec<_>>>()?;
    say(&json!(found))?;
    for line in lines {
        let Round { rival, calls } = serde_json::from_str(&line?)?;
        let rival = rivals.get(rival).ok_or("no such rival")?;
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let began = Instant::now();
            std::hint::black_box(rival.score(std::hint::black_box(&given.request))?);
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        say(&json!(times))?;
    }
    Ok(())
}

fn say(value: &serde_json::Value) -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}
