//! `/api/plugins`, `/api/plugin-bindings` and `/api/plugin-policies`: a handler asks for a grant, calls one operation, and answers with a view.

mod bindings;
mod views;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use object_store::{GetOptions, GetRange};
use poem::Body;
use poem_openapi::{
    OpenApi, Tags,
    param::{Header, Path, Query},
    payload::{Binary, Json},
};

use self::views::{PluginRunView, PluginStatisticsView, PluginView, SettingsBody, SettingsCheckView, StatisticsOf};
pub use self::{bindings::PluginBindingsApi, views::LogLineView};
use super::{
    Plugins, VersionFilter,
    model::{PluginRun, PluginVersion, PluginWorld, RunPurpose},
    statistics::{RunFilter, Window},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{BindingId, CallId, OrganizationId},
    },
    platform::http::{Created, Cursor, ETag, FileAnswer, Limit, Listing, Page, Refusal, is_sane, range},
};

/// Days of statistics that are shown when nobody names a time.
const USUAL_DAYS: i64 = 30;

/// Where plugins stand in the document, also what is asked about them elsewhere.
#[derive(Tags)]
pub enum PluginTag {
    /// Scorers and prompt builders of the tenant's own: WebAssembly components in a sandbox, and their use by organizations.
    Plugins,
}

/// The operations on plugin versions and their runs.
pub struct PluginsApi {
    /// What they work on.
    pub plugins: Plugins,
}

