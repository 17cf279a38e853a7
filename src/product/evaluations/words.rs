//! Words as evidence and rules compare them: without case, white space, punctuation, apostrophes, invisible characters and compatibility
//! forms (NFKC). No I/O.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Appends each word of `text`, followed by a blank, and tells where it begins in `out` and which characters it came from.
pub fn normalise(text: &str, out: &mut String, mut word: impl FnMut(usize, usize, usize)) {
    let mut raw = String::new();
    let (mut from, mut to) = (0, 0);
    let mut end = |raw: &mut String, from: usize, to: usize| {
        let at = out.len();
        if raw.is_ascii() {
            out.extend(raw.chars().map(|c| c.to_ascii_lowercase()));
        } else {
            out.extend(raw.nfkc().flat_map(char::to_lowercase).filter(|c| is_word(*c)));
        }
        raw.clear();
        if out.len() > at {
            out.push(' ');
            word(at, from, to);
        }
    };
    for (n, c) in text.chars().enumerate() {
        if is_dropped(c) {
            continue;
        }
        let continues = is_word(c) && !raw.is_empty() && !stands_alone(c) && !raw.ends_with(stands_alone);
        if !raw.is_empty() && !continues && !is_combining_mark(c) {
            end(&mut raw, from, to);
        }
        if is_word(c) {
            if raw.is_empty() {
                from = n;
            }
            raw.push(c);
            to = n + 1;
        }
    }
    if !raw.is_empty() {
        end(&mut raw, from, to);
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Apostrophes ("don't" is "dont") and characters that nobody sees.
fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\'' | '`'
            | '´'
            | '\u{2018}'
            | '\u{2019}'
            | '\u{201B}'
            | '\u{02BC}'
            | '\u{2032}'
            | '\u{FF07}'
            | '\u{00AD}'
            | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}'
    )
}

/// Scripts that part their words by nothing: each letter is its own word, so that a part of a sentence is found in it.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}')
}
