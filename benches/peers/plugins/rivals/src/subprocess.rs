//! A process for each call: what isolation without a sandbox in the process costs. JSON over standard input and output.

use std::{
    env,
    io::{self, Read, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    Outcome, Rival, scorer,
    types::{Request, ScoreOutput},
};

pub struct Subprocess(PathBuf);

impl Subprocess {
    pub fn new() -> Outcome<Self> {
        Ok(Self(env::current_exe()?))
    }
}

impl Rival for Subprocess {
    fn score(&self, request: &Request) -> Outcome<ScoreOutput> {
        let mut child = Command::new(&self.0).arg("score").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().ok_or("no standard input")?;
        input.write_all(&serde_json::to_vec(request)?)?;
        drop(input);
        let done = child.wait_with_output()?;
        Ok(serde_json::from_slice(&done.stdout)?)
    }
}

/// Scores what comes in, once.
pub fn child() -> Outcome<()> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let Request { settings, input } = serde_json::from_slice(&bytes)?;
    let found = scorer::score(&serde_json::from_str(&settings)?, &input);
    Ok(io::stdout().lock().write_all(&serde_json::to_vec(&found)?)?)
}
