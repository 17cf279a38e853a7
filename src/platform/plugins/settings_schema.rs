//! The JSON Schema by which a plugin describes its settings: what may stand in one, and what it finds in settings.
//!
//! A schema comes from a stranger, so it is held to less than the standard: no references (which nest without end, or lead elsewhere), and
//! patterns that are matched in linear time.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::text::bounded;

/// The most faults that are told of one document.
const MOST_FAULTS: usize = 20;
/// How much of a fault is told, in bytes.
const FAULT_BYTES: usize = 300;
/// The largest program that a pattern may become, in bytes.
const PATTERN_BYTES: usize = 1 << 20;
/// Keywords that lead elsewhere in a schema, or out of it.
const REFERENCES: &[&str] = &["$ref", "$dynamicRef", "$recursiveRef"];
/// Keywords whose values are documents and not schemas.
const DOCUMENTS: &[&str] = &["const", "enum", "default", "examples"];
/// Keywords whose values are schemas by name.
const NAMED: &[&str] = &["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// A schema that settings can be held against.
#[derive(Debug)]
pub struct SettingsSchema {
    validator: Validator,
}

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFault {
    /// Where, as a JSON pointer; empty for the settings as a whole.
    pub path: String,
    /// What, in a sentence.
    pub message: String,
}

impl SettingsSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// In a sentence for the plugin's author: it is no JSON Schema, it uses references, or it asks for a secret.
    pub fn parse(schema: &Value) -> Result<Self, String> {
        if !schema.is_object() {
            return Err("the settings schema is not a JSON object".to_owned());
        }
        admissible(schema, "")?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES);
        let validator = jsonschema::options().with_pattern_options(patterns).build(schema).map_err(|error| {
            format!("the settings schema is not a JSON Schema: {}", bounded(&error.to_string(), FAULT_BYTES))
        })?;
        Ok(Self { validator })
    }

    /// What is wrong with settings; nothing when they fit.
    pub fn faults(&self, settings: &Value) -> Vec<SettingsFault> {
        let fault = |error: jsonschema::ValidationError<'_>| SettingsFault {
            path: bounded(&error.instance_path().to_string(), FAULT_BYTES).to_owned(),
            message: bounded(&error.to_string(), FAULT_BYTES).to_owned(),
        };
        self.validator.iter_errors(settings).take(MOST_FAULTS).map(fault).collect()
    }
}

/// Whether a schema, and every schema in it, is one that a plugin may have.
fn admissible(schema: &Value, at: &str) -> Result<(), String> {
    let Value::Object(schema) = schema else { return Ok(()) };
    if schema.get("writeOnly") == Some(&Value::Bool(true))
        || schema.get("format").and_then(Value::as_str) == Some("password")
    {
        let what = if at.is_empty() { "the settings schema".to_owned() } else { format!("the setting {at}") };
        return Err(format!(
            "{what} asks for a secret; a plugin has no network and no use for one, so secrets are never shown to it"
        ));
    }
    for (keyword, value) in schema {
        if REFERENCES.contains(&keyword.as_str()) {
            return Err(format!("the settings schema uses {keyword}; write the schema out, without references"));
        }
        if DOCUMENTS.contains(&keyword.as_str()) {
            continue;
        }
        match value {
            Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                for (name, schema) in named {
                    admissible(schema, &format!("{at}/{}", bounded(name, 60)))?;
                }
            }
            Value::Array(schemas) => schemas.iter().try_for_each(|schema| admissible(schema, at))?,
            value => admissible(value, at)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_held_against_their_schema() {
        let schema = json!({
            "type": "object",
            "properties": {"words": {"type": "integer", "minimum": 1}, "tag": {"type": "string", "pattern": "^[a-z]+$"}},
            "required": ["words"],
            "additionalProperties": false
        });
        let schema = SettingsSchema::parse(&schema).unwrap();
        assert_eq!(schema.faults(&json!({"words": 3, "tag": "a"})), []);
        let paths = |settings: Value| schema.faults(&settings).into_iter().map(|fault| fault.path).collect::<Vec<_>>();
        assert_eq!(paths(json!({"words": 0})), ["/words"]);
        assert_eq!(paths(json!({})), [""]);
        assert_eq!(paths(json!({"words": 1, "other": 1})), [""]);
        assert_eq!(paths(json!({"words": 1, "tag": "A"})), ["/tag"]);
        assert_eq!(paths(json!([])), [""]);
    }

    #[test]
    fn a_schema_asks_for_no_secret_wherever_it_hides() {
        let secret = json!({"type": "string", "writeOnly": true});
        for schema in [
            json!({"properties": {"key": secret}}),
            json!({"properties": {"login": {"properties": {"key": {"format": "password"}}}}}),
            json!({"allOf": [{"properties": {"key": secret}}]}),
            json!({"items": secret}),
            json!({"if": {}, "then": {"additionalProperties": secret}}),
            json!({"$defs": {"key": secret}}),
            json!({"format": "password"}),
        ] {
            let why = SettingsSchema::parse(&schema).unwrap_err();
            assert!(why.contains("asks for a secret"), "{schema}: {why}");
        }
        // Words of documents are no keywords, and a setting may be called so.
        for schema in [
            json!({"properties": {"writeOnly": {"type": "boolean"}}, "default": {"format": "password"}}),
            json!({"properties": {"format": {"enum": ["password", {"writeOnly": true}]}}}),
        ] {
            SettingsSchema::parse(&schema).unwrap();
        }
    }

    #[test]
    fn a_schema_that_is_none_or_leads_elsewhere_is_refused() {
        for (schema, why) in [
            (json!([]), "not a JSON object"),
            (json!({"type": "strange"}), "not a JSON Schema"),
            (json!({"properties": {"a": {"pattern": "("}}}), "not a JSON Schema"),
            (json!({"$ref": "#"}), "without references"),
            (json!({"allOf": [{"$ref": "https://example.com/schema"}]}), "without references"),
            (json!({"properties": {"a": {"$dynamicRef": "#b"}}}), "without references"),
            (json!({"properties": {"a": {"pattern": "((a{200}){200}){200}"}}}), "not a JSON Schema"),
        ] {
            let said = SettingsSchema::parse(&schema).unwrap_err();
            assert!(said.contains(why), "{schema}: {said}");
        }
    }
}
