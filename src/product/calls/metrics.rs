//! Conversation metrics: how the talking was shared. Counted in words, which every channel has, and in time where it is known.

use std::collections::BTreeMap;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::model::{Speaker, Utterance};

/// How the talking of one conversation was shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Object)]
pub struct ConversationMetrics {
    /// Utterances in all.
    pub utterances: u64,
    /// Words in all.
    pub words: u64,
    /// Per speaker, in the order agent, customer, system, unknown; speakers who say nothing are left out.
    pub speakers: Vec<SpeakerMetrics>,
}

/// One speaker's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
pub struct SpeakerMetrics {
    /// Who.
    pub speaker: Speaker,
    /// Their utterances.
    pub utterances: u64,
    /// Their words.
    pub words: u64,
    /// Their share of all words, 0 to 1.
    pub word_share: f64,
    /// Words of their longest stretch without anybody else speaking.
    pub longest_monologue_words: u64,
    /// How long they spoke, where every utterance of theirs has times.
    pub talk_ms: Option<u64>,
}

/// The metrics that rules and scorers know by name: the whole numbers of [`ConversationMetrics`].
pub const KEYS: &[&str] = &["utterances", "words"];

/// Whether a conversation can have a metric that is called so.
pub fn is_known(key: &str) -> bool {
    KEYS.contains(&key)
}

#[derive(Default)]
struct Part {
    utterances: u64,
    words: u64,
    longest: u64,
    talk_ms: Option<u64>,
}

/// Measures a conversation.
pub fn measure(utterances: &[Utterance]) -> ConversationMetrics {
    let mut parts: BTreeMap<Speaker, Part> = BTreeMap::new();
    let mut stretch: Option<(Speaker, u64)> = None;
    for utterance in utterances {
        let words = utterance.text.split_whitespace().count() as u64;
        let so_far = match stretch {
            Some((speaker, so_far)) if speaker == utterance.speaker => so_far,
            _ => 0,
        } + words;
        stretch = Some((utterance.speaker, so_far));
        let spoken = utterance
            .start_ms
            .zip(utterance.end_ms)
            .and_then(|(start, end)| u64::try_from(end.saturating_sub(start)).ok());
        let part = parts.entry(utterance.speaker).or_insert_with(|| Part { talk_ms: Some(0), ..Part::default() });
        part.utterances += 1;
        part.words += words;
        part.longest = part.longest.max(so_far);
        part.talk_ms = part.talk_ms.zip(spoken).map(|(so_far, spoken)| so_far.saturating_add(spoken));
    }
    let words: u64 = parts.values().map(|part| part.words).sum();
    ConversationMetrics {
        utterances: utterances.len() as u64,
        words,
        speakers: parts
            .into_iter()
            .map(|(speaker, part)| SpeakerMetrics {
                speaker,
                utterances: part.utterances,
                words: part.words,
                word_share: if words == 0 { 0.0 } else { part.words as f64 / words as f64 },
                longest_monologue_words: part.longest,
                talk_ms: part.talk_ms,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(speaker: Speaker, text: &str) -> Utterance {
        Utterance { n: 1, speaker, start_ms: None, end_ms: None, text: text.to_owned() }
    }

    #[test]
    fn shares_and_monologues() {
        let metrics = measure(&[
            says(Speaker::Agent, "one two"),
            says(Speaker::Agent, "three"),
            says(Speaker::Customer, "four"),
            says(Speaker::Agent, "five six"),
        ]);
        let agent = &metrics.speakers[0];
        assert_eq!((agent.words, agent.longest_monologue_words, agent.talk_ms), (5, 3, None));
        assert!((agent.word_share - 5.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn absurd_times_overflow_nothing() {
        let long = Utterance { start_ms: Some(0), end_ms: Some(i64::MAX), ..says(Speaker::Agent, "one") };
        let metrics = measure(&[long.clone(), long.clone(), long]);
        assert_eq!(metrics.speakers[0].talk_ms, Some(u64::MAX));
    }

    #[test]
    fn the_keys_are_those_of_the_whole_numbers() {
        let measured = serde_json::to_value(ConversationMetrics::default()).unwrap();
        let whole = measured.as_object().unwrap().iter().filter(|(_, value)| value.is_i64() || value.is_u64());
        assert_eq!(whole.map(|(key, _)| key.as_str()).collect::<Vec<_>>(), KEYS);
        assert!(!is_known("speakers"));
    }

    #[test]
    fn silence_is_nobody() {
        assert_eq!(measure(&[]), ConversationMetrics::default());
    }
}
