//! `/api/evaluation-criteria`: a handler asks for a grant, calls one operation, and answers with a view.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
};

use super::{
    Scorecards,
    model::{Definition, Scorecard, ScorecardVersion},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{OrganizationId, ScorecardId, ScorecardVersionId},
    },
    platform::http::{
        Created, Cursor, ETag, Fresh, IdempotencyKey, IfMatch, IfNoneMatch, Limit, Listing, Once, Page, Position,
        Refusal, Tagged,
    },
};

#[derive(Tags)]
enum Tag {
    /// What calls are judged by.
    #[oai(rename = "Evaluation criteria")]
    EvaluationCriteria,
}

/// The operations on scorecards.
pub struct ScorecardsApi {
    /// What they work on.
    pub scorecards: Scorecards,
}

#[OpenApi(prefix_path = "/api/evaluation-criteria", tag = "Tag::EvaluationCriteria")]
impl ScorecardsApi {
    /// Create a scorecard
    ///
    /// It begins as a draft; no call is judged by it before it is published.
    #[oai(path = "/", method = "post", operation_id = "create_scorecard")]
    async fn create_scorecard(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<NewScorecardBody>,
    ) -> Result<Created<ScorecardView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let keyed = key.0.request("create_scorecard").with(&new.0);
        let NewScorecardBody { organization_id, definition } = new.0;
        let Once { value: made, replayed } =
            self.scorecards.create(&grant, &keyed, organization_id, definition).await?;
        Ok(Created::of(replayed, format!("/api/evaluation-criteria/{}", made.scorecard_id), made.etag(), made.into()))
    }

    /// List scorecards
    ///
    /// Those of the organizations that the caller reaches, or of one of them, newest first.
    #[oai(path = "/", method = "get", operation_id = "list_scorecards")]
    async fn list_scorecards(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<ScorecardView>>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        let listing = Listing::new("list_scorecards", &organization_id.0, limit.0, &cursor.0)?;
        let found = self.scorecards.list(&grant, organization_id.0, &listing).await?;
        let position = |scorecard: &Scorecard| Position::new(scorecard.created_at, scorecard.scorecard_id.0);
        Ok(Json(listing.page(found, position, ScorecardView::from)))
    }

    /// Get a scorecard
    ///
    /// 404 also for one of an organization that the caller does not belong to.
    #[oai(path = "/:scorecard_id", method = "get", operation_id = "get_scorecard")]
    async fn get_scorecard(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<ScorecardView>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        let found = self.scorecards.get(&grant, scorecard_id.0).await?;
        Ok(known.0.answer(found.etag(), || found.into()))
    }

    /// Write the draft of a scorecard
    ///
    /// Send `If-Match` with the `ETag` of what was read. Published versions stay as they are.
    #[oai(path = "/:scorecard_id/draft", method = "put", operation_id = "update_scorecard_draft")]
    async fn update_scorecard_draft(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        draft: Json<Definition>,
    ) -> Result<Tagged<ScorecardView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        expected.0.required()?;
        let changed = self.scorecards.update_draft(&grant, scorecard_id.0, &expected.0, draft.0).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }

    /// Publish the draft of a scorecard
    ///
    /// The draft becomes an immutable version, by which calls that are assessed from now on are judged. 409 when there is no draft, or when
    /// it says the same as the newest version.
    #[oai(path = "/:scorecard_id/publish", method = "post", operation_id = "publish_scorecard")]
    async fn publish_scorecard(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
    ) -> Result<Created<ScorecardVersionView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let keyed = key.0.request("publish_scorecard").with(&scorecard_id.0);
        let Once { value: made, replayed } = self.scorecards.publish(&grant, &keyed, scorecard_id.0).await?;
        let location = format!("/api/evaluation-criteria/{}/versions/{}", made.scorecard_id, made.version);
        Ok(Created::of(replayed, location, ETag::of_digest(&made.digest), made.into()))
    }

    /// List the published versions of a scorecard
    ///
    /// Newest first.
    #[oai(path = "/:scorecard_id/versions", method = "get", operation_id = "list_scorecard_versions")]
    async fn list_scorecard_versions(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<ScorecardVersionView>>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        let listing = Listing::new("list_scorecard_versions", &scorecard_id.0, limit.0, &cursor.0)?;
        let found = self.scorecards.versions(&grant, scorecard_id.0, &listing).await?;
        let position = |version: &ScorecardVersion| Position::new(version.published_at, version.scorecard_version_id.0);
        Ok(Json(listing.page(found, position, ScorecardVersionView::from)))
    }

    /// Get a published version of a scorecard
    ///
    /// It never changes.
    #[oai(path = "/:scorecard_id/versions/:version", method = "get", operation_id = "get_scorecard_version")]
    async fn get_scorecard_version(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        version: Path<i32>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<ScorecardVersionView>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        let found = self.scorecards.version(&grant, scorecard_id.0, version.0).await?;
        Ok(known.0.answer(ETag::of_digest(&found.digest), || found.into()))
    }
}

/// A scorecard to be made.
#[derive(Object)]
#[oai(rename = "NewScorecard", deny_unknown_fields)]
struct NewScorecardBody {
    /// The organization whose calls it is for.
    organization_id: OrganizationId,
    /// Its first draft.
    definition: Definition,
}

/// A scorecard as the API shows it.
#[derive(Object)]
#[oai(rename = "Scorecard")]
struct ScorecardView {
    scorecard_id: ScorecardId,
    /// The organization whose calls it is for.
    organization_id: OrganizationId,
    /// What people call it.
    name: String,
    /// The next version while it is being written; null when all is published.
    #[oai(nullable)]
    draft: Option<Definition>,
    /// Number of the newest published version; null before the first.
    #[oai(nullable)]
    published_version: Option<i32>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Scorecard> for ScorecardView {
    fn from(scorecard: Scorecard) -> Self {
        let Scorecard {
            scorecard_id,
            organization_id,
            name,
            draft,
            published_version,
            revision: _,
            created_at,
            updated_at,
        } = scorecard;
        Self { scorecard_id, organization_id, name, draft, published_version, created_at, updated_at }
    }
}

/// A published version of a scorecard as the API shows it.
#[derive(Object)]
#[oai(rename = "ScorecardVersion")]
struct ScorecardVersionView {
    scorecard_version_id: ScorecardVersionId,
    scorecard_id: ScorecardId,
    /// The organization whose calls it is for.
    organization_id: OrganizationId,
    /// Counts from 1.
    version: i32,
    /// What it asks.
    definition: Definition,
    /// SHA-256 of the definition's canonical JSON, as receipts carry it.
    digest: String,
    published_at: DateTime<Utc>,
    /// Who published it.
    published_by: String,
}

impl From<ScorecardVersion> for ScorecardVersionView {
    fn from(version: ScorecardVersion) -> Self {
        let ScorecardVersion {
            scorecard_version_id,
            scorecard_id,
            organization_id,
            version,
            definition,
            digest,
            published_at,
            published_by,
        } = version;
        Self {
            scorecard_version_id,
            scorecard_id,
            organization_id,
            version,
            definition,
            digest,
            published_at,
            published_by,
        }
    }
}
