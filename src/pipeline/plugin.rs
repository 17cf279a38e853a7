//! The organization's plugins, fetched from the object store when this process does not have them yet.

use object_store::{ObjectStoreExt, path::Path};

use super::Means;
use crate::{
    platform::{
        jobs::JobError,
        plugins::{Plugin, PluginError},
    },
    product::evaluations::store::Binding,
};

/// The bound plugin; the inner error is the plugin's own fault and falls under its failure policy.
///
/// # Errors
/// [`JobError::Temporary`] when the object store does not give it: that is nobody's plugin's fault.
pub(super) async fn load(means: &Means, binding: &Binding) -> Result<Result<Plugin, PluginError>, JobError> {
    if let Some(plugin) = means.plugins.loaded(&binding.digest).await {
        return Ok(Ok(plugin));
    }
    let unavailable = |error: object_store::Error| JobError::Temporary {
        reason: match error {
            object_store::Error::NotFound { .. } => "the plugin is not in the object store".to_owned(),
            _ => "the object store did not give the plugin".to_owned(),
        },
        retry_after: None,
    };
    let object = means.objects.get(&Path::from(binding.object_key.as_str())).await.map_err(unavailable)?;
    let bytes = object.bytes().await.map_err(unavailable)?;
    let loaded = means.plugins.load(bytes).await;
    Ok(loaded.and_then(|plugin| {
        if plugin.sha256() == binding.digest {
            Ok(plugin)
        } else {
            Err(PluginError::NotAComponent("its bytes are not those that were bound".to_owned()))
        }
    }))
}
