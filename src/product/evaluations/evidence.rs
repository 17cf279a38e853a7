//! Evidence is believed only where the server finds it: every quote is searched in the transcript, and what is found nowhere is rejected.
//!
//! The search forgives what a language model (or a recogniser) spells differently and nothing else: upper and lower case, white space,
//! punctuation, apostrophes, invisible characters and compatibility forms (NFKC). The words themselves must follow each other inside one
//! utterance, whole words only. The transcript is normalised once and all quotes are searched in one pass (Aho–Corasick), so that the
//! work grows with the transcript and not with transcript × quotes.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::{
    model::{Answer, Evidence, Place, Quote, RawAnswer, Reason, Utterance, Verdict},
    words::normalise,
};
use crate::product::scorecards::model::AnsweredBy;

/// Up to this many normalised bytes, the utterance that the model names is searched first; a longer one has no precedence.
const HINT_BYTES: usize = 1 << 16;

/// The transcript cannot be searched: its normalised text has more than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transcript is too large to be searched for evidence")]
pub struct TooLarge;

/// Holds every quote of every answer against the transcript.
///
/// A "yes" stands when one of its quotes is found; a "no" and a "not applicable" stand without quotes, too. An answer all of whose quotes
/// are rejected, and a "yes" without any, is [`Verdict::Unverified`].
///
/// # Errors
/// [`TooLarge`].
pub fn check(answers: Vec<RawAnswer>, transcript: &[Utterance]) -> Result<Vec<Answer>, TooLarge> {
    let index = Index::of(transcript)?;
    let quotes: Vec<&Quote> = answers.iter().flat_map(|answer| &answer.quotes).collect();
    let mut places = index.find(&quotes).into_iter();
    let checked = answers.into_iter().map(|answer| {
        let found = |quote: Quote| Evidence { quote: quote.quote, found: places.next().flatten() };
        let evidence: Vec<Evidence> = answer.quotes.into_iter().map(found).collect();
        let verdict = standing(answer.verdict, &evidence);
        Answer {
            verdict,
            given: answer.given,
            worth: match verdict {
                Verdict::Yes => Some(100),
                Verdict::No => Some(0),
                _ => None,
            },
            answered_by: AnsweredBy::LanguageModel,
            reason: match verdict {
                Verdict::NotApplicable => Some(Reason::NotApplicable),
                Verdict::Unverified if evidence.is_empty() => Some(Reason::NoEvidence),
                Verdict::Unverified => Some(Reason::EvidenceRejected),
                _ => None,
            },
            criterion: answer.criterion,
            claimed: answer.verdict,
            confidence: answer.confidence,
            rationale: answer.rationale,
            evidence,
        }
    });
    Ok(checked.collect())
}

fn standing(claimed: Verdict, evidence: &[Evidence]) -> Verdict {
    let verified = evidence.iter().any(|evidence| evidence.found.is_some());
    match claimed {
        _ if verified => claimed,
        Verdict::No | Verdict::NotApplicable if evidence.is_empty() => claimed,
        _ => Verdict::Unverified,
    }
}

/// The normalised transcript. Each utterance is ` word word word ` and they are parted by line feeds, which no word holds, so that a
/// match of ` word word ` is one of whole words inside one utterance.
struct Index<'a> {
    transcript: &'a [Utterance],
    text: String,
    /// Where each utterance begins in `text`.
    starts: Vec<u32>,
    words: Vec<Word>,
}

/// One word, and where it came from.
struct Word {
    /// Its first byte in the normalised text.
    at: u32,
    /// Its characters in the utterance's own text: from, to.
    from: u32,
    to: u32,
}

