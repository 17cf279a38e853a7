//! The organization's plugins, fetched from the object store when this process does not have them yet.

use super::Means;
use crate::{
    foundation::ids::TenantId,
    platform::{
        jobs::JobError,
        plugins::{Plugin, PluginError},
    },
    product::plugins::{binding, model::Binding},
};

/// The bound plugin. The inner error is the plugin's own fault and falls under its failure policy.
///
/// # Errors
/// [`JobError::Temporary`] when the object store does not give it: that is nobody's plugin's fault.
pub(super) async fn load(
    means: &Means,
    tenant: TenantId,
    binding: &Binding,
) -> Result<Result<Plugin, PluginError>, JobError> {
    binding::fetch(&means.plugins, means.objects.as_ref(), tenant, binding).await.map_err(unavailable)
}

/// The object store did not give a plugin: that is tried again.
#[allow(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(super) fn unavailable(error: object_store::Error) -> JobError {
    JobError::Temporary {
        reason: match error {
            object_store::Error::NotFound { .. } => "the plugin is not in the object store".to_owned(),
            _ => "the object store did not give the plugin".to_owned(),
        },
        retry_after: None,
    }
}
