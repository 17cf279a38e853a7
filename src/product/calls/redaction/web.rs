//! E-mail, web and IP addresses, written or spoken ("anna dot berg at example dot com"), and written bank accounts.

use std::{net::Ipv6Addr, ops::Range, sync::LazyLock};

use regex::Regex;

use super::{Found, PersonalData, lists, numbers, tokens::Tokens};

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"[\p{Alphabetic}\p{N}][\p{Alphabetic}\p{N}._%+'’-]*\s?@\s?[\p{Alphabetic}\p{N}-]+(?:\.[\p{Alphabetic}\p{N}-]+)*",
    )
});
static URL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:[a-z][a-z0-9+]{1,9}://[^\s<>]+|www\.[^\s<>]+|(?:[a-z0-9][a-z0-9-]*\.)+(?:com|net|org|edu|gov|info|biz|io|co|app|dev|me|shop|store|uk|de|fr|nl|it|es|at|ch|be|se|pl|eu|ca|au|us|jp|in|br)\b(?:/[^\s<>]*)?)",
    )
});
static IPV4: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"));
static IPV6: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*"));
static IBAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b[a-z]{2}\d{2}(?:[ \u{a0}.-]?[a-z0-9]){11,30}\b"));

/// So many words a spoken domain has at most, and a spoken address.
const DOMAIN_WORDS: usize = 10;
const MAX_WORDS: usize = 40;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is right: every use of it begins here")
}

pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Found> {
    let mut found = written(tokens.text);
    for at in 1..tokens.len() {
        let dotted = is_dot(tokens.word(at - 1)) || tokens.gap(at) == ".";
        if dotted && lists::is_domain(tokens.word(at)) {
            found.extend(spoken(tokens, at));
        }
    }
    found
}

fn written(text: &str) -> Vec<Found> {
    let mut found = vec![];
    let mut add = |kind, bytes: Range<usize>| found.push(Found { kind, bytes });
    EMAIL.find_iter(text).for_each(|hit| add(PersonalData::Email, hit.range()));
    for hit in URL.find_iter(text) {
        let end =
            hit.start() + hit.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', '"', '”']).len();
        add(PersonalData::Url, hit.start()..end);
    }
    for hit in IPV4.find_iter(text) {
        if hit.as_str().split('.').all(|part| part.parse::<u32>().is_ok_and(|value| value <= 255)) {
            add(PersonalData::Ip, hit.range());
        }
    }
    for hit in IPV6.find_iter(text) {
        let trimmed = hit.as_str().trim_end_matches('.');
        if trimmed.bytes().any(|b| b.is_ascii_hexdigit()) && trimmed.parse::<Ipv6Addr>().is_ok() {
            add(PersonalData::Ip, hit.start()..hit.start() + trimmed.len());
        }
    }
    for hit in IBAN.find_iter(text) {
        // What follows may look like a part of it: the longest beginning whose sum is right counts.
        let ends = hit.as_str().char_indices().map(|(at, c)| at + c.len_utf8()).rev();
        let word_ends = |end: &usize| !text[hit.start() + end..].starts_with(char::is_alphanumeric);
        let whole = ends.filter(word_ends).map(|end| &hit.as_str()[..end]).find(|part| {
            let plain: String = part.chars().filter(char::is_ascii_alphanumeric).collect();
            part.ends_with(|c: char| c.is_ascii_alphanumeric()) && numbers::is_iban(&plain)
        });
        if let Some(whole) = whole {
            add(PersonalData::Iban, hit.start()..hit.start() + whole.len());
        }
    }
    found
}

fn is_dot(word: &str) -> bool {
    matches!(word, "dot" | "point" | "period" | "punkt")
}

fn links(word: &str) -> bool {
    is_dot(word) || matches!(word, "underscore" | "dash" | "hyphen" | "minus" | "plus")
}

/// The address whose domain has this word, `com` or the like, behind a dot.
fn spoken(tokens: &Tokens<'_>, ending: usize) -> Option<Found> {
    let mut end = ending + 1;
    while end < ending + MAX_WORDS && is_dot(tokens.word(end)) && lists::is_domain(tokens.word(end + 1)) {
        end += 2;
    }
    let back = ending.saturating_sub(DOMAIN_WORDS)..ending;
    let at =
        back.rev().find(|at| tokens.word(*at) == "at" && *at + 1 < ending && !sentence_between(tokens, *at..ending));
    if let Some(at) = at {
        let start = local_part(tokens, at);
        if start < at {
            return Some(tokens.found(PersonalData::Email, start..end));
        }
    }
    // "www dot example dot com", "example dot com"; written ones were found before.
    if !is_dot(tokens.word(ending - 1)) || ending < 2 {
        return None;
    }
    let mut start = ending - 2;
    while start >= 2 && start + MAX_WORDS > ending && is_dot(tokens.word(start - 1)) {
        start -= 2;
    }
    // "o'donnell dot net"
    if start > 0 && matches!(tokens.gap(start), "'" | "’") && matches!(tokens.word(start - 1), "o" | "d" | "l") {
        start -= 1;
        if start >= 2 && is_dot(tokens.word(start - 1)) {
            start -= 2;
        }
    }
    (!matches!(tokens.word(start), "the" | "a" | "is" | "at" | "s"))
        .then(|| tokens.found(PersonalData::Url, start..end))
}

fn sentence_between(tokens: &Tokens<'_>, words: Range<usize>) -> bool {
    words.skip(1).any(|at| tokens.gap(at).len() > 1 && tokens.begins(at))
}

/// Where the part before "at" begins; at "at" itself when there is none.
fn local_part(tokens: &Tokens<'_>, at: usize) -> usize {
    let (mut start, mut plain) = (at, 0);
    while start > 0 && start + MAX_WORDS > at {
        let previous = start - 1;
        let word = tokens.word(previous);
        let spelled = !matches!(numbers::element(tokens, previous), numbers::Element::Word | numbers::Element::Filler);
        let contraction =
            tokens.gap(previous).ends_with(['\'', '’']) && matches!(word, "s" | "t" | "m" | "d" | "re" | "ve" | "ll");
        let tied = |at: usize| matches!(tokens.gap(at), "." | "_" | "-" | "+" | "'" | "’");
        let tied = start < at && tied(start);
        let linked = start < at && links(tokens.word(start));
        if tokens.gap(start).contains(['?', '!', ':', ';', ',']) && start < at || contraction && !tied {
            break;
        }
        let is_letter = |at: usize| tokens.word(at).len() == 1;
        let letters = start < at && is_letter(start) || previous > 0 && is_letter(previous - 1);
        if links(word) && start < at || tied || linked || spelled && (word != "a" || letters) {
            start = previous;
        } else if (!lists::is_common(word) || previous > 0 && links(tokens.word(previous - 1))) && plain < 3 {
            plain += 1;
            start = previous;
        } else {
            break;
        }
    }
    // It does not begin with "dot".
    while start < at && links(tokens.word(start)) {
        start += 1;
    }
    start
}
