//! Postal addresses: a house number with a street, what follows it, and post codes.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    Found, PersonalData, lists,
    numbers::{self, Element},
    tokens::Tokens,
};

/// British and Canadian post codes are unlike anything else.
static POSTCODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9])\b")
        .expect("the pattern is right: every use of it begins here")
});

const STREETS: &[&str] = &[
    "street",
    "avenue",
    "road",
    "lane",
    "boulevard",
    "terrace",
    "highway",
    "parkway",
    "crescent",
    "gardens",
    "alley",
    "mews",
    "turnpike",
    "st",
    "ave",
    "rd",
    "ln",
    "blvd",
    "hwy",
    "pkwy",
    "strasse",
    "str",
    "freeway",
    "esplanade",
    "quay",
    "walk",
];
/// Streets as well as other things: believed after a number of two digits or more.
const PERHAPS_STREETS: &[&str] = &[
    "way", "drive", "place", "court", "close", "row", "circle", "square", "park", "view", "dr", "ct", "pl", "cir",
    "sq", "hill", "grove", "plaza", "loop", "trail", "green", "rise", "point", "path", "broadway",
];
const UNITS: &[&str] = &["apartment", "apt", "unit", "suite", "ste", "floor", "flat", "room", "building", "number"];
/// Endings of German, Dutch and Scandinavian streets, whose number comes after them.
const ENDINGS: &[&str] =
    &["strasse", "straße", "weg", "platz", "allee", "gasse", "ufer", "straat", "laan", "gatan", "vej"];
/// So many words a street's name has at most, and a house number when it is spoken.
const STREET_WORDS: usize = 4;
const NUMBER_WORDS: usize = 6;
/// So many words are looked at for a post code.
const CODE_WORDS: usize = 12;
/// So many words are taken of an address that was asked for and has no street's word in it.
const ASKED_WORDS: usize = 10;

