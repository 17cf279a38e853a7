//! A component that an organization uses from now on, in one go: what provisions without the API ends in the same code as the API.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use serde_json::Value;

use super::{
    Place, PluginsError, bindings,
    model::{Binding, BindingMode, FailurePolicy, RollbackRules, Use},
    versions,
};
use crate::{
    foundation::{
        access::Grant,
        ids::{BindingId, OrganizationId, TenantId},
    },
    platform::{
        db::Db,
        http::IdempotencyKey,
        plugins::{Plugin, PluginError, PluginHost},
        tenancy::quotas::Quotas,
    },
};

/// Why a plugin cannot be bound.
pub type BindError = PluginsError;

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

/// Validates a component, keeps it by its digest, and lets the organization use it from now on; the binding before it ends.
///
/// # Errors
/// [`PluginsError`]; nothing is bound then.
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
        return Err(PluginsError::NoOrganization);
    }
    let place = Place { db, objects, host: plugins };
    let kept = versions::keep(place, grant, quotas, new.component, now).await?;
    let wanted = Use {
        organization_id: new.organization,
        digest: kept.version.digest,
        mode: BindingMode::Active,
        canary_share: None,
        settings: new.settings,
        failure_policy: new.policy,
        rollback: RollbackRules::default(),
    };
    let keyed = IdempotencyKey::default().request("bind_plugin");
    Ok(bindings::bind(place, grant, &keyed, wanted, now).await?.value.binding_id)
}

/// The bound plugin, from this process or from the object store, in its tenant's share of the host; the inner error is the plugin's own fault.
///
/// # Errors
/// When the object store does not give it: that is nobody's plugin's fault.
pub async fn fetch(
    plugins: &PluginHost,
    objects: &dyn ObjectStore,
    tenant: TenantId,
    binding: &Binding,
) -> Result<Result<Plugin, PluginError>, object_store::Error> {
    versions::load(plugins, objects, tenant, &binding.digest, &binding.object_key).await
}
