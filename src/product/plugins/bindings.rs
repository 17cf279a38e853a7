//! Bindings: an organization begins to use a version, ends that, goes back to what was before, or lets what ran beside it count. A binding is
//! never changed but ended; what comes back is a new one, so that the history tells what scored when.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    BindingFilter, Place, Plugins, PluginsError,
    model::{BindingMode, BindingRecord, Ended, EndedBecause, PluginPolicy, PluginWorld, Use, settings_digest},
    settings, store,
    versions::load,
};
use crate::{
    foundation::{
        access::Grant,
        ids::{BindingId, OrganizationId},
    },
    platform::{
        audit::audit,
        db::{DbError, InTenant, TenantTx},
        http::{IfMatch, Keyed, Listing, Once, once},
    },
};

/// What a roll-back left.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// What ended.
    pub ended: BindingRecord,
    /// What counts from now on; none where that is the built-in one.
    pub active: Option<BindingRecord>,
}

impl Plugins {
    /// Lets an organization use a version.
    ///
    /// # Errors
    /// [`PluginsError::NoOrganization`], [`PluginsError::NoVersion`], [`PluginsError::Share`], [`PluginsError::InvalidSettings`],
    /// [`PluginsError::NotBacktested`], [`PluginsError::Overtaken`].
    pub async fn bind(&self, grant: &Grant, keyed: &Keyed, wanted: Use) -> Result<Once<BindingRecord>, PluginsError> {
        bind(self.place(), grant, keyed, wanted, self.now()).await
    }

    /// One binding.
    ///
    /// # Errors
    /// [`PluginsError::NoBinding`].
    pub async fn binding(&self, grant: &Grant, id: BindingId) -> Result<BindingRecord, PluginsError> {
        store::find_binding(&self.db.alone(grant), id).await?.ok_or(PluginsError::NoBinding)
    }

    /// A page of bindings, newest first, also of those that have ended.
    ///
    /// # Errors
    /// [`PluginsError::Db`].
    pub async fn bindings(
        &self,
        grant: &Grant,
        filter: &BindingFilter,
        listing: &Listing,
    ) -> Result<Vec<BindingRecord>, PluginsError> {
        Ok(store::list_bindings(&self.db.alone(grant), filter, listing).await?)
    }

    /// Ends a binding; after an active one the built-in one counts.
    ///
    /// # Errors
    /// [`PluginsError::NoBinding`], [`PluginsError::Ended`].
    pub async fn unbind(&self, grant: &Grant, id: BindingId) -> Result<BindingRecord, PluginsError> {
        let now = self.now();
        self.db.tenant(grant, "plugins.unbind", async |tx| end(tx, id, EndedBecause::Unbound, now).await).await
    }

    /// Ends a binding and brings back what it took the place of; a shadow or a canary took nobody's.
    ///
    /// # Errors
    /// [`PluginsError::NoBinding`], [`PluginsError::Ended`], [`PluginsError::Overtaken`].
    pub async fn roll_back(&self, grant: &Grant, id: BindingId) -> Result<RolledBack, PluginsError> {
        let now = self.now();
        self.db
            .tenant(grant, "plugins.roll_back", async |tx| {
                let ended = end(tx, id, EndedBecause::RolledBack, now).await?;
                if let (BindingMode::Active, Some(before)) = (ended.of.mode, ended.replaces) {
                    let before = store::find_binding(tx, before).await?.ok_or(PluginsError::NoBinding)?;
                    begin(tx, &before.of, before.world, before.replaces, now).await?;
                }
                let active = store::find_active(tx, ended.of.organization_id, ended.world).await?;
                Ok(RolledBack { ended, active })
            })
            .await
    }

