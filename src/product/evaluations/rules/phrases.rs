//! All phrases of a scorecard, found in one pass over the conversation's words (Aho–Corasick).
//!
//! What a phrase costs grows with the places of its parts, not with the ways in which they could be joined; and it is bounded: who looks at more
//! than [`MOST_HITS`] places in the pass, or at more than [`MOST_STEPS`] for one criterion, is told so ([`Phrases::is_exhausted`]).

use std::{cell::Cell, collections::HashMap};

use aho_corasick::AhoCorasick;

use super::conversation::{Conversation, Match, fold};
use crate::product::{
    calls::redaction::PersonalData,
    scorecards::model::{Rule, RuleAnswers},
};

/// `*` stands for up to so many words.
const GAP_WORDS: u32 = 3;

/// Places that the one pass keeps, of all phrases of a scorecard together. A call of an hour has about 10,000 words.
pub(super) const MOST_HITS: usize = 4_000_000;
/// Places that are looked at for one criterion.
pub(super) const MOST_STEPS: u64 = 4_000_000;

/// Where each phrase of a scorecard is said.
pub(super) struct Phrases<'a> {
    phrases: HashMap<&'a str, Phrase>,
    /// Of each part the words at which it begins, in order.
    hits: Vec<Vec<u32>>,
    /// Whether there are more of them than are kept.
    overfull: bool,
    /// Places that were looked at since [`Phrases::begin`].
    steps: Cell<u64>,
    conversation: &'a Conversation<'a>,
}

/// A phrase: the parts between its `*`. It has no part when it has no word.
#[derive(Default)]
struct Phrase {
    parts: Vec<Part>,
}

struct Part {
    /// Which of the distinct parts.
    id: usize,
    words: u32,
    /// Up to so many other words come before it.
    gap: u32,
}

impl<'a> Phrases<'a> {
    pub fn of(rules: impl Iterator<Item = &'a RuleAnswers>, conversation: &'a Conversation<'a>) -> Self {
        let texts: Vec<&str> = rules.flat_map(texts).collect();
        let mut ids: HashMap<String, usize> = HashMap::new();
        let phrases = texts.into_iter().map(|text| (text, Phrase::of(text, &mut ids))).collect();
        let mut parts = vec![String::new(); ids.len()];
        for (part, id) in ids {
            parts[id] = part;
        }
        let (hits, steps) = (vec![vec![]; parts.len()], Cell::new(0));
        let mut found = Self { phrases, hits, overfull: false, steps, conversation };
        if !parts.is_empty() {
            let automaton = AhoCorasick::new(&parts).expect("a scorecard has far less than 2^31 bytes of phrases");
            for (nth, hit) in automaton.find_overlapping_iter(&conversation.text).enumerate() {
                if nth >= MOST_HITS {
                    found.overfull = true;
                    break;
                }
                found.hits[hit.pattern().as_usize()].push(conversation.word_after(hit.start()));
            }
        }
        found
    }

    /// Begins to count what is looked at: for another criterion.
    pub fn begin(&self) {
        self.steps.set(0);
    }

    /// Whether more was to be looked at than is allowed: then what was found is not all, and nothing may be concluded from it.
    pub fn is_exhausted(&self) -> bool {
        self.overfull || self.steps.get() > MOST_STEPS
    }

    /// Counts places that are looked at. Whether that is still allowed.
    pub fn spend(&self, steps: usize) -> bool {
        self.steps.set(self.steps.get().saturating_add(steps as u64));
        !self.is_exhausted()
    }

    /// Places that were looked at.
    #[cfg(test)]
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Every place where the phrase is said, in order; of those that begin at one word the shortest. Not all of them when that exhausts what may
    /// be looked at.
    pub fn matches(&self, phrase: &str) -> Vec<Match> {
        let Some((last, before)) = self.phrases.get(phrase).and_then(|phrase| phrase.parts.split_last()) else {
            return vec![];
        };
        if !self.spend(self.hits[last.id].len()) {
            return vec![];
        }
        // From the last part to the first: where the phrase soonest ends, of each place of the part.
        let mut part = last;
        let mut ends: Vec<Option<u32>> = self.hits[last.id].iter().map(|at| Some(at + last.words)).collect();
        for previous in before.iter().rev() {
            let Some(sooner) = self.ends(previous, part, &ends) else { return vec![] };
            (part, ends) = (previous, sooner);
        }
        let whole = self.hits[part.id].iter().zip(ends);
        whole.filter_map(|(from, end)| self.conversation.span(*from, end?)).collect()
    }

    /// Where the phrase soonest ends from each place of a part on, by where it does from those of the next part. Both are in order, so that the
    /// places of the next part are passed once, but for those within the gap.
    fn ends(&self, part: &Part, next: &Part, ends: &[Option<u32>]) -> Option<Vec<Option<u32>>> {
        let (hits, mut near) = (&self.hits[next.id], 0);
        let mut sooner = Vec::with_capacity(self.hits[part.id].len());
        for at in &self.hits[part.id] {
            let end = at + part.words;
            near += hits[near..].iter().take_while(|at| **at < end).count();
            let reach = hits[near..].iter().take_while(|at| **at <= end + next.gap).count();
            if !self.spend(1 + reach) {
                return None;
            }
            sooner.push(ends[near..near + reach].iter().flatten().min().copied());
        }
        Some(sooner)
    }
}

impl Phrase {
    fn of(text: &str, ids: &mut HashMap<String, usize>) -> Self {
        let mut text = text.to_owned();
        for kind in PersonalData::ALL {
            // Whichever it is: "[name]" is said wherever a name was redacted.
            let (word, numbered) = (format!("[{kind}]"), format!("[{}_1]", kind.as_str().to_uppercase()));
            text = text.replace(&word, &numbered).replace(&word.to_uppercase(), &numbered);
        }
        let (mut phrase, mut gap) = (Self::default(), 0);
        for (nth, piece) in text.split('*').enumerate() {
            gap += if nth == 0 { 0 } else { GAP_WORDS };
            let (mut part, mut words) = (" ".to_owned(), 0);
            fold(piece, &mut part, |_, _| words += 1);
            if words == 0 {
                continue;
            }
            let next = ids.len();
            let id = *ids.entry(part).or_insert(next);
            phrase.parts.push(Part { id, words, gap });
            gap = 0;
        }
        phrase
    }
}

/// Whether there is any phrase in these rules.
pub(super) fn has_any(rules: &RuleAnswers) -> bool {
    !texts(rules).is_empty()
}

/// All phrases of a criterion's rules.
fn texts(rules: &RuleAnswers) -> Vec<&str> {
    let chosen = rules.choose.iter().map(|choose| &choose.when);
    let all = rules.applies_when.iter().chain(&rules.yes_when).chain(chosen);
    let mut texts = vec![];
    all.for_each(|rule| collect(rule, &mut texts));
    texts
}

fn collect<'a>(rule: &'a Rule, texts: &mut Vec<&'a str>) {
    match rule {
        Rule::Phrase(phrase) => {
            let near = phrase.near.iter().flat_map(|near| &near.any_of);
            texts.extend(phrase.any_of.iter().chain(near).map(String::as_str));
        }
        Rule::Metric(_) => {}
        Rule::All(group) | Rule::Any(group) | Rule::None(group) => {
            group.rules.iter().for_each(|rule| collect(rule, texts));
        }
    }
}
