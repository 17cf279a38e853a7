//! Numbers, written or spoken: cards, telephones, bank accounts, and whatever else has a number that belongs to one person.

use std::ops::Range;

use super::{Found, PersonalData, context, lists, tokens::Tokens};

/// A number with so many digits belongs to somebody, whatever is said around it.
const LONG: usize = 7;
/// A run of words is cut after so many, so that the work grows with the text alone.
const MAX_RUN: usize = 64;
/// Card numbers have so many.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// What a word is in a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// Digits, as written or spoken.
    Digits(String),
    /// Letters with digits among them, as in `AB12`.
    Mixed(String),
    /// A letter by itself, or a word that stands for one.
    Letter(char),
    /// A word that people say between digits.
    Filler,
    /// Anything else.
    Word,
}

pub(super) fn element(tokens: &Tokens<'_>, at: usize) -> Element {
    let word = tokens.word(at);
    if !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
        return Element::Digits(word.to_owned());
    }
    if word.bytes().any(|b| b.is_ascii_digit()) {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let everyday = [
            "st", "nd", "rd", "th", "am", "pm", "h", "min", "mins", "k", "x", "gb", "mb", "kg", "km", "cm", "mm", "ml",
        ];
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
        return if digits <= 4 && everyday.contains(&unit) { Element::Word } else { Element::Mixed(word.to_owned()) };
    }
    if let Some(digits) = spoken(word) {
        let tens = digits.len() == 2 && digits.ends_with('0') && word != "ten";
        let unit = matches!(spoken(tokens.word(at + 1)), Some(unit) if unit.len() == 1 && unit != "0");
        return Element::Digits(if tens && unit { digits[..1].to_owned() } else { digits.to_owned() });
    }
    match word {
        "double" | "triple" if spoken(tokens.word(at + 1)).is_some() || is_digit(tokens.word(at + 1)) => {
            let next = spoken(tokens.word(at + 1)).unwrap_or(tokens.word(at + 1));
            Element::Digits(next.repeat(if word == "double" { 1 } else { 2 }))
        }
        "um" | "umm" | "uh" | "uhh" | "uhhh" | "uhm" | "ummm" | "er" | "erm" | "then" | "and" | "dash" | "hyphen"
        | "dot" | "point" | "slash" | "space" | "ok" | "okay" | "so" | "again" | "comma" | "plus" | "hundred"
        | "thousand" => match word {
            "hundred" => Element::Digits("00".to_owned()),
            "thousand" => Element::Digits("000".to_owned()),
            _ => Element::Filler,
        },
        _ => letter(word).filter(|_| !tokens.gap(at).ends_with(['\'', '’'])).map_or(Element::Word, Element::Letter),
    }
}

fn is_digit(word: &str) -> bool {
    word.len() == 1 && word.bytes().all(|b| b.is_ascii_digit())
}

/// The digits of a number's word.
fn spoken(word: &str) -> Option<&'static str> {
    const WORDS: &[(&str, &str)] = &[
        ("zero", "0"),
        ("oh", "0"),
        ("o", "0"),
        ("nought", "0"),
        ("naught", "0"),
        ("one", "1"),
        ("two", "2"),
        ("three", "3"),
        ("four", "4"),
        ("five", "5"),
        ("six", "6"),
        ("seven", "7"),
        ("eight", "8"),
        ("nine", "9"),
        ("niner", "9"),
        ("ten", "10"),
        ("eleven", "11"),
        ("twelve", "12"),
        ("thirteen", "13"),
        ("fourteen", "14"),
        ("fifteen", "15"),
        ("sixteen", "16"),
        ("seventeen", "17"),
        ("eighteen", "18"),
        ("nineteen", "19"),
        ("twenty", "20"),
        ("thirty", "30"),
        ("forty", "40"),
        ("fourty", "40"),
        ("fifty", "50"),
        ("sixty", "60"),
        ("seventy", "70"),
        ("eighty", "80"),
        ("ninety", "90"),
    ];
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, digits)| *digits)
}

