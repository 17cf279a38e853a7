use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::product::{evaluations::model::Speaker, scorecards::model::Section};

fn says(n: u32, speaker: Speaker, text: &str) -> Utterance {
    Utterance { n, speaker, start_ms: None, end_ms: None, text: text.to_owned() }
}

fn timed(n: u32, speaker: Speaker, seconds: (u64, u64), text: &str) -> Utterance {
    Utterance { start_ms: Some(seconds.0 * 1_000), end_ms: Some(seconds.1 * 1_000), ..says(n, speaker, text) }
}

fn definition(criteria: Value) -> Definition {
    let criteria: Vec<Criterion> = serde_json::from_value(criteria).unwrap();
    let section = Section { key: "s".into(), name: "S".into(), weight: 1, criteria };
    Definition { name: "D".into(), sections: vec![section], ..Definition::default() }
}

/// The answer of one yes/no criterion.
fn yes_when(rule: Value, transcript: &[Utterance], metrics: &[(String, i64)]) -> Answer {
    let criteria = json!([{"key": "c", "question": "?", "answered_by": "rule", "rule": {"yes_when": rule}}]);
    answer(&definition(criteria), transcript, metrics).remove(0)
}

fn holds(rule: Value, transcript: &[Utterance]) -> bool {
    yes_when(rule, transcript, &[]).verdict == Verdict::Yes
}

fn chat() -> Vec<Utterance> {
    vec![
        says(1, Speaker::Agent, "Good morning, this is Zoë. How can I help?"),
        says(2, Speaker::Customer, "I'd like a refund. The café charged me twice!"),
        says(3, Speaker::Agent, "I am really very sorry about that — one moment."),
        says(4, Speaker::Customer, "Goodbye. Good-bye!"),
        says(5, Speaker::Agent, "Have a very nice day; good bye."),
    ]
}

#[test]
fn an_answer_names_the_very_words() {
    let answer = yes_when(json!({"phrase": {"any_of": ["have a * day"], "speaker": "agent"}}), &chat(), &[]);
    assert_eq!((answer.verdict, answer.worth, answer.reason), (Verdict::Yes, Some(100), None));
    assert_eq!((answer.answered_by, answer.confidence), (AnsweredBy::Rule, 10_000));
    assert_eq!(answer.rationale, "Yes: the agent says “Have a very nice day” in turn 5.");
    let [Evidence { quote, found: Some(place) }] = &answer.evidence[..] else { panic!("{answer:?}") };
    assert_eq!((quote.as_str(), place.words.as_str()), ("Have a very nice day", "Have a very nice day"));
    assert_eq!((place.utterance, place.start_char, place.end_char), (5, 0, 20));
}

#[test]
fn what_is_missing_is_named_too() {
    let rule = json!({"phrase": {"any_of": ["hello", "hi", "welcome", "greetings"], "speaker": "agent", "within": {"first_turns": 1}}});
    let answer = yes_when(rule, &chat(), &[]);
    assert_eq!((answer.verdict, answer.worth), (Verdict::No, Some(0)));
    assert_eq!(
        answer.rationale,
        "No: the agent says none of “hello”, “hi”, “welcome” and 1 more in the first 1 own turns."
    );
    assert!(answer.evidence.is_empty());
}

#[test]
fn words_are_compared_without_case_accents_and_punctuation_and_whole() {
    let said = |phrase: &str| holds(json!({"phrase": {"any_of": [phrase]}}), &chat());
    assert!(said("THIS IS ZOE"));
    assert!(said("cafe"));
    assert!(said("id like"));
    assert!(said("I'd like"));
    assert!(said("good-bye"), "a hyphen parts words");
    assert!(!said("ref"), "a part of a word is none");
    assert!(!said("help id like"), "a phrase ends with its turn");
    assert!(!said("!!!"));
}

#[test]
fn a_star_stands_for_up_to_three_words() {
    let said = |phrase: &str| holds(json!({"phrase": {"any_of": [phrase]}}), &chat());
    assert!(said("am * sorry"));
    assert!(said("very * sorry"), "also for none");
    assert!(said("i * sorry"));
    assert!(!said("i * about"), "four words are too many");
    assert!(said("i * * that"));
    assert!(said("* sorry *"));
    assert!(said("have * very * day"));
    let twice = [says(1, Speaker::Agent, "a x b y y b z z z c")];
    assert!(holds(json!({"phrase": {"any_of": ["a * * b * c"]}}), &twice), "the second b leads on");
}

