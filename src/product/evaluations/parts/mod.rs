//! A transcript that is too long for one request is asked about in parts: consecutive runs of whole utterances, each with every question.
//!
//! The parts overlap a little, so that what is said across a seam is seen whole by one of them. [`said`] is how the answers of the parts are kept,
//! and [`merge`] makes one answer of them. docs/ASSESSMENT.md has the rule.

pub mod merge;
pub mod said;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::model::Utterance;

/// Most utterances that a part has in common with the one before.
pub const MOST_SHARED: usize = 10;
/// What they take of a part's room at most: one in so many.
pub const SHARED_SHARE: usize = 10;
/// Most parts of one transcript: beyond that it is refused, because each is paid.
pub const MOST_PARTS: usize = 64;

/// A run of utterances, by the numbers that they have in the whole transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
}

impl Span {
    /// Its utterances of the transcript, which is in the order of their numbers.
    pub fn of<'a>(&self, transcript: &'a [Utterance]) -> &'a [Utterance] {
        let from = transcript.partition_point(|utterance| utterance.n < self.first);
        let to = transcript.partition_point(|utterance| utterance.n <= self.last);
        &transcript[from..to.max(from)]
    }
}

/// Parts utterances of these sizes so that none is larger than the room, by their places from 0. `None` when one utterance alone is, or when there
/// would be more than [`MOST_PARTS`].
pub fn split(sizes: &[usize], room: usize) -> Option<Vec<Range<usize>>> {
    let mut parts: Vec<Range<usize>> = vec![];
    let (mut from, mut new) = (0, 0);
    while new < sizes.len() {
        let mut taken: usize = sizes[from..new].iter().sum();
        // What is new goes before what was seen already.
        while taken + sizes[new] > room {
            if from == new {
                return None;
            }
            taken -= sizes[from];
            from += 1;
        }
        let start = from;
        while new < sizes.len() && taken + sizes[new] <= room {
            taken += sizes[new];
            new += 1;
        }
        if parts.len() == MOST_PARTS {
            return None;
        }
        parts.push(start..new);
        from = new;
        let mut shared = 0;
        while from > start + 1 && new - from < MOST_SHARED && shared + sizes[from - 1] <= room / SHARED_SHARE {
            from -= 1;
            shared += sizes[from];
        }
    }
    Some(parts)
}

/// Whether these parts leave nothing of the transcript out.
pub fn cover(parts: &[Span], transcript: &[Utterance]) -> bool {
    transcript.iter().all(|utterance| parts.iter().any(|part| (part.first..=part.last).contains(&utterance.n)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::product::evaluations::samples::transcript;

    #[test]
    fn parts_are_runs_of_whole_utterances_that_overlap() {
        assert_eq!(split(&[10; 25], 100), Some(vec![0..10, 9..19, 18..25]), "one tenth of the room is shared");
        assert_eq!(split(&[1; 250], 100), Some(vec![0..100, 90..190, 180..250]), "ten utterances at most");
        assert_eq!(split(&[50; 4], 100), Some(vec![0..2, 2..4]), "what does not fit into a tenth is not shared");
        assert_eq!(split(&[5, 5, 5, 95, 5], 100), Some(vec![0..3, 2..4, 4..5]));
        assert_eq!(split(&[5, 5, 5, 100], 100), Some(vec![0..3, 3..4]), "what is new goes first");
        assert_eq!(split(&[10, 101, 10], 100), None, "an utterance is never cut");
        assert_eq!(split(&[100; MOST_PARTS], 100).map(|parts| parts.len()), Some(MOST_PARTS));
        assert_eq!(split(&[100; MOST_PARTS + 1], 100), None);
        assert_eq!(split(&[], 100), Some(vec![]));
    }

    #[test]
    fn a_span_keeps_the_numbers_of_the_whole() {
        let transcript = transcript();
        assert_eq!(Span { first: 2, last: 9 }.of(&transcript), &transcript[1..]);
        assert!(Span { first: 3, last: 9 }.of(&transcript).is_empty());
        assert!(Span { first: 2, last: 1 }.of(&transcript).is_empty());
        assert!(cover(&[Span { first: 1, last: 1 }, Span { first: 2, last: 2 }], &transcript));
        assert!(!cover(&[Span { first: 2, last: 2 }], &transcript));
    }

    proptest! {
        #[test]
        fn nothing_is_left_out_and_nothing_is_too_large(sizes in prop::collection::vec(0usize..60, 0..300), room in 1usize..400) {
            let Some(parts) = split(&sizes, room) else {
                let most: usize = sizes.iter().sum();
                prop_assert!(sizes.iter().any(|size| *size > room) || most > MOST_PARTS / 2 * room);
                return Ok(());
            };
            let mut new = 0;
            for part in &parts {
                prop_assert!(part.start <= new && new < part.end, "each goes on where the one before ended");
                prop_assert!(new - part.start <= MOST_SHARED);
                prop_assert!(sizes[part.start..new].iter().sum::<usize>() <= room / SHARED_SHARE);
                prop_assert!(sizes[part.clone()].iter().sum::<usize>() <= room);
                new = part.end;
            }
            prop_assert_eq!(new, sizes.len());
        }
    }
}
