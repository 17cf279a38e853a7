use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::{
    platform::plugins::{Given, Speaker},
    product::evaluations::samples::every_type,
};

fn utterance(n: u32, speaker: Speaker, text: &str) -> Utterance {
    let start = u64::from(n) * 1_000;
    Utterance { n, speaker, start_ms: Some(start), end_ms: Some(start + 900), text: text.to_owned() }
}

fn transcript() -> Vec<Utterance> {
    vec![
        utterance(1, Speaker::Agent, "Good morning, you’re speaking with Zoë — how can I help?"),
        utterance(2, Speaker::Customer, "I don't know. My card was charged TWICE!"),
        utterance(3, Speaker::Agent, "I don't know either; let me check."),
        utterance(4, Speaker::Customer, "ありがとうございます。助かりました"),
    ]
}

fn quote(utterance: i64, quote: &str) -> Quote {
    Quote { utterance, quote: quote.to_owned() }
}

fn find(hint: i64, words: &str) -> Option<Place> {
    Index::of(&transcript()).unwrap().find(&[&quote(hint, words)]).pop().unwrap()
}

fn words(hint: i64, quote: &str) -> Option<(u32, String)> {
    find(hint, quote).map(|place| (place.utterance, place.words))
}

#[test]
fn a_quote_is_bound_to_speaker_characters_and_time() {
    let place = find(1, "Good morning, you’re").unwrap();
    assert_eq!((place.utterance, place.speaker, place.start_char, place.end_char), (1, Speaker::Agent, 0, 20));
    assert_eq!(place.way, Way::Exact);
    assert_eq!((place.start_ms, place.end_ms), (Some(1_000), Some(1_900)));
    let place = find(1, "zoë how can").unwrap();
    assert_eq!(place.words, "Zoë — how can");
    assert_eq!((place.start_char, place.end_char), (35, 48));
}

#[test]
fn spelling_is_forgiven() {
    assert_eq!(words(1, "you're speaking   with"), Some((1, "you’re speaking with".into())));
    assert_eq!(words(1, "youre SPEAKING, with"), Some((1, "you’re speaking with".into())));
    assert_eq!(words(2, "\"was charged twice\""), Some((2, "was charged TWICE".into())));
    assert_eq!(
        words(1, "speaking with Zoe\u{0308}"),
        Some((1, "speaking with Zoë".into())),
        "composed and decomposed letters are the same"
    );
    assert_eq!(
        words(1, "Ｇｏｏｄ morn\u{00AD}ing you’re"),
        Some((1, "Good morning, you’re".into())),
        "full width, soft hyphen"
    );
    assert_eq!(words(4, "助かり"), Some((4, "助かり".into())));
}

#[test]
fn other_words_are_not() {
    for foreign in [
        "good evening",
        "Zoe",
        "speaking to Zoë",
        "help I don't",
        "harged",
        "morning you spoke",
        "",
        "…",
        "ありがとうね",
    ] {
        assert_eq!(find(1, foreign), None, "{foreign:?}");
    }
}

#[test]
fn a_word_or_two_prove_nothing_unless_they_are_all_that_was_said() {
    assert_eq!(find(2, "My card"), None);
    assert_eq!(find(1, "help"), None);
    let mut transcript = transcript();
    transcript.push(utterance(5, Speaker::Customer, "Yes, please!"));
    let index = Index::of(&transcript).unwrap();
    for hint in [1, 5, 99] {
        let place = index.find(&[&quote(hint, "yes please")]).pop().unwrap().unwrap();
        assert_eq!((place.utterance, place.words.as_str(), place.way), (5, "Yes, please", Way::Normalised));
    }
    assert_eq!(index.find(&[&quote(5, "please")]), [None]);
}

#[test]
fn a_misspelled_quote_is_close_and_says_so() {
    let place = find(1, "Good mornin’, you’re speaking with Zoë").unwrap();
    assert_eq!((place.words.as_str(), place.way), ("Good morning, you’re speaking with Zoë", Way::Close));
    assert_eq!(find(1, "Good morning, you are speaking with Zoë"), None, "two words for one");
    assert_eq!(find(2, "My card was charged once"), None);
}

