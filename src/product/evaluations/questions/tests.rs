use serde_json::{Value, json};

use super::*;
use crate::product::evaluations::{
    insights,
    samples::{every_type, transcript},
};

/// `greeted` by a rule; `warmly` only when greeted; `thanked` when `warmly` so; `refund` when not greeted; `form` by a person; `after` when
/// the form is in order; `script` by a plugin.
fn mixed() -> Definition {
    let rule = json!({"yes_when": {"phrase": {"any_of": ["good morning"], "speaker": "agent"}}});
    let when = |criterion: &str, answered: &str| json!({"criterion": criterion, "answered": [answered]});
    let definition: Definition = serde_json::from_value(
        json!({"name": "Mixed", "least_confidence": 60, "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "greeted", "question": "Greeted?", "answered_by": "rule", "rule": rule},
        {"key": "warmly", "question": "Warmly?", "shown_when": when("greeted", "yes")},
        {"key": "thanked", "question": "Thanked?", "shown_when": when("warmly", "yes")},
        {"key": "refund", "question": "Refunded?", "shown_when": when("greeted", "no")},
        {"key": "form", "question": "Form filled in?", "answered_by": "human"},
        {"key": "after", "question": "Form sent?", "shown_when": when("form", "yes")},
        {"key": "script", "question": "Script kept?", "answered_by": "plugin"}]}]}),
    )
    .unwrap();
    assert_eq!(definition.validate(), Ok(()));
    definition
}

fn said(verdict: &str, confidence: f64, quote: &str) -> Value {
    json!({"verdict": verdict, "confidence": confidence, "rationale": "r", "evidence": [{"utterance": 1, "quote": quote}]})
}

fn raw(warmly: Value) -> String {
    let yes = || said("yes", 0.9, "how can I help");
    json!({"warmly": warmly, "thanked": yes(), "after": yes()}).to_string()
}

fn seen(answers: &[Answer]) -> Vec<(&str, Verdict, Option<Reason>)> {
    answers.iter().map(|answer| (answer.criterion.as_str(), answer.verdict, answer.reason)).collect()
}

#[test]
fn the_model_is_asked_only_what_is_left_for_it() {
    let (definition, transcript) = (mixed(), transcript());
    let questions = Questions::of(&definition, &transcript, &[]);
    assert_eq!(questions.asked_keys().unwrap(), ["warmly", "thanked", "after"]);
    let keys: Vec<_> = questions.scorecard(1).criteria().map(|criterion| criterion.key.clone()).collect();
    assert_eq!(keys, ["warmly", "thanked", "after"]);
    let silent = &transcript[1..];
    let other = Questions::of(&definition, silent, &[]);
    assert_eq!(other.asked_keys().unwrap(), ["refund", "after"], "chains are known to their end");
    let all = every_type();
    assert_eq!(Questions::of(&all, silent, &[]).asked_keys(), None);
}

#[test]
fn everybodys_answers_come_together() {
    let (definition, transcript) = (mixed(), transcript());
    let questions = Questions::of(&definition, &transcript, &[]);
    let answers = questions.answers(&raw(said("yes", 0.9, "good morning how")), &[]).unwrap();
    use Verdict::{NotApplicable, Pending, Yes};
    assert_eq!(
        seen(&answers),
        [
            ("greeted", Yes, None),
            ("warmly", Yes, None),
            ("thanked", Yes, None),
            ("refund", NotApplicable, Some(Reason::NotShown)),
            ("form", Pending, Some(Reason::AwaitsPerson)),
            ("after", NotApplicable, Some(Reason::NotShown)),
            ("script", Pending, Some(Reason::AwaitsPlugin)),
        ]
    );
    let human = HumanAnswer {
        criterion: "form".into(),
        said: Yes,
        given: Given::default(),
        rationale: "Seen.".into(),
        quotes: vec![],
        answered_by: "user:1".into(),
        answered_at_ms: 1,
        carried_from: None,
        outdated: None,
    };
    let outdated = HumanAnswer { outdated: Some(Outdated::QuestionChanged), ..human.clone() };
    let answers = questions.answers(&raw(said("yes", 0.9, "good morning how")), &[outdated]).unwrap();
    assert_eq!((answers[4].verdict, answers[4].reason), (Pending, Some(Reason::QuestionChanged)));
    let answers = questions.answers(&raw(said("yes", 0.9, "good morning how")), &[human]).unwrap();
    assert_eq!((answers[4].verdict, answers[4].answered_by, answers[4].worth), (Yes, AnsweredBy::Human, Some(100)));
    assert_eq!(answers[5].verdict, Yes, "what the person's answer shows was asked already");
}

