//! The rules that OpenAI's strict mode holds a JSON schema to, and the words of its refusals.

use std::collections::HashSet;

use serde_json::{Map, Value};

const MOST_PROPERTIES: usize = 5_000;
const MOST_LEVELS: usize = 10;
const MOST_ENUM_VALUES: usize = 1_000;
const MOST_CHARACTERS: usize = 120_000;
const NOT_PERMITTED: [&str; 11] = [
    "allOf",
    "not",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "oneOf",
    "default",
    "patternProperties",
    "propertyNames",
];
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// Checks a schema; the error is the message of the 400, from "Invalid schema" on.
pub fn check(name: &str, schema: &Value) -> Result<(), String> {
    let mut walk = Walk::default();
    walk.root(schema).map_err(|reason| format!("Invalid schema for response_format '{name}': {reason}"))
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    properties: usize,
    enum_values: usize,
    characters: usize,
}

impl Walk {
    fn root(&mut self, schema: &Value) -> Result<(), String> {
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("None");
        if kind != "object" {
            return Err(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."));
        }
        if schema.get("anyOf").is_some() {
            return Err(self.here("'anyOf' is not permitted at the top level."));
        }
        self.node(schema, 1, schema)?;
        for place in ["$defs", "definitions"] {
            let definitions = schema.get(place).and_then(Value::as_object);
            for (name, definition) in definitions.into_iter().flatten() {
                self.inside(&[place, name], |walk| walk.node(definition, 1, schema))?;
            }
        }
        match () {
            () if self.properties > MOST_PROPERTIES => {
                Err(format!("{} properties exceeds limit of {MOST_PROPERTIES}.", self.properties))
            }
            () if self.enum_values > MOST_ENUM_VALUES => {
                Err(format!("{} enum values exceeds limit of {MOST_ENUM_VALUES}.", self.enum_values))
            }
            () if self.characters > MOST_CHARACTERS => Err(format!(
                "{} characters of names and enum values exceeds limit of {MOST_CHARACTERS}.",
                self.characters
            )),
            () => Ok(()),
        }
    }

    fn here(&self, reason: &str) -> String {
        let path: Vec<String> = self.path.iter().map(|part| format!("'{part}'")).collect();
        let comma = if path.len() == 1 { "," } else { "" };
        format!("In context=({}{comma}), {reason}", path.join(", "))
    }

    fn inside(&mut self, parts: &[&str], check: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        let depth = self.path.len();
        self.path.extend(parts.iter().map(|part| (*part).to_owned()));
        check(self)?;
        self.path.truncate(depth);
        Ok(())
    }

    fn node(&mut self, schema: &Value, level: usize, root: &Value) -> Result<(), String> {
        let Some(node) = schema.as_object() else {
            return Err(self.here("schema must be an object."));
        };
        if let Some(keyword) = NOT_PERMITTED.iter().find(|keyword| node.contains_key(**keyword)) {
            return Err(self.here(&format!("'{keyword}' is not permitted.")));
        }
        if let Some(target) = node.get("$ref") {
            return self.reference(node, target, root);
        }
        if let Some(branches) = node.get("anyOf") {
            return self.any_of(branches, level, root);
        }
        self.values(node)?;
        let kinds = match node.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ if node.contains_key("enum") || node.contains_key("const") => Vec::new(),
            _ => return Err(self.here("schema must have a 'type' key.")),
        };
        if level > MOST_LEVELS && (kinds.contains(&"object") || kinds.contains(&"array")) {
            return Err(format!("{level} levels of nesting exceeds limit of {MOST_LEVELS}."));
        }
        if kinds.contains(&"object") {
            self.object(node, level, root)?;
        }
        if kinds.contains(&"array") {
            let items = node.get("items").ok_or_else(|| self.here("array schema missing items."))?;
            self.inside(&["items"], |walk| walk.node(items, level + 1, root))?;
        }
        Ok(())
    }

    fn reference(&self, node: &Map<String, Value>, target: &Value, root: &Value) -> Result<(), String> {
        let others: Vec<String> = node.keys().filter(|key| *key != "$ref").map(|key| format!("'{key}'")).collect();
        if !others.is_empty() {
            return Err(self.here(&format!("$ref cannot have keywords {{{}}}.", others.join(", "))));
        }
        let found = target.as_str().and_then(|target| target.strip_prefix('#')).and_then(|at| root.pointer(at));
        found
            .map(|_| ())
            .ok_or_else(|| self.here("reference can only point to definitions defined at the top level of the schema."))
    }