#[test]
fn what_was_redacted_is_one_word_of_its_kind() {
    let turn = [says(1, Speaker::Agent, "Hallö, this is [NAME_2]. Your card [CARD_1]?")];
    let said = |phrase: &str| holds(json!({"phrase": {"any_of": [phrase]}}), &turn);
    assert!(said("this is [name]"));
    assert!(said("this is * your card [CARD]"));
    assert!(!said("name"), "nobody says so");
    assert!(!said("card card"));
    assert!(!said("[phone]"));
    let answer = yes_when(json!({"phrase": {"any_of": ["[name] your"]}}), &turn, &[]);
    let place = answer.evidence[0].found.clone().unwrap();
    assert_eq!((place.words.as_str(), place.start_char, place.end_char), ("[NAME_2]. Your", 15, 29));
}

#[test]
fn who_speaks_counts() {
    let by = |speaker: &str| holds(json!({"phrase": {"any_of": ["refund"], "speaker": speaker}}), &chat());
    assert!(by("customer"));
    assert!(!by("agent"));
}

#[test]
fn seconds_and_turns_bound_a_search() {
    let call = [
        timed(1, Speaker::Agent, (0, 4), "hello"),
        timed(2, Speaker::Customer, (5, 9), "hi"),
        timed(3, Speaker::Agent, (50, 58), "anything else"),
        timed(4, Speaker::Customer, (58, 60), "bye"),
    ];
    let within = |phrase: &str, speaker: Option<&str>, within: Value| {
        holds(json!({"phrase": {"any_of": [phrase], "speaker": speaker, "within": within}}), &call)
    };
    assert!(within("hi", None, json!({"first_seconds": 6})));
    assert!(!within("hi", None, json!({"first_seconds": 5})), "it begins when they are over");
    assert!(within("anything else", None, json!({"last_seconds": 3})), "a turn that ends within them");
    assert!(!within("anything else", None, json!({"last_seconds": 2})));
    assert!(within("anything else", Some("agent"), json!({"last_turns": 1})), "turns of the speaker");
    assert!(!within("anything else", None, json!({"last_turns": 1})), "turns of everybody");
    assert!(within("hi", None, json!({"first_turns": 2})));
    assert!(!within("hi", None, json!({"first_turns": 2, "last_seconds": 1})), "all bounds count");
    assert!(!holds(json!({"phrase": {"any_of": ["good"], "within": {"first_seconds": 1000}}}), &chat()), "no times");
    assert!(!holds(json!({"phrase": {"any_of": ["good"], "within": {"last_seconds": 1000}}}), &chat()), "no times");
}

#[test]
fn near_looks_around() {
    let near = |words: Value| holds(json!({"phrase": {"any_of": ["refund"], "near": words}}), &chat());
    assert!(near(json!({"any_of": ["charged"], "words": 2})), "the café");
    assert!(!near(json!({"any_of": ["charged"], "words": 1})));
    assert!(near(json!({"any_of": ["id"], "words": 2})), "before it, too");
    assert!(!near(json!({"any_of": ["sorry"], "words": 100})), "another turn");
    assert!(near(json!({"any_of": ["sorry"], "turns": 1})));
    assert!(!near(json!({"any_of": ["have a"], "turns": 2})));
    assert!(!near(json!({"any_of": ["refund"], "words": 5})), "not itself");
    let rule = json!({"phrase": {"any_of": ["refund"], "near": {"any_of": ["sorry"], "turns": 1}}});
    let answer = yes_when(rule, &chat(), &[]);
    assert_eq!(answer.rationale, "Yes: the customer says “refund” close to “sorry” in turn 2.");
    assert_eq!(answer.evidence.len(), 2);
}

#[test]
fn at_least_counts_what_shares_no_word() {
    let times = |least: u32| {
        let phrases = ["goodbye", "good bye", "bye"];
        holds(json!({"phrase": {"any_of": phrases, "at_least": least}}), &chat())
    };
    assert!(times(3));
    assert!(!times(4));
    let answer = yes_when(json!({"phrase": {"any_of": ["refund"], "at_least": 2}}), &chat(), &[]);
    assert_eq!(answer.rationale, "No: the customer says “refund” in turn 2 (1 times; asked for: 2).");
}

