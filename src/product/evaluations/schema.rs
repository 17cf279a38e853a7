//! The strict JSON schema of an answer, made from the criteria that are asked.
//!
//! An object keyed by criterion, and not a list: under a strict schema every criterion is then answered exactly once. It stays within
//! the narrowest limits that providers are known to have: 5 levels, every object closed and every property required, and for the largest
//! scorecard (200 criteria) 1,600 properties. Choices are listed as long as all enum values together are at most [`MAX_ENUM_VALUES`]; after that a
//! choice is any text, and the reading of the answer alone holds it to the criterion's keys.

use serde_json::{Map, Value, json};

use crate::product::scorecards::model::{AnswerKind, AnswerType, Criterion};

/// The schema's name, as providers want one.
pub const NAME: &str = "evaluation_answer";
/// Most enum values of one schema.
pub const MAX_ENUM_VALUES: usize = 1_000;
/// Those that the verdict of a criterion takes at most.
const VERDICTS: usize = 3;

/// The schema for the criteria that are asked.
pub fn of(asked: &[&Criterion]) -> Value {
    let mut room = MAX_ENUM_VALUES.saturating_sub(asked.len() * VERDICTS);
    let mut criteria = Map::new();
    for criterion in asked {
        let values = criterion.answer.choices.len() + usize::from(criterion.not_applicable);
        let listed = values <= room;
        room = room.saturating_sub(if listed { values } else { 0 });
        criteria.insert(criterion.key.clone(), answer(&criterion.answer, criterion.not_applicable, listed));
    }
    closed(criteria)
}

fn answer(answer: &AnswerType, not_applicable: bool, listed: bool) -> Value {
    let mut verdicts = match answer.kind {
        AnswerKind::YesNo => vec!["yes", "no"],
        _ => vec!["answered"],
    };
    if not_applicable {
        verdicts.push("not_applicable");
    }
    let mut members = named([("verdict", json!({"type": "string", "enum": verdicts}))]);
    if let Some((name, schema)) = given(answer, not_applicable, listed) {
        members.insert(name.to_owned(), schema);
    }
    let quote = [("utterance", json!({"type": "integer"})), ("quote", json!({"type": "string"}))];
    members.extend(named([
        ("confidence", json!({"type": "number"})),
        ("rationale", json!({"type": "string"})),
        ("evidence", json!({"type": "array", "items": closed(named(quote))})),
    ]));
    closed(members)
}

/// The member that holds the answer itself; null where it does not apply.
fn given(answer: &AnswerType, not_applicable: bool, listed: bool) -> Option<(&'static str, Value)> {
    let kind = |name: &str| if not_applicable { json!([name, "null"]) } else { json!(name) };
    let keys = || answer.choices.iter().map(|choice| json!(choice.key));
    Some(match answer.kind {
        AnswerKind::YesNo => return None,
        AnswerKind::SingleChoice => {
            let mut choice = json!({"type": kind("string")});
            if listed {
                choice["enum"] = keys().chain(not_applicable.then_some(Value::Null)).collect();
            }
            ("choice", choice)
        }
        AnswerKind::MultipleChoice => {
            let mut item = json!({"type": "string"});
            if listed {
                item["enum"] = keys().collect();
            }
            ("choices", json!({"type": "array", "items": item}))
        }
        AnswerKind::Number => ("number", json!({"type": kind("integer")})),
        AnswerKind::Text => ("text", json!({"type": kind("string")})),
    })
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
    use crate::product::{
        evaluations::samples::{definition, every_type},
        scorecards::model::Definition,
    };

    fn schema(definition: &Definition) -> Value {
        of(&definition.criteria().collect::<Vec<_>>())
    }

    #[test]
    fn not_applicable_is_offered_only_where_it_is_allowed() {
        let schema = schema(&definition());
        assert_eq!(schema["properties"]["greeting"]["properties"]["verdict"]["enum"], json!(["yes", "no"]));
        assert_eq!(
            schema["properties"]["recap"]["properties"]["verdict"]["enum"],
            json!(["yes", "no", "not_applicable"])
        );
        assert_eq!(schema["required"], json!(["greeting", "recap", "no_insult"]));
    }

    #[test]
    fn each_type_has_its_member() {
        let schema = schema(&every_type());
        let member = |key: &str, name: &str| schema["properties"][key]["properties"][name].clone();
        assert_eq!(member("tone", "verdict")["enum"], json!(["answered"]));
        assert_eq!(member("tone", "choice"), json!({"type": "string", "enum": ["warm", "cold"]}));
        let topics = json!({"type": "array", "items": {"type": "string", "enum": ["bill", "line", "swearing"]}});
        assert_eq!(member("topics", "choices"), topics);
        assert_eq!(member("offers", "number"), json!({"type": ["integer", "null"]}), "it may be not applicable");
        assert_eq!(member("summary", "text"), json!({"type": "string"}));
        assert_eq!(schema["properties"]["polite"]["properties"].as_object().unwrap().len(), 4);
    }

    #[test]
    fn more_choices_than_providers_take_are_not_listed() {
        let mut definition = every_type();
        let tone = definition.sections[0].criteria.iter_mut().find(|c| c.key == "tone").unwrap();
        let choice = tone.answer.choices[0].clone();
        tone.answer.choices = (0..MAX_ENUM_VALUES)
            .map(|n| {
                let mut c = choice.clone();
                c.key = format!("c{n}");
                c
            })
            .collect();
        assert_eq!(schema(&definition)["properties"]["tone"]["properties"]["choice"], json!({"type": "string"}));
        assert_eq!(strict(&schema(&definition)), 5);
    }

    /// Walks the schema as a strict provider does, and gives its depth.
    fn strict(node: &Value) -> usize {
        let kind = match &node["type"] {
            Value::Array(kinds) => kinds[0].as_str(),
            kind => kind.as_str(),
        };
        match kind.expect("every node has a type") {
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
        assert_eq!(strict(&schema(&definition())), 5);
        assert_eq!(strict(&schema(&every_type())), 5);
    }
}
