//! Quotes that are misspelled: the words of the transcript within a bounded edit distance.
//!
//! A quote of at least [`LEAST_CHARACTERS`] normalised characters is found where an insertion, deletion or substitution for every full
//! [`CHARACTERS_AN_EDIT`] of them (10 %) makes the transcript's words of it. What turns a statement round is never forgiven: words with digits
//! and negations must be the same, in the same order.
//!
//! Of `k` edits and `k + 1` pieces of a quote at least one piece is untouched, so pieces are searched in one pass and the distance is computed
//! around their hits alone, [`MOST_CANDIDATES`] of them for a quote.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

/// Characters of the shortest quote that is searched so.
pub const LEAST_CHARACTERS: usize = 20;
/// Characters for each edit that is forgiven.
pub const CHARACTERS_AN_EDIT: usize = 10;
/// Of a quote, hits of its pieces that are looked at, in the order of the transcript.
const MOST_CANDIDATES: usize = 64;

/// A quote that is searched: blanks around and between its words.
struct Wanted<'a> {
    text: &'a str,
    chars: Vec<char>,
    edits: usize,
    stubborn: Vec<&'a str>,
    candidates: usize,
}

/// Where in `text` each of the quotes is, as far as they are: bytes from the blank before the first word to after the blank behind the last.
pub fn find<'q>(text: &str, quotes: &[&'q str]) -> HashMap<&'q str, (usize, usize)> {
    let mut found = HashMap::new();
    let mut wanted: Vec<Wanted<'q>> = quotes.iter().filter_map(|quote| Wanted::of(quote)).collect();
    // Each piece, the quote that it is of, and the bytes of the quote before it.
    let pieces: Vec<(&str, usize, usize)> = wanted
        .iter()
        .enumerate()
        .flat_map(|(n, quote)| quote.pieces().into_iter().map(move |(before, piece)| (piece, n, before)))
        .collect();
    let Ok(automaton) = AhoCorasick::new(pieces.iter().map(|(piece, ..)| piece)) else { return found };
    if pieces.is_empty() {
        return found;
    }
    for hit in automaton.find_overlapping_iter(text) {
        let (_, n, before) = pieces[hit.pattern().as_usize()];
        let quote = &mut wanted[n];
        if found.contains_key(quote.text) || quote.candidates >= MOST_CANDIDATES {
            continue;
        }
        quote.candidates += 1;
        if let Some(span) = quote.around(text, hit.start(), before) {
            found.insert(quote.text, span);
        }
    }
    found
}

impl<'a> Wanted<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let chars: Vec<char> = text.chars().collect();
        // Without the blanks around.
        let length = chars.len().saturating_sub(2);
        let stubborn = stubborn(text);
        (length >= LEAST_CHARACTERS).then_some(Self {
            text,
            chars,
            edits: length / CHARACTERS_AN_EDIT,
            stubborn,
            candidates: 0,
        })
    }

    /// As many pieces as there are edits and one more, with the bytes before each.
    fn pieces(&self) -> Vec<(usize, &'a str)> {
        let count = self.edits + 1;
        let byte = |piece: usize| {
            let nth = piece * self.chars.len() / count;
            self.chars[..nth].iter().map(|c| c.len_utf8()).sum::<usize>()
        };
        (0..count).map(|piece| (byte(piece), &self.text[byte(piece)..byte(piece + 1)])).collect()
    }

    /// The best words around a hit of a piece, inside its utterance, if they are close enough.
    fn around(&self, text: &str, hit: usize, before: usize) -> Option<(usize, usize)> {
        let utterance = text[..hit].rfind('\n').map_or(0, |at| at + 1);
        let end = text[hit..].find('\n').map_or(text.len(), |at| hit + at);
        // Room for the edits, in bytes of the longest characters, and for a word on either side.
        let room = 4 * self.edits + 4;
        let from = text.floor_char_boundary(hit.saturating_sub(before + room).max(utterance));
        let to = text.ceil_char_boundary((hit + self.text.len() - before + room).min(end));
        let window = &text[from..to];
        let (start, stop) = nearest(&self.chars, window, self.edits)?;
        // Whole words: from the blank before the first one that is touched to the blank behind the last one.
        let inside = |at: usize| window.as_bytes().get(at) == Some(&b' ');
        let start = if inside(start) { start } else { window[..start].rfind(' ')? };
        let stop = if stop > 0 && inside(stop - 1) { stop } else { stop + window[stop..].find(' ')? + 1 };
        let words = &window[start..stop];
        // Whole words may be more than what was compared.
        let close = distance(&self.chars, words) <= self.edits && !words.trim().is_empty();
        (close && stubborn(words) == self.stubborn).then_some((from + start, from + stop))
    }
}

