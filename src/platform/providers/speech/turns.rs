//! From single words to turns, and the arithmetic of times.

use super::{SpokenUtterance, Transcript, Voice};

/// A silence of one voice that ends its turn.
const TURN_PAUSE_MS: u64 = 1_000;

/// One recognised word.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub voice: Voice,
    pub start_ms: u64,
    pub end_ms: u64,
    pub text: String,
    pub confidence: Option<f32>,
}

/// Turns from words alone: each voice on its own, because two channels overlap, cut where that voice pauses.
pub(super) fn from_words(words: Vec<Word>) -> Vec<SpokenUtterance> {
    let mut voices: Vec<(Voice, Vec<Word>)> = Vec::new();
    for word in words {
        match voices.iter_mut().find(|(voice, _)| *voice == word.voice) {
            Some((_, said)) => said.push(word),
            None => voices.push((word.voice.clone(), vec![word])),
        }
    }
    let mut turns = Vec::new();
    for (_, mut said) in voices {
        said.sort_by_key(|word| word.start_ms);
        turns.extend(said.chunk_by(|a, b| b.start_ms.saturating_sub(a.end_ms) <= TURN_PAUSE_MS).filter_map(turn));
    }
    turns
}

/// One turn from the words of one voice; none from no words.
pub(super) fn turn(words: &[Word]) -> Option<SpokenUtterance> {
    let first = words.first()?;
    let text: Vec<&str> = words.iter().map(|word| word.text.trim()).collect();
    let known: Vec<f32> = words.iter().filter_map(|word| word.confidence).collect();
    Some(SpokenUtterance {
        voice: first.voice.clone(),
        start_ms: first.start_ms,
        end_ms: words.iter().map(|word| word.end_ms).max()?,
        text: text.join(" "),
        confidence: (!known.is_empty()).then(|| known.iter().sum::<f32>() / known.len() as f32),
    })
}

impl Transcript {
    /// A transcript as it is promised: turns without words left out, ordered by start, none ending before it starts.
    pub(super) fn ordered(mut self) -> Self {
        self.utterances.retain(|utterance| !utterance.text.trim().is_empty());
        for utterance in &mut self.utterances {
            utterance.end_ms = utterance.end_ms.max(utterance.start_ms);
            utterance.text = utterance.text.trim().to_owned();
        }
        self.utterances.sort_by_key(|utterance| (utterance.start_ms, utterance.end_ms));
        self
    }
}

/// A time from a provider's number; what is negative or no number is 0.
pub(super) fn milliseconds(value: f64) -> u64 {
    // A cast from float saturates, and takes NaN to 0.
    value.round() as u64
}

/// A time from a provider's seconds.
pub(super) fn milliseconds_of(seconds: f64) -> u64 {
    milliseconds(seconds * 1_000.0)
}

/// A confidence between 0 and 1, or none.
pub(super) fn confidence(value: Option<f64>) -> Option<f32> {
    value.filter(|value| (0.0..=1.0).contains(value)).map(|value| value as f32)
}

/// A channel from its number in decimal.
pub(super) fn channel(number: &str) -> Option<Voice> {
    number.parse().ok().filter(|number| *number > 0).map(Voice::Channel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(channel: u16, start_ms: u64, end_ms: u64, text: &str) -> Word {
        Word { voice: Voice::Channel(channel), start_ms, end_ms, text: text.into(), confidence: None }
    }

    fn ordered(words: Vec<Word>) -> Vec<SpokenUtterance> {
        let utterances = from_words(words);
        Transcript {
            language: None,
            duration_ms: None,
            model: None,
            utterances,
            sentiments: Vec::new(),
            entities: Vec::new(),
        }
        .ordered()
        .utterances
    }

    #[test]
    fn overlapping_channels_stay_whole_and_pauses_cut() {
        let turns = ordered(vec![
            word(1, 0, 300, "How"),
            word(2, 200, 400, "yes"),
            word(1, 400, 700, "are"),
            word(1, 800, 900, "you?"),
            word(2, 1_000, 1_300, "Fine"),
            word(1, 2_500, 2_900, "Good."),
        ]);
        let told: Vec<_> = turns.iter().map(|t| (t.voice.clone(), t.start_ms, t.end_ms, t.text.as_str())).collect();
        assert_eq!(
            told,
            [
                (Voice::Channel(1), 0, 900, "How are you?"),
                (Voice::Channel(2), 200, 1_300, "yes Fine"),
                (Voice::Channel(1), 2_500, 2_900, "Good."),
            ]
        );
    }

    #[test]
    fn wild_numbers_become_times() {
        assert_eq!(milliseconds_of(1.2345), 1_235);
        assert_eq!([milliseconds(-4.0), milliseconds(f64::NAN), milliseconds(f64::INFINITY)], [0, 0, u64::MAX]);
        assert_eq!([confidence(Some(1.5)), confidence(Some(f64::NAN)), confidence(Some(1.0))], [None, None, Some(1.0)]);
        assert_eq!(
            [channel("2"), channel("0"), channel("A"), channel("")],
            [Some(Voice::Channel(2)), None, None, None]
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_turns_are_in_order(
            said in prop::collection::vec((1u16..4, 0u64..20_000, 0u64..20_000), 0..60),
        ) {
            let words: Vec<_> = said.iter().map(|&(channel, start, end)| word(channel, start, end, "w")).collect();
            let turns = ordered(words);
            let count: usize = turns.iter().map(|turn| turn.text.split(' ').count()).sum();
            prop_assert_eq!(count, said.len());
            prop_assert!(turns.iter().all(|turn| turn.start_ms <= turn.end_ms));
            prop_assert!(turns.is_sorted_by_key(|turn| turn.start_ms));
        }
    }
}
