//! Phrases against utterances: normalised words, gaps, and the verbatim quote around a match.

use std::ops::Range;

/// The most words that a `*` of a phrase stands for.
const LONGEST_GAP: usize = 6;
/// More runs than any sentence needs.
const MOST_RUNS: usize = 16;
/// Utterances up to this many bytes are quoted whole.
const SHORT_UTTERANCE: usize = 120;
/// A sentence longer than this many bytes is not quoted: the matching words alone are.
const LONGEST_QUOTE: usize = 240;

/// Who speaks, as the prompt's transcript names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The agent.
    Agent,
    /// The customer.
    Customer,
    /// A system message, or nobody known.
    Other,
}

/// Words to look for, with gaps between the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Phrase {
    runs: Vec<Vec<String>>,
    text: String,
}

/// One utterance, cut into normalised words once, so that every criterion can look at it cheaply.
#[derive(Debug)]
pub struct Heard<'a> {
    /// The utterance's number in the prompt.
    pub number: u64,
    /// Who said it.
    pub speaker: Speaker,
    /// The words as the prompt has them.
    pub text: &'a str,
    words: Vec<Word>,
    normal: String,
    punctuated: bool,
}

#[derive(Debug)]
struct Word {
    raw: Range<usize>,
    normal: Range<usize>,
}

/// Where a phrase matched: the bytes of the utterance from its first word to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// From the first word's first byte to the last word's end.
    pub bytes: Range<usize>,
}

impl Speaker {
    /// Reads the transcript's word; anything else is [`Speaker::Other`].
    pub fn of_word(word: &str) -> Self {
        match word {
            "agent" => Self::Agent,
            "customer" => Self::Customer,
            _ => Self::Other,
        }
    }
}

impl Phrase {
    /// Reads the text between the quotes; ` * ` is a gap. With more than 15 gaps it matches nothing.
    pub fn new(text: &str) -> Self {
        let runs: Vec<_> = text.split('*').map(normal_words).filter(|run| !run.is_empty()).collect();
        let runs = if runs.len() > MOST_RUNS { Vec::new() } else { runs };
        Self { runs, text: text.to_owned() }
    }

    /// The phrase as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the phrase has a gap.
    pub fn has_gap(&self) -> bool {
        self.runs.len() > 1
    }

    /// How many words must be heard.
    pub fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }

    /// A phrase without a word matches nothing.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

impl<'a> Heard<'a> {
    /// Cuts an utterance into words.
    pub fn new(number: u64, speaker: Speaker, text: &'a str) -> Self {
        let (mut words, mut normal) = (Vec::new(), String::with_capacity(text.len()));
        each_word(text, &mut normal, |raw, normal| words.push(Word { raw, normal }));
        Self { number, speaker, text, words, normal, punctuated: text.contains(['.', '?', '!']) }
    }

    fn word(&self, at: usize) -> &str {
        &self.normal[self.words[at].normal.clone()]
    }

    /// Whether the utterance has this normalised word.
    pub fn has_word(&self, word: &str) -> bool {
        (0..self.words.len()).any(|at| self.word(at) == word)
    }

    /// The first place where the phrase is said; with `asked`, the first where it is part of a question.
    ///
    /// A question ends with a question mark. Recognised speech without any punctuation cannot show one, so there every sentence passes.
    pub fn find(&self, phrase: &Phrase, asked: bool) -> Option<Span> {
        let first = phrase.runs.first()?;
        let starts = (0..self.words.len()).filter(|start| self.run_at(first, *start));
        let mut spans = starts.filter_map(|start| self.matched_from(phrase, start));
        if !asked || !self.punctuated {
            return spans.next();
        }
        // Each sentence is looked at once, however often the phrase stands in it.
        let mut stated = 0;
        spans.find(|span| {
            if span.bytes.end <= stated {
                return false;
            }
            let sentence = sentence_around(self.text, &span.bytes);
            stated = sentence.end;
            self.text[sentence].trim_end().ends_with('?')
        })
    }

    fn run_at(&self, run: &[String], start: usize) -> bool {
        start + run.len() <= self.words.len() && run.iter().enumerate().all(|(at, word)| self.word(start + at) == word)
    }

    /// All ends that a run can have are kept, so that a greedy early choice never hides a match and no input makes this exponential.
    fn matched_from(&self, phrase: &Phrase, start: usize) -> Option<Span> {
        let mut ends = vec![start + phrase.runs.first()?.len()];
        for run in &phrase.runs[1..] {
            let (from, to) = (*ends.first()?, *ends.last()? + LONGEST_GAP);
            let reachable = |at: usize| ends.iter().any(|end| (*end..=end + LONGEST_GAP).contains(&at));
            let next = (from..=to).filter(|at| reachable(*at) && self.run_at(run, *at)).map(|at| at + run.len());
            ends = next.collect();
        }
        let end = *ends.first()?;
        Some(Span { bytes: self.words[start].raw.start..self.words[end - 1].raw.end })
    }

