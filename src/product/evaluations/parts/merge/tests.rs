//! What the answers of parts come to.

use proptest::prelude::*;

use super::*;
use crate::product::{
    evaluations::{
        model::{Place, Quote, RawAnswer, Speaker, Utterance, Way},
        samples::every_type,
    },
    scorecards::model::{AnsweredBy, Definition},
};

/// How an answer of a part stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quoted {
    No,
    Found(u32),
    Rejected,
}

/// Words of the utterance with that number.
fn words(n: u32) -> String {
    format!("these are the words of number {n}")
}

fn transcript() -> Vec<Utterance> {
    let turn = |n| Utterance {
        n,
        speaker: Speaker::Agent,
        start_ms: None,
        end_ms: None,
        text: format!("Well, {}.", words(n)),
    };
    (1..=9).map(turn).collect()
}

fn criterion<'a>(definition: &'a Definition, key: &str) -> &'a Criterion {
    definition.criteria().find(|criterion| criterion.key == key).unwrap()
}

/// An answer as it comes from the check of its evidence.
fn part(criterion: &Criterion, said: Verdict, given: Given, confidence: u32, quoted: Quoted) -> Answer {
    let quote = |quote: String| vec![Quote { utterance: 0, quote }];
    let verdict = criterion.answer.judge(said, &given).unwrap().verdict;
    let raw = RawAnswer {
        criterion: criterion.key.clone(),
        verdict,
        given,
        confidence,
        rationale: format!("As sure as {confidence}."),
        quotes: match quoted {
            Bare => vec![],
            Found(n) => quote(words(n)),
            Rejected => quote("nobody ever said so much".to_owned()),
        },
    };
    evidence::check(vec![raw], &[criterion], &transcript()).unwrap().remove(0)
}

fn unusable(criterion: &Criterion) -> Answer {
    Answer {
        criterion: criterion.key.clone(),
        claimed: Unverified,
        verdict: Unverified,
        given: Given::default(),
        worth: None,
        answered_by: AnsweredBy::LanguageModel,
        reason: Some(Reason::UnusableAnswer),
        carried_from: None,
        confidence: 0,
        rationale: String::new(),
        evidence: vec![],
    }
}

fn choices(keys: &[&str]) -> Given {
    Given { choices: keys.iter().map(|key| (*key).to_owned()).collect(), ..Given::default() }
}

fn number(number: i64) -> Given {
    Given { number: Some(number), ..Given::default() }
}

fn text(text: &str) -> Given {
    Given { text: Some(text.to_owned()), ..Given::default() }
}

/// Verdict, worth, reason, confidence.
type Outcome = (Verdict, Option<i32>, Option<Reason>, u32);

fn outcome(answer: &Answer) -> Outcome {
    (answer.verdict, answer.worth, answer.reason, answer.confidence)
}

use Quoted::{Found, No as Bare, Rejected};
use Verdict::{Answered, No, NotApplicable, Pending, Unverified, Yes};

#[test]
fn yes_or_no() {
    let definition = every_type();
    let polite = criterion(&definition, "polite");
    let part = |said, confidence, quoted| part(polite, said, Given::default(), confidence, quoted);
    let merged = |parts: &[(Verdict, u32, Quoted)]| {
        outcome(&merge(polite, parts.iter().map(|(said, sure, quoted)| part(*said, *sure, *quoted)).collect()))
    };
    let not_applicable = Some(Reason::NotApplicable);
    for (parts, expected) in [
        // One part that shows it is enough; the surest decides.
        (&[(No, 9_000, Bare), (Yes, 8_000, Found(2)), (No, 9_900, Bare)][..], (Yes, Some(100), None, 8_000)),
        (&[(Yes, 7_000, Found(1)), (Yes, 8_000, Found(2)), (NotApplicable, 1, Bare)], (Yes, Some(100), None, 8_000)),
        (&[(Yes, 9_000, Rejected), (Yes, 8_000, Found(2))], (Yes, Some(100), None, 8_000)),
        // What no part shows is absent, as surely as the least sure part says so.
        (&[(No, 9_000, Bare), (No, 6_000, Bare)], (No, Some(0), None, 6_000)),
        (&[(No, 9_000, Bare), (NotApplicable, 7_000, Bare)], (No, Some(0), None, 7_000)),
        (&[(No, 9_000, Found(3)), (No, 6_000, Bare)], (No, Some(0), None, 6_000)),
        (&[(NotApplicable, 9_000, Bare), (NotApplicable, 7_000, Bare)], (NotApplicable, None, not_applicable, 7_000)),
        // Shown and broken: a person decides.
        (&[(Yes, 9_000, Found(1)), (No, 6_000, Found(2))], (Pending, None, Some(Reason::PartsDisagree), 9_000)),
        // A claim whose quotes are nowhere is not taken for absence.
        (&[(No, 9_000, Bare), (Yes, 9_000, Rejected)], (Unverified, None, Some(Reason::EvidenceRejected), 9_000)),
        (&[(No, 9_000, Bare), (Yes, 9_000, Bare)], (Unverified, None, Some(Reason::NoEvidence), 9_000)),
    ] {
        assert_eq!(merged(parts), expected, "{parts:?}");
    }
    let broken = merge(polite, vec![part(No, 9_000, Bare), unusable(polite)]);
    assert_eq!((broken.verdict, broken.reason), (Unverified, Some(Reason::UnusableAnswer)));
    let one = part(No, 5_000, Bare);
    assert_eq!(merge(polite, vec![one.clone()]), one, "one alone stays as it is");
}

