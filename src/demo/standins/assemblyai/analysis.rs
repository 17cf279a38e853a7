//! Sentiment, entities and redaction by plain rules: enough to have real work behind the wire form, and far from what the service's models hear.

use serde_json::{Value, json};

use super::recogniser::{Recognised, Turn, Word};

/// The sorts of personal data that these rules find without fail, so that their redaction can be promised.
pub const REDACTABLE: [&str; 4] = ["credit_card_number", "email_address", "number_sequence", "phone_number"];

const PLEASED: &[&str] = &[
    "thank",
    "thanks",
    "great",
    "perfect",
    "good",
    "happy",
    "glad",
    "wonderful",
    "excellent",
    "appreciate",
    "love",
    "nice",
];
const DISPLEASED: &[&str] = &[
    "angry",
    "annoyed",
    "awful",
    "bad",
    "broken",
    "complaint",
    "disappointed",
    "down",
    "frustrated",
    "problem",
    "ridiculous",
    "terrible",
    "unacceptable",
    "unhappy",
    "upset",
    "worried",
    "wrong",
];

/// A stretch of a turn's text that means something, by bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    kind: &'static str,
    from: usize,
    to: usize,
}

/// A sentence of a turn and how it sounds, as `sentiment_analysis_results` has it.
pub fn sentiments(heard: &Recognised, voice: impl Fn(&Turn) -> (Option<String>, Option<String>)) -> Vec<Value> {
    let judged = heard.turns.iter().flat_map(|turn| {
        let (speaker, channel) = voice(turn);
        sentences(&turn.text).into_iter().map(move |(from, to)| {
            let (sentiment, confidence) = judge(&turn.text[from..to]);
            json!({"text": &turn.text[from..to], "start": time_at(turn, from), "end": time_at(turn, to),
                "sentiment": sentiment, "confidence": confidence, "speaker": speaker, "channel": channel})
        })
    });
    judged.collect()
}

/// The names, numbers and addresses in the words, as `entities` has them.
pub fn entities(heard: &Recognised) -> Vec<Value> {
    let found = heard.turns.iter().flat_map(|turn| {
        stretches(&turn.text).into_iter().map(move |Stretch { kind, from, to }| {
            json!({"entity_type": kind, "text": &turn.text[from..to], "start": time_at(turn, from), "end": time_at(turn, to)})
        })
    });
    found.collect()
}

/// The same without what the policies name; `named` writes the sort in its place, else each letter becomes a `#`.
pub fn redacted(heard: &Recognised, policies: &[String], named: bool) -> Recognised {
    let turns = heard.turns.iter().map(|turn| {
        let (mut text, mut hidden) = (turn.text.clone(), String::new());
        for Stretch { kind, from, to } in stretches(&turn.text).into_iter().rev() {
            if policies.iter().any(|policy| policy == kind) {
                hidden.push_str(&turn.text[from..to]);
                hidden.push(' ');
                text.replace_range(from..to, &substitute(&turn.text[from..to], kind, named));
            }
        }
        let hidden: Vec<&str> = hidden.split_whitespace().map(bare).collect();
        let words = turn.words.iter().map(|word| {
            let hide = hidden.contains(&bare(&word.text));
            let text = if hide { "#".repeat(word.text.chars().count()) } else { word.text.clone() };
            Word { text, ..*word }
        });
        Turn { text, words: words.collect(), ..*turn }
    });
    Recognised { duration_ms: heard.duration_ms, language: heard.language.clone(), turns: turns.collect() }
}

fn substitute(words: &str, kind: &str, named: bool) -> String {
    if named {
        return format!("[{}]", kind.to_uppercase());
    }
    words.chars().map(|c| if c.is_whitespace() { c } else { '#' }).collect()
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn sentences(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    for part in text.split_inclusive(['.', '?', '!']) {
        let to = from + part.len();
        if part.chars().any(char::is_alphanumeric) {
            found.push((from + part.len() - part.trim_start().len(), to));
        }
        from = to;
    }
    found
}

fn judge(sentence: &str) -> (&'static str, f64) {
    let sentence = sentence.to_lowercase();
    let count = |list: &[&str]| sentence.split_whitespace().filter(|word| list.contains(&bare(word))).count();
    match count(PLEASED).cmp(&count(DISPLEASED)) {
        std::cmp::Ordering::Greater => ("POSITIVE", 0.75),
        std::cmp::Ordering::Less => ("NEGATIVE", 0.75),
        std::cmp::Ordering::Equal => ("NEUTRAL", 0.6),
    }
}

/// When a byte of the text was said: as far into the turn as into its text.
#[expect(clippy::cast_precision_loss, reason = "the length of a text")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between the turn's start and its end")]
fn time_at(turn: &Turn, byte: usize) -> u64 {
    let share = byte as f64 / turn.text.len().max(1) as f64;
    turn.start_ms + (turn.end_ms.saturating_sub(turn.start_ms) as f64 * share) as u64
}

/// Words with their places in the text, without the punctuation around them.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let at = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(bare).filter(|word| !word.is_empty()).map(|word| (at(word), word)).collect()
}

