//! Quotes that are misspelled: the transcript's words, but for a letter in a long word.
//!
//! A quote of [`LEAST_CHARACTERS`] to [`MOST_CHARACTERS`] normalised characters is found where as many words follow each other in one utterance
//! and each is the same or the same word misspelled ([`is_misspelled`]); for every full [`CHARACTERS_AN_EDIT`] characters one insertion, deletion or
//! substitution is forgiven, [`MOST_EDITS`] at most. No word is ever added, left out or exchanged: that is how a statement is turned round.
//!
//! Of `k` edits and `k + 1` pieces of a quote at least one piece is untouched, so pieces are searched in one pass and words are compared
//! around their hits alone, [`MOST_CANDIDATES`] of them for a quote.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::turning;
use crate::product::calls::redaction;

/// Characters of the shortest quote that is searched so.
pub const LEAST_CHARACTERS: usize = 20;
/// Characters of the longest one: what is longer is found by its very words or not at all.
pub const MOST_CHARACTERS: usize = 300;
/// Characters for each edit that is forgiven.
pub const CHARACTERS_AN_EDIT: usize = 10;
/// Edits of a quote, at most.
pub const MOST_EDITS: usize = 8;
/// Of a quote, hits of its pieces that are looked at, in the order of the transcript.
const MOST_CANDIDATES: usize = 64;
/// Letters of a word that may be misspelled: in a shorter one a letter makes another word.
const LEAST_LETTERS: usize = 6;
/// A longer one is no word.
const MOST_LETTERS: usize = 40;
/// From so many letters on a word may have two edits.
const LONG_WORD: usize = 12;
/// The letters that a word begins with are never misspelled: they are what turns its meaning (accept and except, import and export).
const BEGINNING: usize = 3;

/// The quotes that a piece is of, and the bytes of each before it.
type Uses = Vec<(usize, usize)>;

/// A quote that is searched: blanks around and between its words.
struct Wanted<'a> {
    text: &'a str,
    edits: usize,
    candidates: usize,
    found: Option<(usize, usize)>,
}

/// Where in `text` each of the quotes is, as far as they are: bytes from the blank before the first word to after the blank behind the last.
pub fn find<'q>(text: &str, quotes: &[&'q str]) -> HashMap<&'q str, (usize, usize)> {
    let mut wanted: Vec<Wanted<'q>> = quotes.iter().filter_map(|quote| Wanted::of(quote)).collect();
    // Of each distinct piece.
    let mut places: HashMap<&'q str, Uses> = HashMap::new();
    for (n, quote) in wanted.iter().enumerate() {
        for (before, piece) in quote.pieces() {
            places.entry(piece).or_default().push((n, before));
        }
    }
    let (pieces, mut places): (Vec<&str>, Vec<Uses>) = places.into_iter().unzip();
    let mut open = places.iter().filter(|of| !of.is_empty()).count();
    // Refused only when there are more states than 32 bits count: then nothing is found, and nothing is believed.
    let Ok(automaton) = AhoCorasick::new(&pieces) else { return HashMap::new() };
    for hit in automaton.find_overlapping_iter(text) {
        if open == 0 {
            break;
        }
        let of = &mut places[hit.pattern().as_usize()];
        if of.is_empty() {
            continue;
        }
        of.retain(|(n, before)| wanted[*n].look(text, hit.start(), *before));
        open -= usize::from(of.is_empty());
    }
    wanted.into_iter().filter_map(|quote| Some((quote.text, quote.found?))).collect()
}

impl<'a> Wanted<'a> {
    fn of(text: &'a str) -> Option<Self> {
        // Without the blanks around.
        let length = text.chars().count().saturating_sub(2);
        let edits = (length / CHARACTERS_AN_EDIT).min(MOST_EDITS);
        (LEAST_CHARACTERS..=MOST_CHARACTERS).contains(&length).then_some(Self {
            text,
            edits,
            candidates: 0,
            found: None,
        })
    }

    /// As many pieces as there are edits and one more, with the bytes before each.
    fn pieces(&self) -> Vec<(usize, &'a str)> {
        let count = self.edits + 1;
        let starts: Vec<usize> = self.text.char_indices().map(|(at, _)| at).collect();
        let byte = |piece: usize| starts.get(piece * starts.len() / count).copied().unwrap_or(self.text.len());
        (0..count).map(|piece| (byte(piece), &self.text[byte(piece)..byte(piece + 1)])).collect()
    }

    /// Looks around a hit of the piece that has so many bytes of the quote before it. Whether it is worth looking further.
    fn look(&mut self, text: &str, hit: usize, before: usize) -> bool {
        if self.found.is_some() || self.candidates >= MOST_CANDIDATES {
            return false;
        }
        self.candidates += 1;
        self.found = self.around(text, hit, before);
        self.found.is_none() && self.candidates < MOST_CANDIDATES
    }

    /// The words around a hit, inside its utterance, if they are the quote's.
    fn around(&self, text: &str, hit: usize, before: usize) -> Option<(usize, usize)> {
        let mut start = hit;
        for _ in self.text[..before].matches(' ') {
            start = text[..start].rfind([' ', '\n']).filter(|at| text.as_bytes()[*at] == b' ')?;
        }
        let (mut at, mut edits) = (start + 1, 0);
        for wanted in self.text.split_whitespace() {
            // A word of the transcript has a blank behind it, and the line feed after the last one is the end of the utterance.
            let said = &text[at..at + text[at..].find([' ', '\n'])?];
            if said != wanted {
                edits += is_misspelled(wanted, said)?;
            }
            if said.is_empty() || edits > self.edits {
                return None;
            }
            at += said.len() + 1;
        }
        Some((start, at))
    }
}

/// How many edits make one word the other, when it is the same word misspelled; none when it may be another word.
///
/// Both have letters alone, [`LEAST_LETTERS`] of them at least, and begin alike; a letter is wrong, or two of [`LONG_WORD`]; nothing that
/// [turns](turning) a meaning is put in or left out; and they are not both everyday words, which are not misspelled but exchanged.
fn is_misspelled(one: &str, other: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let plain =
        |word: &[char]| (LEAST_LETTERS..=MOST_LETTERS).contains(&word.len()) && word.iter().all(|c| c.is_alphabetic());
    let (most, alike) = (if a.len().min(b.len()) >= LONG_WORD { 2 } else { 1 }, plain(&a) && plain(&b));
    if !alike || a.len().abs_diff(b.len()) > most || a[..BEGINNING] != b[..BEGINNING] {
        return None;
    }
    let turned = turning::is_fixed(one) || turning::is_fixed(other) || turning::by_affix(&a, &b);
    let exchanged = redaction::is_everyday(one) && redaction::is_everyday(other);
    let edits = distance(&a, &b);
    (!turned && !exchanged && edits <= most).then_some(edits)
}

/// The edit distance of two words (Levenshtein).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut column: Vec<usize> = (0..=one.len()).collect();
    for c in other {
        let mut diagonal = column[0];
        column[0] += 1;
        for (n, wanted) in one.iter().enumerate() {
            let left = column[n + 1];
            column[n + 1] = (diagonal + usize::from(wanted != c)).min(left + 1).min(column[n] + 1);
            diagonal = left;
        }
    }
    column[one.len()]
}

#[cfg(test)]
mod tests;
