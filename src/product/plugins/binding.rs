//! The use of a plugin by an organization. Uploading, conformance and activation by API come with the plugins' life-cycle; here is what they will end in.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use serde_json::Value;

use super::model::{Binding, FailurePolicy};
use crate::{
    foundation::{
        access::Grant,
        ids::{BindingId, OrganizationId},
    },
    platform::{
        audit::audit,
        db::{Db, DbError, InTenant, Statements},
        plugins::{Plugin, PluginError, PluginHost, World},
        tenancy::quotas::{self, QuotaError, Quotas, Wanted},
    },
    sql,
};

/// Why a plugin cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The grant does not reach the organization.
    #[error("no such organization")]
    NoOrganization,
    /// The component is refused, or refuses its settings.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The object store failed.
    #[error("the object store: {0}")]
    Objects(#[from] object_store::Error),
    /// A quota of the tenant has no room.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What is to be bound.
pub struct NewBinding {
    /// Whose calls it is for.
    pub organization: OrganizationId,
    /// The component.
    pub component: Bytes,
    /// Its settings, which it is asked about.
    pub settings: Value,
    /// What happens when it fails.
    pub policy: FailurePolicy,
}

/// Checks a component, stores it by its digest, and lets the organization use it from now on; the binding before it ends.
///
/// # Errors
/// [`BindError`]; nothing is bound then. A version that others put into the tenant's last room at the same moment may leave its object behind,
/// which counts nothing and is written over by the next attempt.
pub async fn bind(
    db: &Db,
    objects: &dyn ObjectStore,
    plugins: &PluginHost,
    grant: &Grant,
    quotas: &Quotas,
    new: NewBinding,
    now: DateTime<Utc>,
) -> Result<BindingId, BindError> {
    if !grant.reaches(new.organization) {
        return Err(BindError::NoOrganization);
    }
    let plugin = plugins.load(new.component.clone()).await?;
    plugin.validate_settings(&new.settings.to_string()).await?;
    let digest = plugin.sha256().to_owned();
    let object_key = format!("{}/plugins/{digest}.wasm", grant.tenant());
    let size_bytes = i64::try_from(new.component.len()).unwrap_or(i64::MAX);
    foresee(db, grant, quotas, &digest, size_bytes, now).await?;
    objects.put(&Path::from(object_key.as_str()), new.component.into()).await?;
    let world = match plugin.world() {
        World::Scorer => "scorer",
        World::PromptBuilder => "prompt_builder",
    };
    let policy = new.policy.as_str();
    let (identity, binding_id) = (plugin.identity(), BindingId::new());
    db.tenant(grant, "plugins.bind", async |tx| {
        let version: [&(dyn postgres_types::ToSql + Sync); 8] =
            [&digest, &tx.root(), &identity.name, &identity.version, &world, &size_bytes, &object_key, &now];
        let is_new = tx.execute(sql!("plugins/insert_version"), &version).await? == 1;
        tx.execute(sql!("plugins/end_binding"), &[&new.organization, &world, &now]).await?;
        let row: [&(dyn postgres_types::ToSql + Sync); 7] =
            [&binding_id, &new.organization, &digest, &world, &new.settings, &policy, &now];
        tx.execute(sql!("plugins/insert_binding"), &row).await?;
        let details = serde_json::json!({ "digest": digest, "world": world, "failure_policy": policy });
        audit(tx, "plugin.bound", "plugin_binding", Some(binding_id.0), new.organization, details).await?;
        if is_new {
            quotas::count_plugin(tx, quotas, size_bytes, now).await?;
        }
        Ok(binding_id)
    })
    .await
}

/// The bound plugin, from this process or from the object store; the inner error is the plugin's own fault.
///
/// # Errors
/// When the object store does not give it: that is nobody's plugin's fault.
pub async fn fetch(
    plugins: &PluginHost,
    objects: &dyn ObjectStore,
    binding: &Binding,
) -> Result<Result<Plugin, PluginError>, object_store::Error> {
    fetch_version(plugins, objects, &binding.digest, &binding.object_key).await
}

/// The same of a version that need not be bound.
///
/// # Errors
/// When the object store does not give it.
pub async fn fetch_version(
    plugins: &PluginHost,
    objects: &dyn ObjectStore,
    digest: &str,
    object_key: &str,
) -> Result<Result<Plugin, PluginError>, object_store::Error> {
    if let Some(plugin) = plugins.loaded(digest).await {
        return Ok(Ok(plugin));
    }
    let bytes = objects.get(&Path::from(object_key)).await?.bytes().await?;
    let loaded = plugins.load(bytes).await;
    Ok(loaded.and_then(|plugin| {
        if plugin.sha256() == digest {
            Ok(plugin)
        } else {
            Err(PluginError::NotAComponent("its bytes are not those that were bound".to_owned()))
        }
    }))
}

/// Refuses a new version for which there is no room, before it is stored.
async fn foresee(
    db: &Db,
    grant: &Grant,
    quotas: &Quotas,
    digest: &str,
    size_bytes: i64,
    now: DateTime<Utc>,
) -> Result<(), BindError> {
    db.tenant(grant, "plugins.foresee", async |tx| {
        if tx.opt(sql!("plugins/find_version"), &[&digest, &tx.root()]).await?.is_some() {
            return Ok(());
        }
        let stored_bytes = u64::try_from(size_bytes).unwrap_or(0);
        let wanted = Wanted { plugins: 1, stored_bytes, ..Wanted::default() };
        Ok(quotas::foresee(tx, quotas, &wanted, now).await?)
    })
    .await
}
