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
    assert_eq!(found.len(), validate::MAX_VIOLATIONS);
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

/// A definition of one criterion in which `change` was made, as the text of its only mistake, without the criterion's path.
fn wrong(change: serde_json::Value) -> String {
    let mut criterion = json!({"key": "c", "question": "C?"});
    criterion.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let first = json!([{"key": "first", "question": "First?"}, {"key": "words", "question": "W?", "answer": {"type": "text"}},
        {"key": "pick", "question": "P?", "answer": {"type": "single_choice", "choices": [
            {"key": "x", "label": "X", "score": 1}, {"key": "y", "label": "Y", "score": 0}]}}, criterion]);
    let document = json!({"name": "S", "sections": [{"key": "s", "name": "S", "criteria": first}]});
    let definition: Definition = serde_json::from_value(document).unwrap();
    let found = definition.validate().expect_err("it is accepted");
    let told: Vec<String> = found.into_iter().map(|v| format!("{}: {}", v.field, v.message)).collect();
    told.join("; ").replace("sections[0].criteria[3].", "")
}

#[test]
fn answers_are_held_to_their_type() {
    let answer = |answer| wrong(json!({ "answer": answer }));
    let choices = |scores: &[i32]| {
        let choice = |(n, score): (usize, &i32)| json!({"key": format!("k{n}"), "label": "L", "score": score});
        scores.iter().enumerate().map(choice).collect::<Vec<_>>()
    };
    assert_eq!(answer(json!({"type": "yes_no", "yes": 101})), "answer.yes: must be -100 to 100");
    assert_eq!(answer(json!({"type": "yes_no", "no": -101})), "answer.no: must be -100 to 100");
    assert_eq!(
        answer(json!({"type": "yes_no", "choices": choices(&[1])})),
        "answer.choices: is only for single_choice and multiple_choice"
    );
    assert_eq!(answer(json!({"type": "text", "yes": 50})), "answer.yes: is only for yes_no");
    assert_eq!(answer(json!({"type": "text", "unit": "s"})), "answer.unit: is only for number");
    assert_eq!(answer(json!({"type": "single_choice"})), "answer.choices: needs at least one of its choices");
    assert_eq!(
        answer(json!({"type": "single_choice", "choices": choices(&[1])})),
        "answer.choices: needs at least two to choose from"
    );
    assert_eq!(
        answer(json!({"type": "multiple_choice", "choices": choices(&[0; 51])})),
        "answer.choices: has 51 choices; at most 50 are allowed"
    );
    assert_eq!(
        answer(json!({"type": "multiple_choice", "choices": choices(&[-101])})),
        "answer.choices[0].score: must be -100 to 100"
    );
    let with_key = |key: &str| {
        answer(json!({"type": "multiple_choice", "choices": [
            {"key": "a", "label": "A", "score": 1}, {"key": key, "label": "B", "score": 1}]}))
    };
    assert_eq!(with_key("a"), "answer.choices[1].key: is used twice");
    assert_eq!(with_key("A b"), "answer.choices[1].key: must be 1 to 64 of a-z, 0-9 and _");
    assert!(with_key("not_applicable").contains("which conditions know already"));
    let range =
        |from, to| answer(json!({"type": "number", "ranges": [{"key": "r", "from": from, "to": to, "score": 1}]}));
    assert_eq!(range(2, 1), "answer.ranges[0].to: must not be below `from`");
    assert_eq!(
        answer(json!({"type": "number", "unit": "u".repeat(41)})),
        "answer.unit: has 41 characters; at most 40 are allowed"
    );
    assert_eq!(wrong(json!({"tags": ["customer", "business", "customer"]})), "tags: has a tag twice");
}

#[test]
fn points_may_be_worth_more_than_percentages() {
    let mut points = definition();
    points.scoring = Scoring::Points;
    let answer = |yes, no| AnswerType { yes, no, ..AnswerType::default() };
    points.sections[0].criteria[0].answer = answer(1_000, -1_000);
    assert_eq!(points.validate(), Ok(()));
    points.sections[0].criteria[0].answer = answer(1_001, -1_001);
    assert_eq!(points.validate().unwrap_err().len(), 2);
    assert_eq!(
        one(|d| d.sections[0].criteria[0].answer = answer(100, -101)),
        "sections[0].criteria[0].answer.no: must be -100 to 100"
    );
}