pub(super) fn find(tokens: &Tokens<'_>, asked: Option<PersonalData>) -> Vec<Found> {
    let address = |words: Range<usize>| tokens.found(PersonalData::Address, words);
    let mut found: Vec<Found> =
        POSTCODE.find_iter(tokens.text).map(|hit| Found { kind: PersonalData::Address, bytes: hit.range() }).collect();
    let mut at = 0;
    while at < tokens.len() {
        let street = street(tokens, at).or_else(|| street_before_number(tokens, at)).or_else(|| box_number(tokens, at));
        let told = || told(tokens, at, asked == Some(PersonalData::Address));
        if let Some(end) = street.map(|end| rest(tokens, end)).or_else(told) {
            found.push(address(at..end));
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

fn is_number(tokens: &Tokens<'_>, at: usize) -> bool {
    let amount = tokens.gap(at).ends_with(['$', '€', '£']);
    !amount
        && match numbers::element(tokens, at) {
            Element::Digits(digits) => digits.len() <= 6,
            Element::Mixed(mixed) => mixed.len() <= 5 && mixed.starts_with(|c: char| c.is_ascii_digit()),
            _ => false,
        }
}

/// "12 Oak Lane", "four fifty hayes street", "12 rue de la Paix": where it ends.
fn street(tokens: &Tokens<'_>, from: usize) -> Option<usize> {
    if from > 0 && is_number(tokens, from - 1) && tokens.gap(from).trim().is_empty() || !is_number(tokens, from) {
        return None;
    }
    let after = (from..).take(NUMBER_WORDS).find(|at| !is_number(tokens, *at)).unwrap_or(from + NUMBER_WORDS);
    let house = numbers::spelled(tokens, from..after);
    if matches!(tokens.word(after), "rue" | "avenue" | "boulevard" | "place" | "chemin" | "calle" | "via") {
        let end = (after + 1..)
            .take(5)
            .find(|at| !(tokens.is_capital(*at) || lists::is_particle(tokens.word(*at))) || !near(tokens, *at));
        return end.filter(|end| *end > after + 1);
    }
    let mut doubtful = false;
    for at in after..=after + STREET_WORDS {
        let word = tokens.word(at);
        let near = at < tokens.len() && (near(tokens, at) || tokens.gap(at) == ". ");
        // "23 42nd street", "1 fourth street": the name may be the number's last word.
        let named = at > after || tokens.word(at.saturating_sub(1)).ends_with("th");
        let is_street =
            STREETS.contains(&word) || PERHAPS_STREETS.contains(&word) && (house.len() >= 2 || tokens.is_capital(at));
        match () {
            () if !near => return None,
            () if is_street && named => {
                // "copper hill avenue": the last one counts.
                let next = tokens.word(at + 1);
                let further = (STREETS.contains(&next) || PERHAPS_STREETS.contains(&next)) && tokens.gap(at + 1) == " ";
                let end = if further { at + 2 } else { at + 1 };
                return (!doubtful || house.len() >= 2 && placed(tokens, from, end)).then_some(end);
            }
            // "66 Park Road"
            () if at == after && is_street && !STREETS.contains(&tokens.word(at + 1)) => return None,
            () if joins(word) => return None,
            () => {
                let named =
                    tokens.is_capital(at) || is_direction(word) || lists::is_place(word) || lists::is_surname(word);
                doubtful |= lists::is_common(word) && !named;
            }
        }
    }
    None
}

/// Whether it is announced like an address, or goes on like one.
fn placed(tokens: &Tokens<'_>, from: usize, end: usize) -> bool {
    let announced = from == 0
        || matches!(tokens.word(from - 1), "at" | "to" | "is" | "s" | "outside" | "from" | "on" | "be" | "put");
    let next = tokens.word(end);
    announced
        || UNITS.contains(&next)
        || lists::is_place(next)
        || place_after(tokens, end).is_some()
        || is_number(tokens, end) && post_code(tokens, end).is_some()
}

/// Words that no street is called by when nobody writes capitals.
fn joins(word: &str) -> bool {
    matches!(
        word,
        "the"
            | "a"
            | "an"
            | "of"
            | "on"
            | "in"
            | "at"
            | "to"
            | "and"
            | "or"
            | "for"
            | "from"
            | "is"
            | "are"
            | "was"
            | "were"
            | "people"
            | "minutes"
            | "hours"
            | "days"
            | "dollars"
            | "percent"
            | "i"
            | "you"
            | "we"
            | "it"
            | "they"
            | "my"
            | "your"
            | "per"
            | "away"
            | "more"
            | "times"
            | "with"
    )
}

fn near(tokens: &Tokens<'_>, at: usize) -> bool {
    at < tokens.len() && tokens.gap(at).chars().all(|c| c.is_whitespace() || matches!(c, '-' | '\'' | '’'))
}

fn is_direction(word: &str) -> bool {
    matches!(word, "north" | "south" | "east" | "west" | "old" | "new" | "high" | "main" | "first" | "second" | "third")
}

/// "Hauptstraße 12": where it ends.
fn street_before_number(tokens: &Tokens<'_>, from: usize) -> Option<usize> {
    let word = tokens.word(from);
    let ending = ENDINGS.iter().any(|ending| word.len() > ending.len() + 2 && word.ends_with(ending));
    let parted =
        matches!(tokens.word(from + 1), "strasse" | "straße" | "weg" | "platz" | "allee") && tokens.is_capital(from);
    let number = if ending { from + 1 } else { from + 2 };
    let calle = matches!(word, "calle" | "via" | "rua") && tokens.is_capital(from + 1);
    ((ending || parted || calle) && is_number(tokens, number) && near(tokens, number)).then_some(number + 1)
}

/// "PO box 123".
fn box_number(tokens: &Tokens<'_>, from: usize) -> Option<usize> {
    let number = match () {
        () if tokens.says(from, &["po", "box"]) => from + 2,
        () if tokens.says(from, &["p", "o", "box"]) => from + 3,
        () => return None,
    };
    let most = tokens.len().min(number + CODE_WORDS);
    let end = (number..most).find(|at| !is_number(tokens, *at)).unwrap_or(most);
    (end > number).then_some(end)
}

/// What belongs to the address behind its street: unit, town, state, post code.
fn rest(tokens: &Tokens<'_>, street: usize) -> usize {
    let mut end = street;
    loop {
        let word = tokens.word(end);
        let ends = end >= tokens.len() || end > street + 16 || tokens.gap(end).contains(['?', '!', ';', '\n', ':']);
        if ends || tokens.gap(end).contains('.') && !matches!(tokens.gap(end), ". " | ".") {
            return end;
        }
        let stopped = tokens.gap(end).contains('.') && tokens.word(end - 1).len() > 4;
        let unit = UNITS.contains(&word) && (numbers::element(tokens, end + 1) != Element::Word);
        if stopped {
            return end;
        } else if unit {
            end += 2;
            while is_number(tokens, end)
                || matches!(numbers::element(tokens, end), Element::Letter(_)) && near(tokens, end) && word != "number"
            {
                end += 1;
            }
        } else if is_number(tokens, end) && post_code(tokens, end).is_some() {
            end = post_code(tokens, end).unwrap_or(end + 1);
        } else if lists::is_place(word) || town(tokens, end) || state(tokens, end) {
            end += 1;
        } else if let Some(place) = place_after(tokens, end) {
            end = place;
        } else if let Some(code) = code_after(tokens, end) {
            end = code;
        } else if matches!(
            word,
            "in" | "and" | "the" | "zip" | "postcode" | "post" | "code" | "north" | "south" | "east" | "west"
        ) && (lists::is_place(tokens.word(end + 1))
            || word == "in" && town(tokens, end + 1) && !lists::is_nobody(tokens.word(end + 1))
            || code_after(tokens, end + 1).is_some())
        {
            end += 1;
        } else {
            return end;
        }
    }
}

/// A capitalised word behind a comma or another one, that is no everyday word.
fn town(tokens: &Tokens<'_>, at: usize) -> bool {
    tokens.is_capital(at) && !lists::is_common(tokens.word(at)) && matches!(tokens.gap(at), "," | ", " | " " | "-")
}

/// A state whose letters are a word as well: "OR 97201".
fn state(tokens: &Tokens<'_>, at: usize) -> bool {
    let letters =
        tokens.get(at).is_some_and(|token| token.raw.len() == 2 && token.raw.bytes().all(|b| b.is_ascii_uppercase()));
    letters && is_number(tokens, at + 1)
}

/// A town that nobody knows, when a state or a post code follows.
fn place_after(tokens: &Tokens<'_>, from: usize) -> Option<usize> {
    let unknown = |at: usize| near(tokens, at) && !lists::is_common(tokens.word(at)) && !is_number(tokens, at);
    let state = |at: usize| {
        let part = matches!(tokens.word(at), "north" | "south" | "west" | "new" | "rhode");
        lists::is_place(tokens.word(at)) || part && lists::is_place(tokens.word(at + 1))
    };
    let end = (from..from + 3).find(|at| !unknown(*at) || state(*at))?;
    let code = is_number(tokens, end) && post_code(tokens, end).is_some();
    (end > from && (state(end) || code) && near(tokens, end)).then_some(end)
}

/// Five digits and more, written or spoken one by one.
fn post_code(tokens: &Tokens<'_>, from: usize) -> Option<usize> {
    let most = tokens.len().min(from + CODE_WORDS);
    let end =
        (from..most).find(|at| !is_number(tokens, *at) || *at > from && tokens.gap(*at).len() > 1).unwrap_or(most);
    let digits = numbers::spelled(tokens, from..end).len();
    (4..=9).contains(&digits).then_some(end)
}

/// "zip code nine four one zero three", "zip is 94103".
fn code_after(tokens: &Tokens<'_>, from: usize) -> Option<usize> {
    let names =
        |at: usize| matches!(tokens.word(at), "zip" | "zipcode" | "postcode" | "postal" | "post" | "code" | "is");
    let number = (from..from + 4).find(|at| !names(*at))?;
    (number > from && is_number(tokens, number)).then(|| post_code(tokens, number)).flatten()
}

/// An address without a street's word, where one was asked for or is announced: from its number to the end of what can be one.
fn told(tokens: &Tokens<'_>, from: usize, asked: bool) -> Option<usize> {
    let announced = (1..=4).any(|back| {
        from > back
            && match (tokens.word(from - back - 1), tokens.word(from - back)) {
                ("address", "is" | "s") | ("live" | "lives" | "living" | "located" | "reside", "at" | "in" | "on") => {
                    true
                }
                ("it" | "them" | "this" | "package" | "order", "to") => {
                    let sent = |at: &usize| {
                        matches!(tokens.word(*at), "ship" | "send" | "deliver" | "mail" | "post" | "forward")
                    };
                    (from.saturating_sub(back + 6)..from - back).any(|at| sent(&at))
                }
                _ => false,
            }
    });
    let begins = is_number(tokens, from) && !(from > 0 && is_number(tokens, from - 1));
    let answers = || asked && from <= 6 && (0..from).all(|at| !numbers::says_something(tokens, at));
    if !begins || !(announced || answers()) || numbers::is_date(tokens, from) {
        return None;
    }
    let number = (from..tokens.len().min(from + CODE_WORDS)).find(|at| !is_number(tokens, *at))?;
    let belongs = |at: usize| {
        let sentence = tokens.gap(at).contains(['?', '!', ';', '\n']) || tokens.begins(at);
        at < tokens.len()
            && !sentence
            && (!lists::is_everyday(tokens.word(at)) || tokens.is_capital(at) || is_number(tokens, at))
    };
    let end = (number..number + ASKED_WORDS).find(|at| !belongs(*at)).unwrap_or(number + ASKED_WORDS);
    (end > number).then_some(end)
}