#[test]
fn each_type_has_its_own_need_of_evidence() {
    let definition = every_type();
    let asked: Vec<_> = definition.criteria().collect();
    let given = |key: &str, verdict, given: Given, quotes: &[&str]| {
        let raw = RawAnswer { criterion: key.into(), given, ..answer(verdict, quotes) };
        let checked = super::check(vec![raw], &asked, &transcript()).unwrap().pop().unwrap();
        (checked.verdict, checked.worth, checked.reason)
    };
    let choice = |key: &str| Given { choices: vec![key.into()], ..Given::default() };
    let number = |number| Given { number: Some(number), ..Given::default() };
    let text = || Given { text: Some("All went well.".into()), ..Given::default() };
    use Verdict::{Answered, No, Unverified, Yes};
    let unproved = (Unverified, None, Some(Reason::NoEvidence));
    let rejected = (Unverified, None, Some(Reason::EvidenceRejected));
    assert_eq!(given("tone", Yes, choice("warm"), &[GREETING]), (Yes, Some(100), None));
    assert_eq!(given("tone", Yes, choice("warm"), &[]), unproved);
    assert_eq!(given("tone", No, choice("cold"), &[]), (No, Some(20), None), "what fails may be an absence");
    assert_eq!(given("topics", Yes, Given::default(), &[]), (Yes, Some(0), None), "nothing was chosen");
    assert_eq!(given("topics", Yes, choice("bill"), &[]), unproved);
    assert_eq!(given("offers", Yes, number(2), &[]), (Yes, Some(100), None));
    assert_eq!(given("offers", Yes, number(2), &["never said so"]), rejected);
    assert_eq!(given("summary", Answered, text(), &[]), (Answered, None, Some(Reason::Unscored)));
    assert_eq!(given("summary", Answered, text(), &["never said so"]), rejected);
}

#[test]
fn the_models_utterance_is_only_a_hint() {
    assert_eq!(words(3, "I don't know"), Some((3, "I don't know".into())), "where the model says");
    assert_eq!(words(2, "I don't know"), Some((2, "I don't know".into())));
    for wrong in [1, 4, 0, -1, 99, i64::MAX] {
        assert_eq!(words(wrong, "I don't know"), Some((2, "I don't know".into())), "else the first in the transcript");
    }
}

fn answer(verdict: Verdict, quotes: &[&str]) -> RawAnswer {
    let quotes = quotes.iter().map(|words| quote(1, words)).collect();
    RawAnswer {
        criterion: "polite".into(),
        verdict,
        given: Given::default(),
        confidence: 9_000,
        rationale: "r".into(),
        quotes,
    }
}

/// Words of the first utterance.
const GREETING: &str = "how can I help";

/// The yes-or-no question of the samples.
fn check(answers: Vec<RawAnswer>, transcript: &[Utterance]) -> Result<Vec<Answer>, TooLarge> {
    super::check(answers, &every_type().criteria().collect::<Vec<_>>(), transcript)
}

#[test]
fn what_stands_and_what_does_not() {
    let table: &[(Verdict, &[&str], Verdict)] = &[
        (Verdict::Yes, &[GREETING], Verdict::Yes),
        (Verdict::Yes, &["never said so", GREETING], Verdict::Yes),
        (Verdict::Yes, &["never said so"], Verdict::Unverified),
        (Verdict::Yes, &[], Verdict::Unverified),
        (Verdict::Yes, &["never said so", "nor was this", GREETING], Verdict::Unverified),
        (Verdict::No, &["never said so", "nor was this", GREETING], Verdict::Unverified),
        (Verdict::No, &[], Verdict::No),
        (Verdict::No, &[GREETING], Verdict::No),
        (Verdict::No, &["never said so"], Verdict::Unverified),
        (Verdict::NotApplicable, &[], Verdict::NotApplicable),
        (Verdict::NotApplicable, &["never said so"], Verdict::Unverified),
    ];
    for (claimed, quotes, stands) in table {
        let checked = check(vec![answer(*claimed, quotes)], &transcript()).unwrap().pop().unwrap();
        assert_eq!((checked.claimed, checked.verdict), (*claimed, *stands), "{claimed:?} {quotes:?}");
        assert_eq!(checked.evidence.len(), quotes.len(), "rejected quotes are kept");
        let verified = checked.for_plugins().evidence;
        assert!(verified.iter().all(|evidence| evidence.quote == "how can I help"));
    }
}

#[test]
fn quotes_stay_with_their_answers() {
    let answers = vec![
        answer(Verdict::Yes, &["never", "let me check"]),
        answer(Verdict::No, &["how can I help", "card was charged twice"]),
    ];
    let checked = check(answers, &transcript()).unwrap();
    let found: Vec<Vec<_>> =
        checked.iter().map(|a| a.evidence.iter().map(|e| e.found.as_ref().map(|p| p.utterance)).collect()).collect();
    assert_eq!(found, [[None, Some(3)], [Some(1), Some(2)]]);
}