#[test]
fn an_answer_says_which_part_decided_and_keeps_its_quotes() {
    let definition = every_type();
    let polite = criterion(&definition, "polite");
    let part = |said, confidence, quoted| part(polite, said, Given::default(), confidence, quoted);
    let parts = vec![part(No, 9_000, Bare), part(Yes, 9_000, Rejected), part(Yes, 8_000, Found(7))];
    let answer = merge(polite, parts.clone());
    assert_eq!(answer.rationale, "Part 3 of 3: As sure as 8000.");
    let found: Vec<_> = answer.evidence.iter().map(|one| one.found.as_ref().map(|place| place.utterance)).collect();
    assert_eq!(found, [None, Some(7)], "what was rejected is not hidden");
    let answer = merge(polite, vec![parts[2].clone(), part(No, 7_000, Found(2)), part(Yes, 1_000, Found(9))]);
    assert_eq!(answer.rationale, "Part 1 of 3: As sure as 8000.\nPart 2 of 3: As sure as 7000.");
    assert_eq!(answer.evidence.len(), 2, "of both that contradict each other: {:?}", answer.evidence);
}

#[test]
fn single_choice() {
    let definition = every_type();
    let mut tone = criterion(&definition, "tone").clone();
    let mut third = tone.answer.choices[0].clone();
    (third.key, third.score) = ("neutral".to_owned(), 50);
    tone.answer.choices.push(third);
    let merged = |parts: &[(&str, u32, Quoted)]| {
        let part = |(key, sure, quoted): &(&str, u32, Quoted)| part(&tone, Answered, choices(&[key]), *sure, *quoted);
        let answer = merge(&tone, parts.iter().map(part).collect());
        (answer.given.choices.join(" "), outcome(&answer))
    };
    let disagree = |confidence| (Pending, None, Some(Reason::PartsDisagree), confidence);
    for (parts, key, expected) in [
        (&[("warm", 0, Bare), ("neutral", 8_000, Found(1))][..], "neutral", (Yes, Some(50), None, 8_000)),
        (&[("warm", 9_000, Found(1)), ("warm", 9_500, Found(2))], "warm", (Yes, Some(100), None, 9_500)),
        (&[("warm", 9_000, Found(1)), ("neutral", 8_000, Found(2))], "warm", (Yes, Some(100), None, 9_000)),
        (&[("warm", 8_999, Found(1)), ("neutral", 8_000, Found(2))], "warm", disagree(8_999)),
        (&[("warm", 9_900, Found(1)), ("cold", 5_000, Found(2))], "warm", disagree(9_900)),
        (&[("cold", 9_900, Bare), ("warm", 5_000, Found(2))], "warm", (Yes, Some(100), None, 5_000)),
        (&[("cold", 9_900, Bare), ("cold", 5_000, Bare)], "cold", (No, Some(20), None, 5_000)),
        (&[("warm", 0, Bare), ("cold", 0, Bare)], "warm", (Unverified, None, Some(Reason::NoEvidence), 0)),
        (&[("warm", 0, Bare), ("warm", 0, Rejected)], "warm", (Unverified, None, Some(Reason::NoEvidence), 0)),
    ] {
        assert_eq!(merged(parts), (key.to_owned(), expected), "{parts:?}");
    }
}