/// Bytes of the part of `window` with the smallest edit distance to `pattern`, if that is at most `edits` (Sellers' algorithm: a match may begin
/// anywhere). Of several the first that ends.
fn nearest(pattern: &[char], window: &str, edits: usize) -> Option<(usize, usize)> {
    // For every length of the pattern's beginning: the distance, and where the part began.
    let mut column: Vec<(usize, usize)> = (0..=pattern.len()).map(|n| (n, 0)).collect();
    let mut best: Option<(usize, usize, usize)> = None;
    for (at, c) in window.char_indices() {
        let after = at + c.len_utf8();
        let mut diagonal = std::mem::replace(&mut column[0], (0, after));
        for (n, wanted) in pattern.iter().enumerate() {
            let (left, above) = (column[n + 1], column[n]);
            let same = (diagonal.0 + usize::from(*wanted != c), diagonal.1);
            column[n + 1] = same.min((left.0 + 1, left.1)).min((above.0 + 1, above.1));
            diagonal = left;
        }
        let (distance, start) = column[pattern.len()];
        if distance <= edits && best.is_none_or(|(least, ..)| distance < least) {
            best = Some((distance, start, after));
        }
    }
    best.map(|(_, start, stop)| (start, stop))
}

/// The edit distance of two texts.
fn distance(one: &[char], other: &str) -> usize {
    let mut column: Vec<usize> = (0..=one.len()).collect();
    for c in other.chars() {
        let mut diagonal = column[0];
        column[0] += 1;
        for (n, wanted) in one.iter().enumerate() {
            let left = column[n + 1];
            column[n + 1] = (diagonal + usize::from(*wanted != c)).min(left + 1).min(column[n] + 1);
            diagonal = left;
        }
    }
    column[one.len()]
}

/// The words that must not differ: those with a digit, and negations.
fn stubborn(words: &str) -> Vec<&str> {
    let negates = |word: &str| {
        matches!(
            word,
            "no" | "not"
                | "never"
                | "none"
                | "nothing"
                | "nobody"
                | "nowhere"
                | "neither"
                | "nor"
                | "without"
                | "cannot"
        ) || word.strip_suffix("nt").is_some_and(|verb| {
            let verbs = [
                "do", "does", "did", "is", "are", "was", "were", "ca", "wo", "would", "could", "should", "has", "have",
                "had", "must",
            ];
            verbs.contains(&verb)
        })
    };
    let kept = |word: &&str| negates(word) || word.contains(|c: char| c.is_numeric());
    words.split_whitespace().filter(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transcript as the index has it.
    const TEXT: &str = "\n good morning you are speaking with zoe how can i help you today \n i was charged 15 euros twice and i am not happy about that \n";

    fn found(quote: &str) -> Option<&str> {
        let span = *find(TEXT, &[quote]).get(quote)?;
        Some(&TEXT[span.0..span.1])
    }

    #[test]
    fn misspelled_words_are_found_as_they_were_said() {
        let said = Some(" good morning you are speaking with zoe ");
        assert_eq!(found(" good morning you are speaking with zoë "), said);
        assert_eq!(found(" good mornin you are speking with zoe "), said);
        assert_eq!(found(" god morning your are speaking with zoe "), said);
        assert_eq!(found(" how can i helb you today "), Some(" how can i help you today "));
    }

    #[test]
    fn other_words_are_not() {
        for foreign in [
            " good evening you are talking with zoe ",
            " i was charged 16 euros twice and i am ",
            " i was charged 15 euros twice and i am happy about that ",
            " i was charged 15 euros twice and i am now happy about that ",
            " how can i hlep ",
            " you today i was charged 15 euros ",
            " nothing of this was ever said by anybody at all ",
        ] {
            assert_eq!(found(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        let apart = |one: &str, other| distance(&one.chars().collect::<Vec<_>>(), other);
        assert_eq!(
            (apart("kitten", "sitting"), apart("", "abc"), apart("abc", ""), apart("same", "same")),
            (3, 3, 3, 0)
        );
        let nearest = |pattern: &str, window, edits| nearest(&pattern.chars().collect::<Vec<_>>(), window, edits);
        assert_eq!(nearest("abcd", "xxabxdxx", 1), Some((2, 6)));
        assert_eq!(nearest("abcd", "xxabxxx", 1), None);
    }
}