/// One million words and 200 criteria of 5 quotes: one pass, whatever is found or not, in many utterances or in one.
#[test]
fn a_million_words_are_searched_in_one_pass() {
    let started = Instant::now();
    let word = |n: usize| format!("w{} ", n.wrapping_mul(2_654_435_761) % 5_003);
    let many: Vec<_> = (0..10_000u32)
        .map(|u| utterance(u + 1, Speaker::Agent, &(0..100).map(|w| word(u as usize * 100 + w)).collect::<String>()))
        .collect();
    let one = vec![utterance(1, Speaker::Agent, &many.iter().map(|u| u.text.as_str()).collect::<String>())];
    let rejected: Vec<String> = (0..1_000).map(|n| format!("w{n} nowhere to be found")).collect();
    let answers: Vec<_> = (0..200)
        .map(|c| {
            let last: &str = many[9_999].text[..40].trim();
            let mut quotes: Vec<&str> = rejected[c * 5..c * 5 + 4].iter().map(String::as_str).collect();
            quotes.push(last.rsplit_once(' ').unwrap().0);
            answer(Verdict::Yes, &quotes)
        })
        .collect();
    for transcript in [&many, &one] {
        let checked = check(answers.clone(), transcript).unwrap();
        assert!(checked.iter().all(|answer| answer.verdict == Verdict::Unverified), "four of five are rejected");
        assert!(checked.iter().all(|answer| answer.evidence.iter().filter(|e| e.found.is_some()).count() == 1));
    }
    // A search per quote would read 12 GB here. The bound is loose because tests are not optimised and machines are busy.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn words_that_stand_everywhere_prove_nothing() {
    let said = [
        utterance(1, Speaker::Customer, "Well, I want to cancel my contract, it is what it is."),
        utterance(2, Speaker::Agent, "May I have your date of birth?"),
        utterance(3, Speaker::Customer, "It is [DATE_OF_BIRTH_1], my name is [NAME_1]."),
        utterance(4, Speaker::Customer, "It is that."),
    ];
    let index = Index::of(&said).unwrap();
    let found = |words: &str| index.find(&[&quote(1, words)]).pop().unwrap().map(|place| place.utterance);
    for little in ["I want to", "it is what it is", "[DATE_OF_BIRTH_1]", "it is [DATE_OF_BIRTH_1]", "DATE OF BIRTH 1"] {
        assert_eq!(found(little), None, "{little}");
    }
    assert_eq!(found("want to cancel"), Some(1));
    assert_eq!(found("is [DATE_OF_BIRTH_1], my name"), Some(3));
    assert_eq!(found("it is that"), Some(4), "all that was said");
}

fn suffice(words: &[String]) -> bool {
    weight::suffice(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-cA-C'’éÉﬁ１ 。,.-]{1,12}", 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    /// The slow and obvious way: whole normalised words, one utterance after the other.
    #[test]
    fn agrees_with_a_search_word_by_word(texts in prop::collection::vec(text(), 1..6), words in "[a-cA-C' éﬁ1.]{0,6}") {
        let transcript: Vec<_> = texts.iter().zip(1..).map(|(text, n)| utterance(n, Speaker::Agent, text)).collect();
        let split = |text: &str| Needle::of(text).text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let wanted = split(&words);
        let is = |said: &[String]| match wanted.len() {
            0 => false,
            _ if !suffice(&wanted) => said == wanted,
            n => said.windows(n).any(|words| words == wanted),
        };
        let expected = transcript.iter().find(|u| is(&split(&u.text)));
        let found = Index::of(&transcript).unwrap().find(&[&quote(-1, &words)]).pop().unwrap();
        prop_assert_eq!(found.as_ref().map(|place| place.utterance), expected.map(|u| u.n));
        if let Some(place) = found {
            prop_assert_eq!(split(&place.words), wanted, "the words shown are the words searched");
        }
    }

    /// Any run of whole words of any text is found where it came from.
    #[test]
    fn whatever_was_said_is_found(said in "\\PC{1,60}", from in any::<prop::sample::Index>(), count in 1usize..5) {
        let parts: Vec<&str> = said.split_whitespace().collect();
        prop_assume!(!parts.is_empty());
        let from = from.index(parts.len());
        let quoted = parts[from..(from + count).min(parts.len())].join(" ");
        let found = Index::of(&[utterance(1, Speaker::Agent, &said)]).unwrap().find(&[&quote(1, &quoted)]).pop().unwrap();
        let split = |text: &str| Needle::of(text).text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let count = |text: &str| split(text).len();
        let whole = count(&quoted) > 0 && count(&quoted) == count(&said);
        prop_assert_eq!(found.is_some(), whole || suffice(&split(&quoted)));
    }
}