    /// Makes a shadow or a canary the active binding.
    ///
    /// # Errors
    /// [`PluginsError::NoBinding`], [`PluginsError::Ended`], [`PluginsError::Active`], [`PluginsError::NotBacktested`],
    /// [`PluginsError::Overtaken`].
    pub async fn promote(&self, grant: &Grant, id: BindingId) -> Result<BindingRecord, PluginsError> {
        let now = self.now();
        self.db
            .tenant(grant, "plugins.promote", async |tx| {
                let found = store::find_binding(tx, id).await?.ok_or(PluginsError::NoBinding)?;
                if found.ended.is_some() {
                    return Err(PluginsError::Ended);
                }
                if found.of.mode == BindingMode::Active {
                    return Err(PluginsError::Active);
                }
                let wanted = Use { mode: BindingMode::Active, canary_share: None, ..found.of };
                allowed(tx, &wanted, found.world).await?;
                end(tx, id, EndedBecause::Promoted, now).await?;
                take_place(tx, &wanted, found.world, now).await
            })
            .await
    }

    /// What an organization asks of a version before it may score.
    ///
    /// # Errors
    /// [`PluginsError::NoOrganization`].
    pub async fn policy(&self, grant: &Grant, organization: OrganizationId) -> Result<PluginPolicy, PluginsError> {
        if !grant.reaches(organization) {
            return Err(PluginsError::NoOrganization);
        }
        Ok(store::find_policy(&self.db.alone(grant), organization).await?)
    }

    /// Sets that, over the revision that the caller read.
    ///
    /// # Errors
    /// [`PluginsError::NoOrganization`], [`PluginsError::Stale`].
    pub async fn set_policy(
        &self,
        grant: &Grant,
        organization: OrganizationId,
        expected: &IfMatch,
        backtest_calls: Option<i32>,
    ) -> Result<PluginPolicy, PluginsError> {
        if !grant.reaches(organization) {
            return Err(PluginsError::NoOrganization);
        }
        let now = self.now();
        self.db
            .tenant(grant, "plugins.set_policy", async |tx| {
                let found = store::find_policy(tx, organization).await?;
                if expected.allows(&found.etag()).is_err() {
                    return Err(PluginsError::Stale);
                }
                let set = store::set_policy(tx, organization, backtest_calls, found.revision, now).await?;
                let revision = set.ok_or(PluginsError::Stale)?;
                let details = json!({ "backtest_calls": backtest_calls });
                audit(tx, "plugin_policy.set", "organization", Some(organization.0), organization, details).await?;
                let updated = Some((grant.actor().to_owned(), now));
                Ok(PluginPolicy { organization_id: organization, backtest_calls, revision, updated })
            })
            .await
    }
}

/// Lets an organization use a version, after its settings were held against its schema and put before it.
///
/// # Errors
/// [`PluginsError::NoOrganization`], [`PluginsError::NoVersion`], [`PluginsError::Share`], [`PluginsError::InvalidSettings`],
/// [`PluginsError::NotBacktested`], [`PluginsError::Overtaken`].
pub(super) async fn bind(
    place: Place<'_>,
    grant: &Grant,
    keyed: &Keyed,
    wanted: Use,
    now: DateTime<Utc>,
) -> Result<Once<BindingRecord>, PluginsError> {
    if !grant.reaches(wanted.organization_id) {
        return Err(PluginsError::NoOrganization);
    }
    match (wanted.mode, wanted.canary_share) {
        (BindingMode::Canary, None) => return Err(PluginsError::Share("is needed of a canary")),
        (BindingMode::Active | BindingMode::Shadow, Some(_)) => return Err(PluginsError::Share("is a canary's alone")),
        _ => {}
    }
    let version = store::find_version(&place.db.alone(grant), &wanted.digest).await?.ok_or(PluginsError::NoVersion)?;
    let plugin = load(place.host, place.objects, grant.tenant(), &version.digest, &version.object_key).await??;
    let faults = settings::faults(&plugin, &version, &wanted.settings).await?;
    if !faults.is_empty() {
        return Err(PluginsError::InvalidSettings(faults));
    }
    place
        .db
        .tenant(grant, "plugins.bind", async |tx| {
            once(tx, keyed, now, async || {
                allowed(tx, &wanted, version.world).await?;
                take_place(tx, &wanted, version.world, now).await
            })
            .await
        })
        .await
}

