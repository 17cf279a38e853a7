//! Names of persons: what is introduced as one, titles, given names that are common, and then every further mention.

use std::{collections::HashMap, ops::Range};

use super::{
    Found, PersonalData,
    cues::{HINTS, INTRODUCTIONS, PERSONS, TITLES},
    lists,
    numbers::{self, Element},
    tokens::Tokens,
};

/// So many words a name has at most.
const NAME_WORDS: usize = 4;
/// So many letters a spelled name has at most.
const MAX_LETTERS: usize = 40;

pub(super) fn find(tokens: &Tokens<'_>, asked: Option<PersonalData>) -> Vec<Found> {
    let mut found = vec![];
    let mut add = |words: Range<usize>| found.push(tokens.found(PersonalData::Name, words));
    let mut at = 0;
    while at < tokens.len() {
        match name_at(tokens, at) {
            Some(end) => {
                add(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    if asked == Some(PersonalData::Name) {
        answered(tokens).into_iter().for_each(add);
    }
    found
}

/// Whether a name stands behind it.
pub(super) fn is_title(word: &str) -> bool {
    TITLES.contains(&word)
}

/// Where the name that begins here ends.
fn name_at(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let gap = tokens.gap(at);
    let apart = at > 0 && gap.chars().count() <= 2 && !gap.contains(['?', '!', ';', '\n']);
    let cued = || titled(tokens, at).or_else(|| introduced(tokens, at)).or_else(|| hinted(tokens, at));
    apart.then(cued).flatten().or_else(|| unannounced(tokens, at))
}

/// Whether one of these stands right before it, and how long that is.
fn follows(tokens: &Tokens<'_>, at: usize, cues: &[&'static [&'static str]]) -> Option<&'static [&'static str]> {
    cues.iter().copied().find(|cue| at >= cue.len() && tokens.says(at - cue.len(), cue))
}

/// "Mr. Abernathy".
fn titled(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let (title, word) = (tokens.word(at - 1), tokens.word(at));
    // Behind these an everyday word is a name as well: "Mrs. Price".
    let sure = matches!(title, "mr" | "mrs" | "ms" | "mister") && tokens.is_capital(at);
    let named = !lists::is_common(word) || sure || lists::is_surname(word) || lists::is_ambiguous(word);
    (is_title(title) && named).then(|| extend(tokens, at))
}

/// "My name is …".
fn introduced(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let word = tokens.word(at);
    let cue = follows(tokens, at, INTRODUCTIONS)?;
    let spelled = spelled(tokens, at);
    if spelled > at {
        return Some(extend(tokens, spelled));
    }
    // "name" alone introduces only what is written like one: "the name Anna Berg", and not "your name please".
    let sure = cue.len() > 1 || *cue == ["surname"];
    let whole = cue.len() > 2 || lists::is_given(word) || rare(tokens, at) || tokens.is_capital(at);
    let named = !lists::is_common(word) && (sure && whole || tokens.is_capital(at));
    // "My name is Hope."
    let named = named || sure && whole && lists::is_ambiguous(word);
    (named && is_word(word) && !lists::is_nobody(word)).then(|| extend(tokens, at))
}

/// A name behind what names may follow, when it is written like one or sounds like one.
fn hinted(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let (word, before) = (tokens.word(at), tokens.word(at - 1));
    let is = at > 1 && matches!(before, "is" | "was" | "called" | "named") && PERSONS.contains(&tokens.word(at - 2));
    let person = is || PERSONS.contains(&before);
    if !(person || follows(tokens, at, HINTS).is_some()) || lists::is_common(word) || !is_word(word) {
        return None;
    }
    let personal = person
        || matches!(
            before,
            "is" | "m" | "am" | "im" | "you" | "thanks" | "hi" | "hello" | "hey" | "dear" | "sincerely"
        );
    let written = is_name_like(tokens, at) && (personal || goes_on(tokens, at));
    // Two words that are no everyday ones, where nobody writes capitals.
    let thing = matches!(before, "its" | "from")
        || at > 1 && before == "called" && matches!(tokens.word(at - 2), "s" | "is" | "one" | "place" | "was");
    let alone = (person || before == "under") && rare(tokens, at);
    let heard = tokens.is_lower && (alone || !thing && two_rare(tokens, at));
    let given = lists::is_given(word) && (tokens.is_capital(at) || !lists::is_ambiguous(word));
    let end = extend(tokens, at);
    // "from Dulles International Airport" names a place.
    let place = !personal && tokens.is_capital(end) && matches!(tokens.gap(end), " " | " (");
    ((written || heard || given) && !place && !is_venue(tokens, at..end)).then_some(end)
}

/// A name that nothing leads to: a common one, or one that does or says something.
fn unannounced(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let (word, next) = (tokens.word(at), tokens.word(at + 1));
    let ambiguous = lists::is_ambiguous(word);
    let sure = !ambiguous || tokens.is_capital(at + 1) && (!tokens.begins(at) || unheard_of(tokens, at + 1));
    let free = tokens.is_capital(at) && (lists::is_given(word) || ambiguous && unheard_of(tokens, at + 1)) && sure;
    // "… for Hiroko Stone": no everyday words, and written like names.
    let placed = at > 0 && matches!(tokens.word(at - 1), "the" | "a" | "an" | "at" | "in" | "near");
    let full = unheard_of(tokens, at) && goes_on(tokens, at) && !placed && !lists::is_particle(word);
    let pair = lists::is_given(word) && lists::is_surname(next) && tokens.gap(at + 1) == " ";
    // A recogniser that writes no capitals.
    let heard = lists::is_given(word) && !lists::is_ambiguous(word) && !lists::is_place(word) && tokens.is_lower;
    let begins = tokens.begins(at);
    let like = is_name_like(tokens, at) || tokens.is_lower && rare(tokens, at);
    let speaks = like && {
        let behind = tokens.word(extend(tokens, at));
        behind == "speaking" || begins && behind == "here"
    };
    let thing = !begins
        && matches!(
            tokens.word(at - 1),
            "the"
                | "a"
                | "an"
                | "my"
                | "your"
                | "our"
                | "his"
                | "her"
                | "their"
                | "this"
                | "that"
                | "these"
                | "those"
                | "some"
                | "any"
                | "in"
                | "near"
                | "at"
                | "called"
                | "can"
                | "could"
                | "should"
                | "will"
                | "you"
                | "they"
                | "be"
                | "uh"
                | "um"
                | "uhh"
                | "umm"
                | "ummm"
                | "yeah"
                | "right"
                | "how"
                | "what"
                | "s"
                | "t"
                | "serves"
                | "star"
                | "street"
        );
    let full = full || tokens.is_lower && two_rare(tokens, at) && !thing;
    let does = |at: usize| {
        matches!(
            tokens.word(at),
            "is" | "did"
                | "told"
                | "called"
                | "said"
                | "was"
                | "has"
                | "will"
                | "would"
                | "asked"
                | "from"
                | "promised"
                | "gave"
        )
    };
    let like = begins && is_name_like(tokens, at);
    let subject = like && (goes_on(tokens, at) && does(at + 2) || unheard_of(tokens, at) && does(at + 1));
    let saint = at > 0 && matches!(tokens.word(at - 1), "san" | "santa" | "saint" | "st" | "los" | "las" | "sao");
    if saint || is_contracted(tokens, at) || !(free || pair || heard || speaks || full || subject) {
        return None;
    }
    let end = extend(tokens, at);
    (!is_venue(tokens, at..end)).then_some(end)
}

/// Whether the next word can be a surname, as it is written.
fn goes_on(tokens: &Tokens<'_>, at: usize) -> bool {
    let next = tokens.word(at + 1);
    // An everyday word is a surname when it is a common one: "Northlight Energy" is nobody.
    let surname = unheard_of(tokens, at + 1) || tokens.is_capital(at + 1) && lists::is_surname(next);
    surname && tokens.gap(at + 1) == " "
}

/// "Angel Stadium", "Beverly Hills": words of it, or the one behind it, are of a building or a place.
fn is_venue(tokens: &Tokens<'_>, words: Range<usize>) -> bool {
    let venue = |at: usize| {
        let written = tokens.is_lower || tokens.is_capital(at);
        // "Anna Park" is nobody's park.
        let surname = lists::is_given(tokens.word(words.start)) && lists::is_surname(tokens.word(at));
        written && at > words.start && lists::is_venue(tokens.word(at)) && !surname
    };
    (words.start + 1..words.end).any(venue) || tokens.gap(words.end) == " " && venue(words.end)
}

/// "Don't" is not Don.
fn is_contracted(tokens: &Tokens<'_>, at: usize) -> bool {
    matches!(tokens.gap(at + 1), "'" | "’") && matches!(tokens.word(at + 1), "t" | "ll" | "re" | "ve" | "d" | "m")
        || tokens.word(at) == "don" && tokens.is_lower
}

fn two_rare(tokens: &Tokens<'_>, at: usize) -> bool {
    let next = rare(tokens, at + 1) || lists::is_surname(tokens.word(at + 1)) || is_irish(tokens, at + 1);
    rare(tokens, at) && next && tokens.gap(at + 1) == " "
}

/// The first letter of "O'Donnell", "d'Alba".
fn is_irish(tokens: &Tokens<'_>, at: usize) -> bool {
    matches!(tokens.word(at), "o" | "d") && matches!(tokens.gap(at + 1), "'" | "’")
}

/// Written like a name, and no word that anybody uses.
fn unheard_of(tokens: &Tokens<'_>, at: usize) -> bool {
    let (raw, word) = (tokens.get(at).map_or("", |token| token.raw), tokens.word(at));
    let abbreviated = raw.chars().all(char::is_uppercase);
    is_name_like(tokens, at) && !abbreviated && !lists::is_everyday(word) && !lists::is_venue(word)
}

/// Whether it is no everyday word and no town.
fn rare(tokens: &Tokens<'_>, at: usize) -> bool {
    let word = tokens.word(at);
    word.len() >= 3 && is_word(word) && !lists::is_everyday(word) && !lists::is_place(word) && !lists::is_nobody(word)
}

/// Whether the word is written like a name and nothing else.
fn is_name_like(tokens: &Tokens<'_>, at: usize) -> bool {
    let word = tokens.word(at);
    tokens.is_capital(at)
        && is_word(word)
        && !lists::is_common(word)
        && !lists::is_place(word)
        && !lists::is_nobody(word)
}

fn is_word(word: &str) -> bool {
    word.chars().count() >= 2 && word.chars().all(char::is_alphabetic)
}

/// Where the name goes on to, once its first word is one.
fn extend(tokens: &Tokens<'_>, at: usize) -> usize {
    let written = tokens.is_capital(at);
    let mut end = at + 1;
    while end < tokens.len() && end < at + NAME_WORDS {
        let (word, gap) = (tokens.word(end), tokens.gap(end));
        let initial = gap == ". " && tokens.word(end - 1).len() == 1;
        if !matches!(gap, " " | "-" | "'" | "’" | "  ") && !initial {
            break;
        }
        let more = match written {
            _ if gap == "'" || gap == "’" => word != "s" && tokens.is_capital(end) || is_irish(tokens, end - 1),
            _ if is_irish(tokens, end) => true,
            true => {
                let i = word == "i" && tokens.gap(end + 1) != ". " && !tokens.is_capital(end + 1);
                tokens.is_capital(end) && !lists::is_nobody(word) && !i
                    || lists::is_particle(word) && tokens.is_capital(end + 1)
            }
            false => {
                !lists::is_everyday(word) && is_word(word) && end < at + 3
                    || lists::is_surname(word) && end < at + 2
                    || lists::is_particle(word) && end < at + 2
            }
        };
        if !more {
            break;
        }
        end += 1;
    }
    // Spelled behind it: "Berg, B E R G".
    let letters = (end..end + 2).map(|from| spelled(tokens, from)).find(|letters| *letters > end + 2);
    letters.unwrap_or(end)
}

/// Where letters that are said one by one end, if there are three and more: "b e r g", "B-E-R-G".
fn spelled(tokens: &Tokens<'_>, from: usize) -> usize {
    let is_letter =
        |at: usize| tokens.word(at).chars().count() == 1 && matches!(numbers::element(tokens, at), Element::Letter(_));
    let most = tokens.len().min(from + MAX_LETTERS);
    let end = (from..most).find(|at| !is_letter(*at)).unwrap_or(most);
    if end >= from + 3 { end } else { from }
}

/// The name in an answer to "your name, please?".
fn answered(tokens: &Tokens<'_>) -> Option<Range<usize>> {
    let from = (0..tokens.len()).find(|at| !lists::is_common(tokens.word(*at)) || spelled(tokens, *at) > *at)?;
    let letters = spelled(tokens, from);
    if letters > from {
        return Some(from..letters);
    }
    let short = tokens.len() - from <= 4;
    let written = tokens.is_capital(from) && !tokens.begins(from) || lists::is_given(tokens.word(from));
    let first = from == 0 && tokens.is_capital(0) && (tokens.is_capital(1) || tokens.gap(1).starts_with(','));
    let sure = short || written || first || tokens.is_lower && from <= 3 && rare(tokens, from);
    (sure && is_word(tokens.word(from)) && !lists::is_nobody(tokens.word(from))).then(|| from..extend(tokens, from))
}

/// The words of the names of a call, which are names wherever they are said again.
pub(super) struct Names {
    words: HashMap<String, bool>,
}

impl Names {
    pub fn of(tokens: &[Tokens<'_>], found: &[Vec<Found>]) -> Self {
        let mut words = HashMap::new();
        for (tokens, found) in tokens.iter().zip(found) {
            for name in found.iter().filter(|found| found.kind == PersonalData::Name) {
                for at in tokens.within(&name.bytes) {
                    let word = tokens.word(at);
                    if word.chars().count() >= 3 && !lists::is_particle(word) && !lists::is_common(word) {
                        let ambiguous = lists::is_ambiguous(word) || lists::is_place(word);
                        words.insert(word.to_owned(), ambiguous);
                    }
                }
            }
        }
        Self { words }
    }

    /// Every mention; of a name that is an everyday word as well, those that are written like a name.
    pub fn again(&self, tokens: &Tokens<'_>) -> Vec<Found> {
        let known = |at: &usize| match self.words.get(tokens.word(*at)) {
            Some(true) => tokens.is_capital(*at) && !tokens.begins(*at),
            Some(false) => true,
            None => false,
        };
        (0..tokens.len()).filter(known).map(|at| tokens.found(PersonalData::Name, at..at + 1)).collect()
    }
}