fn letter(word: &str) -> Option<char> {
    const ALPHABET: &[&str] = &[
        "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima",
        "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey",
        "xray", "yankee", "zulu",
    ];
    let mut chars = word.chars();
    match (chars.next(), chars.next()) {
        (Some(only), None) if only.is_alphabetic() => Some(only),
        _ => ALPHABET.iter().find(|known| **known == word).and_then(|known| known.chars().next()),
    }
}

/// Digits and letters of these words, however they were said.
pub(super) fn spelled(tokens: &Tokens<'_>, words: Range<usize>) -> String {
    let parts = words.map(|at| match element(tokens, at) {
        Element::Digits(part) | Element::Mixed(part) => part,
        Element::Letter(letter) => letter.to_string(),
        Element::Filler | Element::Word => String::new(),
    });
    parts.collect()
}

/// Words that follow each other and make one number.
struct Run {
    words: Range<usize>,
    digits: String,
    mixed: bool,
    /// A hundred or a thousand is among its words: mostly it counts something.
    round: bool,
}

/// `taken` are places that are something else already, and end a number; a card's number goes through them nevertheless.
pub(super) fn find(tokens: &Tokens<'_>, asked: Option<PersonalData>, taken: &[Found]) -> Vec<Found> {
    let mut free = vec![true; tokens.len()];
    let mut found = vec![];
    for words in runs(tokens, &free) {
        let written = words.clone().all(|at| element(tokens, at) != Element::Filler);
        if written && has_card(&run(tokens, words.clone()).digits) {
            found.push(tokens.found(PersonalData::Card, words));
        }
    }
    taken.iter().for_each(|taken| free[tokens.within(&taken.bytes)].fill(false));
    for words in runs(tokens, &free) {
        judge(tokens, words, asked, &mut found);
    }
    found
}

fn runs(tokens: &Tokens<'_>, free: &[bool]) -> Vec<Range<usize>> {
    let mut runs = vec![];
    let mut at = 0;
    while at < tokens.len() {
        let end = run_end(tokens, at, free);
        if end > at {
            runs.push(at..end);
        }
        at = end.max(at + 1);
    }
    runs
}

/// Where the run that begins here ends; here when none begins.
fn run_end(tokens: &Tokens<'_>, from: usize, free: &[bool]) -> usize {
    let counts = |at: usize| {
        free.get(at) == Some(&true)
            && matches!(element(tokens, at), Element::Digits(_) | Element::Mixed(_) | Element::Letter(_))
    };
    if !counts(from) {
        return from;
    }
    let joined = |at: usize| {
        let gap = tokens.gap(at);
        at < tokens.len()
            && gap.chars().count() <= 4
            && !gap.contains(['$', '€', '£', '%', ':', '@', '?', '!', '\n', '=', '"'])
    };
    let mut end = from + 1;
    while end - from < MAX_RUN {
        let mut next = end;
        while next < end + 2 && joined(next) && element(tokens, next) == Element::Filler {
            next += 1;
        }
        if !joined(next) || !counts(next) {
            return end;
        }
        end = next + 1;
    }
    end
}

fn run(tokens: &Tokens<'_>, words: Range<usize>) -> Run {
    let elements = words.clone().map(|at| element(tokens, at));
    let mixed = elements.clone().any(|element| matches!(element, Element::Mixed(_) | Element::Letter(_)));
    let digits = elements.filter_map(|element| match element {
        Element::Digits(part) | Element::Mixed(part) => Some(part),
        _ => None,
    });
    let digits = digits.collect::<String>().chars().filter(char::is_ascii_digit).collect();
    let round = words.clone().any(|at| matches!(tokens.word(at), "hundred" | "thousand"));
    Run { words, digits, mixed, round }
}

