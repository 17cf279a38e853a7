use proptest::prelude::*;
use serde_json::json;

use super::*;

fn definition() -> Definition {
    serde_json::from_value(json!({
        "name": "Service", "sections": [
            {"key": "opening", "name": "Opening", "weight": 1, "criteria": [
                {"key": "greeting", "question": "Did the agent greet?", "weight": 2},
                {"key": "name_given", "question": "Did the agent give a name?", "weight": 1, "auto_fail": "section", "not_applicable": true}]},
            {"key": "closing", "name": "Closing", "weight": 3, "criteria": [
                {"key": "goodbye", "question": "Did the agent say goodbye?", "guidance": "Any farewell.", "weight": 1, "auto_fail": "evaluation"}]}]
    }))
    .unwrap()
}

fn mistakes(change: impl FnOnce(&mut Definition)) -> Vec<(String, String)> {
    let mut changed = definition();
    change(&mut changed);
    changed.validate().unwrap_err().into_iter().map(|v| (v.field, v.message)).collect()
}

fn one(change: impl FnOnce(&mut Definition)) -> String {
    let found = mistakes(change);
    assert_eq!(found.len(), 1, "{found:?}");
    format!("{}: {}", found[0].0, found[0].1)
}

#[test]
fn a_plain_definition_is_valid_and_has_defaults() {
    let definition = definition();
    assert_eq!(definition.validate(), Ok(()));
    let greeting = &definition.sections[0].criteria[0];
    assert_eq!((greeting.auto_fail, greeting.not_applicable, greeting.guidance.as_str()), (AutoFail::None, false, ""));
}

#[test]
fn unknown_fields_are_refused() {
    let mut document = serde_json::to_value(definition()).unwrap();
    document["sections"][0]["criteria"][0]["wieght"] = json!(3);
    let error = serde_json::from_value::<Definition>(document).unwrap_err();
    assert!(error.to_string().contains("wieght"), "{error}");
}

#[test]
fn each_mistake_is_named_with_its_place() {
    assert_eq!(one(|d| d.name = "  ".into()), "name: must not be empty");
    assert_eq!(one(|d| d.name = "é".repeat(201)), "name: has 201 characters; at most 200 are allowed");
    assert_eq!(
        one(|d| d.description = "x".repeat(4_001)),
        "description: has 4001 characters; at most 4000 are allowed"
    );
    assert_eq!(one(|d| d.sections.clear()), "sections: needs at least one of its sections");
    assert_eq!(one(|d| d.sections[1].criteria.clear()), "sections[1].criteria: needs at least one of its criteria");
    assert_eq!(one(|d| d.sections[0].weight = 0), "sections[0].weight: must be 1 to 1000");
    assert_eq!(one(|d| d.sections[0].criteria[1].weight = 1_001), "sections[0].criteria[1].weight: must be 1 to 1000");
    assert_eq!(one(|d| d.sections[0].key = "Opening".into()), "sections[0].key: must be 1 to 64 of a-z, 0-9 and _");
    assert_eq!(one(|d| d.sections[1].key = "opening".into()), "sections[1].key: is used twice");
    assert_eq!(
        one(|d| d.sections[1].criteria[0].key = "greeting".into()),
        "sections[1].criteria[0].key: is used twice"
    );
    assert_eq!(
        one(|d| d.sections[1].criteria[0].key = "k".repeat(65)),
        "sections[1].criteria[0].key: must be 1 to 64 of a-z, 0-9 and _"
    );
    assert_eq!(
        one(|d| d.sections[0].criteria[0].question.clear()),
        "sections[0].criteria[0].question: must not be empty"
    );
    assert_eq!(
        one(|d| d.sections[0].criteria[0].guidance = "a\0b".into()),
        "sections[0].criteria[0].guidance: must not contain a NUL character"
    );
}

#[test]
fn too_many_are_refused_and_the_list_of_mistakes_is_bounded() {
    let found = mistakes(|d| d.sections = vec![d.sections[0].clone(); 101]);
    assert!(found.contains(&("sections".into(), "has 101 sections; at most 100 are allowed".into())));
    assert!(found.contains(&("sections".into(), "has 202 criteria in all; at most 200 are allowed".into())));
    assert_eq!(found.len(), MAX_VIOLATIONS);
}

#[test]
fn the_largest_scorecard_is_valid() {
    let criterion = |n: usize| Criterion {
        key: format!("c{n}"),
        weight: MAX_WEIGHT,
        ..definition().sections[0].criteria[0].clone()
    };
    let section = |s: usize| Section {
        key: format!("s{s}"),
        name: "S".into(),
        weight: MAX_WEIGHT,
        criteria: vec![criterion(2 * s), criterion(2 * s + 1)],
    };
    let largest = Definition { sections: (0..MAX_SECTIONS).map(section).collect(), ..definition() };
    assert_eq!(largest.criteria().count(), MAX_CRITERIA);
    assert_eq!(largest.validate(), Ok(()));
}

#[test]
fn plugins_see_the_same_scorecard() {
    let seen = definition().for_plugins(7);
    assert_eq!((seen.version, seen.sections.len(), seen.criteria().count()), (7, 2, 3));
    assert_eq!(seen.sections[0].criteria[1].auto_fail, plugins::AutoFail::Section);
    assert!(seen.sections[0].criteria[1].not_applicable);
}

proptest! {
    /// PostgreSQL's jsonb sorts keys and people spell them in any order: the digest must not care. It must care about everything else.
    #[test]
    fn the_digest_survives_a_round_trip_and_sees_every_change(weight in 1u32..=1000, question in "\\PC{1,40}") {
        let mut one = definition();
        one.sections[0].criteria[0].weight = weight;
        one.sections[0].criteria[0].question = question;
        let text = digest::canonical(&serde_json::to_value(&one).unwrap());
        let back: Definition = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back.digest(), one.digest());
        let mut other = one.clone();
        other.sections[0].criteria[0].weight += 1;
        prop_assert_ne!(other.digest(), one.digest());
        other.sections[0].criteria[0].weight -= 1;
        other.sections.swap(0, 1);
        prop_assert_ne!(other.digest(), one.digest());
    }
}
