//! Names of persons: what is introduced as one, titles, given names that are common, and then every further mention.

use std::{collections::HashMap, ops::Range};

use super::{
    Found, PersonalData, lists,
    numbers::{self, Element},
    tokens::Tokens,
};

/// Behind these stands a name, however it is written.
const INTRODUCTIONS: &[&[&str]] = &[
    &["my", "name", "is"],
    &["my", "names"],
    &["my", "name", "s"],
    &["the", "name", "is"],
    &["the", "name", "s"],
    &["full", "name", "is"],
    &["first", "name", "is"],
    &["last", "name", "is"],
    &["first", "name"],
    &["last", "name"],
    &["surname", "is"],
    &["surname"],
    &["family", "name", "is"],
    &["maiden", "name", "is"],
    &["maiden", "name", "was"],
    &["name", "on", "the", "account", "is"],
    &["name", "on", "the", "card", "is"],
    &["name", "on", "the", "order", "is"],
    &["name", "on", "the", "booking", "is"],
    &["name", "of", "the", "account", "holder", "is"],
    &["holder", "is"],
    &["under", "the", "name"],
    &["under", "the", "name", "of"],
    &["in", "the", "name", "of"],
    &["call", "me"],
    &["i", "go", "by"],
    &["speaking", "with"],
    &["speaking", "to"],
    &["i", "am", "called"],
    &["name", "it", "s", "under", "is"],
    &["registered", "to"],
    &["belongs", "to"],
    &["ich", "bin"],
    &["mein", "name", "ist"],
    &["his", "name", "is"],
    &["her", "name", "is"],
    &["their", "name", "is"],
    &["name"],
];
/// Behind these stands a name when it is written like one, or is a common one.
const HINTS: &[&[&str]] = &[
    &["this", "is"],
    &["i", "m"],
    &["i", "am"],
    &["im"],
    &["it", "s"],
    &["it", "is"],
    &["its"],
    &["thanks"],
    &["thank", "you"],
    &["hi"],
    &["hello"],
    &["hey"],
    &["dear"],
    &["morning"],
    &["afternoon"],
    &["evening"],
    &["okay"],
    &["ok"],
    &["sorry"],
    &["sure"],
    &["welcome"],
    &["bye"],
    &["goodbye"],
    &["with"],
    &["ask", "for"],
    &["to"],
    &["from"],
    &["by"],
    &["husband"],
    &["wife"],
    &["son"],
    &["daughter"],
    &["brother"],
    &["sister"],
    &["mother"],
    &["father"],
    &["manager"],
    &["colleague"],
    &["friend"],
    &["partner"],
    &["agent"],
    &["for"],
    &["under"],
    &["and"],
    &["spoke", "to"],
    &["named"],
    &["called"],
    &["yes"],
    &["you", "re"],
    &["signed"],
    &["regards"],
    &["sincerely"],
];
const TITLES: &[&str] = &[
    "mr",
    "mrs",
    "ms",
    "miss",
    "dr",
    "mister",
    "missus",
    "prof",
    "professor",
    "herr",
    "frau",
    "senor",
    "senora",
    "monsieur",
    "madame",
];
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
    let ends_with = |cue: &[&str]| at >= cue.len() && tokens.says(at - cue.len(), cue);
    let apart = at > 0 && tokens.gap(at).chars().count() <= 2 && !tokens.gap(at).contains(['?', '!', ';', '\n']);
    let word = tokens.word(at);
    if apart && at > 0 && is_title(tokens.word(at - 1)) && !lists::is_common(word) {
        return Some(extend(tokens, at));
    }
    let spelled = spelled(tokens, at);
    if apart && let Some(cue) = INTRODUCTIONS.iter().find(|cue| ends_with(cue)) {
        // "name" alone introduces only what is written like one: "the name Anna Berg", and not "your name please".
        let sure = cue.len() > 1 || *cue == ["surname"];
        let whole = cue.len() > 2 || lists::is_given(word) || tokens.is_capital(at);
        if spelled > at {
            return Some(extend(tokens, spelled));
        }
        if !lists::is_common(word) && (sure && whole || tokens.is_capital(at)) && is_word(word) {
            return Some(extend(tokens, at));
        }
    }
    if apart && HINTS.iter().any(|cue| ends_with(cue)) && !lists::is_common(word) && is_word(word) {
        let personal = matches!(
            tokens.word(at - 1),
            "is" | "m"
                | "am"
                | "im"
                | "you"
                | "thanks"
                | "hi"
                | "hello"
                | "hey"
                | "dear"
                | "husband"
                | "wife"
                | "son"
                | "daughter"
                | "brother"
                | "sister"
                | "mother"
                | "father"
                | "manager"
                | "colleague"
                | "friend"
                | "partner"
        );
        let whole = is_name_like(tokens, at + 1) && tokens.gap(at + 1) == " ";
        let written = is_name_like(tokens, at) && (personal || whole);
        // Two words that are no everyday ones, where nobody writes capitals.
        let thing = matches!(tokens.word(at - 1), "s" | "its" | "called" | "named" | "from" | "by");
        let heard = !thing && tokens.is_lower && two_rare(tokens, at);
        let given = heard || lists::is_given(word) && (tokens.is_capital(at) || !lists::is_ambiguous(word));
        let end = extend(tokens, at);
        // "from Dulles International Airport" names a place.
        let place = !personal && tokens.is_capital(end) && matches!(tokens.gap(end), " " | " (");
        // "Welcome to Northlight Energy" and "you're through to Northlight Energy" name a company, "spoke to Anna Berg" a person.
        let company = tokens.word(at - 1) == "to" && !lists::is_given(word) && !(at > 1 && speaks(tokens.word(at - 2)));
        let company = company || tokens.gap(end) == " " && tokens.is_capital(end) && lists::is_nobody(tokens.word(end));
        let place = place || company;
        if (written || given) && !place {
            return Some(end);
        }
    }
    let next = tokens.word(at + 1);
    let free = tokens.is_capital(at)
        && lists::is_given(word)
        && !(lists::is_ambiguous(word) && (tokens.begins(at) || !tokens.is_capital(at + 1)));
    let pair = lists::is_given(word) && lists::is_surname(next) && tokens.gap(at + 1) == " ";
    // A recogniser that writes no capitals.
    let heard = lists::is_given(word) && !lists::is_ambiguous(word) && !lists::is_place(word) && tokens.is_lower;
    let here = tokens.begins(at)
        && is_name_like(tokens, at)
        && (next == "here" || is_name_like(tokens, at + 1) && tokens.word(at + 2) == "here");
    let here = here || tokens.begins(at) && two_rare(tokens, at) && tokens.is_lower;
    let does = matches!(
        tokens.word(at + 2),
        "is" | "did" | "told" | "called" | "said" | "speaking" | "was" | "has" | "will" | "would" | "asked" | "from"
    );
    let subject = tokens.begins(at)
        && is_name_like(tokens, at)
        && is_name_like(tokens, at + 1)
        && tokens.gap(at + 1) == " "
        && does;
    let saint = at > 0 && matches!(tokens.word(at - 1), "san" | "santa" | "saint" | "st" | "los" | "las" | "sao");
    if saint || is_contracted(tokens, at) {
        return None;
    }
    (free || pair || heard || here || subject).then(|| extend(tokens, at))
}

