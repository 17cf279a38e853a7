//! The child process with the rivals: asked for rounds over its standard input, it answers with times.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use plumbline::platform::plugins::ScoreInput;
use serde_json::{Value, json};

use crate::{sample, support::Outcome};

/// Their figures, in the order in which the child knows them.
pub const RIVALS: [&str; 3] = ["extism_to_native", "quickjs_to_native", "subprocess_to_native"];

/// The child; it ends when this is dropped.
pub struct Rivals {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    found: Vec<Value>,
}

impl Rivals {
    /// Starts it, and lets each score once.
    pub fn start(made: &Path, input: &ScoreInput) -> Outcome<Self> {
        let mut command = Command::new(made.join("bench-rivals"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asks = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut rivals = Self { child, asks, answers, found: vec![] };
        let request = json!({ "settings": sample::SETTINGS, "input": input });
        let files = ["bench_extism.wasm", "scorer.js"].map(|file| made.join(file));
        let found = rivals.ask(&json!({ "request": request, "extism": files[0], "quickjs": files[1] }))?;
        rivals.found = serde_json::from_str(&found)?;
        Ok(rivals)
    }

    /// What each found.
    pub fn found(&self) -> &[Value] {
        &self.found
    }

    /// Times of so many calls of one of them, in microseconds.
    pub fn times(&mut self, rival: usize, calls: usize) -> Outcome<Vec<f64>> {
        Ok(serde_json::from_str(&self.ask(&json!({ "rival": rival, "calls": calls }))?)?)
    }

    fn ask(&mut self, question: &Value) -> Outcome<String> {
        writeln!(self.asks, "{question}")?;
        self.asks.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Rivals {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
