//! Finding the turns in which the agent talks too long.

use plumbline_plugin::{Speaker, Utterance};

/// A turn of the agent that is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monologue {
    /// Its length.
    pub words: u32,
    /// The positions of its utterances.
    pub utterances: Vec<u32>,
}

/// The agent's turns of more than `longest` words. A turn goes on over several utterances until somebody else speaks; an
/// announcement of the system does not interrupt it.
pub fn find(utterances: &[Utterance], longest: u32) -> Vec<Monologue> {
    let mut found = Vec::new();
    let mut turn = Monologue { words: 0, utterances: Vec::new() };
    for utterance in utterances {
        match utterance.speaker {
            Speaker::Agent => {
                turn.words = turn.words.saturating_add(words(&utterance.text));
                turn.utterances.push(utterance.n);
            }
            Speaker::Customer | Speaker::Unknown => {
                let ended = std::mem::replace(&mut turn, Monologue { words: 0, utterances: Vec::new() });
                found.extend((ended.words > longest).then_some(ended));
            }
            Speaker::System => {}
        }
    }
    found.extend((turn.words > longest).then_some(turn));
    found
}

/// Words between white space that hold a letter or a digit: a lone dash is none.
fn words(text: &str) -> u32 {
    let count = text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(turns: &[(Speaker, &str)]) -> Vec<Utterance> {
        let say = |(n, (speaker, text)): (usize, &(Speaker, &str))| Utterance {
            n: n as u32 + 1,
            speaker: *speaker,
            start_ms: None,
            end_ms: None,
            text: (*text).to_owned(),
        };
        turns.iter().enumerate().map(say).collect()
    }

    #[test]
    fn a_turn_goes_on_until_somebody_else_speaks() {
        let spoken = transcript(&[
            (Speaker::Agent, "one two three"),
            (Speaker::System, "this call is recorded"),
            (Speaker::Agent, "four — five"),
            (Speaker::Customer, "a very long answer of the customer, who may"),
            (Speaker::Agent, "one two three"),
            (Speaker::Unknown, "hm"),
            (Speaker::Agent, "four five six seven"),
        ]);
        let expected = |words, utterances: &[u32]| Monologue { words, utterances: utterances.to_vec() };
        assert_eq!(find(&spoken, 4), [expected(5, &[1, 3])]);
        assert_eq!(find(&spoken, 3), [expected(5, &[1, 3]), expected(4, &[7])]);
        assert_eq!(find(&spoken, 5), []);
        assert_eq!(find(&[], 1), []);
    }

    #[test]
    fn words_are_words_in_any_language() {
        assert_eq!(words("  Grüß Gott, 24/7 — c'est ça ! "), 5);
    }
}