#[test]
fn conditions_name_earlier_criteria_and_answers_that_exist() {
    let shown = |criterion: &str, answered: serde_json::Value| {
        wrong(json!({"shown_when": {"criterion": criterion, "answered": answered}}))
    };
    assert_eq!(shown("nobody", json!(["yes"])), "shown_when.criterion: is no criterion of the scorecard");
    assert_eq!(shown("c", json!(["yes"])), "shown_when.criterion: must come earlier in the scorecard");
    assert_eq!(shown("words", json!(["yes"])), "shown_when.criterion: has no answers that can be asked for");
    assert_eq!(shown("first", json!([])), "shown_when.answered: needs at least one of its answers");
    assert_eq!(shown("first", json!(["x"])), "shown_when.answered[0]: must be one of yes, no");
    assert_eq!(shown("first", json!(["yes", "not_applicable"])), "shown_when.answered[1]: must be one of yes, no");
    assert_eq!(shown("pick", json!(["x", "x"])), "shown_when.answered[1]: is there twice");
    assert_eq!(shown("pick", json!(["yes"])), "shown_when.answered[0]: must be one of x, y");
    assert_eq!(
        one(|d| d.sections[0].criteria[0].shown_when =
            Some(Condition { criterion: "goodbye".into(), answered: vec!["yes".into()] })),
        "sections[0].criteria[0].shown_when.criterion: must come earlier in the scorecard"
    );
}

#[test]
fn rules_are_there_exactly_when_rules_answer() {
    let phrase = json!({"phrase": {"any_of": ["hello"]}});
    let rule = |rule: serde_json::Value| wrong(json!({"answered_by": "rule", "rule": rule}));
    let yes = |when: serde_json::Value| rule(json!({ "yes_when": when }));
    assert_eq!(wrong(json!({"answered_by": "rule"})), "rule: is needed when rules answer");
    assert_eq!(wrong(json!({"rule": {"yes_when": phrase}})), "rule: is only for criteria that rules answer");
    assert_eq!(rule(json!({})), "rule.yes_when: is needed: it answers");
    assert_eq!(
        rule(json!({"yes_when": phrase, "number_from": "words"})),
        "rule.number_from: does not answer this type"
    );
    let of = |answer: serde_json::Value, rule: serde_json::Value| {
        wrong(json!({"answered_by": "rule", "answer": answer, "rule": rule}))
    };
    let number = json!({"type": "number"});
    assert_eq!(of(number.clone(), json!({"number_from": "colour"})), "rule.number_from: is no conversation metric");
    assert_eq!(
        of(number, json!({"yes_when": phrase})),
        "rule.yes_when: does not answer this type; rule.number_from: is needed: it answers"
    );
    let choices = json!({"type": "multiple_choice", "choices": [{"key": "x", "label": "X", "score": 1}]});
    assert_eq!(
        of(choices, json!({"choose": [{"choice": "z", "when": phrase}]})),
        "rule.choose[0].choice: is none of the choices"
    );
    assert!(of(json!({"type": "text"}), json!({})).starts_with("rule: cannot answer with words"));
    assert_eq!(
        yes(json!({"phrase": {"any_of": []}})),
        "rule.yes_when.phrase.any_of: needs at least one of its phrases"
    );
    assert_eq!(yes(json!({"phrase": {"any_of": ["* !"]}})), "rule.yes_when.phrase.any_of[0]: needs at least one word");
    let of_phrase = |phrase: &str| yes(json!({"phrase": {"any_of": [phrase]}}));
    assert_eq!(of_phrase("a*b*c*d*e*f"), "rule.yes_when.phrase.any_of[0]: has 5 *; at most 4 are allowed");
    assert_eq!(of_phrase(&"don't ".repeat(21)), "rule.yes_when.phrase.any_of[0]: has 21 words; at most 20 are allowed");
    assert_eq!(
        yes(json!({"phrase": {"any_of": ["a"], "within": {}}})),
        "rule.yes_when.phrase.within: needs at least one bound"
    );
    assert_eq!(
        yes(json!({"phrase": {"any_of": ["a"], "within": {"first_seconds": 0}}})),
        "rule.yes_when.phrase.within.first_seconds: must be 1 to 864000"
    );
    let near = |more: serde_json::Value| {
        let mut near = json!({"any_of": ["b"]});
        near.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        yes(json!({"phrase": {"any_of": ["a"], "near": near}}))
    };
    assert_eq!(near(json!({})), "rule.yes_when.phrase.near: needs either `words` or `turns`");
    assert_eq!(near(json!({"words": 1, "turns": 1})), "rule.yes_when.phrase.near: needs either `words` or `turns`");
    assert_eq!(near(json!({"turns": 51})), "rule.yes_when.phrase.near.turns: must be 1 to 50");
    let metric = |metric: serde_json::Value| yes(json!({ "metric": metric }));
    assert_eq!(metric(json!({"metric": "words"})), "rule.yes_when.metric: needs `at_least` or `at_most`");
    assert_eq!(
        metric(json!({"metric": "words", "at_least": 2, "at_most": 1})),
        "rule.yes_when.metric.at_most: must not be below `at_least`"
    );
    assert_eq!(metric(json!({"metric": "?", "at_most": 1})), "rule.yes_when.metric.metric: is no conversation metric");
    let deep = (0..5).fold(phrase.clone(), |inner, _| json!({"all": {"rules": [inner]}}));
    assert!(yes(deep).ends_with("lies more than 4 groups deep"));
    let group = |rules: Vec<serde_json::Value>| json!({"any": {"rules": rules}});
    assert_eq!(yes(group(vec![])), "rule.yes_when.any.rules: needs at least one of its rules");
    assert_eq!(yes(group(vec![phrase.clone(); 21])), "rule.yes_when.any.rules: has 21 rules; at most 20 are allowed");
    let many = group(vec![group(vec![phrase; 20]); 20]);
    assert_eq!(yes(many), "rule: has 421 rules; at most 200 are allowed");
}