#[test]
fn multiple_choice() {
    let definition = every_type();
    let topics = criterion(&definition, "topics");
    let merged = |parts: &[(&[&str], u32, Quoted)]| {
        let part =
            |(keys, sure, quoted): &(&[&str], u32, Quoted)| part(topics, Answered, choices(keys), *sure, *quoted);
        let answer = merge(topics, parts.iter().map(part).collect());
        (answer.given.choices.join(" "), outcome(&answer), answer.evidence.len())
    };
    let lost = |confidence| (Unverified, None, Some(Reason::EvidenceRejected), confidence);
    for (parts, keys, expected, quotes) in [
        (
            &[(&["line"][..], 9_000, Found(1)), (&["bill"], 8_000, Found(2)), (&[], 9_900, Bare)][..],
            "bill line",
            (Yes, Some(100), None, 8_000),
            2,
        ),
        (&[(&["bill"], 9_000, Found(1)), (&["bill"], 8_000, Found(2))], "bill", (Yes, Some(60), None, 9_000), 1),
        (
            &[(&["bill"], 9_000, Found(1)), (&["swearing"], 8_000, Found(2))],
            "bill swearing",
            (No, Some(10), None, 8_000),
            2,
        ),
        (&[(&[], 9_000, Bare), (&[], 8_000, Bare)], "", (Yes, Some(0), None, 8_000), 0),
        (&[(&["bill"], 9_000, Found(1)), (&["line"], 8_000, Rejected)], "line", lost(8_000), 1),
        (&[(&["bill"], 9_000, Found(1)), (&["bill"], 8_000, Rejected)], "bill", (Yes, Some(60), None, 9_000), 2),
        (&[(&[], 9_000, Bare), (&["line"], 8_000, Rejected)], "line", lost(8_000), 1),
    ] {
        assert_eq!(merged(parts), (keys.to_owned(), expected, quotes), "{parts:?}");
    }
    let broken = merge(topics, vec![part(topics, Answered, choices(&["bill"]), 9_000, Found(1)), unusable(topics)]);
    assert_eq!(broken.reason, Some(Reason::UnusableAnswer));
}

#[test]
fn numbers_are_never_added_up() {
    let definition = every_type();
    let offers = criterion(&definition, "offers");
    let merged = |parts: &[(i64, u32, Quoted)]| {
        let part = |(count, sure, quoted): &(i64, u32, Quoted)| part(offers, Answered, number(*count), *sure, *quoted);
        let answer = merge(offers, parts.iter().map(part).collect());
        (answer.given.number.unwrap(), outcome(&answer))
    };
    let disagree = |confidence| (Pending, None, Some(Reason::PartsDisagree), confidence);
    for (parts, count, expected) in [
        (&[(0, 9_000, Bare), (2, 8_000, Found(1)), (0, 9_000, Bare)][..], 2, (Yes, Some(100), None, 8_000)),
        (&[(0, 9_000, Bare), (2, 8_000, Bare)], 2, (Yes, Some(100), None, 8_000)),
        (&[(0, 9_000, Bare), (0, 8_000, Bare)], 0, (No, Some(0), None, 8_000)),
        (&[(1, 9_000, Found(1)), (2, 8_000, Found(2))], 1, disagree(9_000)),
        (&[(1, 9_000, Found(1)), (1, 8_000, Found(2))], 1, disagree(9_000)),
        (&[(1, 8_000, Found(4)), (1, 9_000, Found(4))], 1, (Yes, Some(100), None, 9_000)),
        (&[(0, 9_000, Found(1)), (1, 8_000, Found(2))], 0, disagree(9_000)),
        (&[(0, 9_000, Bare), (1, 8_000, Rejected)], 1, (Unverified, None, Some(Reason::EvidenceRejected), 8_000)),
    ] {
        assert_eq!(merged(parts), (count, expected), "{parts:?}");
    }
    let away = || part(offers, NotApplicable, Given::default(), 7_000, Bare);
    assert_eq!(merge(offers, vec![away(), away()]).verdict, NotApplicable);
    let one = merge(offers, vec![away(), part(offers, Answered, number(0), 6_000, Bare)]);
    assert_eq!((one.verdict, one.given.number), (No, Some(0)));
}

#[test]
fn texts_follow_each_other() {
    let definition = every_type();
    let summary = criterion(&definition, "summary");
    let part = |words: &str, quoted| part(summary, Answered, text(words), 9_000, quoted);
    let merged = merge(summary, vec![part("First.", Found(1)), part(" ", Bare), part("Last.", Found(8))]);
    assert_eq!((merged.verdict, merged.given.text.as_deref()), (Answered, Some("First.\nLast.")));
    assert_eq!((merged.reason, merged.evidence.len()), (Some(Reason::Unscored), 2));
    let merged = merge(summary, vec![part("First.", Found(1)), part("Lies.", Rejected)]);
    assert_eq!(merged.verdict, Unverified);
    assert_eq!(merge(summary, vec![part("", Bare), part("", Bare)]).given.text.as_deref(), Some(""));
}

