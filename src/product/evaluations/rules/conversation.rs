//! The transcript as rules read it: turns of normalised words, and where each word came from.

use std::{collections::HashMap, ops::Range};

use unicode_normalization::UnicodeNormalization;

use crate::product::{
    calls::redaction,
    evaluations::{
        model::{Place, Speaker, Utterance, Way},
        words::normalise,
    },
    scorecards::model::{RuleSpeaker, Within},
};

/// Words of one turn that a phrase matched: from, and the one after the last. Counted through the whole conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Match {
    pub from: u32,
    pub to: u32,
    /// The turn's index in the transcript.
    pub turn: u32,
}

/// The conversation's words. Each turn is ` word word word ` and they are parted by line feeds, which no word holds, so that a match of
/// ` word word ` is one of whole words inside one turn.
pub(super) struct Conversation<'a> {
    transcript: &'a [Utterance],
    pub text: String,
    words: Vec<Word>,
    /// How many turns of the same speaker come before it, and how many of them there are.
    of_speaker: Vec<(u32, u32)>,
    /// When the last word is over.
    ends_ms: Option<u64>,
}

struct Word {
    /// Its first byte in the text.
    at: u32,
    turn: u32,
    /// Its characters in the turn's own text.
    chars: Range<u32>,
}

impl<'a> Conversation<'a> {
    pub fn of(transcript: &'a [Utterance]) -> Self {
        let mut counts: HashMap<Speaker, u32> = HashMap::new();
        let before: Vec<u32> = transcript
            .iter()
            .map(|turn| {
                let count = counts.entry(turn.speaker).or_default();
                *count += 1;
                *count - 1
            })
            .collect();
        let of_speaker = before.into_iter().zip(transcript).map(|(before, turn)| (before, counts[&turn.speaker]));
        let ends_ms = transcript.iter().filter_map(|turn| turn.end_ms.or(turn.start_ms)).max();
        let (of_speaker, text) = (of_speaker.collect(), String::new());
        let mut read = Self { transcript, text, words: vec![], of_speaker, ends_ms };
        for (turn, utterance) in (0..).zip(transcript) {
            read.text.push(' ');
            let words = &mut read.words;
            fold(&utterance.text, &mut read.text, |at, chars| words.push(Word { at: at as u32, turn, chars }));
            read.text.push('\n');
        }
        read
    }

    /// The word that begins right after the blank at this byte.
    pub fn word_after(&self, blank: usize) -> u32 {
        self.words.partition_point(|word| word.at as usize <= blank) as u32
    }

    /// So many words from this one on, when they are of one turn.
    pub fn span(&self, from: u32, to: u32) -> Option<Match> {
        let (first, last) = (self.words.get(from as usize)?, self.words.get(to.checked_sub(1)? as usize)?);
        (first.turn == last.turn).then_some(Match { from, to, turn: first.turn })
    }

    pub fn speaker(&self, found: Match) -> Speaker {
        self.transcript[found.turn as usize].speaker
    }

    /// The turn's number, as people know it.
    pub fn number(&self, found: Match) -> u32 {
        self.transcript[found.turn as usize].n
    }

    /// Whether the turn is one of this speaker's within that part of the conversation.
    pub fn listens(&self, found: Match, speaker: Option<RuleSpeaker>, within: Option<&Within>) -> bool {
        let turn = &self.transcript[found.turn as usize];
        let heard = match speaker {
            None => true,
            Some(RuleSpeaker::Agent) => turn.speaker == Speaker::Agent,
            Some(RuleSpeaker::Customer) => turn.speaker == Speaker::Customer,
        };
        heard && within.is_none_or(|within| self.is_within(found.turn, speaker.is_some(), within))
    }

    fn is_within(&self, turn: u32, own_turns: bool, within: &Within) -> bool {
        let utterance = &self.transcript[turn as usize];
        let (before, all) = match own_turns {
            true => self.of_speaker[turn as usize],
            false => (turn, self.transcript.len() as u32),
        };
        let ms = |seconds: u32| u64::from(seconds) * 1_000;
        let first_seconds = || utterance.start_ms.zip(within.first_seconds).is_some_and(|(at, most)| at < ms(most));
        let last_seconds = || {
            let over = utterance.end_ms.or(utterance.start_ms).zip(self.ends_ms);
            over.zip(within.last_seconds).is_some_and(|((at, end), most)| end - at < ms(most))
        };
        (within.first_seconds.is_none() || first_seconds())
            && (within.last_seconds.is_none() || last_seconds())
            && within.first_turns.is_none_or(|most| before < most)
            && within.last_turns.is_none_or(|most| all - before <= most)
    }

    pub fn place(&self, found: Match) -> Place {
        let utterance = &self.transcript[found.turn as usize];
        let chars = self.words[found.from as usize].chars.start..self.words[found.to as usize - 1].chars.end;
        Place {
            utterance: utterance.n,
            speaker: utterance.speaker,
            start_char: chars.start,
            end_char: chars.end,
            words: utterance.text.chars().skip(chars.start as usize).take(chars.len()).collect(),
            way: Way::Exact,
            start_ms: utterance.start_ms,
            end_ms: utterance.end_ms,
        }
    }
}

/// Appends each word without case and accents, followed by a blank, and tells where it begins in `out` and which characters it came from. What was
/// redacted is one word, `[name]`, whose brackets no other word has.
pub(super) fn fold(text: &str, out: &mut String, mut word: impl FnMut(usize, Range<u32>)) {
    let (mut bytes, mut chars) = (0, 0);
    for hidden in redaction::placeholders(text) {
        let before = &text[bytes..hidden.start];
        fold_plain(before, chars, out, &mut word);
        chars += before.chars().count() as u32;
        let length = hidden.len() as u32;
        let kind = text[hidden.start + 1..hidden.end - 1].rsplit_once('_').map_or("", |(kind, _)| kind);
        let begins = out.len();
        out.push('[');
        out.push_str(&kind.to_ascii_lowercase());
        out.push_str("] ");
        word(begins, chars..chars + length);
        (bytes, chars) = (hidden.end, chars + length);
    }
    fold_plain(&text[bytes..], chars, out, &mut word);
}

/// `skipped` characters of the whole text stand before this part of it.
fn fold_plain(text: &str, skipped: u32, out: &mut String, word: &mut impl FnMut(usize, Range<u32>)) {
    let mut plain = String::with_capacity(text.len() + 1);
    let mut found = vec![];
    normalise(text, &mut plain, |at, from, to| found.push((at, skipped + from as u32..skipped + to as u32)));
    for (nth, (at, chars)) in found.iter().enumerate() {
        let end = found.get(nth + 1).map_or(plain.len(), |(next, _)| *next);
        let begins = out.len();
        // What follows the word up to the next one is its blank.
        match &plain[*at..end] {
            ascii if ascii.is_ascii() => out.push_str(ascii),
            other => out.extend(other.nfd().filter(|c| !is_accent(*c))),
        }
        word(begins, chars.clone());
    }
}

/// Marks that change how a Latin, Greek or Cyrillic letter is spoken, and not which letter it is.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}')
}
