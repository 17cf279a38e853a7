use serde_json::{Value, json};

use super::*;

fn definition(criteria: Value) -> Definition {
    serde_json::from_value(json!({"name": "S", "sections": [{"key": "s", "name": "S", "criteria": criteria}]})).unwrap()
}

/// `code severity field`, of each finding.
fn told(definition: &Definition) -> Vec<String> {
    let word = |finding: &Finding| serde_json::to_value(poem_openapi::types::ToJSON::to_json(&finding.code)).unwrap();
    let told = lint(definition).into_iter().map(|finding| {
        let code = word(&finding).as_str().unwrap().to_owned();
        format!("{code} {:?} {}", finding.severity, finding.field)
    });
    told.collect()
}

fn of(criteria: Value) -> Vec<String> {
    told(&definition(criteria))
}

fn choice(key: &str, score: i32, fails: bool) -> Value {
    json!({"key": key, "label": key, "score": score, "fails": fails})
}

#[test]
fn a_sensible_definition_has_no_findings() {
    assert_eq!(of(json!([{"key": "a", "question": "A?", "auto_fail": "evaluation"}])), Vec::<String>::new());
}

#[test]
fn what_breaks_the_type_is_listed_with_its_code() {
    let twice = json!([{"key": "a", "question": "A?"}, {"key": "a", "question": "", "weight": 0}]);
    assert_eq!(
        of(twice),
        [
            "duplicate_key Error sections[0].criteria[1].key",
            "invalid Error sections[0].criteria[1].question",
            "invalid Error sections[0].criteria[1].weight"
        ]
    );
}

#[test]
fn conditions_that_nothing_fulfils_are_errors() {
    let ranges = json!([{"key": "all", "score": 100}, {"key": "late", "from": 100, "score": 0}]);
    let criteria = |answered: Value| {
        json!([
            {"key": "n", "question": "N?", "answer": {"type": "number", "ranges": ranges}},
            {"key": "b", "question": "B?", "shown_when": {"criterion": "n", "answered": answered}},
            {"key": "c", "question": "C?", "shown_when": {"criterion": "b", "answered": ["yes"]}}])
    };
    assert_eq!(
        of(criteria(json!(["late"]))),
        [
            "unreachable_condition Error sections[0].criteria[1].shown_when",
            "unreachable_condition Error sections[0].criteria[2].shown_when",
            "unreachable_range Warning sections[0].criteria[0].answer.ranges[1]"
        ],
        "and what hangs on it"
    );
    assert_eq!(
        of(criteria(json!(["late", "all"]))),
        [
            "unreachable_range Warning sections[0].criteria[0].answer.ranges[1]",
            "unreachable_answer Warning sections[0].criteria[1].shown_when.answered[0]"
        ]
    );
    let by_rule = json!([
        {"key": "a", "question": "A?", "answered_by": "rule", "answer": {"type": "single_choice", "choices": [
            choice("x", 100, false), choice("y", 0, false)]},
         "rule": {"choose": [{"choice": "x", "when": {"phrase": {"any_of": ["hello"]}}}]}},
        {"key": "b", "question": "B?", "shown_when": {"criterion": "a", "answered": ["y"]}}]);
    assert_eq!(of(by_rule), ["unreachable_condition Error sections[0].criteria[1].shown_when"]);
}

#[test]
fn ranges_that_others_hold_together_are_found() {
    let covered = |ranges: Value| reach::covered(&serde_json::from_value::<Vec<super::super::Range>>(ranges).unwrap());
    let range = |from: Option<i64>, to: Option<i64>| {
        let mut range = json!({"key": "k", "score": 1});
        for (name, bound) in [("from", from), ("to", to)] {
            if let Some(bound) = bound {
                range[name] = json!(bound);
            }
        }
        range
    };
    assert_eq!(covered(json!([range(Some(1), Some(5)), range(Some(6), Some(9)), range(Some(2), Some(8))])), [2]);
    assert_eq!(covered(json!([range(Some(1), Some(5)), range(Some(7), Some(9)), range(Some(2), Some(8))])), [0; 0]);
    assert_eq!(covered(json!([range(None, Some(5)), range(Some(6), None), range(None, None)])), [2]);
    assert_eq!(covered(json!([range(Some(1), None), range(Some(i64::MAX), None), range(None, Some(0))])), [1]);
}