#[test]
fn groups_tell_what_decided() {
    let phrase = |words: &str| json!({"phrase": {"any_of": [words]}});
    let metrics = [("longest_silence_ms".to_owned(), 4_200)];
    let quiet = json!({"metric": {"metric": "longest_silence_ms", "at_most": 3_000}});
    let all = yes_when(json!({"all": {"rules": [phrase("refund"), quiet]}}), &chat(), &metrics);
    assert_eq!(all.rationale, "No: longest_silence_ms is 4200 (asked for: at most 3000).");
    let any = yes_when(json!({"any": {"rules": [phrase("refund"), phrase("nothing")]}}), &chat(), &[]);
    assert_eq!(any.rationale, "Yes: the customer says “refund” in turn 2.");
    let none = yes_when(json!({"none": {"rules": [phrase("nothing"), phrase("refund")]}}), &chat(), &[]);
    assert_eq!(none.verdict, Verdict::No);
    assert_eq!(none.evidence.len(), 1, "what speaks against it");
    let nested = json!({"all": {"rules": [{"none": {"rules": [phrase("nothing")]}}, phrase("sorry")]}});
    assert!(holds(nested, &chat()));
    let unknown = json!({"metric": {"metric": "nobody_knows"}});
    assert!(!holds(unknown, &chat()), "an unknown metric holds of nothing");
}

#[test]
fn what_does_not_apply_leaves_with_a_reason() {
    let criteria = json!([{"key": "c", "question": "?", "answered_by": "rule", "not_applicable": true, "rule": {
        "applies_when": {"phrase": {"any_of": ["invoice"]}}, "yes_when": {"phrase": {"any_of": ["sorry"]}}}}]);
    let answer = answer(&definition(criteria), &chat(), &[]).remove(0);
    assert_eq!((answer.verdict, answer.worth), (Verdict::NotApplicable, None));
    assert_eq!(answer.reason, Some(Reason::NotApplicable));
    assert_eq!(answer.rationale, "Does not apply: nobody says any of “invoice”.");
}

#[test]
fn choices_and_numbers() {
    let choices =
        json!([{"key": "refund", "label": "Refund", "score": 3}, {"key": "closing", "label": "Closing", "score": 2}]);
    let choose = json!([
        {"choice": "refund", "when": {"phrase": {"any_of": ["refund"]}}},
        {"choice": "closing", "when": {"phrase": {"any_of": ["goodbye"]}}}]);
    let asked = |kind: &str, choose: &Value| {
        let criteria = json!([{"key": "c", "question": "?", "answered_by": "rule",
            "answer": {"type": kind, "choices": choices}, "rule": {"choose": choose}}]);
        answer(&definition(criteria), &chat(), &[]).remove(0)
    };
    let one = asked("single_choice", &choose);
    assert_eq!((one.given.choices, one.worth), (vec!["refund".to_owned()], Some(3)));
    let all = asked("multiple_choice", &choose);
    assert_eq!((all.given.choices.len(), all.worth, all.evidence.len()), (2, Some(5), 2));
    let nothing = json!([{"choice": "refund", "when": {"phrase": {"any_of": ["nothing"]}}}]);
    let none = asked("single_choice", &nothing);
    assert_eq!((none.verdict, none.reason, none.worth), (Verdict::Unverified, Some(Reason::NoRuleHolds), None));
    let none = asked("multiple_choice", &nothing);
    assert_eq!((none.verdict, none.worth), (Verdict::Yes, Some(0)));

    let number = |metrics: &[(String, i64)]| {
        let ranges =
            json!([{"key": "short", "to": 5, "score": 100}, {"key": "long", "from": 6, "score": 20, "fails": true}]);
        let criteria = json!([{"key": "c", "question": "?", "answered_by": "rule",
            "answer": {"type": "number", "ranges": ranges}, "rule": {"number_from": "utterances"}}]);
        answer(&definition(criteria), &chat(), metrics).remove(0)
    };
    let five = number(&[("utterances".to_owned(), 5)]);
    assert_eq!((five.verdict, five.worth, five.given.number), (Verdict::Yes, Some(100), Some(5)));
    assert_eq!(number(&[("utterances".to_owned(), 6)]).verdict, Verdict::No);
    assert_eq!(number(&[]).reason, Some(Reason::MetricUnknown));
}

