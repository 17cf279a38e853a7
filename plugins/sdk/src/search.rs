//! Finding phrases in what is said. In a component that is built with `simd128` (`plumbline plugin build` does so) sixteen bytes are
//! compared at a time.

use memchr::{memchr_iter, memchr2_iter};

/// A phrase that is looked for, whatever the case of its ASCII letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// In lower case.
    words: Box<[u8]>,
    /// The place of the byte by which it is found: the one that is rarest in conversations.
    rare: usize,
}

/// Letters from frequent to rare; everything that is not here is rarer.
const FREQUENT: &[u8] = b" etaoinshrdlcumwfgypbvkjxqz";

impl Phrase {
    /// A phrase. Its ASCII letters are found in either case; other letters as they are written. None if there is nothing to look for.
    pub fn new(words: &str) -> Option<Self> {
        let words = words.trim().to_ascii_lowercase().into_bytes().into_boxed_slice();
        let frequency = |byte: &u8| FREQUENT.iter().position(|one| one == byte).unwrap_or(FREQUENT.len());
        let (rare, _) = words.iter().enumerate().max_by_key(|(_, byte)| frequency(byte))?;
        Some(Self { words, rare })
    }

    /// Where it first stands in the text, in bytes. It begins and ends with whole words: "hold" is not found in "household".
    pub fn find(&self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let byte = self.words[self.rare];
        let fits = |place: usize| {
            let start = place.checked_sub(self.rare)?;
            let found = bytes.get(start..start + self.words.len())?;
            (found.eq_ignore_ascii_case(&self.words) && self.is_whole(text, start)).then_some(start)
        };
        if byte.is_ascii_lowercase() {
            memchr2_iter(byte, byte.to_ascii_uppercase(), bytes).find_map(fits)
        } else {
            memchr_iter(byte, bytes).find_map(fits)
        }
    }

    /// Whether it stands in the text.
    pub fn is_in(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// Whether no word goes on over the edges of what was found.
    fn is_whole(&self, text: &str, start: usize) -> bool {
        let end = start + self.words.len();
        let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else { return false };
        let Some(found) = text.get(start..end) else { return false };
        let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        !(letter(before.chars().next_back()) && letter(found.chars().next())
            || letter(found.chars().next_back()) && letter(after.chars().next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(words: &str, text: &str) -> Option<usize> {
        Phrase::new(words).unwrap().find(text)
    }

    #[test]
    fn phrases_are_found_as_whole_words_in_any_case() {
        assert_eq!(find("this call is recorded", "Hello. THIS Call is recorded, ok?"), Some(7));
        assert_eq!(find("hold", "The household is on Hold."), Some(20));
        assert_eq!(find("hold", "household"), None);
        assert_eq!(find("no", "know, no"), Some(6));
        assert_eq!(find("grüß gott", "Ja, Grüß Gott!"), Some(4));
        assert_eq!(find("gott", "Grüßgott"), None, "a letter of two bytes is a letter");
        assert_eq!(find("24/7", "open 24/7."), Some(5));
        assert_eq!(find("aaa", ""), None);
        assert_eq!(find("longer than the text", "longer"), None);
        assert!(Phrase::new("  ").is_none());
    }

    #[test]
    fn it_agrees_with_the_naive_search() {
        let text = "The quick brown fox, the Quick brown foxes; a QUICK brown fox. über Über";
        for words in ["quick", "fox", "the", "brown fox", "a quick", "foxes;", ".", "e", "über", "zebra"] {
            let lower = text.to_ascii_lowercase();
            let edge = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
            let naive = lower.match_indices(words).find(|(at, found)| {
                let inner = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                (edge(lower[..*at].chars().next_back()) || !inner(found.chars().next()))
                    && (edge(lower[at + found.len()..].chars().next()) || !inner(found.chars().next_back()))
            });
            assert_eq!(find(words, text), naive.map(|(at, _)| at), "{words}");
        }
    }
}
