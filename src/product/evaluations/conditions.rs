//! Criteria that are asked only when another one is answered so. Pure.

use std::collections::HashMap;

use super::model::{Answer, Reason, Verdict};
use crate::product::scorecards::model::{Criterion, Definition};

/// Takes out what is not asked: an answer to a criterion whose condition is not fulfilled becomes "not applicable", with [`Reason::NotShown`] and
/// without a worth. What was claimed stays with it.
///
/// Criteria are gone through in the scorecard's order, and a condition names an earlier one, so chains are followed to their end. A criterion
/// that is not shown itself, has no answer, or one that does not count yet (unverified, pending) fulfils no condition. Answers to what is
/// not in the scorecard stay as they are.
pub fn apply(definition: &Definition, mut answers: Vec<Answer>) -> Vec<Answer> {
    let at: HashMap<String, usize> =
        answers.iter().enumerate().map(|(n, answer)| (answer.criterion.clone(), n)).collect();
    let criteria: HashMap<&str, &Criterion> =
        definition.criteria().map(|criterion| (criterion.key.as_str(), criterion)).collect();
    for criterion in definition.criteria() {
        let (Some(condition), Some(own)) = (&criterion.shown_when, at.get(&criterion.key)) else { continue };
        let other = criteria.get(condition.criterion.as_str()).zip(at.get(&condition.criterion));
        let fulfilled = other.is_some_and(|(other, n)| {
            let answer = &answers[*n];
            let words = other.answer.words(answer.verdict, &answer.given);
            answer.reason != Some(Reason::NotShown)
                && words.iter().any(|word| condition.answered.iter().any(|asked| asked == word))
        });
        if !fulfilled {
            let answer = &mut answers[*own];
            answer.verdict = Verdict::NotApplicable;
            answer.worth = None;
            answer.reason = Some(Reason::NotShown);
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::product::{
        evaluations::model::Given,
        scorecards::model::{AnsweredBy, AutoFail},
    };

    /// `refund` is asked for when the complaint is about money or is none at all, `refund_in_time` for a refund, `thanks` for no complaint.
    fn definition() -> Definition {
        let yes_no = |key: &str, when: Value| json!({"key": key, "question": key, "shown_when": when});
        let definition = serde_json::from_value(json!({"name": "S", "sections": [
            {"key": "a", "name": "A", "criteria": [
                {"key": "complaint", "question": "About what?", "not_applicable": true, "answer": {"type": "single_choice", "choices": [
                    {"key": "money", "label": "Money", "score": 100}, {"key": "manners", "label": "Manners", "score": 50}]}},
                {"key": "waited", "question": "How long?", "answer": {"type": "number", "ranges": [
                    {"key": "short", "to": 60, "score": 100}, {"key": "long", "from": 61, "score": 0}]}}]},
            {"key": "b", "name": "B", "criteria": [
                yes_no("refund", json!({"criterion": "complaint", "answered": ["money", "not_applicable"]})),
                yes_no("refund_in_time", json!({"criterion": "refund", "answered": ["yes"]})),
                yes_no("apology", json!({"criterion": "waited", "answered": ["long"]})),
            ]}]}))
        .unwrap();
        assert_eq!(Definition::validate(&definition), Ok(()));
        definition
    }

    fn answer(key: &str, verdict: Verdict, given: Given) -> Answer {
        Answer {
            criterion: key.to_owned(),
            claimed: verdict,
            verdict,
            given,
            worth: Some(100),
            answered_by: AnsweredBy::LanguageModel,
            reason: None,
            carried_from: None,
            confidence: 9_000,
            rationale: String::new(),
            evidence: vec![],
        }
    }

    fn choice(key: &str) -> Given {
        Given { choices: vec![key.to_owned()], ..Given::default() }
    }

    fn shown(complaint: Answer, refund: Verdict, waited: i64) -> Vec<String> {
        let waited = Given { number: Some(waited), ..Given::default() };
        let yes_no = |key, verdict| answer(key, verdict, Given::default());
        let answers = vec![
            complaint,
            answer("waited", Verdict::Yes, waited),
            yes_no("refund", refund),
            yes_no("refund_in_time", Verdict::Yes),
            yes_no("apology", Verdict::No),
        ];
        let applied = apply(&definition(), answers.clone());
        for (before, after) in answers.iter().zip(&applied) {
            if after.reason == Some(Reason::NotShown) {
                assert_eq!((after.verdict, after.worth, after.claimed), (Verdict::NotApplicable, None, before.claimed));
            } else {
                assert_eq!(before, after);
            }
        }
        let shown = applied.iter().filter(|answer| answer.reason.is_none());
        shown.map(|answer| answer.criterion.clone()).collect()
    }

    #[test]
    fn a_criterion_is_asked_when_the_other_is_answered_so() {
        let about = |what: &str| answer("complaint", Verdict::Yes, choice(what));
        let all = ["complaint", "waited", "refund", "refund_in_time", "apology"];
        assert_eq!(shown(about("money"), Verdict::Yes, 61), all);
        assert_eq!(shown(about("money"), Verdict::Yes, 60), all[..4], "no apology is due");
        assert_eq!(shown(about("money"), Verdict::No, 61), ["complaint", "waited", "refund", "apology"]);
        assert_eq!(shown(about("manners"), Verdict::Yes, 0), all[..2], "chains: what hangs on what is not shown");
        let none = answer("complaint", Verdict::NotApplicable, Given::default());
        assert_eq!(shown(none, Verdict::Yes, 0), all[..4]);
    }

    #[test]
    fn what_does_not_count_yet_fulfils_nothing() {
        for open in [Verdict::Unverified, Verdict::Pending] {
            assert_eq!(shown(answer("complaint", open, choice("money")), Verdict::Yes, 0), ["complaint", "waited"]);
        }
        let applied = apply(&definition(), vec![answer("refund", Verdict::Yes, Given::default())]);
        assert_eq!(applied[0].reason, Some(Reason::NotShown), "nobody answered the other one");
    }

    /// "Not applicable" asks for somebody's answer: what is not shown has none.
    #[test]
    fn what_is_not_shown_is_not_answered_as_not_applicable() {
        let mut definition = definition();
        definition.sections[1].criteria[0].not_applicable = true;
        definition.sections[1].criteria[1].shown_when.as_mut().unwrap().answered = vec!["not_applicable".into()];
        let yes_no = |key| answer(key, Verdict::NotApplicable, Given::default());
        let manners = answer("complaint", Verdict::Yes, choice("manners"));
        let applied = apply(&definition, vec![manners, yes_no("refund"), yes_no("refund_in_time")]);
        assert_eq!(applied[2].reason, Some(Reason::NotShown));
        let money = answer("complaint", Verdict::Yes, choice("money"));
        let applied = apply(&definition, vec![money, yes_no("refund"), yes_no("refund_in_time")]);
        assert_eq!((applied[1].reason, applied[2].reason), (None, None));
    }

    fn scorecard(conditions: &[Option<(usize, bool)>]) -> Definition {
        let mut definition = definition();
        let plain =
            Criterion { auto_fail: AutoFail::None, shown_when: None, ..definition.sections[1].criteria[0].clone() };
        definition.sections.truncate(1);
        definition.sections[0].criteria = (0..=conditions.len())
            .map(|n| {
                let condition = n.checked_sub(1).and_then(|n| conditions[n]).map(|(other, yes)| {
                    let answered = vec![if yes { "yes" } else { "no" }.to_owned()];
                    let criterion = format!("c{}", other % n);
                    crate::product::scorecards::model::Condition { criterion, answered }
                });
                Criterion { key: format!("c{n}"), shown_when: condition, ..plain.clone() }
            })
            .collect();
        definition
    }

    proptest! {
        /// Held against a recursive definition of "shown"; and doing it twice changes nothing more.
        #[test]
        fn agrees_with_the_recursive_definition(
            conditions in prop::collection::vec(prop::option::of((any::<usize>(), any::<bool>())), 0..12),
            said in prop::collection::vec(any::<bool>(), 13),
        ) {
            let definition = scorecard(&conditions);
            prop_assert_eq!(definition.validate(), Ok(()));
            let criteria = &definition.sections[0].criteria;
            let answers: Vec<Answer> = criteria.iter().zip(&said).map(|(criterion, yes)| {
                answer(&criterion.key, if *yes { Verdict::Yes } else { Verdict::No }, Given::default())
            }).collect();
            fn is_shown(criteria: &[Criterion], said: &[bool], n: usize) -> bool {
                criteria[n].shown_when.as_ref().is_none_or(|condition| {
                    let other = criteria.iter().position(|other| other.key == condition.criterion).unwrap();
                    is_shown(criteria, said, other) && condition.answered[0] == if said[other] { "yes" } else { "no" }
                })
            }
            let applied = apply(&definition, answers);
            for (n, answer) in applied.iter().enumerate() {
                prop_assert_eq!(answer.reason.is_none(), is_shown(criteria, &said, n), "{}", n);
            }
            prop_assert_eq!(apply(&definition, applied.clone()), applied);
        }
    }
}
