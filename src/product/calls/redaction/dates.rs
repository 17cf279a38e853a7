//! Dates of birth: a date where birth is spoken of or was asked for, and a whole date that is long ago.

use std::ops::Range;

use super::{
    Found, PersonalData,
    numbers::{self, Element},
    tokens::Tokens,
};

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "jan",
    "feb",
    "mar",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "januar",
    "februar",
    "maerz",
    "marz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
];
const ORDINALS: &[&str] = &[
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "thirtieth",
];
/// Whoever was born later does not call.
const LATEST_YEAR: u32 = 2012;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Month,
    Day,
    Number,
    Between,
    None,
}

pub(super) fn find(tokens: &Tokens<'_>, asked: Option<PersonalData>) -> Vec<Found> {
    let births: Vec<usize> = (0..tokens.len())
        .filter(|at| {
            matches!(tokens.word(*at), "born" | "birth" | "birthday" | "birthdate" | "dob" | "geboren" | "geburtsdatum")
        })
        .collect();
    let mut found = vec![];
    let mut at = 0;
    while at < tokens.len() {
        let end = date_end(tokens, at);
        if end == at {
            at += 1;
            continue;
        }
        // Spoken of up to 12 words before the date or 4 after it.
        let next = births.partition_point(|birth| *birth + 12 < at);
        let near = births.get(next).is_some_and(|birth| *birth < end + 4);
        let asked = asked == Some(PersonalData::DateOfBirth);
        if is_birth(tokens, at..end, near || asked) {
            found.push(tokens.found(PersonalData::DateOfBirth, at..end));
        }
        at = end;
    }
    found
}

fn part(tokens: &Tokens<'_>, at: usize) -> Part {
    let word = tokens.word(at);
    // "may" is mostly not the month.
    let month = MONTHS.contains(&word) && !(word == "may" && !tokens.is_capital(at) && !beside_a_day(tokens, at));
    if month {
        return Part::Month;
    }
    let suffixed = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ordinal = (1..=2).contains(&suffixed.len()) && matches!(&word[suffixed.len()..], "st" | "nd" | "rd" | "th");
    if ordinal || ORDINALS.contains(&word) {
        return Part::Day;
    }
    match numbers::element(tokens, at) {
        Element::Digits(_) => Part::Number,
        _ if matches!(word, "of" | "the" | "in" | "and" | "slash" | "dash" | "uh" | "um") => Part::Between,
        _ => Part::None,
    }
}

fn beside_a_day(tokens: &Tokens<'_>, at: usize) -> bool {
    let day = |at: usize| {
        ORDINALS.contains(&tokens.word(at))
            || matches!(numbers::element(tokens, at), Element::Digits(_))
            || tokens.word(at).starts_with(|c: char| c.is_ascii_digit())
    };
    day(at + 1) || at > 0 && (day(at - 1) || tokens.word(at - 1) == "of")
}

/// Where the words of a date end; here when none begins.
fn date_end(tokens: &Tokens<'_>, from: usize) -> usize {
    if matches!(part(tokens, from), Part::Between | Part::None) {
        return from;
    }
    let (mut end, mut next) = (from + 1, from + 1);
    while next < tokens.len()
        && next <= end + 1
        && tokens.gap(next).len() <= 3
        && !tokens.gap(next).contains(['?', '!', '$', ':'])
    {
        match part(tokens, next) {
            Part::None => break,
            Part::Between => next += 1,
            _ => {
                next += 1;
                end = next;
            }
        }
    }
    end
}

fn is_birth(tokens: &Tokens<'_>, words: Range<usize>, spoken_of: bool) -> bool {
    let parts: Vec<Part> = words.clone().map(|at| part(tokens, at)).filter(|part| *part != Part::Between).collect();
    let has = |wanted: Part| parts.contains(&wanted);
    let digits = numbers::spelled(tokens, words.clone());
    let year = words.clone().any(|at| is_year(tokens.word(at)))
        || words.clone().any(|at| tokens.word(at) == "nineteen" && at + 1 < words.end);
    let whole = has(Part::Month) && (has(Part::Day) || has(Part::Number)) && parts.len() >= 2;
    if spoken_of {
        let count = parts.len();
        return whole || count >= 3 && digits.len() >= 4 || count >= 1 && digits.len() >= 6 || count == 1 && year;
    }
    let written = words.len() == 3 && numbers::is_date(tokens, words.start);
    year && (written || whole && parts.len() >= 3)
}

/// Of a person who can call.
fn is_year(word: &str) -> bool {
    word.len() == 4 && word.parse().is_ok_and(|year: u32| (1900..=LATEST_YEAR).contains(&year))
}
