//! How each side of a conversation sounds, and how that changes from its beginning to its end, where the recogniser judges sentences. No I/O.

use std::collections::BTreeMap;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::model::Speaker;
use crate::platform::providers::speech::Sentiment;

/// How one speaker sounds, by the recogniser's judgement of each sentence: -1 when every sentence is negative, 1 when every one is positive, with two
/// decimals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
pub struct SpeakerSentiment {
    /// Who.
    pub speaker: Speaker,
    /// Their sentences that were judged.
    pub sentences: u64,
    /// Over the whole conversation.
    pub overall: f64,
    /// In the first third of the conversation's time; absent when no sentence of theirs begins in it.
    pub start: Option<f64>,
    /// In the last third of the conversation's time; absent when no sentence of theirs begins in it.
    pub end: Option<f64>,
}

/// One judged sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Who said it.
    pub speaker: Speaker,
    /// Its start, where the recogniser told it; without one it counts in the whole conversation alone.
    pub start_ms: Option<u64>,
    /// How it sounded.
    pub sentiment: Sentiment,
}

/// Balance and count of some sentences.
#[derive(Default)]
struct Tally {
    balance: i64,
    sentences: u64,
}

impl Tally {
    fn add(&mut self, sentiment: Sentiment) {
        self.balance += match sentiment {
            Sentiment::Positive => 1,
            Sentiment::Neutral => 0,
            Sentiment::Negative => -1,
        };
        self.sentences += 1;
    }

    fn mean(&self) -> Option<f64> {
        let hundredths = || (self.balance as f64 * 100.0 / self.sentences as f64).round();
        // An even balance is 0 and never -0.
        (self.sentences > 0).then(|| hundredths() / 100.0 + 0.0)
    }
}

/// The sentiment of each speaker with judged sentences, in the order agent, customer, system, unknown. `length_ms` is the conversation's.
pub fn by_speaker(sentences: &[Sentence], length_ms: u64) -> Vec<SpeakerSentiment> {
    let mut tallies: BTreeMap<Speaker, [Tally; 3]> = BTreeMap::new();
    for sentence in sentences {
        let [overall, start, end] = tallies.entry(sentence.speaker).or_default();
        overall.add(sentence.sentiment);
        let thirds = sentence.start_ms.map(|at| u128::from(at) * 3);
        if thirds.is_some_and(|at| at < u128::from(length_ms)) {
            start.add(sentence.sentiment);
        } else if thirds.is_some_and(|at| at >= u128::from(length_ms) * 2) {
            end.add(sentence.sentiment);
        }
    }
    let of = |(speaker, [overall, start, end]): (Speaker, [Tally; 3])| {
        let sentences = overall.sentences;
        Some(SpeakerSentiment { speaker, sentences, overall: overall.mean()?, start: start.mean(), end: end.mean() })
    };
    tallies.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn says(speaker: Speaker, start_ms: Option<u64>, sentiment: Sentiment) -> Sentence {
        Sentence { speaker, start_ms, sentiment }
    }

    #[test]
    fn the_first_third_stands_against_the_last() {
        use {Sentiment::*, Speaker::*};
        let told = by_speaker(
            &[
                says(Customer, Some(0), Negative),
                says(Customer, Some(2_999), Negative),
                says(Customer, Some(1_000), Neutral),
                says(Customer, Some(3_000), Positive), // the middle third
                says(Customer, Some(6_000), Positive),
                says(Customer, None, Positive),
                says(Agent, Some(8_000), Neutral),
            ],
            9_000,
        );
        let customer =
            SpeakerSentiment { speaker: Customer, sentences: 6, overall: 0.17, start: Some(-0.67), end: Some(1.0) };
        let agent = SpeakerSentiment { speaker: Agent, sentences: 1, overall: 0.0, start: None, end: Some(0.0) };
        assert_eq!(told, [agent, customer]);
    }

    #[test]
    fn nobody_judged_is_nothing_and_no_length_is_all_end() {
        assert!(by_speaker(&[], 1_000).is_empty());
        let told = by_speaker(&[says(Speaker::Agent, Some(0), Sentiment::Negative)], 0);
        assert_eq!((told[0].start, told[0].end), (None, Some(-1.0)));
        assert_eq!(
            by_speaker(&[says(Speaker::Agent, Some(u64::MAX), Sentiment::Positive)], u64::MAX)[0].end,
            Some(1.0)
        );
    }

    proptest! {
        #[test]
        fn means_are_bounded_and_the_order_does_not_matter(
            said in prop::collection::vec((0usize..4, prop::option::of(0u64..20_000), 0usize..3), 0..40),
            length in 0u64..20_000,
        ) {
            let speakers = [Speaker::Agent, Speaker::Customer, Speaker::System, Speaker::Unknown];
            let sentiments = [Sentiment::Positive, Sentiment::Neutral, Sentiment::Negative];
            let mut sentences: Vec<_> =
                said.iter().map(|&(who, at, how)| says(speakers[who], at, sentiments[how])).collect();
            let told = by_speaker(&sentences, length);
            prop_assert_eq!(told.iter().map(|speaker| speaker.sentences).sum::<u64>(), said.len() as u64);
            for value in told.iter().flat_map(|speaker| [Some(speaker.overall), speaker.start, speaker.end]).flatten() {
                prop_assert!((-1.0..=1.0).contains(&value));
            }
            sentences.reverse();
            prop_assert_eq!(by_speaker(&sentences, length), told);
        }
    }
}