#[test]
fn a_person_decides_what_the_model_was_unsure_of() {
    let (definition, transcript) = (mixed(), transcript());
    let questions = Questions::of(&definition, &transcript, &[]);
    let unsure = raw(said("yes", 0.59, "good morning how"));
    let answers = questions.answers(&unsure, &[]).unwrap();
    assert_eq!(seen(&answers)[1], ("warmly", Verdict::Pending, Some(Reason::LowConfidence)));
    assert_eq!((answers[1].claimed, answers[1].worth), (Verdict::Yes, None), "never scored silently");
    assert_eq!(answers[2].reason, Some(Reason::NotShown));
    let sure = questions.answers(&raw(said("yes", 0.6, "good morning how")), &[]).unwrap();
    assert_eq!(sure[1].verdict, Verdict::Yes);
}

#[test]
fn an_auto_fail_that_the_model_quotes_nothing_for_is_reviewed() {
    let (mut definition, transcript) = (mixed(), transcript());
    let no = |evidence: Value| json!({"verdict": "no", "confidence": 0.9, "rationale": "r", "evidence": evidence});
    let reviewed = |definition: &Definition, evidence: Value, human: &[HumanAnswer]| {
        let answers = Questions::of(definition, &transcript, &[]).answers(&raw(no(evidence)), human).unwrap();
        assert_eq!((answers[1].verdict, answers[1].worth), (Verdict::No, Some(0)), "it counts");
        (answers[1].reason, insights::needs_review(&answers[1..2], &transcript))
    };
    let human = HumanAnswer {
        criterion: "warmly".into(),
        said: Verdict::No,
        given: Given::default(),
        rationale: "Heard.".into(),
        quotes: vec![],
        answered_by: "user:1".into(),
        answered_at_ms: 1,
        carried_from: None,
        outdated: None,
    };
    assert_eq!(reviewed(&definition, json!([]), &[]), (None, false), "nothing else fails with it");
    for auto_fail in [AutoFail::Section, AutoFail::Evaluation] {
        definition.sections[0].criteria[1].auto_fail = auto_fail;
        assert_eq!(reviewed(&definition, json!([]), &[]), (Some(Reason::AutoFailUnquoted), true));
        let found = json!([{"utterance": 1, "quote": "good morning how"}]);
        assert_eq!(reviewed(&definition, found, &[]), (None, false));
        assert_eq!(
            reviewed(&definition, json!([]), std::slice::from_ref(&human)),
            (None, false),
            "a person has looked"
        );
    }
}

#[test]
fn what_is_unusable_is_unverified_and_the_rest_counts() {
    let (definition, transcript) = (mixed(), transcript());
    let questions = Questions::of(&definition, &transcript, &[]);
    let broken = raw(said("perhaps", 0.9, "good morning how"));
    assert_eq!(unusable(&broken, questions.asked()).unwrap(), [("warmly", AnswerError::Form("warmly".into()))]);
    let answers = questions.answers(&broken, &[]).unwrap();
    assert_eq!(seen(&answers)[1], ("warmly", Verdict::Unverified, Some(Reason::UnusableAnswer)));
    assert_eq!(seen(&answers)[0].1, Verdict::Yes);
    assert_eq!(questions.answers("{}", &[]), Err(Unusable::Answer(AnswerError::Missing("warmly".into()))));
}

/// A conversation whose words come again and again.
fn repeated() -> Vec<Utterance> {
    let turn = |n: u32| Utterance { n, ..transcript()[usize::from(n.is_multiple_of(2))].clone() };
    (1..=8).map(turn).collect()
}