fn judge(tokens: &Tokens<'_>, words: Range<usize>, asked: Option<PersonalData>, found: &mut Vec<Found>) {
    use PersonalData::*;
    let whole = run(tokens, words.clone());
    if is_iban(&spelled(tokens, words.clone())) {
        return found.push(tokens.found(Iban, words));
    }
    if has_card(&whole.digits) {
        return found.push(tokens.found(Card, words));
    }
    if let Some(date) = words.clone().find(|at| *at + 3 <= words.end && is_date(tokens, *at)) {
        // A date is not a part of a number; whether it is somebody's birthday others decide.
        judge(tokens, words.start..date, asked, found);
        return judge(tokens, date + 3..words.end, asked, found);
    }
    if words.is_empty() {
        return;
    }
    let said = context::before(tokens, words.start).or_else(|| after(tokens, words.end));
    let keeps_letters = matches!(said.map(|(kind, _)| kind).or(asked), Some(Number | Iban));
    let run = run(tokens, if keeps_letters { without_speech(tokens, words) } else { trimmed(tokens, words) });
    if let Some(kind) = kind_of(tokens, &run, said, asked) {
        found.push(tokens.found(kind, if kind == Number { tied(tokens, run.words) } else { run.words }));
    }
}

/// With the letters that a sign ties to a number: "AB-12345".
fn tied(tokens: &Tokens<'_>, words: Range<usize>) -> Range<usize> {
    let short =
        |at: usize| tokens.word(at).len() <= 5 && matches!(element(tokens, at), Element::Word | Element::Letter(_));
    let signs = |at: usize| at < tokens.len() && matches!(tokens.gap(at), "-" | "/" | "_" | "#");
    let start =
        if words.start > 0 && signs(words.start) && short(words.start - 1) { words.start - 1 } else { words.start };
    let end = if signs(words.end) && short(words.end) { words.end + 1 } else { words.end };
    start..end
}

/// Without the letters at the ends: mostly they are words ("a", "I").
fn trimmed(tokens: &Tokens<'_>, words: Range<usize>) -> Range<usize> {
    let is_letter = |at: &usize| matches!(element(tokens, *at), Element::Letter(_) | Element::Filler);
    let start = words.clone().find(|at| !is_letter(at)).unwrap_or(words.end);
    let end = (start..words.end).rev().find(|at| !is_letter(at)).map_or(start, |last| last + 1);
    start..end
}

/// Without an "I" or "a" at the ends that belongs to the sentence: "number 4471 and I …", "a 4471".
fn without_speech(tokens: &Tokens<'_>, words: Range<usize>) -> Range<usize> {
    let says = |at: usize, said: &[&str]| said.contains(&tokens.word(at));
    let mut end = words.end;
    let goes_on = |at: usize| at < tokens.len() && element(tokens, at) == Element::Word && !tokens.begins(at);
    let verb = says(end - 1, &["a"]) || lists::is_common(tokens.word(end));
    if end > words.start + 1 && says(end - 1, &["i", "a"]) && goes_on(end) && verb {
        end -= 1;
        while end > words.start + 1 && element(tokens, end - 1) == Element::Filler {
            end -= 1;
        }
    }
    let start = if says(words.start, &["a"]) && end > words.start + 1 { words.start + 1 } else { words.start };
    start..end
}

/// Whether the utterance is an answer: beside this number it says no more than "sure, it's …, I believe".
fn answers(tokens: &Tokens<'_>, words: &Range<usize>) -> bool {
    (0..tokens.len()).filter(|at| !words.contains(at) && says_something(tokens, *at)).count() <= 1
}

/// Whether it is more than a word with which an answer begins or ends.
pub(super) fn says_something(tokens: &Tokens<'_>, at: usize) -> bool {
    !matches!(
        tokens.word(at),
        "yes"
            | "yeah"
            | "yep"
            | "yup"
            | "sure"
            | "ok"
            | "okay"
            | "right"
            | "so"
            | "well"
            | "it"
            | "its"
            | "s"
            | "is"
            | "was"
            | "be"
            | "should"
            | "that"
            | "thats"
            | "this"
            | "the"
            | "my"
            | "a"
            | "an"
            | "i"
            | "me"
            | "let"
            | "see"
            | "look"
            | "think"
            | "believe"
            | "guess"
            | "number"
            | "numbers"
            | "one"
            | "last"
            | "first"
            | "four"
            | "digits"
            | "ends"
            | "ending"
            | "in"
            | "with"
            | "says"
            | "reads"
            | "uh"
            | "um"
            | "umm"
            | "uhm"
            | "er"
            | "and"
            | "then"
            | "please"
            | "thanks"
            | "thank"
            | "you"
            | "here"
            | "go"
            | "of"
            | "course"
            | "code"
            | "id"
            | "pin"
            | "zip"
            | "got"
            | "have"
            | "again"
            | "correct"
            | "for"
            | "would"
    ) && (element(tokens, at) == Element::Word
        || lists::is_everyday(tokens.word(at)) && spoken(tokens.word(at)).is_none())
}

