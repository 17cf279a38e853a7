//! Answers that are used again: where a question is asked in the same words, the language model is not paid for it twice.

use super::parts::said;
use crate::product::scorecards::model::{AnsweredBy, Criterion, Definition};

/// Which of the language model's questions are asked again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Criteria whose stored answer is used again.
    pub reused: Vec<String>,
    /// Criteria that are asked.
    pub asked: Vec<String>,
}

/// What is asked under `new`, when the call was judged by `old`; everything without one.
pub fn plan(old: Option<&Definition>, new: &Definition) -> Plan {
    let mut plan = Plan::default();
    for criterion in new.criteria().filter(|criterion| criterion.answered_by == AnsweredBy::LanguageModel) {
        let stored = old.is_some_and(|old| old.criteria().any(|before| same_question(before, criterion)));
        let keys = if stored { &mut plan.reused } else { &mut plan.asked };
        keys.push(criterion.key.clone());
    }
    plan
}

/// Whether an answer to the one is an answer to the other. Weights, auto-fails, tags and conditions are no part of the question.
pub(super) fn same_question(before: &Criterion, now: &Criterion) -> bool {
    before.key == now.key
        && before.question == now.question
        && before.guidance == now.guidance
        && before.answer == now.answer
        && before.answered_by == now.answered_by
        && before.rule == now.rule
        && before.not_applicable == now.not_applicable
}

impl Plan {
    /// Asks what of a stored answer cannot be used again: criteria that it lacks, and those that `readable` leaves out.
    pub fn only_readable(&mut self, stored: &str, readable: &[String]) {
        let parts = said::members(stored).unwrap_or_default();
        let usable = |key: &String| readable.contains(key) && parts.iter().any(|part| part.answers.contains_key(key));
        let unusable = self.reused.extract_if(.., |key| !usable(key));
        self.asked.extend(unusable);
    }
}

/// One answer text of what is used again and what was asked now, each about the whole conversation or about its parts. `None` when either cannot be
/// parted by criterion.
pub fn compose(stored: &str, reused: &[String], asked: Option<&str>) -> Option<String> {
    let mut parts = said::members(stored)?;
    parts.iter_mut().for_each(|part| part.answers.retain(|key, _| reused.contains(key)));
    if let Some(asked) = asked {
        parts.extend(said::members(asked)?);
    }
    Some(said::text(parts))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn definition(change: impl FnOnce(&mut Definition)) -> Definition {
        let criterion = |key: &str| json!({"key": key, "question": format!("Was {key}?"), "guidance": "", "weight": 1});
        let mut definition: Definition = serde_json::from_value(json!({
            "name": "S", "sections": [{"key": "s", "name": "S", "weight": 1, "criteria": [criterion("a"), criterion("b")]}]
        }))
        .unwrap();
        change(&mut definition);
        definition
    }

    fn keys(plan: &Plan) -> (Vec<&str>, Vec<&str>) {
        (plan.reused.iter().map(String::as_str).collect(), plan.asked.iter().map(String::as_str).collect())
    }

    #[test]
    fn only_changed_questions_are_asked() {
        let old = definition(|_| ());
        let planned = |change: fn(&mut Definition)| plan(Some(&old), &definition(change));
        assert_eq!(keys(&plan(None, &old)), (vec![], vec!["a", "b"]));
        assert_eq!(keys(&planned(|_| ())), (vec!["a", "b"], vec![]));
        assert_eq!(keys(&planned(|new| new.sections[0].criteria[0].weight = 9)), (vec!["a", "b"], vec![]));
        assert_eq!(keys(&planned(|new| new.sections[0].criteria[0].question.push('!'))), (vec!["b"], vec!["a"]));
        assert_eq!(keys(&planned(|new| new.sections[0].criteria[1].guidance.push('!'))), (vec!["a"], vec!["b"]));
        assert_eq!(keys(&planned(|new| new.sections[0].criteria[1].not_applicable = true)), (vec!["a"], vec!["b"]));
        assert_eq!(keys(&planned(|new| new.sections[0].criteria[0].key = "c".to_owned())), (vec!["b"], vec!["c"]));
        let by_rule = |new: &mut Definition| new.sections[0].criteria[0].answered_by = AnsweredBy::Rule;
        assert_eq!(keys(&planned(by_rule)), (vec!["b"], vec![]), "rules cost nothing and are always applied anew");
    }

    #[test]
    fn stored_and_new_answers_become_one() {
        let stored = r#"{"a": {"verdict": "yes"}, "b": {"verdict": "no"}}"#;
        let reused = ["a".to_owned()];
        let planned = |stored: &str, readable: &[&str]| {
            let readable: Vec<String> = readable.iter().map(|&key| key.to_owned()).collect();
            let mut plan = plan(Some(&definition(|_| ())), &definition(|_| ()));
            plan.only_readable(stored, &readable);
            (plan.reused.join(" "), plan.asked.join(" "))
        };
        let told = |reused: &str, asked: &str| (reused.to_owned(), asked.to_owned());
        assert_eq!(planned(stored, &["a", "b"]), told("a b", ""));
        assert_eq!(planned(stored, &["b"]), told("b", "a"), "what cannot be read is asked again");
        assert_eq!(planned(r#"{"a": {}}"#, &["a", "b"]), told("a", "b"), "and what is not there");
        assert_eq!(planned("[]", &["a", "b"]), told("", "a b"));
        let one = compose(stored, &reused, Some(r#"{"c": 1}"#)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), json!({"a": {"verdict": "yes"}, "c": 1}));
        assert_eq!(compose(stored, &[], None).as_deref(), Some("{}"));
        assert_eq!(compose("no json", &reused, None), None);
        assert_eq!(compose(stored, &reused, Some("[]")), None);
    }

    #[test]
    fn answers_about_parts_are_used_again_beside_those_about_the_whole() {
        let part = |first: u32, last: u32, answers: Value| json!({"utterances": {"first": first, "last": last}, "answers": answers});
        let stored = json!([part(1, 5, json!({"a": 1, "b": 2})), part(5, 9, json!({"a": 3, "b": null}))]).to_string();
        let keys = ["a".to_owned(), "b".to_owned()];
        let mut plan = plan(Some(&definition(|_| ())), &definition(|_| ()));
        plan.only_readable(&stored, &keys);
        assert_eq!(plan.reused, keys);
        let one = compose(&stored, &["a".to_owned()], Some(r#"{"c": 4}"#)).unwrap();
        let whole = json!({"utterances": null, "answers": {"c": 4}});
        let expected = json!([part(1, 5, json!({"a": 1})), part(5, 9, json!({"a": 3})), whole]);
        assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), expected);
        assert_eq!(compose(&one, &["c".to_owned()], None).as_deref(), Some(r#"{"c":4}"#));
    }
}
