//! JSON that fits a strict schema: judged where the schema asks for verdicts, plain samples everywhere else.

use std::{cell::Cell, collections::HashMap};

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Number, Value, json};

use crate::demo::standins::judge::{
    Prompt, by_text,
    matching::{Heard, Speaker},
    typed::Judged,
    vague::ReviewPrompt,
};

/// From this depth on, and after this many nodes, the plainest branch is taken, so that recursive schemas end.
const PLAIN_DEPTH: usize = 8;
const PLAIN_NODES: usize = 5_000;
/// No valid schema needs more; one that requires itself without end gets null here.
const DEEPEST: usize = 64;

/// The content of a chat completion: an answer to `user` (all user messages) that fits `schema`.
pub fn compose(schema: &Value, user: &str) -> Value {
    let prompt: Option<Prompt> = serde_json::from_str(user).ok();
    let review: Option<ReviewPrompt> = serde_json::from_str(user).ok();
    let reviewed = review.as_ref().map(ReviewPrompt::judge).unwrap_or_default();
    let text = (prompt.is_none() && review.is_none()).then(|| Heard::new(0, Speaker::Other, user));
    let judged = prompt.as_ref().map(Prompt::judge).unwrap_or_default();
    Composer { root: schema, judged, reviewed, text, nodes: Cell::new(0) }.value(schema, "", 0)
}

struct Composer<'a> {
    root: &'a Value,
    judged: HashMap<&'a str, Judged>,
    /// Questions of a scorecard that were reviewed, when the prompt asks for that.
    reviewed: HashMap<&'a str, Map<String, Value>>,
    /// The whole prompt, when it is not the known document.
    text: Option<Heard<'a>>,
    nodes: Cell<usize>,
}

impl Composer<'_> {
    fn value(&self, schema: &Value, key: &str, depth: usize) -> Value {
        self.nodes.set(self.nodes.get() + 1);
        if depth > DEEPEST {
            return Value::Null;
        }
        let plain = depth > PLAIN_DEPTH || self.nodes.get() > PLAIN_NODES;
        if let Some(target) = referred(self.root, schema) {
            return self.value(target, key, depth + 1);
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        if let Some(first) = schema.get("enum").and_then(|listed| listed.get(0)) {
            return first.clone();
        }
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            let branch = if plain { branches.iter().min_by_key(|branch| weight(branch)) } else { branches.first() };
            return branch.map_or(Value::Null, |branch| self.value(branch, key, depth + 1));
        }
        match kind(schema, plain) {
            "object" => self.object(schema, key, depth),
            "array" => {
                let count = length(schema, "minItems").unwrap_or(0);
                let items = schema.get("items").unwrap_or(&Value::Null);
                (0..count).map(|_| self.value(items, key, depth + 1)).collect()
            }
            "string" => string(schema).into(),
            "number" => number(schema),
            "integer" => whole_number(schema),
            "boolean" => Value::Bool(false),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, key: &str, depth: usize) -> Value {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let mut judged = match () {
            () if properties.contains_key("verdict") => self.judgement(schema, key),
            () if properties.contains_key("vague") => self.reviewed.get(key).cloned().unwrap_or_default(),
            () => Map::new(),
        };
        let filled = properties.iter().map(|(name, property)| {
            let found = judged.remove(name).map(|value| shortened(value, property));
            let value = found.filter(|value| fits(value, property, self.root));
            (name.clone(), value.unwrap_or_else(|| self.value(property, name, depth + 1)))
        });
        Value::Object(filled.collect())
    }

    /// The judged fields of a criterion's object, by their names in the answer's contract.
    fn judgement(&self, schema: &Value, key: &str) -> Map<String, Value> {
        let fallback = self.text.as_ref().map(|text| {
            let described = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            Judged::from(by_text(&format!("{} {described}", key.replace('_', " ")), text))
        });
        match self.judged.get(key).or(fallback.as_ref()).map(serde_json::to_value) {
            Some(Ok(Value::Object(fields))) => fields,
            _ => Map::new(),
        }
    }
}

fn referred<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// How much a branch of `anyOf` drags along.
fn weight(branch: &Value) -> u8 {
    match kind(branch, true) {
        "null" => 0,
        "object" => 3,
        "array" => 2,
        "" => 4,
        _ => 1,
    }
}

fn kind(schema: &Value, plain: bool) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            if plain { kinds.clone().find(|kind| *kind == "null").or(kinds.next()) } else { kinds.next() }.unwrap_or("")
        }
        _ => "",
    }
}

fn length(schema: &Value, keyword: &str) -> Option<usize> {
    schema.get(keyword)?.as_u64().and_then(|length| usize::try_from(length).ok())
}

