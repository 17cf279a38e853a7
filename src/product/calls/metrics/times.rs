//! Metrics by the clock, of conversations in which every utterance has times.

use std::{collections::BTreeMap, ops::Range};

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::product::calls::model::{Speaker, Utterance};

/// A silence that is longer is dead air.
pub const DEAD_AIR_MS: u64 = 3_000;
/// A conversation is shown over time in so many parts.
pub const SLICES: usize = 20;
/// Who begins to speak while another one goes on for so long, and says so many words, interrupts.
const INTERRUPTION_MS: u64 = 500;
const INTERRUPTION_WORDS: u64 = 3;

/// A part of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "ConversationSlice")]
pub struct Slice {
    /// Where it begins, in milliseconds from the start of the call.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// How long the agent speaks in it.
    pub agent_talk_ms: u64,
    /// How long the customer speaks in it.
    pub customer_talk_ms: u64,
    /// How long several speak at once.
    pub overlap_ms: u64,
    /// How long nobody speaks.
    pub silence_ms: u64,
}

/// One utterance by the clock.
struct Said {
    speaker: Speaker,
    ms: Range<u64>,
    words: u64,
}

/// A conversation by the clock.
pub(super) struct Timeline {
    /// In the order of their beginnings.
    said: Vec<Said>,
    span: Range<u64>,
    /// When anybody speaks: apart, in order.
    talk: Vec<Range<u64>>,
    /// When several speak at once.
    overlap: Vec<Range<u64>>,
    by: BTreeMap<Speaker, Vec<Range<u64>>>,
}

/// `part` of `whole` in percent, rounded half up.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    u64::try_from((part * 200 + whole) / (whole * 2)).unwrap_or(100)
}

fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).fold(0, u64::saturating_add)
}

/// How much of the ranges, which are in order and apart, lies within.
fn within(ranges: &[Range<u64>], part: &Range<u64>) -> u64 {
    let first = ranges.partition_point(|range| range.end <= part.start);
    let inside = ranges[first..].iter().take_while(|range| range.start < part.end);
    inside.map(|range| range.end.min(part.end) - range.start.max(part.start)).fold(0, u64::saturating_add)
}

/// Apart and in order.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<u64>> = vec![];
    for next in ranges {
        match apart.last_mut().filter(|last| next.start <= last.end) {
            Some(last) => last.end = last.end.max(next.end),
            None => apart.push(next),
        }
    }
    apart.retain(|range| range.start < range.end);
    apart
}

impl Timeline {
    /// None when an utterance has no times, or when there is none.
    pub fn of(utterances: &[Utterance]) -> Option<Self> {
        let said = utterances.iter().map(|utterance| {
            let ms = u64::try_from(utterance.start_ms?).ok()?..u64::try_from(utterance.end_ms?).ok()?;
            let words = utterance.text.split_whitespace().count() as u64;
            (ms.start <= ms.end).then_some(Said { speaker: utterance.speaker, ms, words })
        });
        let mut said: Vec<Said> = said.collect::<Option<_>>()?;
        said.sort_by_key(|said| said.ms.start);
        let span = said.first()?.ms.start..said.iter().map(|said| said.ms.end).max()?;
        let mut by: BTreeMap<Speaker, Vec<Range<u64>>> = BTreeMap::new();
        for said in &said {
            by.entry(said.speaker).or_default().push(said.ms.clone());
        }
        let by: BTreeMap<_, _> = by.into_iter().map(|(speaker, ranges)| (speaker, joined(ranges))).collect();
        let talk = joined(by.values().flatten().cloned().collect());
        Some(Self { said, span, talk, overlap: overlap(by.values().flatten()), by })
    }

    fn silences(&self) -> impl Iterator<Item = u64> {
        let ends = [self.span.start].into_iter().chain(self.talk.iter().map(|range| range.end));
        let begins = self.talk.iter().map(|range| range.start).chain([self.span.end]);
        ends.zip(begins).map(|(end, begin)| begin.saturating_sub(end))
    }

