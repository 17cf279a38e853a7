//! What a shadow or a canary came to beside the scores that count: `GET /api/plugin-bindings/{binding_id}/comparison`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde::Deserialize;
use tokio_postgres::types::Json as Column;

use super::api::PluginTag;
use crate::{
    foundation::{
        access::{Caller, Grant, Permission},
        ids::{BindingId, CallId, EvaluationId},
    },
    platform::{
        db::{Db, DbError, InTenant, Statements},
        http::Refusal,
    },
    sql,
};

/// Hundredths in a point.
const HUNDREDTHS: f64 = 100.0;

/// Comparisons of bindings.
pub struct ComparisonsApi {
    /// The door to data.
    pub db: Arc<Db>,
}

#[OpenApi(prefix_path = "/api", tag = "PluginTag::Plugins")]
impl ComparisonsApi {
    /// Compare a shadow or a canary
    ///
    /// The runs of a binding that are still kept: how many failed and why, how far its scores are from the ones that they are held against (those that
    /// count; of a canary, which counts itself, those of the scorer it is tried beside), and where a call passes by one and fails by the other.
    #[oai(path = "/plugin-bindings/:binding_id/comparison", method = "get", operation_id = "compare_plugin_binding")]
    async fn compare_plugin_binding(
        &self,
        caller: Caller,
        binding_id: Path<BindingId>,
    ) -> Result<Json<ComparisonView>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        let found = compare(&self.db, &grant, binding_id.0).await?;
        found.map(Json).ok_or_else(|| Refusal::not_found("plugin binding"))
    }
}

/// What a binding's runs came to.
#[derive(Object)]
#[oai(rename = "PluginComparison")]
struct ComparisonView {
    binding_id: BindingId,
    /// `active`, `shadow` or `canary`.
    mode: String,
    /// Why it ended; null while it is in use.
    #[oai(nullable)]
    ended_because: Option<String>,
    /// Runs that are kept.
    runs: i64,
    /// The first of them.
    #[oai(nullable)]
    first_run_at: Option<DateTime<Utc>>,
    /// The last.
    #[oai(nullable)]
    last_run_at: Option<DateTime<Utc>>,
    /// Those that failed.
    faults: i64,
    /// The same by their kinds, most frequent first.
    faults_by_kind: Vec<FaultsView>,
    /// Those that scored where there is a score to hold it against.
    compared: i64,
    /// The mean of what these scores are more or less, in points.
    #[oai(nullable)]
    mean_difference: Option<f64>,
    /// The mean of how far these scores are apart, in points: what a canary's drift is.
    #[oai(nullable)]
    mean_distance: Option<f64>,
    /// Calls that pass by it and fail by what it is held against.
    passes_now: i64,
    /// Calls that fail by it and pass by what it is held against.
    fails_now: i64,
    /// The calls with the largest differences.
    largest: Vec<DifferenceView>,
}

/// Runs that failed in one way.
#[derive(Object, Deserialize)]
#[oai(rename = "PluginFaults")]
struct FaultsView {
    /// A stable word for what went wrong.
    kind: String,
    runs: i64,
}

/// A call, as two scorers see it.
#[derive(Object)]
#[oai(rename = "PluginDifference")]
struct DifferenceView {
    call_id: CallId,
    #[oai(nullable)]
    evaluation_id: Option<EvaluationId>,
    /// What the binding scored, 0 to 100.
    overall_score: f64,
    /// What that is held against.
    against: f64,
    /// The first less the second.
    difference: f64,
}

/// The same as the database gives it.
#[derive(Deserialize)]
struct Difference {
    call_id: CallId,
    evaluation_id: Option<EvaluationId>,
    overall: i32,
    counted: i32,
}

impl From<Difference> for DifferenceView {
    fn from(found: Difference) -> Self {
        let points = |hundredths: i32| f64::from(hundredths) / HUNDREDTHS;
        let Difference { call_id, evaluation_id, overall, counted } = found;
        let difference = points(overall - counted);
        Self { call_id, evaluation_id, overall_score: points(overall), against: points(counted), difference }
    }
}

/// `None` when there is no such binding that the grant reaches.
async fn compare(db: &Db, grant: &Grant, id: BindingId) -> Result<Option<ComparisonView>, DbError> {
    let on = db.alone(grant);
    let Some(row) = on.opt(sql!("plugins/compare"), &[&id, &on.organizations()]).await? else { return Ok(None) };
    let points = |column| Ok::<_, DbError>(row.try_get::<_, Option<f64>>(column)?.map(|mean| mean / HUNDREDTHS));
    let Column::<Vec<FaultsView>>(faults_by_kind) = row.try_get("faults_by_kind")?;
    let Column::<Vec<Difference>>(largest) = row.try_get("largest")?;
    Ok(Some(ComparisonView {
        binding_id: id,
        mode: row.try_get("mode")?,
        ended_because: row.try_get("ended_because")?,
        runs: row.try_get("runs")?,
        first_run_at: row.try_get("first_run_at")?,
        last_run_at: row.try_get("last_run_at")?,
        faults: row.try_get("faults")?,
        faults_by_kind,
        compared: row.try_get("compared")?,
        mean_difference: points("mean_difference")?,
        mean_distance: points("mean_distance")?,
        passes_now: row.try_get("passes_now")?,
        fails_now: row.try_get("fails_now")?,
        largest: largest.into_iter().map(DifferenceView::from).collect(),
    }))
}
