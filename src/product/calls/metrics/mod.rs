//! Conversation metrics: how the talking was shared. Counted in words, which every channel has, and in time where it is known.
//!
//! The whole numbers have keys that name their units; docs/METRICS.md says how each is computed. Rules, scorers and scorecards know them by these keys.

mod keys;
mod times;

use std::collections::BTreeMap;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

pub use self::{
    keys::KEYS,
    times::{DEAD_AIR_MS, SLICES, Slice},
};
use super::{
    model::{Speaker, Utterance},
    sentiment::SpeakerSentiment,
};

/// How the talking of one conversation was shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Object)]
pub struct ConversationMetrics {
    /// Utterances in all.
    pub utterances: u64,
    /// Words in all.
    pub words: u64,
    /// Per speaker, in the order agent, customer, system, unknown; speakers who say nothing are left out.
    pub speakers: Vec<SpeakerMetrics>,
    /// Whole numbers by their keys, such as `longest_silence_ms`; those that the conversation has. A conversation without times has those that need none.
    #[serde(flatten)]
    pub values: BTreeMap<String, i64>,
    /// How it went on: 20 parts of equal length, in order; none without times.
    #[serde(default)]
    pub slices: Vec<Slice>,
    /// How each speaker sounds, start against end; empty where the recogniser does not judge sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[oai(default)]
    pub sentiment: Vec<SpeakerSentiment>,
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
    let mut values = counts(utterances, &parts, words);
    let timeline = times::Timeline::of(utterances);
    if let Some(timeline) = &timeline {
        timeline.measure(&mut values);
    }
    ConversationMetrics {
        values: values.into_iter().map(|(key, value)| (key, i64::try_from(value).unwrap_or(i64::MAX))).collect(),
        slices: timeline.map(|timeline| timeline.slices()).unwrap_or_default(),
        sentiment: Vec::new(),
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

/// What every conversation has, also a written one. `utterances` and `words` stand beside the other metrics already.
fn counts(utterances: &[Utterance], parts: &BTreeMap<Speaker, Part>, words: u64) -> BTreeMap<String, u64> {
    let asked = |utterance: &Utterance| {
        let marks = utterance.text.split(['?', '？', '؟']).collect::<Vec<_>>();
        // "Really??" is one question.
        marks[..marks.len() - 1].iter().filter(|before| before.chars().any(char::is_alphanumeric)).count() as u64
    };
    let questions = |speaker: Speaker| utterances.iter().filter(|said| said.speaker == speaker).map(asked).sum::<u64>();
    let changes = utterances.windows(2).filter(|two| two[0].speaker != two[1].speaker).count() as u64;
    let mut values = BTreeMap::from([
        ("speaker_changes".to_owned(), changes),
        ("questions".to_owned(), utterances.iter().map(asked).sum()),
    ]);
    for speaker in [Speaker::Agent, Speaker::Customer] {
        let Some(part) = parts.get(&speaker) else { continue };
        let mut add = |key: &str, value| values.insert(format!("{speaker}_{key}"), value);
        add("utterances", part.utterances);
        add("words", part.words);
        add("longest_monologue_words", part.longest);
        add("questions", questions(speaker));
        if words > 0 {
            add("word_percent", times::percent(part.words, words));
        }
    }
    values
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
    fn silence_is_nobody() {
        let metrics = measure(&[]);
        assert_eq!((metrics.utterances, metrics.words, metrics.slices.len()), (0, 0, 0));
        assert!(!is_known("speakers") && is_known("words"));
    }

    fn timed(speaker: Speaker, times_ms: (i64, i64), text: &str) -> Utterance {
        Utterance { start_ms: Some(times_ms.0), end_ms: Some(times_ms.1), ..says(speaker, text) }
    }

    fn call() -> Vec<Utterance> {
        vec![
            timed(Speaker::Agent, (1_000, 3_000), "Hello, how can I help?"),
            timed(Speaker::Customer, (3_500, 9_000), "My router is broken and I want my money back"),
            timed(Speaker::Agent, (8_000, 10_000), "I am so sorry! Since when??"),
            timed(Speaker::Customer, (14_000, 15_000), "Yesterday."),
            timed(Speaker::Agent, (15_200, 21_000), "One moment, I will look"),
        ]
    }

    #[test]
    fn a_call_by_the_clock() {
        let metrics = measure(&call());
        let value = |key: &str| metrics.values.get(key).copied();
        for (key, expected) in [
            ("span_ms", 20_000),
            ("silence_ms", 4_700),
            ("silence_percent", 24),
            ("longest_silence_ms", 4_000),
            ("dead_air_count", 1),
            ("dead_air_ms", 4_000),
            ("overlap_ms", 1_000),
            ("interruptions", 1),
            ("agent_interruptions", 1),
            ("customer_interruptions", 0),
            ("agent_talk_ms", 9_800),
            ("customer_talk_ms", 6_500),
            ("agent_talk_percent", 60),
            ("customer_talk_percent", 40),
            ("agent_longest_monologue_ms", 5_800),
            ("agent_words_per_minute", 98),
            ("agent_median_response_ms", 100),
            ("agent_longest_response_ms", 200),
            ("customer_longest_response_ms", 4_000),
            ("agent_questions", 2),
            ("questions", 2),
            ("speaker_changes", 4),
            ("agent_word_percent", 59),
        ] {
            assert_eq!(value(key), Some(expected), "{key}: {:#?}", metrics.values);
        }
        assert_eq!(metrics.slices.len(), SLICES);
        let sum = |of: fn(&Slice) -> u64| metrics.slices.iter().map(of).sum::<u64>();
        assert_eq!((sum(|slice| slice.agent_talk_ms), sum(|slice| slice.customer_talk_ms)), (9_800, 6_500));
        assert_eq!((sum(|slice| slice.silence_ms), sum(|slice| slice.overlap_ms)), (4_700, 1_000));
        assert_eq!((metrics.slices[0].start_ms, metrics.slices[SLICES - 1].end_ms), (1_000, 21_000));
    }

    #[test]
    fn without_times_only_what_needs_none() {
        let metrics = measure(&[says(Speaker::Agent, "one? two"), timed(Speaker::Customer, (0, 5), "three")]);
        assert!(metrics.slices.is_empty());
        let keys: Vec<&str> = metrics.values.keys().map(String::as_str).collect();
        assert!(!keys.iter().any(|key| key.ends_with("_ms") || key.contains("talk")), "{keys:?}");
        assert_eq!(metrics.values["questions"], 1);
    }

    #[test]
    fn every_key_is_documented_and_nothing_else_is_measured() {
        let mut measured: Vec<String> = measure(&call()).values.into_keys().collect();
        measured.extend(["utterances".to_owned(), "words".to_owned()]);
        measured.sort_unstable();
        let mut keys = KEYS.to_vec();
        keys.sort_unstable();
        assert_eq!(measured, keys);
        let documented = include_str!("../../../../docs/METRICS.md");
        for key in KEYS {
            let general = key.replace("agent_", "<speaker>_").replace("customer_", "<speaker>_");
            assert!(documented.contains(&format!("`{key}`")) || documented.contains(&format!("`{general}`")), "{key}");
        }
    }

    #[test]
    fn they_are_stored_flat_and_come_back() {
        let metrics = measure(&call());
        let stored = serde_json::to_value(&metrics).unwrap();
        assert_eq!(stored["longest_silence_ms"], 4_000);
        assert_eq!(serde_json::from_value::<ConversationMetrics>(stored).unwrap(), metrics);
        let before = serde_json::json!({"utterances": 1, "words": 2, "speakers": []});
        assert_eq!(serde_json::from_value::<ConversationMetrics>(before).unwrap().words, 2);
    }

    proptest::proptest! {
        /// Whatever the times: nothing overflows, and the parts add up to the whole.
        #[test]
        fn shares_add_up(turns in proptest::collection::vec((0..3_usize, 0..1_000_000_i64, 0..60_000_i64), 1..40)) {
            let call: Vec<Utterance> = turns.iter().map(|(who, start, length)| {
                timed([Speaker::Agent, Speaker::Customer, Speaker::Unknown][*who], (*start, start + length), "a b c")
            }).collect();
            let metrics = measure(&call);
            let value = |key: &str| metrics.values[key];
            proptest::prop_assert_eq!(value("talk_ms") + value("silence_ms"), value("span_ms"));
            proptest::prop_assert!(value("longest_silence_ms") <= value("silence_ms") && value("dead_air_ms") <= value("silence_ms"));
            proptest::prop_assert!(value("overlap_ms") <= value("talk_ms"));
            let silent: u64 = metrics.slices.iter().map(|slice| slice.silence_ms).sum();
            proptest::prop_assert_eq!(silent as i64, value("silence_ms"));
            proptest::prop_assert!((0..=100).contains(&value("silence_percent")));
        }
    }
}