/// Whether "to" behind the word leads to a person.
fn speaks(word: &str) -> bool {
    matches!(
        word,
        "speak"
            | "spoke"
            | "spoken"
            | "talk"
            | "talked"
            | "talking"
            | "addressed"
            | "married"
            | "hello"
            | "listen"
            | "reply"
            | "said"
    )
}

/// "Don't" is not Don.
fn is_contracted(tokens: &Tokens<'_>, at: usize) -> bool {
    matches!(tokens.gap(at + 1), "'" | "’") && matches!(tokens.word(at + 1), "t" | "ll" | "re" | "ve" | "d" | "m")
        || tokens.word(at) == "don" && tokens.is_lower
}

fn two_rare(tokens: &Tokens<'_>, at: usize) -> bool {
    rare(tokens, at) && rare(tokens, at + 1) && tokens.gap(at + 1) == " "
}

/// Whether it is no everyday word and no town.
fn rare(tokens: &Tokens<'_>, at: usize) -> bool {
    let word = tokens.word(at);
    word.len() >= 3 && is_word(word) && !lists::is_common(word) && !lists::is_place(word) && !lists::is_nobody(word)
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
            _ if gap == "'" || gap == "’" => word != "s" && tokens.is_capital(end),
            true => {
                tokens.is_capital(end) && !lists::is_nobody(word)
                    || lists::is_particle(word) && tokens.is_capital(end + 1)
            }
            false => {
                !lists::is_common(word) && is_word(word) && end < at + 2
                    || lists::is_surname(word)
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
    let sure = short || written || from == 0 && tokens.is_capital(0) && tokens.is_capital(1);
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
