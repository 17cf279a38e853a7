//! Evidence is believed only where the server finds it: every quote is searched in the transcript, and what is found nowhere is rejected.
//!
//! A quote is found in one of three [`Way`]s, the first that finds it:
//! 1. **exact**: the very characters stand in the utterance, punctuation at both ends aside;
//! 2. **normalised**: the same words in the same order, whatever their case, white space, punctuation, apostrophes, invisible characters and
//!    compatibility forms (NFKC);
//! 3. **close** (`close`): the same words, but for a letter in a long one, for what a language model (or a recogniser) misspelled.
//!
//! The words must follow each other inside one utterance, whole words only. Fewer than [`LEAST_WORDS`] words, and function words alone, prove
//! nothing, because they stand in many places (`weight`): such a quote counts only when it is a whole utterance.
//!
//! The transcript is normalised once and all quotes are searched in one pass (Aho–Corasick), so that the work grows with the transcript and
//! not with transcript × quotes.

mod close;
mod turning;
mod weight;

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use memchr::memmem;

pub use self::weight::LEAST_WORDS;
use super::{
    model::{Answer, Evidence, Place, Quote, RawAnswer, Reason, Utterance, Verdict, Way},
    words::normalise,
};
use crate::product::scorecards::model::{AnswerKind, AnsweredBy, Criterion};

/// Up to this many normalised bytes, the utterance that the model names is searched first; a longer one has no precedence.
const HINT_BYTES: usize = 1 << 16;

/// The transcript cannot be searched: its normalised text has more than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transcript is too large to be searched for evidence")]
pub struct TooLarge;

/// Holds every quote of every answer against the transcript. `asked` are the criteria that were answered.
///
/// A "yes" and a choice need one quote that is found. A "no" (also an answer that fails), a "not applicable", a number and words stand without
/// quotes, too, because what is absent cannot be quoted. An answer most of whose quotes are rejected is [`Verdict::Unverified`], whatever its type.
///
/// # Errors
/// [`TooLarge`].
pub fn check(answers: Vec<RawAnswer>, asked: &[&Criterion], transcript: &[Utterance]) -> Result<Vec<Answer>, TooLarge> {
    let index = Index::of(transcript)?;
    let quotes: Vec<&Quote> = answers.iter().flat_map(|answer| &answer.quotes).collect();
    let mut places = index.find(&quotes).into_iter();
    let criteria: HashMap<&str, &Criterion> =
        asked.iter().map(|criterion| (criterion.key.as_str(), *criterion)).collect();
    let checked = answers.into_iter().map(|answer| {
        let found = |quote: Quote| Evidence { quote: quote.quote, found: places.next().flatten() };
        let evidence: Vec<Evidence> = answer.quotes.into_iter().map(found).collect();
        let criterion = criteria.get(answer.criterion.as_str());
        let kind = criterion.map_or(AnswerKind::YesNo, |criterion| criterion.answer.kind);
        let verdict = standing(answer.verdict, kind, !answer.given.choices.is_empty(), &evidence);
        let judged = criterion.and_then(|criterion| criterion.answer.judge(answer.verdict, &answer.given).ok());
        let worth = judged.and_then(|judged| judged.worth).filter(|_| verdict != Verdict::Unverified);
        Answer {
            verdict,
            reason: reason(verdict, worth, &evidence),
            worth,
            given: answer.given,
            answered_by: AnsweredBy::LanguageModel,
            carried_from: None,
            criterion: answer.criterion,
            claimed: answer.verdict,
            confidence: answer.confidence,
            rationale: answer.rationale,
            evidence,
        }
    });
    Ok(checked.collect())
}

/// Why an answer of that verdict does not count; `None` when it does.
pub fn reason(verdict: Verdict, worth: Option<i32>, evidence: &[Evidence]) -> Option<Reason> {
    match verdict {
        Verdict::NotApplicable => Some(Reason::NotApplicable),
        Verdict::Unverified if evidence.is_empty() => Some(Reason::NoEvidence),
        Verdict::Unverified => Some(Reason::EvidenceRejected),
        _ if worth.is_none() => Some(Reason::Unscored),
        _ => None,
    }
}

fn standing(claimed: Verdict, kind: AnswerKind, chosen: bool, evidence: &[Evidence]) -> Verdict {
    let found = evidence.iter().filter(|evidence| evidence.found.is_some()).count();
    // One quote that is found does not make up for many that are made up.
    let verified = found > 0 && 2 * found >= evidence.len();
    let stands_alone = match (claimed, kind) {
        (Verdict::No | Verdict::NotApplicable, _) => true,
        (_, AnswerKind::YesNo | AnswerKind::SingleChoice) => false,
        (_, AnswerKind::MultipleChoice) => !chosen,
        (_, AnswerKind::Number | AnswerKind::Text) => true,
    };
    if verified || (evidence.is_empty() && stands_alone) { claimed } else { Verdict::Unverified }
}

/// Whether every one of these quotes is in the transcript.
///
/// # Errors
/// [`TooLarge`].
pub fn are_said(quotes: &[String], transcript: &[Utterance]) -> Result<bool, TooLarge> {
    let quotes: Vec<Quote> = quotes.iter().map(|quote| Quote { utterance: 0, quote: quote.clone() }).collect();
    let found = Index::of(transcript)?.find(&quotes.iter().collect::<Vec<_>>());
    Ok(found.iter().all(Option::is_some))
}

