//! The child's side: limits first, then the compiler, then the trial.

use std::{fs, io, path::PathBuf, time::Instant};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use serde::{Deserialize, Serialize};

use super::{Answer, Task};
use crate::platform::plugins::{HostOptions, Limits, PluginError, PluginHost, engine::Instances};

/// Calls of a trial, at most: what it says, settings, and each golden call up to three times.
pub(super) const TRIAL_CALLS: u32 = 30;
/// Addresses that are reserved for the memories of guests and never filled: the engine wants 4 GiB and its guards for each.
const RESERVED_BYTES: u64 = 20 << 30;
/// The largest file that is written: the machine code.
const FILE_BYTES: u64 = 1 << 30;
/// How nice the child is to everybody.
const NICE: i32 = 15;

/// What the parent wants of its child; it travels as the child's argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ValidatorOrder {
    pub(super) component: PathBuf,
    pub(super) code: PathBuf,
    pub(super) task: Task,
    pub(super) compile_seconds: u64,
    pub(super) memory_bytes: u64,
    pub(super) limits: Limits,
}

/// Does what a parent ordered, in the process that was made for it, and gives the line to be written to standard output.
///
/// # Errors
/// When the order is none or cannot be carried out; nobody is told but the parent.
pub async fn run_validator(order: &str) -> Result<String, PluginError> {
    let host = |error: &dyn std::fmt::Display| PluginError::Host(error.to_string());
    let order: ValidatorOrder = serde_json::from_str(order).map_err(|error| host(&error))?;
    bind_hands(&order).map_err(|error| host(&error))?;
    let component = Bytes::from(fs::read(&order.component).map_err(|error| host(&error))?);
    let answer = match carry_out(&order, component).await {
        Ok(answer) => answer,
        Err(PluginError::Host(why)) => return Err(PluginError::Host(why)),
        Err(error @ (PluginError::NotAComponent(_) | PluginError::Compile(_))) => {
            let (PluginError::NotAComponent(message) | PluginError::Compile(message)) = &error else {
                return Err(PluginError::Host(error.to_string()));
            };
            Answer::Refused { code: error.code().to_owned(), message: message.clone() }
        }
        Err(error) => return Err(PluginError::Host(error.to_string())),
    };
    serde_json::to_string(&answer).map_err(|error| host(&error))
}

/// Limits that the kernel keeps, whatever happens in this process.
fn bind_hands(order: &ValidatorOrder) -> io::Result<()> {
    let limit = |resource, most: u64| -> io::Result<()> {
        let most = getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        Ok(())
    };
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, FILE_BYTES)?;
    limit(Resource::Nofile, 256)?;
    limit(Resource::Data, order.memory_bytes)?;
    limit(Resource::As, order.memory_bytes.saturating_add(RESERVED_BYTES))?;
    processor_time(order.compile_seconds)?;
    // Where it is not allowed, the child is merely as nice as its parent.
    let _ = setpriority_process(None, NICE);
    Ok(())
}

/// Sets the processor time after which the signal comes that ends the process; more of it when the trial begins, for the guest's own limits hold there.
fn processor_time(seconds: u64) -> io::Result<()> {
    let hard = getrlimit(Resource::Cpu).maximum;
    let soft = hard.map_or(seconds, |hard| hard.min(seconds));
    setrlimit(Resource::Cpu, Rlimit { current: Some(soft), maximum: hard })?;
    Ok(())
}

async fn carry_out(order: &ValidatorOrder, component: Bytes) -> Result<Answer, PluginError> {
    let limits = Limits { concurrency: 1, ..order.limits.clone() };
    let options = HostOptions { limits, ..HostOptions::default() };
    let host = PluginHost::with_instances(options, Instances::OnDemand)?;
    let began = Instant::now();
    let code = host.compile_alone(component.clone()).await?;
    let compile_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    fs::write(&order.code, &code).map_err(|error| PluginError::Host(error.to_string()))?;
    if order.task == Task::Compile {
        return Ok(Answer::Compiled { compile_ms });
    }
    processor_time(order.compile_seconds.saturating_add(order.trial().as_secs()))
        .map_err(|error| PluginError::Host(error.to_string()))?;
    let report = host.validate_compiled(component, code, compile_ms).await?;
    Ok(Answer::Report(Box::new(report)))
}
