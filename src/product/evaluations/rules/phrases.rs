//! All phrases of a scorecard, found in one pass over the conversation's words (Aho–Corasick).

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::conversation::{Conversation, Match, fold};
use crate::product::{
    calls::redaction::PersonalData,
    scorecards::model::{Rule, RuleAnswers},
};

/// `*` stands for up to so many words.
const GAP_WORDS: u32 = 3;

/// Where each phrase of a scorecard is said.
pub(super) struct Phrases<'a> {
    phrases: HashMap<&'a str, Phrase>,
    /// Of each part the words at which it begins, in order.
    hits: Vec<Vec<u32>>,
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
        let mut texts = vec![];
        for answers in rules {
            let chosen = answers.choose.iter().map(|choose| &choose.when);
            let all = answers.applies_when.iter().chain(&answers.yes_when).chain(chosen);
            all.for_each(|rule| collect(rule, &mut texts));
        }
        let mut ids: HashMap<String, usize> = HashMap::new();
        let phrases = texts.into_iter().map(|text| (text, Phrase::of(text, &mut ids))).collect();
        let mut parts = vec![String::new(); ids.len()];
        for (part, id) in ids {
            parts[id] = part;
        }
        let mut found = Self { phrases, hits: vec![vec![]; parts.len()], conversation };
        if !parts.is_empty() {
            let automaton = AhoCorasick::new(&parts).expect("a scorecard has far less than 2^31 bytes of phrases");
            for hit in automaton.find_overlapping_iter(&conversation.text) {
                found.hits[hit.pattern().as_usize()].push(conversation.word_after(hit.start()));
            }
        }
        found
    }

    /// Every place where the phrase is said, in order; of those that begin at one word the shortest.
    pub fn matches(&self, phrase: &str) -> Vec<Match> {
        let Some((first, rest)) = self.phrases.get(phrase).and_then(|phrase| phrase.parts.split_first()) else {
            return vec![];
        };
        let begins = self.hits[first.id].iter();
        let whole = begins.filter_map(|from| {
            let mut ends = vec![from + first.words];
            for part in rest {
                ends = self.go_on(&ends, part);
            }
            self.conversation.span(*from, *ends.first()?)
        });
        whole.collect()
    }

    /// The words at which the part may end when it follows one of these.
    fn go_on(&self, ends: &[u32], part: &Part) -> Vec<u32> {
        let hits = &self.hits[part.id];
        let mut next = vec![];
        for end in ends {
            let near = hits.partition_point(|at| at < end);
            next.extend(hits[near..].iter().take_while(|at| **at <= end + part.gap).map(|at| at + part.words));
        }
        next.sort_unstable();
        next.dedup();
        next
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