#[test]
fn the_whole_has_bounds_too() {
    assert_eq!(one(|d| d.pass_mark = Some(101)), "pass_mark: must be 0 to 100");
    assert_eq!(one(|d| d.least_confidence = 101), "least_confidence: must be 0 to 100");
    assert_eq!(one(|d| d.applies_to.queues = vec![" ".into()]), "applies_to.queues[0]: must not be empty");
    assert_eq!(
        one(|d| d.applies_to.channels = vec!["fax".into()]),
        "applies_to.channels[0]: must be one of phone, chat, email"
    );
    assert_eq!(
        one(|d| d.applies_to.directions = vec!["up".into()]),
        "applies_to.directions[0]: must be one of inbound, outbound"
    );
    assert_eq!(
        one(|d| d.applies_to.languages = vec!["en".into(), "english!".into()]),
        "applies_to.languages[1]: must be a BCP 47 language"
    );
    assert_eq!(
        one(|d| d.applies_to.queues = vec!["a".into(), "b".into(), "a".into()]),
        "applies_to.queues[2]: is there twice"
    );
    assert_eq!(
        one(|d| d.applies_to.queues = (0..101).map(|n| n.to_string()).collect()),
        "applies_to.queues: has 101 entries; at most 100 are allowed"
    );
    assert_eq!(
        one(|d| d.applies_to.min_duration_ms = 864_000_001),
        "applies_to.min_duration_ms: must be at most 864000000"
    );
}

#[test]
fn plugins_see_the_same_scorecard() {
    let seen = definition().for_plugins(7);
    assert_eq!((seen.version, seen.sections.len(), seen.criteria().count()), (7, 2, 3));
    assert_eq!(seen.sections[0].criteria[1].auto_fail, plugins::AutoFail::Section);
    assert!(seen.sections[0].criteria[1].not_applicable);
}

fn any_score() -> impl Strategy<Value = i32> {
    prop_oneof![-100..=100, any::<i32>()]
}

fn any_answer() -> impl Strategy<Value = AnswerType> {
    let kinds =
        [AnswerKind::YesNo, AnswerKind::SingleChoice, AnswerKind::MultipleChoice, AnswerKind::Number, AnswerKind::Text];
    let choice = ("[a-c]", any_score(), any::<bool>()).prop_map(|(key, score, fails)| Choice {
        key,
        label: "L".into(),
        guidance: String::new(),
        score,
        fails,
    });
    let range = ("[a-c]", any::<Option<i64>>(), any::<Option<i64>>(), any_score())
        .prop_map(|(key, from, to, score)| Range { key, from, to, score, fails: false });
    let parts = (any_score(), any_score(), prop::collection::vec(choice, 0..4), prop::collection::vec(range, 0..4));
    (prop::sample::select(kinds.to_vec()), parts).prop_map(|(kind, (yes, no, choices, ranges))| AnswerType {
        kind,
        yes,
        no,
        choices,
        ranges,
        unit: String::new(),
    })
}

proptest! {
    /// What is valid stays within the bounds of scores, whatever is answered to it.
    #[test]
    fn a_valid_answer_is_worth_no_more_than_its_most(answer in any_answer(), number in any::<i64>(), chosen in "[a-c]") {
        let mut asked = definition();
        asked.sections[0].criteria[0].answer = answer.clone();
        if asked.validate().is_ok() {
            prop_assert!(answer.least() <= answer.most() && answer.most() >= 0);
            for said in [plugins::Verdict::Yes, plugins::Verdict::No] {
                let given = plugins::Given { choices: vec![chosen.clone()], number: Some(number), text: None };
                if let Ok(Judged { worth: Some(worth), .. }) = answer.judge(said, &given) {
                    prop_assert!((answer.least()..=answer.most().max(worth.min(0))).contains(&worth));
                    prop_assert!((-100..=100).contains(&worth));
                }
            }
        }
    }

    /// Neither validation nor lint breaks on anything that can be said.
    #[test]
    fn no_definition_makes_them_panic(answer in any_answer(), mark in any::<u32>(), other in "[a-z_]{0,12}", word in "[a-z]{0,3}") {
        let mut asked = definition();
        asked.pass_mark = Some(mark);
        asked.sections[0].criteria[0].answer = answer;
        asked.sections[1].criteria[0].shown_when = Some(Condition { criterion: other, answered: vec![word] });
        prop_assert_eq!(asked.validate().is_err(), lint(&asked).iter().any(|f| matches!(f.code, LintCode::Invalid | LintCode::DuplicateKey)));
    }

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
