//! Settings, held against the plugin's own schema and then put before the plugin itself.

use serde_json::Value;

use super::{PluginsError, model::PluginVersion};
use crate::platform::plugins::{Plugin, PluginError, SettingsFault, SettingsSchema};

/// The longest settings, as JSON; what the host takes by itself.
const SETTINGS_BYTES: usize = 64 << 10;

/// What is wrong with settings; nothing when the plugin takes them. The plugin is asked only about what fits its schema.
pub(super) async fn faults(
    plugin: &Plugin,
    version: &PluginVersion,
    settings: &Value,
) -> Result<Vec<SettingsFault>, PluginsError> {
    let whole = |message: String| vec![SettingsFault { path: String::new(), message }];
    // First of all: a schema takes its time for each part of what it is held against.
    let text = settings.to_string();
    if text.len() > SETTINGS_BYTES {
        return Ok(whole(format!("they have {} bytes, {SETTINGS_BYTES} are allowed", text.len())));
    }
    if let Some(schema) = &version.settings_schema {
        let found = match SettingsSchema::parse(schema) {
            Ok(schema) => schema.faults(settings),
            Err(why) => whole(why), // a version from before schemas were looked at
        };
        if !found.is_empty() {
            return Ok(found);
        }
    }
    match plugin.validate_settings(&text).await {
        Ok(()) => Ok(vec![]),
        Err(error @ PluginError::Host(_)) => Err(error.into()),
        Err(PluginError::InvalidSettings(words)) => Ok(whole(words)),
        Err(error) => Ok(whole(error.to_string())),
    }
}
