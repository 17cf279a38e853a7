//! The strict JSON schema of an answer, made from the scorecard.
//!
//! An object keyed by criterion, and not a list: under a strict schema every criterion is then answered exactly once. It stays within
//! the narrowest limits that providers are known to have: 5 levels, every object closed and every property required, and for the largest
//! scorecard (200 criteria) 1,400 properties and 600 enum values.

use serde_json::{Map, Value, json};

use crate::platform::plugins::Scorecard;

/// The schema's name, as providers want one.
pub const NAME: &str = "evaluation_answer";

/// The schema for one scorecard version.
pub fn of(scorecard: &Scorecard) -> Value {
    let criteria = scorecard.criteria().map(|criterion| (criterion.key.clone(), answer(criterion.not_applicable)));
    closed(criteria.collect())
}

fn answer(not_applicable: bool) -> Value {
    let verdicts: &[&str] = if not_applicable { &["yes", "no", "not_applicable"] } else { &["yes", "no"] };
    let quote = [("utterance", json!({"type": "integer"})), ("quote", json!({"type": "string"}))];
    let members = [
        ("verdict", json!({"type": "string", "enum": verdicts})),
        ("confidence", json!({"type": "number"})),
        ("rationale", json!({"type": "string"})),
        ("evidence", json!({"type": "array", "items": closed(named(quote))})),
    ];
    closed(named(members))
}

fn named<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// An object that has exactly these members.
fn closed(properties: Map<String, Value>) -> Value {
    let required: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::evaluations::samples::scorecard;

    #[test]
    fn not_applicable_is_offered_only_where_it_is_allowed() {
        let schema = of(&scorecard());
        assert_eq!(schema["properties"]["greeting"]["properties"]["verdict"]["enum"], json!(["yes", "no"]));
        assert_eq!(
            schema["properties"]["recap"]["properties"]["verdict"]["enum"],
            json!(["yes", "no", "not_applicable"])
        );
        assert_eq!(schema["required"], json!(["greeting", "recap", "no_insult"]));
    }

    /// Walks the schema as a strict provider does, and gives its depth.
    fn strict(node: &Value) -> usize {
        match node["type"].as_str().expect("every node has a type") {
            "object" => {
                assert_eq!(node["additionalProperties"], json!(false));
                let properties = node["properties"].as_object().unwrap();
                let required: Vec<&str> =
                    node["required"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
                assert_eq!(required, properties.keys().map(String::as_str).collect::<Vec<_>>());
                1 + properties.values().map(strict).max().unwrap_or(0)
            }
            "array" => 1 + strict(&node["items"]),
            _ => 1,
        }
    }

    #[test]
    fn it_is_strict_and_no_deeper_than_five_levels() {
        assert_eq!(strict(&of(&scorecard())), 5);
    }
}
