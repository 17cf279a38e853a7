//! Real components that are programs of their own, installed by scripts of this repository: they run while a test needs them. Where one is not
//! installed, the test says so past libtest's capture of output, or fails where it must not be missing.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use url::Url;

/// A running program; it ends when this is dropped.
pub struct Outside {
    /// Its address.
    pub url: Url,
    child: Child,
    /// It ends when this closes, however the test ends.
    _leash: ChildStdin,
}

impl Outside {
    /// Starts `script/<name> serve` with further variables, where the program is installed. `PLUMBLINE_TEST_<NAME>=1` makes it a must.
    pub fn start(name: &str, variables: &[(&str, &str)]) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("script").join(name);
        let installed = Command::new(&script).arg("installed").status().unwrap();
        if !installed.success() {
            let must = format!("PLUMBLINE_TEST_{}", name.to_uppercase());
            assert!(std::env::var(&must).as_deref() != Ok("1"), "{must}=1, and script/{name} is not installed");
            skipped(&format!("what needs script/{name}, which is not installed; script/{name} install does that"));
            return None;
        }
        let mut command = Command::new(&script);
        command.args(["serve", "--print-url"]).envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let leash = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().parse().unwrap_or_else(|_| panic!("script/{name} named no address: {line:?}"));
        Some(Self { url, child, _leash: leash })
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Best effort: the closed leash ends it as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says that a test, or a part of one, did not run; libtest captures what is printed, but not what is written.
pub fn skipped(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    io::stderr().write_all(format!("\n*** SKIPPED in {test}: {what}\n\n").as_bytes()).unwrap();
}