#[test]
fn a_pass_mark_that_nobody_reaches_is_an_error() {
    let mut definition = definition(json!([
        {"key": "a", "question": "A?", "answer": {"type": "yes_no", "yes": 50}},
        {"key": "b", "question": "B?", "answer": {"type": "yes_no", "yes": 80}}]));
    definition.pass_mark = Some(65);
    assert_eq!(told(&definition), Vec::<String>::new(), "the best is 65");
    definition.pass_mark = Some(66);
    assert_eq!(told(&definition), ["pass_mark_unreachable Error pass_mark"]);
    assert!(lint(&definition)[0].message.contains("65.00"), "{:?}", lint(&definition));
    // What may be left out does not hold anybody down.
    definition.sections[0].criteria[0].not_applicable = true;
    definition.pass_mark = Some(80);
    assert_eq!(told(&definition), Vec::<String>::new());
    definition.scoring = Scoring::Points;
    definition.sections[0].criteria[0].not_applicable = false;
    definition.pass_mark = Some(100);
    assert_eq!(told(&definition), Vec::<String>::new(), "the best answers earn all points");
}

#[test]
fn an_auto_fail_that_never_happens_is_an_error() {
    let of = |answer: Value| {
        of(json!([{"key": "a", "question": "A?", "auto_fail": "section", "answer": answer},
                                      {"key": "b", "question": "B?"}]))
    };
    let never = ["auto_fail_never Error sections[0].criteria[0].auto_fail"];
    assert_eq!(of(json!({"type": "text"})), never);
    assert_eq!(of(json!({"type": "number"})), never);
    assert_eq!(of(json!({"type": "number", "ranges": [{"key": "x", "score": 1}]})), never);
    let choices = |fails| json!({"type": "single_choice", "choices": [choice("x", 100, false), choice("y", 0, fails)]});
    assert_eq!(of(choices(false)), never);
    assert_eq!(of(choices(true)), Vec::<String>::new());
    let by_rule = json!([{"key": "a", "question": "A?", "auto_fail": "section", "answer": choices(true), "answered_by": "rule",
        "rule": {"choose": [{"choice": "x", "when": {"phrase": {"any_of": ["hello"]}}}]}}]);
    assert_eq!(told(&definition(by_rule)), never);
}

#[test]
fn what_counts_for_nothing_is_told() {
    let text = json!({"key": "a", "question": "A?", "answer": {"type": "text"}});
    assert_eq!(of(json!([text.clone()])), ["section_unscored Warning sections[0]", "nothing_scored Warning sections"]);
    let mut marked = definition(json!([text]));
    marked.pass_mark = Some(1);
    assert_eq!(told(&marked), ["nothing_scored Error sections", "section_unscored Warning sections[0]"]);
    let penalty = json!([{"key": "a", "question": "A?", "answer": {"type": "yes_no", "yes": 0, "no": -5}}]);
    assert_eq!(of(penalty), ["section_earns_nothing Error sections[0]"]);
    let same = json!([{"key": "a", "question": "A?"}, {"key": "b", "question": "B?", "answer": {"type": "yes_no", "yes": 50, "no": 50}}]);
    assert_eq!(of(same), ["answer_makes_no_difference Warning sections[0].criteria[1].answer"]);
}

#[test]
fn equal_questions_are_told_however_they_are_spelt() {
    let criteria =
        json!([{"key": "a", "question": "Does the agent greet?"}, {"key": "b", "question": "does the agent  GREET"}]);
    assert_eq!(of(criteria), ["equal_questions Warning sections[0].criteria[1].question"]);
}

#[test]
fn what_is_left_to_a_plugin_needs_one() {
    let criteria = json!([{"key": "a", "question": "A?"}, {"key": "b", "question": "B?", "answered_by": "plugin"},
        {"key": "c", "question": "C?", "answered_by": "plugin", "auto_fail": "section"}]);
    let told = |has_scorer| -> Vec<String> {
        let found = lint_for(&definition(criteria.clone()), has_scorer).into_iter();
        found.map(|finding| format!("{:?} {:?} {}", finding.code, finding.severity, finding.field)).collect()
    };
    assert_eq!(told(true), Vec::<String>::new());
    assert_eq!(
        told(false),
        [
            "NoPluginToAnswer Error sections[0].criteria[2].answered_by",
            "NoPluginToAnswer Warning sections[0].criteria[1].answered_by"
        ]
    );
}