fn bound(schema: &Value, keyword: &str) -> Option<f64> {
    schema.get(keyword)?.as_f64()
}

fn number(schema: &Value) -> Value {
    let low = bound(schema, "minimum").or(bound(schema, "exclusiveMinimum").map(|low| low + 1e-6));
    let high = bound(schema, "maximum").or(bound(schema, "exclusiveMaximum").map(|high| high - 1e-6));
    let chosen = match (low, high) {
        (Some(low), Some(high)) => f64::midpoint(low, high),
        (Some(low), None) => low,
        (None, Some(high)) => high.min(0.5),
        (None, None) => 0.5,
    };
    let chosen = match bound(schema, "multipleOf").filter(|step| *step > 0.0) {
        Some(step) => low.map_or(0.0, |low| (low / step).ceil() * step),
        None => chosen,
    };
    Number::from_f64(chosen).map_or(Value::Null, Value::Number)
}

fn whole_number(schema: &Value) -> Value {
    let whole = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
    let low = whole("minimum").or(whole("exclusiveMinimum").map(|low| low.saturating_add(1)));
    let high = whole("maximum").or(whole("exclusiveMaximum").map(|high| high.saturating_sub(1)));
    let mut chosen = low.unwrap_or_else(|| high.map_or(1, |high| high.min(1)));
    if let Some(step) = whole("multipleOf").filter(|step| *step > 0) {
        let low = low.unwrap_or(0);
        chosen = low.saturating_add((step - low.rem_euclid(step)) % step);
    }
    json!(chosen)
}

fn string(schema: &Value) -> String {
    if let Some(Ok(pattern)) = schema.get("pattern").and_then(Value::as_str).map(regex_syntax::parse) {
        let mut sample = String::new();
        write_sample(&pattern, &mut sample);
        return sample;
    }
    let sample = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("duration") => "PT1S",
        Some("email") => "stand-in@example.com",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => {
            let least = length(schema, "minLength").unwrap_or(0);
            let sample =
                "stand-in ".chars().cycle().take(least.max(8).min(length(schema, "maxLength").unwrap_or(usize::MAX)));
            return sample.collect();
        }
    };
    sample.to_owned()
}

/// The plainest text that a pattern matches.
fn write_sample(pattern: &Hir, sample: &mut String) {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => sample.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => sample.extend(class.ranges().first().map(|range| range.start())),
        HirKind::Class(Class::Bytes(class)) => {
            sample.extend(class.ranges().first().map(|range| char::from(range.start())))
        }
        HirKind::Repetition(repetition) => {
            (0..repetition.min.min(1_000)).for_each(|_| write_sample(&repetition.sub, sample));
        }
        HirKind::Capture(capture) => write_sample(&capture.sub, sample),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write_sample(part, sample)),
        HirKind::Alternation(branches) => {
            if let Some(first) = branches.first() {
                write_sample(first, sample);
            }
        }
    }
}

/// Cuts a judged text or list to the schema's longest.
fn shortened(value: Value, schema: &Value) -> Value {
    match value {
        Value::String(text) => match length(schema, "maxLength") {
            Some(most) if text.chars().count() > most => text.chars().take(most).collect::<String>().into(),
            _ => Value::String(text),
        },
        Value::Array(mut items) => {
            items.truncate(length(schema, "maxItems").unwrap_or(usize::MAX));
            Value::Array(items)
        }
        other => other,
    }
}