#[OpenApi(prefix_path = "/api/plugins", tag = "PluginTag::Plugins")]
impl PluginsApi {
    /// Upload a plugin
    ///
    /// The body is the component, at most 20 MiB, as `application/octet-stream`. It is validated before anything is kept: its form, world and
    /// imports, its manifest and the schema of its settings, and how it behaves on golden calls. What passes is a version: a draft that no
    /// organization uses yet, known by its SHA-256 and never changed. The same bytes are the same version, and are answered with it again.
    /// What does not pass is a 422 `plugin-refused` whose `report` says what was found.
    #[oai(path = "/", method = "post", operation_id = "upload_plugin")]
    async fn upload_plugin(&self, caller: Caller, component: Binary<Body>) -> Result<Created<PluginView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let kept = self.plugins.upload(&grant, component.0.into_bytes_stream().boxed()).await?;
        let location = format!("/api/plugins/{}", kept.version.digest);
        Ok(Created::of(kept.known, location, ETag::of_digest(&kept.version.digest), kept.version.into()))
    }

    /// List plugins
    ///
    /// The tenant's versions, newest first, without their reports.
    #[oai(path = "/", method = "get", operation_id = "list_plugins")]
    async fn list_plugins(
        &self,
        caller: Caller,
        /// Those for this alone.
        world: Query<Option<PluginWorld>>,
        /// Versions of the plugin of this name alone.
        #[oai(validator(max_length = 64))]
        name: Query<Option<String>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<PluginView>>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        let filter = VersionFilter { world: world.0, name: name.0 };
        let listing = Listing::new("list_plugins", &filter, limit.0, &cursor.0)?;
        let found = self.plugins.versions(&grant, &filter, &listing).await?;
        Ok(Json(listing.page(found, PluginVersion::position, PluginView::from)))
    }

    /// Get a plugin
    ///
    /// A version: what it says of itself, the fields of a call that it reads (all others are blanked before it sees them), the schema of its
    /// settings, and the report of its validation.
    #[oai(path = "/:digest", method = "get", operation_id = "get_plugin")]
    async fn get_plugin(
        &self,
        caller: Caller,
        /// SHA-256 of the component.
        #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
        digest: Path<String>,
    ) -> Result<Json<PluginView>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        Ok(Json(self.plugins.version(&grant, &digest.0).await?.into()))
    }

    /// Download a plugin
    ///
    /// The component as it was uploaded; parts by `Range`.
    #[oai(path = "/:digest/component", method = "get", operation_id = "download_plugin")]
    async fn download_plugin(
        &self,
        caller: Caller,
        /// SHA-256 of the component.
        #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
        digest: Path<String>,
        /// Which bytes: `bytes=0-1023`, `bytes=1024-`, `bytes=-512`.
        #[oai(name = "Range")]
        wanted: Header<Option<String>>,
    ) -> Result<FileAnswer, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let version = self.plugins.version(&grant, &digest.0).await?;
        let slice = range::slice(wanted.0.as_deref(), u64::try_from(version.size_bytes).unwrap_or(0))?;
        let part = GetOptions { range: Some(GetRange::Bounded(slice.bytes())), ..GetOptions::default() };
        let bytes = self.plugins.component(&version, part).await?;
        Ok(FileAnswer::of(slice, bytes, "application/wasm", ETag::of_digest(&version.digest)))
    }

    /// Check settings of a plugin
    ///
    /// Whether the version takes them: they are held against its schema, and then put before the plugin itself. Nothing is kept.
    #[oai(path = "/:digest/settings-checks", method = "post", operation_id = "check_plugin_settings")]
    async fn check_plugin_settings(
        &self,
        caller: Caller,
        /// SHA-256 of the component.
        #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
        digest: Path<String>,
        body: Json<SettingsBody>,
    ) -> Result<Json<SettingsCheckView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        Ok(Json(self.plugins.check_settings(&grant, &digest.0, &body.0.settings.0).await?.into()))
    }

    /// Get a plugin's statistics
    ///
    /// What the runs of a version took and how many failed of what, altogether, by purpose and by day, in the organizations that the caller
    /// reaches. Runs are kept for a while alone.
    #[oai(path = "/:digest/statistics", method = "get", operation_id = "get_plugin_statistics")]
    #[allow(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn get_plugin_statistics(
        &self,
        caller: Caller,
        /// SHA-256 of the component.
        #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
        digest: Path<String>,
        /// Runs of this organization alone.
        organization_id: Query<Option<OrganizationId>>,
        /// Runs of this binding alone.
        binding_id: Query<Option<BindingId>>,
        /// Runs of then or later; of the last 30 days when absent.
        from: Query<Option<DateTime<Utc>>>,
        /// Runs from before; until now when absent.
        before: Query<Option<DateTime<Utc>>>,
    ) -> Result<Json<PluginStatisticsView>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        for (name, time) in [("from", from.0), ("before", before.0)] {
            if time.is_some_and(|time| !is_sane(&time)) {
                return Err(Refusal::invalid(name, "must be from 1900 to 9999"));
            }
        }
        // What runs at this very moment is in.
        let before = before.0.unwrap_or_else(|| self.plugins.clock.now() + TimeDelta::seconds(1));
        let window = Window {
            organization_id: organization_id.0,
            binding_id: binding_id.0,
            from: from.0.unwrap_or(before - TimeDelta::days(USUAL_DAYS)),
            before,
        };
        let found = self.plugins.statistics(&grant, &digest.0, &window).await?;
        Ok(Json(StatisticsOf { digest: digest.0, window, found }.into()))
    }

    /// List a plugin's runs
    ///
    /// Newest first, in the organizations that the caller reaches: how each ended, what it took, and what the plugin logged. Messages and logs
    /// are the plugin's words, which may quote the redacted text that it was given.
    #[oai(path = "/:digest/runs", method = "get", operation_id = "list_plugin_runs")]
    #[allow(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list_plugin_runs(
        &self,
        caller: Caller,
        /// SHA-256 of the component.
        #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
        digest: Path<String>,
        /// Runs of this organization alone.
        organization_id: Query<Option<OrganizationId>>,
        /// Runs of this binding alone.
        binding_id: Query<Option<BindingId>>,
        /// Runs about this call alone.
        call_id: Query<Option<CallId>>,
        /// Runs for this alone.
        purpose: Query<Option<RunPurpose>>,
        /// `ok`, a failure's code such as `trap`, or `fault` for any failure.
        #[oai(validator(max_length = 64))]
        outcome: Query<Option<String>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<PluginRunView>>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        let filter = RunFilter {
            organization_id: organization_id.0,
            binding_id: binding_id.0,
            call_id: call_id.0,
            purpose: purpose.0,
            outcome: outcome.0,
        };
        let listing = Listing::new("list_plugin_runs", &(&digest.0, &filter), limit.0, &cursor.0)?;
        let found = self.plugins.runs(&grant, &digest.0, &filter, &listing).await?;
        Ok(Json(listing.page(found, PluginRun::position, PluginRunView::from)))
    }
}