fn stretches(text: &str) -> Vec<Stretch> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut n = 0;
    while let Some(&(from, word)) = tokens.get(n) {
        let run = |fits: fn(&str) -> bool, most: usize| {
            tokens[n..].iter().take(most).take_while(|(_, word)| fits(word)).count()
        };
        let (kind, count) = if is_email(word) {
            (Some("email_address"), 1)
        } else if is_digits(word) {
            let count = run(is_digits, usize::MAX);
            (sort_of_number(&tokens[n..n + count]), count)
        } else if introduced(&tokens[..n]) {
            let count = run(is_name, 2);
            ((count > 0).then_some("person_name"), count.max(1))
        } else {
            (None, 1)
        };
        let (last, end) = tokens[n + count - 1];
        found.extend(kind.map(|kind| Stretch { kind, from, to: last + end.len() }));
        n += count;
    }
    found
}

fn is_email(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

fn is_digits(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || "-()".contains(c))
}

fn is_name(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase) && word.chars().all(char::is_alphabetic)
}

/// Whether a name comes next: "my name is …", "this is …".
fn introduced(before: &[(usize, &str)]) -> bool {
    let ends_with = |words: &[&str]| {
        before.len() >= words.len()
            && before[before.len() - words.len()..]
                .iter()
                .zip(words)
                .all(|((_, said), word)| said.eq_ignore_ascii_case(word))
    };
    ends_with(&["name", "is"]) || ends_with(&["this", "is"])
}

fn sort_of_number(words: &[(usize, &str)]) -> Option<&'static str> {
    match words.iter().flat_map(|(_, word)| word.chars()).filter(char::is_ascii_digit).count() {
        13..=19 => Some("credit_card_number"),
        7..=12 => Some("phone_number"),
        4..=6 => Some("number_sequence"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turn(text: &str) -> Turn {
        let words = text.split_whitespace().map(|word| Word { start_ms: 0, end_ms: 1, text: word.to_owned() });
        Turn {
            start_ms: 1_000,
            end_ms: 2_000,
            text: text.to_owned(),
            channel: Some(1),
            confidence: None,
            words: words.collect(),
        }
    }

    fn heard(text: &str) -> Recognised {
        Recognised { duration_ms: 3_000, language: None, turns: vec![turn(text)] }
    }

    const SAID: &str =
        "My name is Ana Diaz. Write to ana@example.org, or call 555-0172 77. The card is 4111 1111 1111 1111!";

    #[test]
    fn entities_are_found_where_they_are_said() {
        let found = entities(&heard(SAID));
        let told: Vec<_> = found
            .iter()
            .map(|found| (found["entity_type"].as_str().unwrap(), found["text"].as_str().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ("person_name", "Ana Diaz"),
                ("email_address", "ana@example.org"),
                ("phone_number", "555-0172 77"),
                ("credit_card_number", "4111 1111 1111 1111"),
            ]
        );
        assert!(
            found.iter().all(|found| found["start"].as_u64() >= Some(1_000) && found["end"].as_u64() <= Some(2_000))
        );
        assert!(entities(&heard("This is bad. It costs 12 or 100.")).is_empty());
    }

    #[test]
    fn what_the_policies_name_is_gone_from_text_and_words() {
        let policies = ["credit_card_number".to_owned(), "email_address".to_owned()];
        let named = redacted(&heard(SAID), &policies, true);
        assert_eq!(
            named.turns[0].text,
            "My name is Ana Diaz. Write to [EMAIL_ADDRESS], or call 555-0172 77. The card is [CREDIT_CARD_NUMBER]!"
        );
        let words = |heard: &Recognised| {
            heard.turns[0].words.iter().map(|word| word.text.clone()).collect::<Vec<_>>().join(" ")
        };
        assert!(
            !words(&named).contains("4111")
                && !words(&named).contains("example.org")
                && words(&named).contains("555-0172")
        );
        let hashed = redacted(&heard("Card 4111 1111 1111 1111."), &policies, false);
        assert_eq!(hashed.turns[0].text, "Card #### #### #### ####.");
    }

    #[test]
    fn sentences_are_judged_by_their_words() {
        let results =
            sentiments(&heard("Thanks a lot! My gateway is down. It is blue."), |_| (Some("1".to_owned()), None));
        let told: Vec<_> = results.iter().map(|found| found["sentiment"].as_str().unwrap()).collect();
        assert_eq!(told, ["POSITIVE", "NEGATIVE", "NEUTRAL"]);
        assert_eq!((&results[1]["text"], &results[1]["speaker"]), (&json!("My gateway is down."), &json!("1")));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let heard = heard(&text);
            sentiments(&heard, |_| (None, None));
            entities(&heard);
            redacted(&heard, &REDACTABLE.map(str::to_owned), false);
        }
    }
}
