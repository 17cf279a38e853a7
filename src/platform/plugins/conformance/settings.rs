//! Settings to try a plugin with: what its own schema offers, else none.

use serde_json::{Map, Value};

use crate::platform::plugins::{Check, Description, Plugin, PluginError};

/// Settings that no author foresaw, but that people write.
const STRANGE: [&str; 3] = ["[]", r#"{"no_such_setting_of_any_plugin": true}"#, r#"{"": null}"#];

/// Settings worth a try, best first: the first of the schema's `examples`, the `default`s of its properties, and `{}`.
pub fn offered_settings(description: &Description) -> Vec<String> {
    let schema = description.settings_schema.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut offered = Vec::new();
    if let Some(schema) = schema {
        offered.extend(schema["examples"].get(0).map(Value::to_string));
        let properties = schema["properties"].as_object();
        let defaults: Map<String, Value> = properties
            .into_iter()
            .flatten()
            .filter_map(|(key, property)| Some((key.clone(), property.get("default")?.clone())))
            .collect();
        offered.push(Value::Object(defaults).to_string());
    }
    if !offered.iter().any(|settings| settings == "{}") {
        offered.push("{}".to_owned());
    }
    offered
}

/// The first of the offered settings that the plugin takes.
///
/// # Errors
/// The plugin's answer to the first ones if it takes none of them.
pub async fn accepted_settings(plugin: &Plugin) -> Result<String, PluginError> {
    let mut refused = None;
    for settings in offered_settings(plugin.description()) {
        match plugin.validate_settings(&settings).await {
            Ok(()) => return Ok(settings),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| PluginError::InvalidSettings("nothing was offered".to_owned())))
}

/// The plugin takes the settings it is tried with, and answers to strange ones instead of breaking.
pub(super) async fn checks(plugin: &Plugin, settings: &str) -> Vec<Check> {
    let taken = match plugin.validate_settings(settings).await {
        Ok(()) => Check::passed("settings", "it takes the settings it is tried with"),
        Err(error) => {
            let hint = "offer some by `default`s or `examples` in the settings schema";
            Check::failed("settings", format!("{error} ({hint})"))
        }
    };
    let mut broken = None;
    for strange in STRANGE {
        match plugin.validate_settings(strange).await {
            Ok(()) | Err(PluginError::InvalidSettings(_)) => {}
            Err(error) => broken = broken.or(Some(format!("asked about {strange}: {error}"))),
        }
    }
    let answers = match broken {
        None => Check::passed("settings_answered", "it takes or refuses strange settings, and does not break"),
        Some(why) => Check::failed("settings_answered", why),
    };
    vec![taken, answers]
}
