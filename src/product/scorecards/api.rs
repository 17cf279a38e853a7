//! `/api/evaluation-criteria`: a handler asks for a grant, calls one operation, and answers with a view.

mod file;
mod views;

use poem_openapi::{
    OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
};

use self::{
    file::{DefinitionFile, Format, SentDefinition},
    views::{
        DifferenceView, LintReport, NewScorecardBody, ScorecardFromTemplateBody, ScorecardVersionView, ScorecardView,
        TemplateList,
    },
};
use super::{
    ScorecardError, Scorecards,
    model::{Definition, Finding, Scorecard, ScorecardVersion, lint},
    review::Reviewer,
    versions::Side,
};
use crate::{
    foundation::{
        access::{Caller, Grant, Permission},
        ids::{OrganizationId, ScorecardId},
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
    /// Who judges questions, where that is asked for.
    pub reviewer: Reviewer,
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

    /// Retire a scorecard
    ///
    /// No call is judged by it from now on. Evaluations keep the version that they were made by. 409 when it was never published.
    #[oai(path = "/:scorecard_id/retire", method = "post", operation_id = "retire_scorecard")]
    async fn retire_scorecard(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
    ) -> Result<Tagged<ScorecardView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let changed = self.scorecards.retire(&grant, scorecard_id.0).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }

    /// Reactivate a retired scorecard
    ///
    /// Calls are judged by its newest version again.
    #[oai(path = "/:scorecard_id/reactivate", method = "post", operation_id = "reactivate_scorecard")]
    async fn reactivate_scorecard(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
    ) -> Result<Tagged<ScorecardView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let changed = self.scorecards.reactivate(&grant, scorecard_id.0).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }

    /// Compare two versions of a scorecard
    ///
    /// What makes `to` out of `from`: criteria and sections that came, went or changed, field by field.
    #[oai(path = "/:scorecard_id/diff", method = "get", operation_id = "diff_scorecard")]
    async fn diff_scorecard(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        /// A version's number, `newest` or `draft`; `newest` when absent.
        from: Query<Option<String>>,
        /// A version's number, `newest` or `draft`; `draft` when absent.
        to: Query<Option<String>>,
    ) -> Result<Json<DifferenceView>, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        let side = |name: &'static str, word: &Option<String>, absent| {
            word.as_deref().map_or(Ok(absent), str::parse::<Side>).map_err(|why| Refusal::invalid(name, why))
        };
        let (from, to) = (side("from", &from.0, Side::Newest)?, side("to", &to.0, Side::Draft)?);
        Ok(Json(self.scorecards.compare(&grant, scorecard_id.0, from, to).await?.into()))
    }

    /// Check a definition
    ///
    /// Whether it is valid and makes sense. Nothing is kept. An error would keep it from being published, a warning would not. With `questions` the
    /// language model judges which questions are vague, too; the organization pays for that.
    #[oai(path = "/lint", method = "post", operation_id = "lint_definition")]
    async fn lint_definition(
        &self,
        caller: Caller,
        /// Whether the language model judges the questions; not if absent.
        questions: Query<Option<bool>>,
        /// The organization that pays for that; needed with `questions`.
        organization_id: Query<Option<OrganizationId>>,
        definition: Json<Definition>,
    ) -> Result<Json<LintReport>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        if questions.0 != Some(true) {
            return Ok(Json(lint(&definition.0).into()));
        }
        let payer =
            organization_id.0.ok_or_else(|| Refusal::invalid("organization_id", "is needed with `questions`"))?;
        if !grant.reaches(payer) {
            return Err(ScorecardError::NoOrganization.into());
        }
        self.reviewed(&grant, payer, &definition.0, lint(&definition.0)).await
    }

    /// Check the draft of a scorecard
    ///
    /// As `lint_definition` does; the scorecard's organization pays. 409 when there is no draft.
    #[oai(path = "/:scorecard_id/lint", method = "post", operation_id = "lint_scorecard_draft")]
    async fn lint_scorecard_draft(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        /// Whether the language model judges the questions; not if absent.
        questions: Query<Option<bool>>,
    ) -> Result<Json<LintReport>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let draft = self.scorecards.side(&grant, scorecard_id.0, Side::Draft).await?;
        let found = self.scorecards.lint(&grant, &draft).await?;
        if questions.0 != Some(true) {
            return Ok(Json(found.into()));
        }
        self.reviewed(&grant, draft.organization_id, &draft.definition, found).await
    }

    /// List the templates
    ///
    /// Scorecards to begin with, by key. They are valid and make sense as they are.
    #[oai(path = "/templates", method = "get", operation_id = "list_scorecard_templates")]
    async fn list_scorecard_templates(&self, caller: Caller) -> Result<Json<TemplateList>, Refusal> {
        caller.may(Permission::ReadScorecards)?;
        Ok(Json(TemplateList::all()))
    }

    /// Create a scorecard from a template
    ///
    /// It begins as a draft like any other, and has no tie to the template afterwards.
    #[oai(path = "/from-template", method = "post", operation_id = "create_scorecard_from_template")]
    async fn create_scorecard_from_template(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<ScorecardFromTemplateBody>,
    ) -> Result<Created<ScorecardView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let keyed = key.0.request("create_scorecard_from_template").with(&new.0);
        let ScorecardFromTemplateBody { organization_id, template, name } = new.0;
        let Once { value: made, replayed } =
            self.scorecards.create_from_template(&grant, &keyed, organization_id, &template, name).await?;
        Ok(Created::of(replayed, format!("/api/evaluation-criteria/{}", made.scorecard_id), made.etag(), made.into()))
    }

    /// Import a scorecard
    ///
    /// A definition as JSON or YAML, as `export_scorecard_version` writes it; it becomes the draft of a new scorecard. YAML may hold no aliases.
    #[oai(path = "/import", method = "post", operation_id = "import_scorecard")]
    async fn import_scorecard(
        &self,
        caller: Caller,
        /// The organization whose calls it is for.
        organization_id: Query<OrganizationId>,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        sent: SentDefinition,
    ) -> Result<Created<ScorecardView>, Refusal> {
        let grant = caller.may(Permission::ManageScorecards)?;
        let keyed = key.0.request("import_scorecard").with(&organization_id.0).with(&sent.0);
        let Once { value: made, replayed } = self.scorecards.create(&grant, &keyed, organization_id.0, sent.0).await?;
        Ok(Created::of(replayed, format!("/api/evaluation-criteria/{}", made.scorecard_id), made.etag(), made.into()))
    }

    /// Export a version of a scorecard
    ///
    /// Its definition alone, as a file that `import_scorecard` takes. 409 where there is no draft and it is asked for.
    #[oai(path = "/:scorecard_id/versions/:version/export", method = "get", operation_id = "export_scorecard_version")]
    async fn export_scorecard_version(
        &self,
        caller: Caller,
        scorecard_id: Path<ScorecardId>,
        /// The number of a published version, `newest`, or `draft`.
        version: Path<String>,
        /// `yaml` when absent.
        format: Query<Option<Format>>,
    ) -> Result<DefinitionFile, Refusal> {
        let grant = caller.may(Permission::ReadScorecards)?;
        let side = version.0.parse::<Side>().map_err(|why| Refusal::invalid("version", why))?;
        let found = self.scorecards.side(&grant, scorecard_id.0, side).await?;
        let name = if side == Side::Draft { "draft".to_owned() } else { format!("v{}", found.version) };
        DefinitionFile::of(&found, &name, format.0.unwrap_or(Format::Yaml))
    }
}

impl ScorecardsApi {
    /// What lint finds, and what the language model says of the questions.
    async fn reviewed(
        &self,
        grant: &Grant,
        payer: OrganizationId,
        definition: &Definition,
        found: Vec<Finding>,
    ) -> Result<Json<LintReport>, Refusal> {
        let review = self.reviewer.review(grant, payer, definition).await?;
        Ok(Json(LintReport::reviewed(found, review, self.reviewer.currency.clone())))
    }
}
