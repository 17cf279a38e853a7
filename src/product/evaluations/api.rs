//! `/api/evaluations` and the analysis of a call: a handler asks for a grant, calls one operation, and answers with a view.

mod views;

use poem_openapi::{
    Enum, OpenApi, Tags,
    param::{Path, Query},
    payload::Json,
};

use self::views::{AnalysisView, EvaluationSummaryView, EvaluationView};
use super::reading::{Evaluations, Filter, Summary};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{AgentId, CallId, EvaluationId, OrganizationId},
    },
    platform::http::{Cursor, Limit, Listing, Page, Position, Refusal},
};

/// Which revisions of the calls' evaluations.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "EvaluationRevisions", rename_all = "snake_case")]
enum Revisions {
    /// The newest of each call.
    Current,
    /// Those that were replaced as well.
    All,
}

#[derive(Tags)]
enum Tag {
    /// Scores of calls, and how they came about.
    Evaluations,
}

/// The operations on evaluations.
pub struct EvaluationsApi {
    /// What they work on.
    pub evaluations: Evaluations,
}

#[OpenApi(prefix_path = "/api", tag = "Tag::Evaluations")]
impl EvaluationsApi {
    /// List evaluations
    ///
    /// The current evaluation of each call, or all their revisions; newest first. An agent sees those of own calls alone.
    #[oai(path = "/evaluations", method = "get", operation_id = "list_evaluations")]
    #[allow(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list_evaluations(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        agent_id: Query<Option<AgentId>>,
        call_id: Query<Option<CallId>>,
        /// `all` shows evaluations that were replaced as well.
        revisions: Query<Option<Revisions>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<EvaluationSummaryView>>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        let all_revisions = revisions.0 == Some(Revisions::All);
        let filter =
            Filter { organization_id: organization_id.0, agent_id: agent_id.0, call_id: call_id.0, all_revisions };
        let filters = (filter.organization_id, filter.agent_id, filter.call_id, all_revisions);
        let listing = Listing::new("list_evaluations", &filters, limit.0, &cursor.0)?;
        let found = self.evaluations.list(&grant, filter, &listing).await?;
        let position = |summary: &Summary| Position::new(summary.assessed_at, summary.evaluation_id.0);
        Ok(Json(listing.page(found, position, EvaluationSummaryView::from)))
    }

    /// Get an evaluation
    ///
    /// With every criterion, its verdict, and the evidence as it was found in the transcript. 404 also for one that the caller may not see.
    #[oai(path = "/evaluations/:evaluation_id", method = "get", operation_id = "get_evaluation")]
    async fn get_evaluation(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
    ) -> Result<Json<EvaluationView>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        Ok(Json(self.evaluations.get(&grant, evaluation_id.0).await?.into()))
    }

    /// Get the analysis of a call
    ///
    /// How far the call has come, and its newest evaluation once there is one. 404 also for a call that the caller may not see.
    #[oai(path = "/calls/:call_id/analysis", method = "get", operation_id = "get_analysis")]
    async fn get_analysis(&self, caller: Caller, call_id: Path<CallId>) -> Result<Json<AnalysisView>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        Ok(Json(self.evaluations.analysis(&grant, call_id.0).await?.into()))
    }
}
