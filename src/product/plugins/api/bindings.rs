//! Uses of plugins by organizations, and what organizations ask of them.

use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use super::{
    PluginTag,
    views::{BindingView, NewBindingBody, PolicyBody, PolicyView, RollbackView},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{BindingId, OrganizationId},
    },
    platform::http::{
        Created, Cursor, Fresh, IdempotencyKey, IfMatch, IfNoneMatch, Limit, Listing, Once, Page, Refusal, Tagged,
    },
    product::plugins::{
        BindingFilter, Plugins,
        model::{BindingMode, BindingRecord, PluginWorld},
    },
};

/// The operations on bindings and policies.
pub struct PluginBindingsApi {
    /// What they work on.
    pub plugins: Plugins,
}

#[OpenApi(prefix_path = "/api", tag = "PluginTag::Plugins")]
impl PluginBindingsApi {
    /// Bind a plugin
    ///
    /// An organization uses a version from now on: as its `active` one, whose predecessor ends; as a `shadow`, which runs beside what counts; or
    /// as a `canary`, which counts for a share of the calls and is rolled back by itself when too many of its runs fail or its scores drift.
    /// An organization has one active binding of a world and one beside it. 422 `invalid-plugin-settings` when the plugin does not take the
    /// settings, 409 `backtest-required` when the organization's policy asks for a back-test first, 409 when another binding is made at the
    /// same moment.
    #[oai(path = "/plugin-bindings", method = "post", operation_id = "bind_plugin")]
    async fn bind_plugin(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<NewBindingBody>,
    ) -> Result<Created<BindingView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let keyed = key.0.request("bind_plugin").with(&new.0);
        let Once { value: made, replayed } = self.plugins.bind(&grant, &keyed, new.0.wanted()?).await?;
        Ok(Created::of(replayed, format!("/api/plugin-bindings/{}", made.binding_id), made.etag(), made.into()))
    }

    /// List plugin bindings
    ///
    /// Newest first, also those that have ended: what scored, when, and who changed that.
    #[oai(path = "/plugin-bindings", method = "get", operation_id = "list_plugin_bindings")]
    #[allow(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list_plugin_bindings(
        &self,
        caller: Caller,
        /// Those of this organization alone.
        organization_id: Query<Option<OrganizationId>>,
        /// Those of plugins for this alone.
        world: Query<Option<PluginWorld>>,
        /// Those of this mode alone.
        mode: Query<Option<BindingMode>>,
        /// Those of this version alone.
        #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
        digest: Query<Option<String>>,
        /// Without those that have ended.
        #[oai(default)]
        current: Query<bool>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<BindingView>>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        let filter = BindingFilter {
            organization_id: organization_id.0,
            world: world.0,
            mode: mode.0,
            digest: digest.0,
            current: current.0,
        };
        let listing = Listing::new("list_plugin_bindings", &filter, limit.0, &cursor.0)?;
        let found = self.plugins.bindings(&grant, &filter, &listing).await?;
        Ok(Json(listing.page(found, BindingRecord::position, BindingView::from)))
    }

    /// Get a plugin binding
    ///
    /// 404 also for one of an organization that the caller does not belong to.
    #[oai(path = "/plugin-bindings/:binding_id", method = "get", operation_id = "get_plugin_binding")]
    async fn get_plugin_binding(
        &self,
        caller: Caller,
        binding_id: Path<BindingId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<BindingView>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        let found = self.plugins.binding(&grant, binding_id.0).await?;
        Ok(known.0.answer(found.etag(), || found.into()))
    }

    /// End a plugin binding
    ///
    /// After an active one the built-in scorer or prompt builder counts; after a shadow or a canary nothing changes but that it runs no more. 409
    /// when it has ended already.
    #[oai(path = "/plugin-bindings/:binding_id/end", method = "post", operation_id = "end_plugin_binding")]
    async fn end_plugin_binding(
        &self,
        caller: Caller,
        binding_id: Path<BindingId>,
    ) -> Result<Tagged<BindingView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let ended = self.plugins.unbind(&grant, binding_id.0).await?;
        Ok(Tagged::of(ended.etag(), ended.into()))
    }

    /// Roll a plugin binding back
    ///
    /// At once: an active binding ends, and what it took the place of counts again, with its settings as they were; the built-in one where
    /// there was none. A canary or a shadow ends. No policy stands in the way. 409 when it has ended already.
    #[oai(path = "/plugin-bindings/:binding_id/rollback", method = "post", operation_id = "roll_back_plugin_binding")]
    async fn roll_back_plugin_binding(
        &self,
        caller: Caller,
        binding_id: Path<BindingId>,
    ) -> Result<Json<RollbackView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        Ok(Json(self.plugins.roll_back(&grant, binding_id.0).await?.into()))
    }

    /// Promote a plugin binding
    ///
    /// A shadow or a canary becomes the active one, as a new binding with the same settings; the active one before it ends. 409 when it has
    /// ended or is active already, and `backtest-required` as in `bind_plugin`.
    #[oai(path = "/plugin-bindings/:binding_id/promote", method = "post", operation_id = "promote_plugin_binding")]
    async fn promote_plugin_binding(
        &self,
        caller: Caller,
        binding_id: Path<BindingId>,
    ) -> Result<Tagged<BindingView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        let made = self.plugins.promote(&grant, binding_id.0).await?;
        Ok(Tagged::of(made.etag(), made.into()))
    }

    /// Get an organization's policy for plugins
    ///
    /// What it asks of a version before it may score.
    #[oai(path = "/plugin-policies/:organization_id", method = "get", operation_id = "get_plugin_policy")]
    async fn get_plugin_policy(
        &self,
        caller: Caller,
        organization_id: Path<OrganizationId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<PolicyView>, Refusal> {
        let grant = caller.may(Permission::ReadPlugins)?;
        let found = self.plugins.policy(&grant, organization_id.0).await?;
        Ok(known.0.answer(found.etag(), || found.into()))
    }

    /// Set an organization's policy for plugins
    ///
    /// Send `If-Match` with the `ETag` of what was read. What is bound already stays.
    #[oai(path = "/plugin-policies/:organization_id", method = "put", operation_id = "set_plugin_policy")]
    async fn set_plugin_policy(
        &self,
        caller: Caller,
        organization_id: Path<OrganizationId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        policy: Json<PolicyBody>,
    ) -> Result<Tagged<PolicyView>, Refusal> {
        let grant = caller.may(Permission::ManagePlugins)?;
        expected.0.required()?;
        let set = self.plugins.set_policy(&grant, organization_id.0, &expected.0, policy.0.backtest_calls).await?;
        Ok(Tagged::of(set.etag(), set.into()))
    }
}