#[test]
fn a_metric_that_is_not_there_decides_nothing() {
    let metric = json!({"metric": {"metric": "dead_air_count", "at_most": 0}});
    let greeted = json!({"phrase": {"any_of": ["refund"]}});
    let asked = |rule: Value, not_applicable: bool, metrics: &[(String, i64)]| {
        let criteria = json!([{"key": "c", "question": "?", "answered_by": "rule", "not_applicable": not_applicable, "rule": {"yes_when": rule}}]);
        let answer = answer(&definition(criteria), &chat(), metrics).remove(0);
        (answer.verdict, answer.reason)
    };
    let unknown = Some(Reason::MetricUnknown);
    assert_eq!(asked(metric.clone(), false, &[]), (Verdict::Unverified, unknown));
    assert_eq!(asked(metric.clone(), true, &[]), (Verdict::NotApplicable, unknown));
    assert_eq!(asked(metric.clone(), true, &[("dead_air_count".to_owned(), 1)]), (Verdict::No, None));
    let both = |kind: &str| json!({kind: {"rules": [metric, greeted]}});
    assert_eq!(asked(both("any"), false, &[]), (Verdict::Yes, None), "the phrase decides");
    assert_eq!(asked(both("all"), false, &[]), (Verdict::Unverified, unknown));
    assert_eq!(asked(both("none"), false, &[]), (Verdict::No, None));
}

#[test]
fn only_criteria_of_rules_are_answered() {
    let criteria = json!([{"key": "model", "question": "?"}, {"key": "rule", "question": "?", "answered_by": "rule"}]);
    let answers = answer(&definition(criteria), &chat(), &[]);
    assert_eq!(answers.iter().map(|answer| answer.criterion.as_str()).collect::<Vec<_>>(), ["rule"]);
    assert_eq!(answers[0].reason, Some(Reason::NoRuleHolds), "without a rule nothing is made up");
    assert!(answer(&definition(json!([])), &chat(), &[]).is_empty());
}

/// What is looked at for a phrase, in a conversation of so many words that are all the same.
fn steps(phrase: &str, words: usize) -> u64 {
    let (transcript, definition) = ([says(1, Speaker::Agent, &"a ".repeat(words))], by_phrase(phrase, None));
    let rules: Vec<&RuleAnswers> = definition.criteria().filter_map(|criterion| criterion.rule.as_ref()).collect();
    let conversation = Conversation::of(&transcript);
    let phrases = Phrases::of(rules.into_iter(), &conversation);
    let judge = Judge { conversation: &conversation, phrases: &phrases, metrics: &[] };
    judge.answer(definition.criteria().next().unwrap());
    phrases.steps()
}

fn by_phrase(phrase: &str, near: Option<Value>) -> Definition {
    let rule = json!({"phrase": {"any_of": [phrase], "near": near}});
    definition(json!([{"key": "c", "question": "?", "answered_by": "rule", "rule": {"yes_when": rule}}]))
}

#[test]
fn what_a_phrase_costs_grows_with_the_conversation_alone() {
    // Four stars are what a phrase may have; each part is held against the four places of the next that are in reach.
    for (phrase, parts) in [("a", 1), ("a * a", 2), ("a * a * a * a * a", 5)] {
        let (some, more) = (steps(phrase, 1_000), steps(phrase, 20_000));
        assert!(some <= 1_000 * (1 + 5 * (parts - 1)), "{phrase}: {some}");
        assert!(more <= 20 * some + 1_000, "{phrase}: {some} for 1,000 words, {more} for 20,000");
    }
}