    /// The words to show for a match, verbatim: the utterance when short, else the sentence, else the matching words alone.
    pub fn quote(&self, span: &Span) -> &'a str {
        let whole = self.text.trim();
        if whole.len() <= SHORT_UTTERANCE {
            return whole;
        }
        let sentence = self.text[sentence_around(self.text, &span.bytes)].trim();
        if sentence.len() <= LONGEST_QUOTE { sentence } else { &self.text[span.bytes.clone()] }
    }
}

/// The sentence (or sentences) that hold the bytes, with their end marks.
fn sentence_around(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let ends_here = |at: usize, c: char| {
        let next = text[at + c.len_utf8()..].chars().next();
        c == '\n' || (matches!(c, '.' | '?' | '!') && next.is_none_or(|next| !next.is_alphanumeric()))
    };
    let before = text[..bytes.start].char_indices().rev().find(|(at, c)| ends_here(*at, *c));
    let start = before.map_or(0, |(at, c)| at + c.len_utf8());
    let mut end = text.len();
    let mut rest = text[bytes.end..].char_indices().map(|(at, c)| (bytes.end + at, c)).peekable();
    while let Some((at, c)) = rest.next() {
        let more_marks = rest.peek().is_some_and(|(_, next)| matches!(next, '.' | '?' | '!'));
        if ends_here(at, c) && !more_marks {
            end = at + c.len_utf8();
            break;
        }
    }
    start..end
}

/// The normalised words of a text: lower case, no punctuation, apostrophes dropped.
pub fn normal_words(text: &str) -> Vec<String> {
    let (mut words, mut normal) = (Vec::new(), String::new());
    each_word(text, &mut normal, |_, range| words.push(range));
    words.into_iter().map(|range| normal[range].to_owned()).collect()
}

fn each_word(text: &str, normal: &mut String, mut found: impl FnMut(Range<usize>, Range<usize>)) {
    let mut open: Option<(usize, usize)> = None;
    let mut close = |open: &mut Option<(usize, usize)>, end: usize, normal: &String| {
        if let Some((raw, from)) = open.take() {
            found(raw..end, from..normal.len());
        }
    };
    let mut last = 0;
    for (at, character) in text.char_indices() {
        if character.is_alphanumeric() {
            open.get_or_insert((at, normal.len()));
            normal.extend(character.to_lowercase());
            last = at + character.len_utf8();
        } else if !matches!(character, '\'' | '’' | '‘' | '`' | 'ʼ') {
            close(&mut open, last, normal);
        }
    }
    close(&mut open, last, normal);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Heard<'_> {
        Heard::new(1, Speaker::Agent, text)
    }

    fn says(text: &str, phrase: &str) -> bool {
        heard(text).find(&Phrase::new(phrase), false).is_some()
    }

    #[test]
    fn words_match_whatever_their_case_punctuation_and_apostrophes() {
        assert!(says("You’re WELCOME, sir!", "you're welcome"));
        assert!(says("Is that... correct?", "that correct"));
        assert!(!says("incorrect", "correct"));
        assert!(!says("", "correct"));
        assert!(!says("anything", ""));
        assert!(!says("anything", " * "));
    }

    #[test]
    fn a_gap_is_at_most_six_words_inside_one_utterance() {
        assert!(says("have day", "have * day"));
        assert!(says("have a b c d e f day", "have * day"), "six");
        assert!(!says("have a b c d e f g day", "have * day"), "seven");
        assert!(says("a x b b x x x x x x c", "a * b * c"), "the later b reaches");
    }

    #[test]
    fn a_question_is_told_from_a_statement() {
        let phrase = Phrase::new("correct");
        assert!(heard("Two rooms, correct?").find(&phrase, true).is_some());
        assert!(heard("That is correct. Anything else?").find(&phrase, true).is_none());
        let span = heard("Correct. Two rooms, correct?").find(&phrase, true).unwrap();
        assert_eq!(span.bytes, 20..27, "the one that is asked");
        assert!(heard("two rooms correct").find(&phrase, true).is_some(), "no punctuation at all");
    }

    #[test]
    fn a_huge_utterance_is_searched_in_linear_time() {
        let huge = "correct ".repeat(300_000) + ".";
        let heard = heard(&huge);
        let started = std::time::Instant::now();
        assert!(heard.find(&Phrase::new("correct"), true).is_none());
        assert!(heard.find(&Phrase::new("correct * wrong"), false).is_none());
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[test]
    fn long_utterances_are_quoted_by_sentence_and_verbatim() {
        let long =
            format!("{} Is v1.5 — the “new” one — right for you?! {}", "Blah blah. ".repeat(12), "More. ".repeat(9));
        let heard = heard(&long);
        let span = heard.find(&Phrase::new("right for you"), false).unwrap();
        assert_eq!(heard.quote(&span), "Is v1.5 — the “new” one — right for you?!");
        let endless = "word ".repeat(100) + "needle" + &" word".repeat(100);
        let heard = Heard::new(1, Speaker::Agent, &endless);
        assert_eq!(heard.quote(&heard.find(&Phrase::new("needle"), false).unwrap()), "needle");
    }
}