fn kind_of(
    tokens: &Tokens<'_>,
    run: &Run,
    said: Option<(PersonalData, bool)>,
    asked: Option<PersonalData>,
) -> Option<PersonalData> {
    use PersonalData::*;
    let length = run.digits.len();
    if is_ip(tokens, &run.words) {
        return Some(Ip);
    }
    if length == 0 || is_amount(tokens, run) || run.round && length < LONG {
        return None;
    }
    let number = |kind: PersonalData| match kind {
        Card | Phone | Iban | Number => kind,
        Address => Address,
        _ if length >= 10 => Phone,
        _ => Number,
    };
    let plus = tokens.gap(run.words.start).ends_with(['+'])
        || run.words.start > 0 && tokens.word(run.words.start - 1) == "plus";
    if let Some((kind, vague)) = said {
        let least = match kind {
            Card => 3,
            Phone => 5,
            Address => 4,
            Number | Iban if run.mixed => 2,
            Number | Iban => 4,
            _ => LONG,
        };
        let least = if vague { 5 } else { least };
        let names_itself = (run.words.start.saturating_sub(4)..run.words.start).any(|at| {
            matches!(tokens.word(at), "number" | "is" | "s" | "no" | "id" | "code" | "pin" | "digits" | "cvv" | "cvc")
        });
        let year = length == 4 && (run.digits.starts_with("19") || run.digits.starts_with("20")) && !names_itself;
        let near =
            names_itself || length >= 5 || tokens.gap(run.words.start).contains('#') || kind == Card && length == 4;
        if length >= least && near && !year && (kind != DateOfBirth || length >= LONG) {
            let phone = kind == Number && (plus || vague && (10..=12).contains(&length));
            return Some(if phone { Phone } else { number(kind) });
        }
    }
    if let Some(kind @ (Card | Phone | Iban | Number | Address)) = asked {
        let short = length >= 3 || run.mixed && length >= 2 && run.words.len() + length > 4;
        if length >= 5 || short && answers(tokens, &run.words) {
            return Some(number(kind));
        }
    }
    // "#24095", "ORD-550091"
    let marked = tokens.gap(run.words.start).ends_with('#')
        || tied(tokens, run.words.clone()).start < run.words.start && tokens.gap(run.words.start) == "-";
    if ((run.mixed || marked) && length >= 5 || is_code(tokens, &run.words)) && length < LONG {
        return Some(Number);
    }
    if length < LONG {
        return None;
    }
    let phone = plus || (10..=12).contains(&length) && !run.mixed || length == 7 && run.words.len() == 2;
    Some(if phone { Phone } else { Number })
}

/// "H4X196": letters and digits change in it too often for the name of a product.
fn is_code(tokens: &Tokens<'_>, words: &Range<usize>) -> bool {
    words.clone().any(|at| {
        let word = tokens.word(at).as_bytes();
        let turns = word.windows(2).filter(|two| two[0].is_ascii_digit() != two[1].is_ascii_digit()).count();
        word.len() >= 6 && turns >= 2 && word.iter().filter(|byte| byte.is_ascii_digit()).count() >= 3
    })
}

/// "4471 is my account number".
fn after(tokens: &Tokens<'_>, end: usize) -> Option<(PersonalData, bool)> {
    let is = matches!(tokens.word(end), "is" | "was" | "as");
    let mine = matches!(tokens.word(end + 1), "my" | "the" | "our" | "your" | "his" | "her");
    (is && mine).then(|| (end + 2..end + 5).find_map(|at| context::named(tokens, at))).flatten()
}