/// How many quotes of these answers the language model gave, and how many of them were rejected.
pub fn rejected(answers: &[Answer]) -> (usize, usize) {
    let of_the_model = answers.iter().filter(|answer| answer.answered_by == AnsweredBy::LanguageModel);
    let quotes = of_the_model.flat_map(|answer| &answer.evidence);
    quotes.fold((0, 0), |(all, rejected), quote| (all + 1, rejected + usize::from(quote.found.is_none())))
}

/// The normalised transcript. Each utterance is ` word word word ` and they are parted by line feeds, which no word holds, so that a
/// match of ` word word ` is one of whole words inside one utterance, and one with line feeds around it is a whole utterance.
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

/// A quote as it is searched.
struct Needle {
    /// ` word word `, with line feeds around it when it must be a whole utterance, because it shows too little; a single blank when the quote has no
    /// word.
    text: String,
    whole: bool,
}

impl Needle {
    fn of(quote: &str) -> Self {
        let mut text = String::with_capacity(quote.len() + 4);
        text.push(' ');
        normalise(quote, &mut text, |_, _, _| ());
        let words: Vec<&str> = text.split_whitespace().collect();
        let whole = !words.is_empty() && !weight::suffice(&words);
        if whole {
            text = format!("\n{text}\n");
        }
        Self { text, whole }
    }

    fn is_empty(&self) -> bool {
        self.text.len() <= 1
    }

    /// Where its words begin and end in the index, blanks included, when it was found at that byte.
    fn span(&self, at: u32) -> (usize, usize) {
        let edge = usize::from(self.whole);
        (at as usize + edge, at as usize + self.text.len() - edge)
    }
}

impl<'a> Index<'a> {
    fn of(transcript: &'a [Utterance]) -> Result<Self, TooLarge> {
        let bytes = transcript.iter().map(|utterance| utterance.text.len() + 3).sum::<usize>() + 1;
        let mut index = Self { transcript, text: String::with_capacity(bytes), starts: Vec::new(), words: Vec::new() };
        index.text.push('\n');
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
        let needles: Vec<Needle> = quotes.iter().map(|quote| Needle::of(&quote.quote)).collect();
        let mut found: Vec<Option<u32>> =
            quotes.iter().zip(&needles).map(|(quote, needle)| self.hinted(quote.utterance, needle)).collect();
        let mut wanted: HashMap<&str, Option<u32>> = HashMap::new();
        for (needle, found) in needles.iter().zip(&found) {
            if found.is_none() && !needle.is_empty() {
                wanted.insert(&needle.text, None);
            }
        }
        self.search(&mut wanted);
        for (needle, found) in needles.iter().zip(&mut found) {
            *found = found.or_else(|| wanted.get(needle.text.as_str()).copied().flatten());
        }
        let missing: Vec<&str> = needles
            .iter()
            .zip(&found)
            .filter(|(needle, found)| found.is_none() && !needle.whole && !needle.is_empty())
            .map(|(needle, _)| needle.text.as_str())
            .collect();
        let close = close::find(&self.text, &missing);
        let places = found.iter().zip(&needles).zip(quotes).map(|((found, needle), quote)| match found {
            Some(at) => Some(self.spelled(needle.span(*at), &quote.quote)),
            None => close.get(needle.text.as_str()).map(|span| self.place(*span, Way::Close)),
        });
        places.collect()
    }

    /// The quote in the very utterance that the model names.
    fn hinted(&self, n: i64, needle: &Needle) -> Option<u32> {
        let n = u32::try_from(n).ok().filter(|_| !needle.is_empty())?;
        let nth = self.transcript.binary_search_by_key(&n, |utterance| utterance.n).ok()?;
        // With the line feed before it.
        let from = self.starts[nth] as usize - 1;
        let to = self.starts.get(nth + 1).map_or(self.text.len(), |next| *next as usize);
        if to - from > HINT_BYTES {
            return None;
        }
        let at = memmem::find(&self.text.as_bytes()[from..to], needle.text.as_bytes())?;
        u32::try_from(from + at).ok()
    }

    /// The first place of every needle, in one pass that ends when all are found.
    fn search(&self, wanted: &mut HashMap<&str, Option<u32>>) {
        if wanted.is_empty() {
            return;
        }
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

    /// The place of words that were found normalised, and whether they are spelled as the quote has them.
    fn spelled(&self, span: (usize, usize), quote: &str) -> Place {
        let mut place = self.place(span, Way::Normalised);
        if quote.trim_matches(|c: char| !c.is_alphanumeric()) == place.words {
            place.way = Way::Exact;
        }
        place
    }

    /// The place of the words between two bytes of the index: from the blank before the first one to after the blank behind the last one.
    fn place(&self, (start, end): (usize, usize), way: Way) -> Place {
        let nth = self.starts.partition_point(|at| *at as usize <= start) - 1;
        let first = self.words.partition_point(|word| word.at as usize <= start);
        let after = self.words.partition_point(|word| (word.at as usize) < end - 1);
        let (from, to) = (self.words[first].from, self.words[after - 1].to);
        let utterance = &self.transcript[nth];
        Place {
            utterance: utterance.n,
            speaker: utterance.speaker,
            start_char: from,
            end_char: to,
            words: utterance.text.chars().skip(from as usize).take((to - from) as usize).collect(),
            way,
            start_ms: utterance.start_ms,
            end_ms: utterance.end_ms,
        }
    }
}

#[cfg(test)]
mod tests;