/// Ends what is in the place of a new binding, and begins that.
async fn take_place(
    tx: &TenantTx<'_>,
    wanted: &Use,
    world: PluginWorld,
    now: DateTime<Utc>,
) -> Result<BindingRecord, PluginsError> {
    let replaced = store::end_place(tx, wanted.organization_id, world, wanted.mode, now).await?;
    // What runs beside the active one comes back by nobody's roll-back.
    let replaces = replaced.filter(|_| wanted.mode == BindingMode::Active);
    begin(tx, wanted, world, replaces, now).await
}

async fn begin(
    tx: &TenantTx<'_>,
    wanted: &Use,
    world: PluginWorld,
    replaces: Option<BindingId>,
    now: DateTime<Utc>,
) -> Result<BindingRecord, PluginsError> {
    let version = store::find_version(tx, &wanted.digest).await?.ok_or(PluginsError::NoVersion)?;
    let begun = BindingRecord {
        binding_id: BindingId::new(),
        of: wanted.clone(),
        name: version.name,
        version: version.version,
        world,
        replaces,
        created_at: now,
        created_by: tx.grant().actor().to_owned(),
        ended: None,
    };
    store::insert_binding(tx, &begun).await.map_err(overtaken)?;
    record(tx, "plugin.bound", &begun, json!({ "failure_policy": wanted.failure_policy, "replaces": replaces }))
        .await?;
    Ok(begun)
}

/// Ends a binding, if nobody has yet.
///
/// # Errors
/// [`PluginsError::NoBinding`], [`PluginsError::Ended`].
pub async fn end(
    tx: &TenantTx<'_>,
    id: BindingId,
    because: EndedBecause,
    now: DateTime<Utc>,
) -> Result<BindingRecord, PluginsError> {
    let found = store::find_binding(tx, id).await?.ok_or(PluginsError::NoBinding)?;
    let ended = Ended { at: now, by: Some(tx.grant().actor().to_owned()), because: Some(because) };
    if found.ended.is_some() || !store::end_binding(tx, id, &ended).await? {
        return Err(PluginsError::Ended);
    }
    record(tx, "plugin.unbound", &found, json!({ "because": because })).await?;
    Ok(BindingRecord { ended: Some(ended), ..found })
}

/// Whether the organization's policy lets the version score. A prompt builder has no stored answers to be tested on.
async fn allowed(tx: &TenantTx<'_>, wanted: &Use, world: PluginWorld) -> Result<(), PluginsError> {
    // A canary counts too, for however few calls.
    if wanted.mode == BindingMode::Shadow || world != PluginWorld::Scorer {
        return Ok(());
    }
    let policy = store::find_policy(tx, wanted.organization_id).await?;
    let Some(calls) = policy.backtest_calls else { return Ok(()) };
    let digest = settings_digest(&wanted.settings);
    let found = store::most_backtested(tx, wanted.organization_id, &wanted.digest, &digest).await?;
    if found >= calls { Ok(()) } else { Err(PluginsError::NotBacktested { wanted: calls, found }) }
}

/// Two take one place at once: the second one finds it taken.
fn overtaken(error: DbError) -> PluginsError {
    match error.unique_violation() {
        Some("plugin_bindings_active" | "plugin_bindings_beside") => PluginsError::Overtaken,
        _ => error.into(),
    }
}

async fn record(tx: &TenantTx<'_>, action: &str, of: &BindingRecord, more: Value) -> Result<(), DbError> {
    let mut details = json!({ "digest": of.of.digest, "world": of.world, "mode": of.of.mode });
    if let (Value::Object(details), Value::Object(more)) = (&mut details, more) {
        details.extend(more);
    }
    audit(tx, action, "plugin_binding", Some(of.binding_id.0), of.of.organization_id, details).await
}
