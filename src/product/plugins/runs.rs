//! Runs of plugins: what each leaves for its author, kept for a while, and what ends a canary.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Value, json};

use super::model::{Binding, RunPurpose};
use crate::{
    foundation::{
        digest,
        ids::{BindingId, CallId, EvaluationId, OrganizationId, PluginRunId},
    },
    platform::{
        audit::audit,
        db::{DbError, InTenant, Statements, TenantTx},
        plugins::{LogLevel, PluginError, Trace},
    },
    sql,
};

/// The outcome of a run that came to its end.
pub const OK: &str = "ok";
/// The outcome of a run that did not take place, because the component could not be had: nobody's plugin's fault.
pub const UNAVAILABLE: &str = "unavailable";
/// A longer output is not kept, only how long it was.
const OUTPUT_BYTES: usize = 256 << 10;
/// The column's room.
const MESSAGE_CHARACTERS: usize = 2_000;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// [`OK`], [`UNAVAILABLE`] or a failure's code.
    pub outcome: &'static str,
    /// The failure in words, which may quote the call.
    pub message: Option<String>,
}

impl Ended {
    /// Of what it came to.
    pub fn of<T>(result: Result<T, &PluginError>) -> Self {
        match result {
            Ok(_) => Self { outcome: OK, message: None },
            Err(error) => Self { outcome: error.code(), message: Some(error.to_string()) },
        }
    }

    /// It never began.
    pub fn unavailable(why: &str) -> Self {
        Self { outcome: UNAVAILABLE, message: Some(why.to_owned()) }
    }
}

/// A score, or what it is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// In hundredths; none where nothing was scored.
    pub overall: Option<u32>,
    /// Whether the call passes by it; none without a pass mark.
    pub passed: Option<bool>,
}

/// A run to be recorded.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Whose call it was.
    pub organization_id: OrganizationId,
    /// SHA-256 of the component.
    pub digest: String,
    /// The binding behind it; none in a test.
    pub binding_id: Option<BindingId>,
    /// The call; none when the conversation was pasted.
    pub call_id: Option<CallId>,
    /// The evaluation, once it is stored.
    pub evaluation_id: Option<EvaluationId>,
    /// What it was for.
    pub purpose: RunPurpose,
    /// How it ended.
    pub ended: Ended,
    /// What it left behind.
    pub trace: Trace,
    /// What it scored.
    pub mark: Mark,
    /// What that is held against: the score that counts; of a canary, which counts itself, the score of the one that it is tried beside.
    pub against: Mark,
    /// What it returned, where that stands nowhere else.
    pub output: Option<Value>,
}

impl NewRun {
    /// A run of a bound plugin, which is held against nothing and whose output stands elsewhere.
    pub fn of(
        (binding, purpose): (&Binding, RunPurpose),
        (organization_id, call_id): (OrganizationId, CallId),
        ended: Ended,
        trace: Trace,
    ) -> Self {
        Self {
            organization_id,
            digest: binding.digest.clone(),
            binding_id: Some(binding.binding_id),
            call_id: Some(call_id),
            evaluation_id: None,
            purpose,
            ended,
            trace,
            mark: Mark::default(),
            against: Mark::default(),
            output: None,
        }
    }
}

/// Records runs in the transaction of what they were for, removes a few of the organization's that are older than `keep`, and ends a canary that fails
/// too often or drifts too far. One statement for each run; they may be awaited beside others.
///
/// # Errors
/// [`DbError`].
pub async fn record(tx: &TenantTx<'_>, runs: &[NewRun], keep: TimeDelta, now: DateTime<Utc>) -> Result<(), DbError> {
    try_join_all(runs.iter().map(|run| insert(tx, run, keep, now))).await?;
    Ok(())
}

async fn insert(tx: &TenantTx<'_>, run: &NewRun, keep: TimeDelta, now: DateTime<Utc>) -> Result<(), DbError> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let hundredths = |score: Option<u32>| score.and_then(|score| i32::try_from(score).ok());
    let message = run
        .ended
        .message
        .as_deref()
        .map(storable)
        .map(|words| words.chars().take(MESSAGE_CHARACTERS).collect::<String>());
    let log: Vec<(LogLevel, String)> =
        run.trace.log.messages.iter().map(|(level, message)| (*level, storable(message))).collect();
    let output = run.output.as_ref().map(kept);
    let ended = tx
        .opt(
            sql!("plugins/insert_run"),
            &[
                &PluginRunId::new(),
                &run.organization_id,
                &run.digest,
                &run.binding_id,
                &run.call_id,
                &run.evaluation_id,
                &run.purpose,
                &run.ended.outcome,
                &message,
                &json!(log),
                &i32::try_from(run.trace.log.truncated).unwrap_or(i32::MAX),
                &whole(run.trace.used.fuel),
                &whole(run.trace.used.elapsed_us),
                &i64::try_from(run.trace.memory_bytes).unwrap_or(i64::MAX),
                &hundredths(run.mark.overall),
                &hundredths(run.against.overall),
                &run.mark.passed,
                &run.against.passed,
                &output,
                &now,
                &(now - keep),
                &tx.grant().actor(),
            ],
        )
        .await?;
    let Some(ended) = ended else { return Ok(()) };
    let because: &str = ended.try_get("ended_because")?;
    let (runs, faults): (i64, i64) = (ended.try_get("runs")?, ended.try_get("faults")?);
    let drift: Option<i32> = ended.try_get("drift")?;
    tracing::warn!(plugin = run.digest, because, runs, faults, drift, "a canary was rolled back");
    let details = json!({ "digest": run.digest, "because": because, "runs": runs, "faults": faults, "drift": drift });
    let binding = run.binding_id.map(|binding| binding.0);
    audit(tx, "plugin.rolled_back", "plugin_binding", binding, run.organization_id, details).await
}

/// What a plugin returned, as JSON that a table can hold.
pub fn output_of(output: &impl Serialize) -> Option<Value> {
    serde_json::to_value(output).ok()
}

/// The output itself, or how large it was.
fn kept(output: &Value) -> Value {
    let text = output.to_string();
    if text.len() > OUTPUT_BYTES {
        return json!({ "left_out": "too large", "bytes": text.len(), "sha256": digest::of_bytes(text.as_bytes()) });
    }
    storable_json(output)
}

/// PostgreSQL's texts have no NUL.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// JSON that a table can hold: its text may have any character but one.
pub(super) fn storable_json(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(storable(text)),
        Value::Array(values) => Value::Array(values.iter().map(storable_json).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (storable(key), storable_json(value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_returned_can_always_be_stored() {
        let output = json!({ "a\u{0}": ["x\u{0}y", { "b": "\u{0}" }], "n": 1 });
        assert_eq!(kept(&output), json!({ "a\u{fffd}": ["x\u{fffd}y", { "b": "\u{fffd}" }], "n": 1 }));
        let large = kept(&json!("x".repeat(OUTPUT_BYTES)));
        assert_eq!(large["bytes"], json!(OUTPUT_BYTES + 2));
    }

    #[test]
    fn a_run_says_how_it_ended() {
        assert_eq!(Ended::of(Ok(())), Ended { outcome: OK, message: None });
        let trap = PluginError::Trap("unreachable".into());
        let ended = Ended::of::<()>(Err(&trap));
        assert_eq!((ended.outcome, ended.message.as_deref()), ("trap", Some("the plugin trapped: unreachable")));
    }
}