fn of_parts(parts: &[(u32, u32, Value)]) -> String {
    let part = |(first, last, answers): &(u32, u32, Value)| json!({"utterances": {"first": first, "last": last}, "answers": answers});
    Value::Array(parts.iter().map(part).collect()).to_string()
}

#[test]
fn the_answers_of_parts_are_put_together_with_their_own_quotes() {
    let (definition, transcript) = (mixed(), repeated());
    let questions = Questions::of(&definition, &transcript, &[]);
    let no = json!({"verdict": "no", "confidence": 0.9, "rationale": "r", "evidence": []});
    let yes = || said("yes", 0.9, "good morning how");
    let nothing = json!({"warmly": no, "thanked": no, "after": no});
    let raw = of_parts(&[
        (1, 4, json!({"warmly": no, "thanked": yes(), "after": no})),
        (4, 8, json!({"warmly": yes(), "thanked": no, "after": null})),
    ]);
    let answers = questions.answers(&raw, &[]).unwrap();
    let place = |at: usize| answers[at].evidence[0].found.as_ref().map(|place| place.utterance);
    assert_eq!((answers[1].verdict, place(1)), (Verdict::Yes, Some(5)), "the same words stand in the first part, too");
    assert_eq!((answers[2].verdict, place(2)), (Verdict::Yes, Some(1)));

    let elsewhere = of_parts(&[(2, 2, json!({"warmly": yes(), "thanked": no, "after": no})), (3, 8, nothing.clone())]);
    let answers = questions.answers(&elsewhere, &[]).unwrap();
    assert_eq!(seen(&answers)[1].1, Verdict::Unverified, "words of another part are no evidence");

    let unsure = |confidence| json!({"verdict": "no", "confidence": confidence, "rationale": "r", "evidence": []});
    let less = json!({"warmly": unsure(0.59), "thanked": no, "after": no});
    let answers = questions.answers(&of_parts(&[(1, 4, nothing.clone()), (4, 8, less)]), &[]).unwrap();
    assert_eq!(seen(&answers)[1], ("warmly", Verdict::Pending, Some(Reason::LowConfidence)));

    let broken = json!({"warmly": said("no", 0.9, "how can i help"), "thanked": no, "after": no});
    let shown = json!({"warmly": yes(), "thanked": no, "after": no});
    let answers = questions.answers(&of_parts(&[(1, 4, shown), (4, 8, broken)]), &[]).unwrap();
    assert_eq!(seen(&answers)[1], ("warmly", Verdict::Pending, Some(Reason::PartsDisagree)));
    assert_eq!(answers[1].evidence.len(), 2);
}

#[test]
fn parts_that_cannot_be_used_are_refused_or_unverified() {
    let (definition, transcript) = (mixed(), repeated());
    let questions = Questions::of(&definition, &transcript, &[]);
    let unreadable = json!({"warmly": null, "thanked": 7, "after": "no"});
    let refused = questions.answers(&of_parts(&[(1, 4, unreadable.clone()), (4, 8, unreadable.clone())]), &[]);
    assert_eq!(refused, Err(Unusable::Answer(AnswerError::Form("warmly".into()))));
    let good: Value = serde_json::from_str(&raw(said("yes", 0.9, "good morning how"))).unwrap();
    let answers = questions.answers(&of_parts(&[(1, 4, good.clone()), (4, 8, unreadable)]), &[]).unwrap();
    assert_eq!(seen(&answers)[1].1, Verdict::Yes);
    let only = json!({"warmly": good["warmly"]});
    let answers = questions.answers(&of_parts(&[(1, 8, only)]), &[]).unwrap();
    assert_eq!(seen(&answers)[5], ("after", Verdict::NotApplicable, Some(Reason::NotShown)));
    assert_eq!(seen(&answers)[2], ("thanked", Verdict::Unverified, Some(Reason::UnusableAnswer)), "nobody was asked");
    for forged in ["[1]", "[{\"answers\": {}}]", "[]"] {
        assert!(questions.answers(forged, &[]).is_err(), "{forged}");
    }
}
