//! The compiler in a process of its own. It cannot be interrupted, and a few hundred KiB can keep it busy for minutes, so whatever comes from outside is
//! compiled (and, as an upload, tried) by a child that ends at its limits: processor time, memory, size of its files, and the parent's patience.

mod child;

pub use child::run_validator;

use child::ValidatorOrder;

use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use super::{Limits, PluginError, ValidationReport};
use crate::platform::plugins::text::bounded;

/// What the child's allocator takes from the system at a time, in KiB.
const ALLOCATOR_KIB: &str = "32768";
/// A child's answer, at most.
const ANSWER_BYTES: u64 = 4 << 20;
/// What a child may say on its way, at most.
const COMPLAINT_BYTES: u64 = 16 << 10;
/// The signal that ends a process whose processor time is used up.
const SIGXCPU: i32 = 24;
/// The signal that ends a process which no limit could.
const SIGKILL: i32 = 9;

/// Who compiles, and what it may take.
#[derive(Debug, Clone)]
pub struct ValidatorOptions {
    /// The program `plumbline`.
    pub program: PathBuf,
    /// Processor time of one compilation, in seconds.
    pub compile_seconds: u64,
    /// Memory of the compiler, in bytes.
    pub memory_bytes: u64,
}

/// What a child is to do with a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Compile it, and nothing more.
    Compile,
    /// Compile it and try it.
    Validate,
}

/// What came of a child.
pub(super) struct Done {
    /// The machine code, if the compiler came to its end.
    pub(super) code: Option<Vec<u8>>,
    /// What was found; none where it was only to be compiled.
    pub(super) report: Option<ValidationReport>,
    /// How long the compiler took, in milliseconds.
    pub(super) compile_ms: u64,
}

/// What a child writes to its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Compiled { compile_ms: u64 },
    Refused { code: String, message: String },
    Report(Box<ValidationReport>),
}

/// Lets a child do its task with a component. A caller that goes away takes the child along.
///
/// # Errors
/// What the component did to the compiler, as [`PluginError::Compile`] or what the child refused it for; [`PluginError::Host`] when there is no child.
pub(super) async fn order(
    options: &ValidatorOptions,
    limits: &Limits,
    task: Task,
    component: &[u8],
) -> Result<Done, PluginError> {
    let host = |error: io::Error| PluginError::Host(format!("the validator: {error}"));
    let directory = tempfile::tempdir().map_err(host)?;
    let order = ValidatorOrder {
        component: directory.path().join("component.wasm"),
        code: directory.path().join("code"),
        task,
        compile_seconds: options.compile_seconds,
        memory_bytes: options.memory_bytes,
        limits: limits.clone(),
    };
    tokio::fs::write(&order.component, component).await.map_err(host)?;
    let text = serde_json::to_string(&order).map_err(|error| PluginError::Host(error.to_string()))?;
    let mut child = Command::new(&options.program)
        .args(["plugin-validator", &text])
        .env_clear()
        // The allocator would reserve a GiB at a time, which counts as memory of the child.
        .env("MIMALLOC_ARENA_RESERVE", ALLOCATOR_KIB)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(host)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(bytes(stdout, ANSWER_BYTES), bytes(stderr, COMPLAINT_BYTES), child.wait()) };
    let Ok((answer, complaint, status)) = tokio::time::timeout(order.patience(), all).await else {
        return Err(ended(&order, None, &directory));
    };
    let status = status.map_err(host)?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complaint).into_owned();
        tracing::info!(%status, complaint = bounded(&complaint, 500), "the validator ended early");
        return Err(ended(&order, Some(status), &directory));
    }
    let answer =
        serde_json::from_slice(&answer).map_err(|error| PluginError::Host(format!("the validator: {error}")))?;
    done(answer, &order.code).await
}

async fn done(answer: Answer, code: &Path) -> Result<Done, PluginError> {
    let code = match tokio::fs::read(code).await {
        Ok(code) => Some(code),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(PluginError::Host(format!("the validator: {error}"))),
    };
    match answer {
        Answer::Compiled { compile_ms } => Ok(Done { code, report: None, compile_ms }),
        Answer::Report(report) => Ok(Done { code, compile_ms: report.compile_ms, report: Some(*report) }),
        Answer::Refused { code, message } if code == "not_a_component" => Err(PluginError::NotAComponent(message)),
        Answer::Refused { message, .. } => Err(PluginError::Compile(message)),
    }
}

/// Why a child ended before it answered.
fn ended(order: &ValidatorOrder, status: Option<ExitStatus>, directory: &TempDir) -> PluginError {
    // The code is written when the compiler is through, and before anything of it runs.
    let compiled = fs::exists(directory.path().join("code")).unwrap_or(false);
    let signal = status.and_then(|status| status.signal());
    let (seconds, mib) = (order.compile_seconds, order.memory_bytes >> 20);
    match (compiled, signal) {
        (_, None) if status.is_some() => PluginError::Host("the validator ended without an answer".to_owned()),
        (true, _) => PluginError::Deadline(order.trial()),
        (false, None | Some(SIGXCPU | SIGKILL)) => {
            PluginError::Compile(format!("it keeps the compiler busy for more than {seconds} s"))
        }
        (false, Some(_)) => {
            PluginError::Compile(format!("the compiler broke down on it; it may take {mib} MiB of memory"))
        }
    }
}

async fn bytes(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // a broken pipe ends the answer, which then is none
        let _ = (&mut pipe).take(most).read_to_end(&mut bytes).await;
        // what is beyond is read and forgotten, so that the child does not wait
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    bytes
}

impl ValidatorOrder {
    /// Time of the guest in all trial calls together, and some for the host.
    fn trial(&self) -> Duration {
        self.limits.call_budget * child::TRIAL_CALLS + Duration::from_secs(5)
    }

    /// How long the parent waits: on a busy machine, processor time takes its time.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.compile_seconds) * 3 + self.trial() * 2 + Duration::from_secs(10)
    }
}