    fn any_of(&mut self, branches: &Value, level: usize, root: &Value) -> Result<(), String> {
        let Some(branches) = branches.as_array().filter(|branches| !branches.is_empty()) else {
            return Err(self.here("'anyOf' must be a non-empty array."));
        };
        let mut firsts = HashSet::new();
        for (at, branch) in branches.iter().enumerate() {
            let first = branch.get("properties").and_then(Value::as_object).and_then(|found| found.keys().next());
            if first.is_some_and(|first| !firsts.insert(first)) {
                return Err(self.here(
                    "Objects provided via 'anyOf' must not share identical first keys. Consider adding a discriminator key \
                     or rearranging the properties to ensure the first key is unique.",
                ));
            }
            self.inside(&["anyOf", &at.to_string()], |walk| walk.node(branch, level, root))?;
        }
        Ok(())
    }

    fn values(&mut self, node: &Map<String, Value>) -> Result<(), String> {
        let listed = node.get("enum").and_then(Value::as_array);
        if listed.is_some_and(Vec::is_empty) {
            return Err(self.here("'enum' must not be empty."));
        }
        self.enum_values += listed.map_or(0, Vec::len);
        let texts = listed.into_iter().flatten().chain(node.get("const")).filter_map(Value::as_str);
        self.characters += texts.map(str::len).sum::<usize>();
        match node.get("format").and_then(Value::as_str) {
            Some(format) if !FORMATS.contains(&format) => {
                return Err(self.here(&format!("'{format}' is not a valid format.")));
            }
            _ => {}
        }
        match node.get("pattern").map(|pattern| pattern.as_str().map(regex_syntax::parse)) {
            None | Some(Some(Ok(_))) => Ok(()),
            Some(_) => Err(self.here("'pattern' is not a valid regular expression.")),
        }
    }

    fn object(&mut self, node: &Map<String, Value>, level: usize, root: &Value) -> Result<(), String> {
        const REQUIRED: &str =
            "'required' is required to be supplied and to be an array including every key in properties.";
        if node.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(self.here("'additionalProperties' is required to be supplied and to be false."));
        }
        let none = Map::new();
        let properties = node.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required: Vec<&str> =
            node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let known: HashSet<&str> = required.iter().copied().collect();
        if let Some(missing) = properties.keys().find(|key| !known.contains(key.as_str())) {
            return Err(self.here(&format!("{REQUIRED} Missing '{missing}'.")));
        }
        if let Some(extra) = required.iter().find(|key| !properties.contains_key(**key)) {
            return Err(self.here(&format!("{REQUIRED} Extra required key '{extra}' supplied.")));
        }
        self.properties += properties.len();
        for (name, property) in properties {
            self.characters += name.len();
            self.inside(&["properties", name], |walk| walk.node(property, level + 1, root))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: Value) -> String {
        check("answer", &schema).unwrap_err()
    }

    fn object(properties: Value) -> Value {
        let required: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    #[test]
    fn a_strict_schema_passes() {
        let verdict =
            object(json!({"verdict": {"type": "string", "enum": ["yes", "no"]}, "note": {"type": ["string", "null"]}}));
        check("answer", &object(json!({"a": verdict, "b": {"type": "array", "items": {"type": "number"}}}))).unwrap();
        let tree = json!({"type": "object", "properties": {"child": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["child"], "additionalProperties": false});
        check("answer", &tree).unwrap();
    }

    #[test]
    fn refusals_have_the_words_of_the_real_service() {
        let mut open = object(json!({"a": object(json!({"b": {"type": "string"}}))}));
        open["properties"]["a"].as_object_mut().unwrap().remove("additionalProperties");
        assert_eq!(
            refused(open),
            "Invalid schema for response_format 'answer': In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false."
        );
        let mut short = object(json!({"roles": {"type": "string"}}));
        short["required"] = json!([]);
        assert!(refused(short.clone()).ends_with("In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'roles'."));
        short["required"] = json!(["roles", "target"]);
        assert!(refused(short).ends_with("Extra required key 'target' supplied."));
        assert!(
            refused(object(json!({"a": {"type": "string", "default": "x"}}))).ends_with("'default' is not permitted.")
        );
        assert!(
            refused(object(json!({"a": {"type": "string", "format": "uri"}})))
                .ends_with("'uri' is not a valid format.")
        );
        assert!(refused(json!({"type": "array"})).contains("got 'type: \"array\"'"));
        let same = object(json!({"k": {"type": "string"}}));
        assert!(refused(object(json!({"a": {"anyOf": [same, same]}}))).contains("identical first keys"));
        assert!(refused(object(json!({"a": {"$ref": "#", "description": "x"}}))).contains("{'description'}"));
    }

    #[test]
    fn limits_are_held() {
        let mut deep = json!({"type": "string"});
        for _ in 0..11 {
            deep = object(json!({"a": deep}));
        }
        assert!(refused(deep).contains("11 levels of nesting exceeds limit of 10"));
        let many: Vec<_> = (0..1_001).map(|n| n.to_string()).collect();
        assert!(refused(object(json!({"a": {"type": "string", "enum": many}}))).contains("exceeds limit of 1000"));
    }
}