    pub fn measure(&self, values: &mut BTreeMap<String, u64>) {
        let span = self.span.end - self.span.start;
        let (talk, overlap) = (length(&self.talk), length(&self.overlap));
        let dead: Vec<u64> = self.silences().filter(|silence| *silence > DEAD_AIR_MS).collect();
        let interruptions = self.interruptions();
        let all = [
            ("span_ms", span),
            ("talk_ms", talk),
            ("talk_percent", percent(talk, span)),
            ("silence_ms", span - talk),
            ("silence_percent", percent(span - talk, span)),
            ("longest_silence_ms", self.silences().max().unwrap_or(0)),
            ("dead_air_count", dead.len() as u64),
            ("dead_air_ms", dead.iter().sum()),
            ("overlap_ms", overlap),
            ("overlap_percent", percent(overlap, span)),
            ("interruptions", interruptions.values().sum()),
        ];
        values.extend(all.map(|(key, value)| (key.to_owned(), value)));
        let spoken = self.by.values().map(|ranges| length(ranges)).fold(0, u64::saturating_add);
        for speaker in [Speaker::Agent, Speaker::Customer] {
            let Some(own) = self.by.get(&speaker) else { continue };
            let talk = length(own);
            let mut add = |key: &str, value| values.insert(format!("{speaker}_{key}"), value);
            add("talk_ms", talk);
            add("talk_percent", percent(talk, spoken));
            add("interruptions", interruptions.get(&speaker).copied().unwrap_or(0));
            add("longest_monologue_ms", self.monologue(speaker));
            let words: u64 = self.said.iter().filter(|said| said.speaker == speaker).map(|said| said.words).sum();
            if talk > 0 {
                let rate = (u128::from(words) * 120_000 + u128::from(talk)) / (u128::from(talk) * 2);
                add("words_per_minute", u64::try_from(rate).unwrap_or(u64::MAX));
            }
            let responses = self.responses(speaker);
            if let Some(longest) = responses.last() {
                let middle = responses.len() / 2;
                let other = responses[(responses.len() - 1) / 2];
                add("median_response_ms", other + (responses[middle] - other) / 2);
                add("longest_response_ms", *longest);
            }
        }
    }

    /// How often each speaker began while another one went on.
    fn interruptions(&self) -> BTreeMap<Speaker, u64> {
        let mut counts: BTreeMap<Speaker, u64> = BTreeMap::new();
        // Of each speaker the utterance that goes on for the longest.
        let mut latest: BTreeMap<Speaker, Range<u64>> = BTreeMap::new();
        for said in &self.said {
            let goes_on = |other: &Range<u64>| {
                other.start < said.ms.start && other.end >= said.ms.start.saturating_add(INTERRUPTION_MS)
            };
            let cut = latest.iter().any(|(speaker, other)| *speaker != said.speaker && goes_on(other));
            if cut && said.words >= INTERRUPTION_WORDS {
                *counts.entry(said.speaker).or_default() += 1;
            }
            let own = latest.entry(said.speaker).or_insert_with(|| said.ms.clone());
            if said.ms.end > own.end {
                *own = said.ms.clone();
            }
        }
        counts
    }

    /// The longest time from the beginning to the end of what somebody says while nobody else begins.
    fn monologue(&self, speaker: Speaker) -> u64 {
        let mut longest = 0;
        let mut stretch: Option<Range<u64>> = None;
        for said in &self.said {
            stretch = match stretch {
                _ if said.speaker != speaker => None,
                Some(stretch) => Some(stretch.start..stretch.end.max(said.ms.end)),
                None => Some(said.ms.clone()),
            };
            longest = longest.max(stretch.as_ref().map_or(0, |stretch| stretch.end - stretch.start));
        }
        longest
    }

    /// How long the speaker lets the others wait after they have spoken, sorted. Who begins before they end lets them not wait at all.
    fn responses(&self, speaker: Speaker) -> Vec<u64> {
        let mut waits = vec![];
        let mut others_end = None;
        for said in &self.said {
            if said.speaker == speaker {
                if let Some(end) = others_end.take() {
                    waits.push(said.ms.start.saturating_sub(end));
                }
            } else {
                others_end = Some(others_end.unwrap_or(0).max(said.ms.end));
            }
        }
        waits.sort_unstable();
        waits
    }

    /// The conversation in parts of equal length.
    pub fn slices(&self) -> Vec<Slice> {
        let span = u128::from(self.span.end - self.span.start);
        let bound = |nth: usize| self.span.start + u64::try_from(span * nth as u128 / SLICES as u128).unwrap_or(0);
        let slice = |nth: usize| {
            let part = bound(nth)..bound(nth + 1);
            let talk = |speaker: Speaker| self.by.get(&speaker).map_or(0, |ranges| within(ranges, &part));
            Slice {
                agent_talk_ms: talk(Speaker::Agent),
                customer_talk_ms: talk(Speaker::Customer),
                overlap_ms: within(&self.overlap, &part),
                silence_ms: part.end - part.start - within(&self.talk, &part),
                start_ms: part.start,
                end_ms: part.end,
            }
        };
        (0..SLICES).map(slice).collect()
    }
}

/// When at least two of the ranges hold. Those of one speaker are apart already.
fn overlap<'a>(ranges: impl Iterator<Item = &'a Range<u64>>) -> Vec<Range<u64>> {
    let mut events: Vec<(u64, i32)> = ranges.flat_map(|range| [(range.start, 1), (range.end, -1)]).collect();
    events.sort_unstable();
    let (mut active, mut since, mut found) = (0, 0, vec![]);
    for (at, change) in events {
        if active >= 2 && at > since {
            found.push(since..at);
        }
        active += change;
        since = at;
    }
    joined(found)
}