impl<'a> Index<'a> {
    fn of(transcript: &'a [Utterance]) -> Result<Self, TooLarge> {
        let bytes = transcript.iter().map(|utterance| utterance.text.len() + 3).sum();
        let mut index = Self { transcript, text: String::with_capacity(bytes), starts: Vec::new(), words: Vec::new() };
        for utterance in transcript {
            index.starts.push(u32::try_from(index.text.len()).map_err(|_| TooLarge)?);
            index.text.push(' ');
            normalise(&utterance.text, &mut index.text, |at, from, to| {
                // Positions beyond 4 GiB are cut here and refused below, before anybody uses them.
                index.words.push(Word { at: at as u32, from: from as u32, to: to as u32 });
            });
            index.text.push('\n');
        }
        u32::try_from(index.text.len()).map_err(|_| TooLarge)?;
        Ok(index)
    }

    /// The place of each quote, in their order.
    fn find(&self, quotes: &[&Quote]) -> Vec<Option<Place>> {
        let needles: Vec<String> = quotes.iter().map(|quote| needle(&quote.quote)).collect();
        let mut found: Vec<Option<u32>> =
            quotes.iter().zip(&needles).map(|(quote, needle)| self.hinted(quote.utterance, needle)).collect();
        let mut wanted: HashMap<&str, Option<u32>> = HashMap::new();
        for (needle, found) in needles.iter().zip(&found) {
            if found.is_none() && needle.len() > 1 {
                wanted.insert(needle, None);
            }
        }
        self.search(&mut wanted);
        for (needle, found) in needles.iter().zip(&mut found) {
            *found = found.or_else(|| wanted.get(needle.as_str()).copied().flatten());
        }
        let places = found.iter().zip(&needles).map(|(found, needle)| found.map(|at| self.place(at, needle.len())));
        places.collect()
    }

    /// The quote in the very utterance that the model names.
    fn hinted(&self, n: i64, needle: &str) -> Option<u32> {
        let n = u32::try_from(n).ok().filter(|_| needle.len() > 1)?;
        let nth = self.transcript.binary_search_by_key(&n, |utterance| utterance.n).ok()?;
        let from = self.starts[nth] as usize;
        let to = self.starts.get(nth + 1).map_or(self.text.len(), |next| *next as usize);
        if to - from > HINT_BYTES {
            return None;
        }
        let at = memmem::find(&self.text.as_bytes()[from..to], needle.as_bytes())?;
        u32::try_from(from + at).ok()
    }

    /// The first place of every needle, in one pass that ends when all are found.
    fn search(&self, wanted: &mut HashMap<&str, Option<u32>>) {
        let needles: Vec<&str> = wanted.keys().copied().collect();
        // Refused only when there are more states than 32 bits count: then nothing is found, and nothing is believed.
        let Ok(automaton) = AhoCorasick::new(&needles) else { return };
        let mut missing = needles.len();
        for hit in automaton.find_overlapping_iter(&self.text) {
            let first = wanted.get_mut(needles[hit.pattern().as_usize()]).filter(|first| first.is_none());
            if let Some(first) = first {
                *first = u32::try_from(hit.start()).ok();
                missing -= 1;
                if missing == 0 {
                    return;
                }
            }
        }
    }

    /// `at` is the blank before the first word, `length` counts the blanks around the words.
    fn place(&self, at: u32, length: usize) -> Place {
        let end = at as usize + length - 1;
        let nth = self.starts.partition_point(|start| *start <= at) - 1;
        let first = self.words.partition_point(|word| word.at <= at);
        let after = self.words.partition_point(|word| (word.at as usize) < end);
        let (from, to) = (self.words[first].from, self.words[after - 1].to);
        let utterance = &self.transcript[nth];
        Place {
            utterance: utterance.n,
            speaker: utterance.speaker,
            start_char: from,
            end_char: to,
            words: utterance.text.chars().skip(from as usize).take((to - from) as usize).collect(),
            start_ms: utterance.start_ms,
            end_ms: utterance.end_ms,
        }
    }
}

/// ` word word `; a single blank when the quote has no word.
fn needle(quote: &str) -> String {
    let mut out = String::with_capacity(quote.len() + 2);
    out.push(' ');
    normalise(quote, &mut out, |_, _, _| {});
    out
}

#[cfg(test)]
mod tests;
