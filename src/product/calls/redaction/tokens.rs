//! The words of an utterance, and the bytes that they stand at.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::{Found, PersonalData, numbers};

/// One word: letters and digits without anything between them.
pub(super) struct Token<'a> {
    pub raw: &'a str,
    /// In lower case and compatibility form, without accents.
    pub word: String,
    pub bytes: Range<usize>,
    /// What stands between the word before and this one.
    pub gap: &'a str,
}

pub(super) struct Tokens<'a> {
    pub text: &'a str,
    /// Whether it has no capital letter, as some recognisers write.
    pub is_lower: bool,
    tokens: Vec<Token<'a>>,
}

impl<'a> Tokens<'a> {
    pub fn of(text: &'a str) -> Self {
        let mut tokens: Vec<Token<'a>> = vec![];
        let (mut from, mut done) = (None, 0);
        let end = text.char_indices().map(|(at, c)| (at, Some(c))).chain([(text.len(), None)]);
        for (at, c) in end {
            let within = c.is_some_and(|c| c.is_alphanumeric() || is_mark(c) && from.is_some());
            match (within, from) {
                (true, None) => from = Some(at),
                (false, Some(begin)) => {
                    let raw = &text[begin..at];
                    tokens.push(Token { raw, word: plain(raw), bytes: begin..at, gap: &text[done..begin] });
                    (done, from) = (at, None);
                }
                _ => {}
            }
        }
        Self { text, is_lower: !text.contains(char::is_uppercase), tokens }
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn get(&self, at: usize) -> Option<&Token<'a>> {
        self.tokens.get(at)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Token<'a>> {
        self.tokens.iter()
    }

    /// The word at this place; nothing beyond the ends.
    pub fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.word)
    }

    /// What stands before the word; nothing beyond the ends.
    pub fn gap(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.gap)
    }

    /// Whether these words follow each other from there on.
    pub fn says(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(nth, word)| self.word(at + nth) == *word)
    }

    pub fn is_capital(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.raw.starts_with(char::is_uppercase))
    }

    /// Whether the word is the first of a sentence.
    pub fn begins(&self, at: usize) -> bool {
        at == 0 || self.gap(at).contains(['.', '!', '?', '\n', ';', '"', '“'])
    }

    /// A span of whole words.
    pub fn found(&self, kind: PersonalData, range: Range<usize>) -> Found {
        let start = self.tokens.get(range.start).map_or(0, |token| token.bytes.start);
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
        let end = last.and_then(|last| self.tokens.get(last)).map_or(start, |token| token.bytes.end);
        Found { kind, bytes: start..end }
    }

    /// The words that overlap these bytes.
    pub fn within(&self, bytes: &Range<usize>) -> Range<usize> {
        let first = self.tokens.partition_point(|token| token.bytes.end <= bytes.start);
        let after = self.tokens.partition_point(|token| token.bytes.start < bytes.end);
        first..after.max(first)
    }

    /// What makes two spans of a kind the same, however they are spelled or spoken.
    pub fn value(&self, kind: PersonalData, bytes: &Range<usize>) -> String {
        let words = self.within(bytes);
        match kind {
            PersonalData::Card | PersonalData::Phone | PersonalData::Iban | PersonalData::Number => {
                numbers::spelled(self, words)
            }
            PersonalData::Email | PersonalData::Url | PersonalData::Ip => {
                let spoken = |word: &str| matches!(word, "at" | "dot" | "point" | "underscore" | "dash" | "hyphen");
                words.map(|at| self.word(at)).filter(|word| !spoken(word)).collect()
            }
            _ => words.map(|at| self.word(at)).collect::<Vec<_>>().join(" "),
        }
    }
}

fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

fn plain(raw: &str) -> String {
    if raw.is_ascii() {
        return raw.to_ascii_lowercase();
    }
    raw.nfkd().filter(|c| !is_mark(*c)).flat_map(char::to_lowercase).collect()
}