/// Whether a value is valid under a strict schema (patterns and formats aside).
pub fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    if let Some(target) = referred(root, schema) {
        return fits(value, target, root);
    }
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        return branches.iter().any(|branch| fits(value, branch, root));
    }
    let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|listed| listed.contains(value));
    if !listed || schema.get("const").is_some_and(|only| only != value) {
        return false;
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return true,
    };
    let within = |length: usize, least: &str, most: &str| {
        self::length(schema, least).is_none_or(|least| length >= least)
            && self::length(schema, most).is_none_or(|most| length <= most)
    };
    match value {
        Value::Null => kinds.contains(&"null"),
        Value::Bool(_) => kinds.contains(&"boolean"),
        Value::Number(number) => {
            let known = kinds.contains(&"number") || (kinds.contains(&"integer") && !number.is_f64());
            let value = number.as_f64().unwrap_or(f64::NAN);
            known
                && bound(schema, "minimum").is_none_or(|low| value >= low)
                && bound(schema, "maximum").is_none_or(|high| value <= high)
                && bound(schema, "exclusiveMinimum").is_none_or(|low| value > low)
                && bound(schema, "exclusiveMaximum").is_none_or(|high| value < high)
        }
        Value::String(text) => kinds.contains(&"string") && within(text.chars().count(), "minLength", "maxLength"),
        Value::Array(items) => {
            kinds.contains(&"array")
                && within(items.len(), "minItems", "maxItems")
                && schema.get("items").is_none_or(|schema| items.iter().all(|item| fits(item, schema, root)))
        }
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            kinds.contains(&"object")
                && properties.is_none_or(|properties| {
                    properties.len() == fields.len()
                        && properties
                            .iter()
                            .all(|(name, schema)| fields.get(name).is_some_and(|value| fits(value, schema, root)))
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::demo::standins::openai::strict;

    pub fn answer_schema(not_applicable: bool) -> Value {
        let verdicts = if not_applicable { json!(["yes", "no", "not_applicable"]) } else { json!(["yes", "no"]) };
        json!({"type": "object", "additionalProperties": false, "required": ["greeting"], "properties": {"greeting": {
            "type": "object", "additionalProperties": false, "required": ["verdict", "confidence", "rationale", "evidence"],
            "properties": {
                "verdict": {"type": "string", "enum": verdicts},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "rationale": {"type": "string"},
                "evidence": {"type": "array", "items": {"type": "object", "additionalProperties": false,
                    "required": ["utterance", "quote"],
                    "properties": {"utterance": {"type": "integer"}, "quote": {"type": "string"}}}}}}}})
    }

    #[test]
    fn a_prompt_of_the_contract_is_judged() {
        let user = json!({"criteria": [{"key": "greeting", "question": "Greeted?", "not_applicable_allowed": false,
                "guidance": "Yes if the agent says \"hello\"."}],
            "transcript": [{"n": 1, "speaker": "agent", "text": "Hello there!"}]});
        let answer = compose(&answer_schema(false), &user.to_string());
        assert_eq!(answer["greeting"]["verdict"], "yes");
        assert_eq!(answer["greeting"]["evidence"], json!([{"utterance": 1, "quote": "Hello there!"}]));
        assert!(fits(&answer, &answer_schema(false), &Value::Null));
    }

    #[test]
    fn another_prompt_is_answered_by_the_words_of_the_key_and_says_so() {
        let answer = compose(&answer_schema(true), "Please judge the greeting.\nAgent: hi");
        assert_eq!(answer["greeting"]["verdict"], "yes");
        assert!(answer["greeting"]["rationale"].as_str().unwrap().contains("not the document"));
        assert_eq!(compose(&answer_schema(true), "[1, 2]")["greeting"]["verdict"], "no");
    }

    #[test]
    fn recursive_schemas_end() {
        let tree = json!({"type": "object", "properties": {
                "left": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "right": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["left", "right"], "additionalProperties": false});
        strict::check("tree", &tree).unwrap();
        assert!(fits(&compose(&tree, ""), &tree, &tree));
    }

    #[test]
    fn patterns_are_matched() {
        let schema = json!({"type": "string", "pattern": "^[A-Z]{3}-(\\d+|x)\\.ok$"});
        assert_eq!(string(&schema), "AAA-0.ok");
    }

    fn schemas() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-5i64..5, 0i64..9)
                .prop_map(|(low, more)| json!({"type": "integer", "minimum": low, "maximum": low + more})),
            (-5f64..5.0, 0f64..9.0)
                .prop_map(|(low, more)| json!({"type": "number", "minimum": low, "maximum": low + more})),
            (0usize..30, 0usize..30)
                .prop_map(|(low, more)| json!({"type": "string", "minLength": low, "maxLength": low + more})),
            prop::collection::vec("[a-z]{1,5}", 1..4).prop_map(|listed| json!({"type": "string", "enum": listed})),
            Just(json!({"type": ["boolean", "null"]})),
        ];
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            let named = prop::collection::btree_map(
                prop_oneof!["[a-z_]{1,6}", Just("verdict".to_owned())],
                inner.clone(),
                0..4,
            );
            prop_oneof![
                named.prop_map(object),
                (inner.clone(), 0usize..3)
                    .prop_map(|(items, least)| json!({"type": "array", "items": items, "minItems": least})),
                inner.prop_map(|branch| json!({"anyOf": [branch, {"type": "null"}]})),
            ]
        });
        prop::collection::btree_map("[a-z]{1,6}", tree, 0..4).prop_map(object)
    }

    fn object(properties: std::collections::BTreeMap<String, Value>) -> Value {
        let required: Vec<_> = properties.keys().cloned().collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    proptest! {
        #[test]
        fn every_strict_schema_gets_a_fitting_answer(schema in schemas(), user in ".{0,40}") {
            prop_assume!(strict::check("any", &schema).is_ok());
            let answer = compose(&schema, &user);
            prop_assert!(fits(&answer, &schema, &schema), "{answer} does not fit");
        }
    }
}