/// Any answer of a part to the nth criterion of every type.
fn any_part(nth: usize) -> impl Strategy<Value = Answer> {
    let quoted = prop_oneof![Just(Bare), (1u32..=9).prop_map(Found), Just(Rejected)];
    (0usize..8, 0u32..=20, quoted).prop_map(move |(what, sure, quoted)| {
        let definition = every_type();
        let mut criterion = definition.criteria().nth(nth).unwrap().clone();
        criterion.not_applicable = true;
        let given = match nth {
            0 => Given::default(),
            1 => choices(&[["warm", "cold"][what % 2]]),
            2 => choices(&["bill", "line", "swearing"][..what % 4]),
            3 => number(what as i64 % 3),
            _ => text(["", "Something.", "More."][what % 3]),
        };
        let said = if nth == 0 { [Yes, No][what % 2] } else { Answered };
        match what {
            6 => part(&criterion, NotApplicable, Given::default(), sure * 500, Bare),
            7 => unusable(&criterion),
            _ => part(&criterion, said, given, sure * 500, quoted),
        }
    })
}

fn any_parts() -> impl Strategy<Value = (usize, Vec<Answer>)> {
    (0usize..5).prop_flat_map(|nth| (Just(nth), prop::collection::vec(any_part(nth), 1..6)))
}

fn merged(nth: usize, parts: &[Answer]) -> Answer {
    merge(every_type().criteria().nth(nth).unwrap(), parts.to_vec())
}

proptest! {
    #[test]
    fn the_order_of_the_parts_decides_nothing((nth, parts) in any_parts(), seed in any::<prop::sample::Index>()) {
        let one = merged(nth, &parts);
        let mut turned = parts.clone();
        turned.rotate_left(seed.index(parts.len()));
        turned.reverse();
        let other = merged(nth, &turned);
        prop_assert_eq!((one.verdict, one.worth), (other.verdict, other.worth));
        let counts = !matches!(one.verdict, Pending | Unverified);
        if counts && nth != 4 {
            prop_assert_eq!((&one.given, one.confidence, one.reason), (&other.given, other.confidence, other.reason));
        }
    }

    #[test]
    fn yes_is_shown_by_a_part_and_contradicted_by_none(parts in prop::collection::vec(any_part(0), 2..6)) {
        let answer = merged(0, &parts);
        let yes = parts.iter().any(|part| part.verdict == Yes && is_shown(part));
        let broken = parts.iter().any(|part| part.verdict == No && is_shown(part));
        prop_assert_eq!(answer.verdict == Yes, yes && !broken);
        prop_assert_eq!(answer.verdict == Pending, yes && broken);
        if matches!(answer.verdict, No | NotApplicable) {
            prop_assert!(!parts.iter().any(is_unverified));
        }
        prop_assert!(answer.verdict != Yes || answer.evidence.iter().any(|one| one.found.is_some()));
    }

    #[test]
    fn a_part_that_shows_nothing_takes_nothing_away((nth, parts) in any_parts()) {
        let definition = every_type();
        let criterion = definition.criteria().nth(nth).unwrap();
        let nothing = match nth {
            0 => part(criterion, No, Given::default(), 10_000, Bare),
            2 => part(criterion, Answered, Given::default(), 10_000, Bare),
            3 => part(criterion, Answered, number(0), 10_000, Bare),
            4 => part(criterion, Answered, text(""), 10_000, Bare),
            _ => return Ok(()),
        };
        let one = merged(nth, &parts);
        let other = merged(nth, &[parts, vec![nothing]].concat());
        if one.verdict != NotApplicable {
            prop_assert_eq!((one.verdict, one.worth, one.given), (other.verdict, other.worth, other.given));
        }
    }

    #[test]
    fn nothing_is_made_up((nth, parts) in any_parts()) {
        let answer = merged(nth, &parts);
        prop_assert!(answer.confidence <= parts.iter().map(|part| part.confidence).max().unwrap());
        let quotes: Vec<&Evidence> = parts.iter().flat_map(|part| &part.evidence).collect();
        prop_assert!(answer.evidence.iter().all(|one| quotes.contains(&one)));
        prop_assert!(quotes.iter().all(|one| one.found.is_some() || answer.evidence.contains(one)), "rejected quotes are kept");
        prop_assert!(answer.worth.is_none() || !matches!(answer.verdict, Pending | Unverified | NotApplicable));
        prop_assert_eq!(&merged(nth, &parts), &answer);
        let found = answer.evidence.iter().filter_map(|one| one.found.as_ref());
        prop_assert!(found.clone().all(|place: &Place| place.way != Way::Close && place.words == words(place.utterance)));
    }
}