#[test]
fn a_phrase_that_is_said_too_often_says_so_and_stops() {
    // No scorecard with such a phrase can be published; the bound holds all the same.
    let hostile = vec!["a"; 100].join("*");
    let looked_at = steps(&hostile, 100_000);
    assert!((phrases::MOST_STEPS..phrases::MOST_STEPS + 1_000).contains(&looked_at), "{looked_at}");
    let transcript = [says(1, Speaker::Agent, &"a ".repeat(100_000))];
    let said = answer(&by_phrase(&hostile, None), &transcript, &[]).remove(0);
    assert_eq!((said.verdict, said.worth, said.reason), (Verdict::Unverified, None, Some(Reason::TooManyMatches)));
    assert_eq!(said.rationale, "Unanswered: its phrases are in the conversation too often.");
    assert!(said.evidence.is_empty());
    let said = answer(&by_phrase("a * a", None), &transcript, &[]).remove(0);
    assert_eq!(
        (said.verdict, said.evidence.len()),
        (Verdict::Yes, MAX_EVIDENCE),
        "the bound is far above what is said"
    );
}

/// The slow and obvious ways.
mod slow {
    /// The shortest way from each word on, by trying all.
    pub fn matches(parts: &[&str], words: &[&str]) -> Vec<(usize, usize)> {
        fn end(parts: &[&str], words: &[&str], at: usize) -> Option<usize> {
            let Some((first, rest)) = parts.split_first() else { return Some(at) };
            let longest = (at + 3).min(words.len().saturating_sub(1));
            (at..=longest).filter(|at| words.get(*at) == Some(first)).filter_map(|at| end(rest, words, at + 1)).min()
        }
        let begins = (0..words.len()).filter(|at| words[*at] == parts[0]);
        begins.filter_map(|at| Some((at, end(&parts[1..], words, at + 1)?))).collect()
    }

    /// Whether any other place is in reach.
    pub fn is_near(found: (usize, usize), others: &[(usize, usize)], most: usize) -> bool {
        let apart = |other: &(usize, usize)| other.0.saturating_sub(found.1).max(found.0.saturating_sub(other.1));
        others.iter().any(|other| *other != found && apart(other) <= most)
    }
}

proptest! {
    /// The fast way and the slow one find the same.
    #[test]
    fn phrases_are_found_as_by_trying_all(
        words in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..40),
        parts in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..5),
        others in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..3), most in 1..5_usize
    ) {
        let transcript = [says(1, Speaker::Agent, &words.join(" "))];
        let (phrase, other) = (parts.join(" * "), others.join(" * "));
        let rules: Definition = by_phrase(&phrase, Some(json!({"any_of": [other], "words": most})));
        let conversation = Conversation::of(&transcript);
        let phrases = Phrases::of(rules.criteria().filter_map(|criterion| criterion.rule.as_ref()), &conversation);
        let found = |phrase: &str| -> Vec<(usize, usize)> {
            phrases.matches(phrase).iter().map(|found| (found.from as usize, found.to as usize)).collect()
        };
        let (expected, close) = (slow::matches(&parts, &words), slow::matches(&others, &words));
        prop_assert_eq!(&found(&phrase), &expected);
        prop_assert_eq!(&found(&other), &close);
        let near = expected.iter().any(|found| slow::is_near(*found, &close, most));
        prop_assert_eq!(answer(&rules, &transcript, &[])[0].verdict == Verdict::Yes, near);
    }

    /// Whatever is said around it: planted words are found, and evidence is exactly what stands at its place.
    #[test]
    fn planted_words_are_found_where_they_are(before in "\\PC{0,20}", after in "\\PC{0,20}", turns in 1..6_usize, at in 0..6_usize) {
        let at = at % turns;
        let transcript: Vec<Utterance> = (0..turns).map(|turn| {
            let text = if turn == at { format!("{before} Überweisung bestätigt {after}") } else { before.clone() };
            says(turn as u32 + 1, Speaker::Agent, &text)
        }).collect();
        let answer = yes_when(json!({"phrase": {"any_of": ["uberweisung * bestatigt"]}}), &transcript, &[]);
        prop_assert_eq!(answer.verdict, Verdict::Yes);
        for evidence in &answer.evidence {
            let place = evidence.found.as_ref().unwrap();
            let text = &transcript[place.utterance as usize - 1].text;
            let words: String = text.chars().skip(place.start_char as usize).take((place.end_char - place.start_char) as usize).collect();
            prop_assert_eq!(&words, &place.words);
        }
        prop_assert!(answer.evidence.iter().any(|evidence| evidence.quote == "Überweisung bestätigt"));
    }
}
