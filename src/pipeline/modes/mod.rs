//! Who scores and who builds the prompt: the organization's active plugin or what is built in, and what is tried beside it.
//!
//! A *canary* counts for its share of the calls; the one that would have counted runs beside it, and takes its place when it fails. A *shadow* runs once
//! the call has what counts, so it delays nothing. Whatever a plugin did leaves a row for its author ([`runs`]), in the transaction that records what it
//! was for.

mod prompting;
mod scoring;

use std::time::Duration;

use chrono::{DateTime, Utc};

pub(super) use self::{
    prompting::{Question, build, shadow_prompt},
    scoring::{Judged, score, shadow_score},
};
use super::Means;
use crate::{
    foundation::{access::Grant, ids::EvaluationId},
    platform::{
        db::{DbError, TenantTx},
        jobs::JobError,
        plugins::{PluginError, Used},
        tenancy::quotas,
    },
    product::plugins::runs::{self, NewRun},
};

/// How long a shadow may wait for its turn and run, so that it never holds a worker.
const SHADOW_PATIENCE: Duration = Duration::from_secs(10);

/// Records what plugins left, beside the other statements of a transaction.
///
/// # Errors
/// [`DbError`].
pub(super) async fn record(
    tx: &TenantTx<'_>,
    means: &Means,
    runs: &[NewRun],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    runs::record(tx, runs, means.keep_runs, now).await
}

/// The runs as those of an evaluation that is stored in the same transaction, before them.
pub(super) fn of_evaluation(runs: &[NewRun], evaluation_id: EvaluationId) -> Vec<NewRun> {
    runs.iter().map(|run| NewRun { evaluation_id: Some(evaluation_id), ..run.clone() }).collect()
}

/// Records what plugins left where nothing else comes of it: a stage that fails, and a shadow.
///
/// # Errors
/// [`DbError`].
pub(super) async fn record_alone(means: &Means, grant: &Grant, runs: &[NewRun]) -> Result<(), DbError> {
    let Some(first) = runs.first() else { return Ok(()) };
    let now = means.clock.now();
    let used = runs.iter().fold(Used::default(), |used, run| used.and(run.trace.used));
    means
        .db
        .tenant(grant, "plugins.record_runs", async |tx| {
            record(tx, means, runs, now).await?;
            quotas::count_plugin_run(tx, first.organization_id, (used.fuel, used.elapsed_us), now).await
        })
        .await
}

/// What a failure of a plugin means for the job: of its words, which may quote the call, only the name leaves the tenant.
fn refused(error: &PluginError, code: &'static str, words: String) -> JobError {
    if error.is_temporary() {
        JobError::Temporary { reason: code.to_owned(), retry_after: None }
    } else {
        JobError::Confidential { kind: code, words }
    }
}