/// Money, percentages and large round counts: they belong to nobody.
fn is_amount(tokens: &Tokens<'_>, run: &Run) -> bool {
    let next = tokens.word(run.words.end);
    let unit = matches!(
        next,
        "dollars"
            | "dollar"
            | "bucks"
            | "euros"
            | "euro"
            | "pounds"
            | "cents"
            | "percent"
            | "usd"
            | "eur"
            | "gbp"
            | "people"
            | "points"
            | "miles"
            | "kilometers"
            | "degrees"
            | "million"
            | "billion"
            | "am"
            | "pm"
            | "volts"
            | "hours"
            | "minutes"
            | "days"
            | "weeks"
            | "months"
            | "years"
            | "nights"
            | "times"
            | "stars"
            | "gb"
            | "mb"
    );
    let currency = |gap: &str| gap.contains(['$', '€', '£', '¥', '%']);
    let thousands = || {
        let mut groups = run.words.clone().skip(1);
        run.words.len() > 1 && groups.all(|at| tokens.gap(at) == "," && tokens.word(at).len() == 3)
    };
    unit && (run.digits.len() < LONG || run.words.len() == 1)
        || currency(tokens.gap(run.words.start))
        || tokens.gap(run.words.end).starts_with(['$', '€', '£', '%'])
        || thousands()
}

/// Three numbers with the same sign between them that can be a day, a month and a year.
pub(super) fn is_date(tokens: &Tokens<'_>, at: usize) -> bool {
    let part = |nth: usize| tokens.word(at + nth);
    let digits = (0..3).all(|nth| !part(nth).is_empty() && part(nth).bytes().all(|b| b.is_ascii_digit()));
    let sign = tokens.gap(at + 1);
    let small =
        |word: &str, most: u32| word.len() <= 2 && word.parse().is_ok_and(|value: u32| (1..=most).contains(&value));
    let year = |word: &str| word.len() == 4 && (word.starts_with("19") || word.starts_with("20"));
    let ordered = year(part(0)) && small(part(1), 12) && small(part(2), 31)
        || small(part(0), 31) && small(part(1), 31) && (year(part(2)) || part(2).len() == 2);
    digits && matches!(sign, "/" | "-" | "." | "–") && tokens.gap(at + 2) == sign && ordered
}

/// Four numbers up to 255 with "dot" or "point" said between them.
fn is_ip(tokens: &Tokens<'_>, words: &Range<usize>) -> bool {
    let mut parts = vec![String::new()];
    for at in words.clone() {
        match (tokens.word(at), element(tokens, at)) {
            ("dot" | "point", _) => parts.push(String::new()),
            (_, Element::Digits(digits)) => {
                if let Some(last) = parts.last_mut() {
                    last.push_str(&digits);
                }
            }
            _ => {}
        }
    }
    parts.len() == 4 && parts.iter().all(|part| part.parse::<u32>().is_ok_and(|value| value <= 255))
}

fn has_card(digits: &str) -> bool {
    let digits = digits.as_bytes();
    CARD_DIGITS.rev().any(|length| digits.windows(length).any(luhn))
}

/// Luhn's sum of the digits ends with 0. Digits that are all the same are no card.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(nth, digit)| {
            let value = u32::from(digit - b'0') * if nth % 2 == 1 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// How long the numbers of each country are that has them (the registry of ISO 13616).
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 \
    FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 \
    LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 \
    SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// Whether it is an IBAN: country, two check digits, and a remainder of 1 (ISO 13616).
pub(super) fn is_iban(spelled: &str) -> bool {
    let plain = spelled.to_ascii_uppercase();
    let bytes = plain.as_bytes();
    let known = |entry: &str| plain.starts_with(&entry[..2]) && entry[2..].parse() == Ok(bytes.len());
    let shape = IBAN_LENGTHS.split(' ').any(known)
        && bytes.iter().all(u8::is_ascii_alphanumeric)
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit);
    let value = |byte: u8| if byte.is_ascii_digit() { u32::from(byte - b'0') } else { u32::from(byte - b'A') + 10 };
    shape
        && bytes[4..].iter().chain(&bytes[..4]).fold(0, |rest: u32, byte| {
            let value = value(*byte);
            (rest * if value > 9 { 100 } else { 10 } + value) % 97
        }) == 1
}
