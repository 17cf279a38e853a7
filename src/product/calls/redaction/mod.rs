//! Personal data leaves no transcript that leaves the house: each utterance gets a second text in which names, numbers, addresses and the like
//! stand as `[NAME_1]`, `[CARD_1]`. No I/O.
//!
//! Detectors look at words (`tokens`): at what they are (a number that Luhn's sum confirms, written or spoken), at what is said before them, and at what the
//! other side has just asked for (`context`). What two of them find in one place becomes one span. The same value has the same placeholder throughout
//! a call. What a span covers is replaced; nothing else is touched. The list of spans never holds a value.

mod context;
mod cues;
mod dates;
mod lists;
mod names;
mod numbers;
mod places;
#[cfg(test)]
mod tests;
mod tokens;
mod web;

use std::{collections::HashMap, ops::Range};

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use self::{context::Asked, names::Names, tokens::Tokens};
use super::model::{Speaker, Utterance};
use crate::{foundation::digest, words};

/// The rules of this redaction: another number when they find other things.
pub const VERSION: u32 = 2;

words! {
    /// What sort of personal data a span is.
    pub enum PersonalData {
        /// The name of a person.
        Name = "name",
        /// A telephone number.
        Phone = "phone",
        /// A payment card's number, or what else is printed on it.
        Card = "card",
        /// A postal address or a part of one.
        Address = "address",
        /// An e-mail address.
        Email = "email",
        /// A bank account's international number.
        Iban = "iban",
        /// A date of birth.
        DateOfBirth = "date_of_birth",
        /// The number of an account, an order, an identity card or the like.
        Number = "number",
        /// An IP address.
        Ip = "ip",
        /// A web address.
        Url = "url",
    }
}

/// A place that was redacted, without what stood there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "PersonalDataSpan")]
pub struct Span {
    /// What sort of data.
    pub kind: PersonalData,
    /// Which value of that sort in this call, from 1: the placeholder's number.
    pub value: u32,
    /// The utterance's position, from 1.
    pub utterance: i32,
    /// The first character in the raw text, from 0.
    pub start_char: u32,
    /// The character after the last one.
    pub end_char: u32,
}

/// Personal data that the recogniser found, as it names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// The recogniser's word for the sort: `person_name`, `credit_card_number`, …
    pub kind: String,
    /// The words.
    pub text: String,
}

/// A transcript without personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// The text of each utterance, in their order.
    pub texts: Vec<String>,
    /// What was replaced, in the order of the transcript.
    pub spans: Vec<Span>,
}

impl Redaction {
    /// The utterances with the redacted texts. They are those of which the redaction was made.
    pub fn applied(&self, transcript: &[Utterance]) -> Vec<Utterance> {
        let texts = self.texts.iter().cloned();
        transcript.iter().zip(texts).map(|(utterance, text)| Utterance { text, ..utterance.clone() }).collect()
    }
}

/// What spans of a raw transcript stand for, so that what a recogniser once found is found again when words around it have changed.
pub fn entities(transcript: &[Utterance], spans: &[Span]) -> Vec<Entity> {
    let said = |span: &Span| {
        let utterance = transcript.iter().find(|utterance| utterance.n == span.utterance)?;
        let (from, to) = (span.start_char as usize, span.end_char as usize);
        let text: String = utterance.text.chars().skip(from).take(to.saturating_sub(from)).collect();
        Some(Entity { kind: span.kind.as_str().to_owned(), text })
    };
    spans.iter().filter_map(said).collect()
}

/// The name that calls are answered in: it is said in every greeting, and is no person's.
#[derive(Clone, Debug, Default)]
pub struct Company {
    words: Vec<String>,
}

impl Company {
    /// The company that is called so.
    pub fn called(name: &str) -> Self {
        let tokens = Tokens::of(name);
        Self { words: tokens.iter().map(|token| token.word.clone()).filter(|word| word.chars().count() > 2).collect() }
    }

    /// Whether a name is the company's and nobody's who is called alike: "Mr Berg" at Berg's stays a person.
    fn is(&self, tokens: &Tokens<'_>, found: &Found) -> bool {
        let words = tokens.within(&found.bytes);
        let is_title = words.start > 0 && names::is_title(tokens.word(words.start - 1));
        found.kind == PersonalData::Name
            && !is_title
            && !words.is_empty()
            && words.into_iter().all(|at| self.words.iter().any(|word| word == tokens.word(at)))
    }
}

/// Redacts a transcript of a company's call; `entities` are what the recogniser found in it.
pub fn redact(transcript: &[Utterance], entities: &[Entity], company: &Company) -> Redaction {
    let tokens: Vec<Tokens<'_>> = transcript.iter().map(|utterance| Tokens::of(&utterance.text)).collect();
    let mut found: Vec<Vec<Found>> = Vec::with_capacity(transcript.len());
    let mut asked = Asked::default();
    for (utterance, tokens) in transcript.iter().zip(&tokens) {
        let expects = asked.of(utterance.speaker);
        let mut here = web::find(tokens);
        here.extend(numbers::find(tokens, expects, &here));
        here.extend(dates::find(tokens, expects));
        here.extend(places::find(tokens, expects));
        here.extend(names::find(tokens, expects).into_iter().filter(|found| !company.is(tokens, found)));
        asked.hear(utterance.speaker, tokens, &here);
        found.push(here);
    }
    let names = Names::of(&tokens, &found);
    for (tokens, here) in tokens.iter().zip(&mut found) {
        here.extend(names.again(tokens).into_iter().filter(|found| !company.is(tokens, found)));
        for entity in entities {
            here.extend(told(tokens, entity));
        }
    }
    let mut values = Values::default();
    let mut redaction = Redaction::default();
    for ((utterance, tokens), here) in transcript.iter().zip(&tokens).zip(found) {
        let spans = merged(here);
        redaction.texts.push(replace(utterance, tokens, &spans, &mut values, &mut redaction.spans));
    }
    redaction
}

/// What was replaced where, and by which rules: what a redaction's digest is of. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// The rules.
    pub version: u32,
    /// What was replaced, in the order of the transcript.
    pub spans: Vec<Span>,
}

impl Replaced {
    /// These spans with the version of the rules under which they have that digest: this program's when none has it.
    pub fn of_digest(spans: Vec<Span>, digest: &str) -> Self {
        let with = |version| Self { version, spans: spans.clone() };
        (1..=VERSION).map(with).find(|replaced| replaced.digest() == digest).unwrap_or_else(|| with(VERSION))
    }

    /// The digest.
    pub fn digest(&self) -> String {
        digest::of_json(self)
    }

    /// A raw transcript with the placeholders in it. None when the spans are not within it.
    pub fn applied(&self, raw: &[Utterance]) -> Option<Vec<String>> {
        let mut left = self.spans.iter().peekable();
        let texts: Option<Vec<String>> = raw
            .iter()
            .map(|utterance| {
                let mut chars = utterance.text.chars();
                let (mut text, mut done) = (String::with_capacity(utterance.text.len()), 0);
                while let Some(span) = left.next_if(|span| span.utterance == utterance.n) {
                    let kept = (span.start_char as usize).checked_sub(done)?;
                    let covered = (span.end_char as usize).checked_sub(span.start_char as usize)?;
                    text.extend(chars.by_ref().take(kept));
                    text.push_str(&placeholder(span.kind, span.value));
                    chars.by_ref().nth(covered.checked_sub(1)?)?;
                    done = span.end_char as usize;
                }
                text.extend(chars);
                Some(text)
            })
            .collect();
        texts.filter(|_| left.peek().is_none())
    }
}

/// What somebody wrote about a call, without personal data: it is shown and kept with what everybody may read.
pub fn redact_note(text: &str) -> String {
    let said = Utterance { n: 1, speaker: Speaker::Unknown, start_ms: None, end_ms: None, text: text.to_owned() };
    redact(&[said], &[], &Company::default()).texts.swap_remove(0)
}

/// Digest of a redaction: what was replaced where, and by which rules.
pub fn digest(spans: &[Span]) -> String {
    Replaced { version: VERSION, spans: spans.to_vec() }.digest()
}

/// Bytes of one utterance's text that are personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    kind: PersonalData,
    bytes: Range<usize>,
}

/// Which data outweighs which where both were found.
fn rank(kind: PersonalData) -> u8 {
    use PersonalData::*;
    match kind {
        Email => 0,
        Url => 1,
        Ip => 2,
        Iban => 3,
        Card => 4,
        DateOfBirth => 5,
        Address => 6,
        Phone => 7,
        Number => 8,
        Name => 9,
    }
}

/// In order and apart: what overlaps becomes one, of the kind that outweighs.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.retain(|found| !found.bytes.is_empty());
    found.sort_by_key(|found| (found.bytes.start, found.bytes.end));
    let mut apart: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match apart.last_mut().filter(|last| next.bytes.start < last.bytes.end) {
            Some(last) => {
                last.bytes.end = last.bytes.end.max(next.bytes.end);
                last.kind = if rank(next.kind) < rank(last.kind) { next.kind } else { last.kind };
            }
            None => apart.push(next),
        }
    }
    apart
}

fn replace(
    utterance: &Utterance,
    tokens: &Tokens<'_>,
    found: &[Found],
    values: &mut Values,
    spans: &mut Vec<Span>,
) -> String {
    let text = utterance.text.as_str();
    let (mut out, mut done, mut chars) = (String::with_capacity(text.len()), 0, 0);
    for Found { kind, bytes } in found {
        let before = &text[done..bytes.start];
        out.push_str(before);
        chars += before.chars().count();
        let value = values.number(*kind, &tokens.value(*kind, bytes));
        out.push_str(&placeholder(*kind, value));
        let length = text[bytes.clone()].chars().count();
        spans.push(Span {
            kind: *kind,
            value,
            utterance: utterance.n,
            start_char: chars as u32,
            end_char: (chars + length) as u32,
        });
        chars += length;
        done = bytes.end;
    }
    out.push_str(&text[done..]);
    out
}

fn placeholder(kind: PersonalData, value: u32) -> String {
    format!("[{}_{value}]", kind.as_str().to_uppercase())
}

/// The placeholders in a redacted text: the bytes of each, with the brackets.
pub fn placeholders(text: &str) -> Vec<Range<usize>> {
    let mut found = vec![];
    let mut from = 0;
    while let Some(open) = text[from..].find('[').map(|at| from + at) {
        let inner = &text[open + 1..];
        let close =
            inner.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').unwrap_or(inner.len());
        let word = inner[..close].rsplit_once('_').filter(|(_, number)| number.parse::<u32>().is_ok());
        let known = word.is_some_and(|(kind, _)| kind.to_lowercase().parse::<PersonalData>().is_ok());
        from = open + 1;
        if known && inner[close..].starts_with(']') {
            found.push(open..open + close + 2);
            from = open + close + 2;
        }
    }
    found
}

/// Whether the word (in lower case) is one that everybody uses, in any of its forms. English.
pub fn is_everyday(word: &str) -> bool {
    lists::is_everyday(word)
}

/// The values of a call by their kind, so that the same one has the same number.
#[derive(Default)]
struct Values {
    known: HashMap<(PersonalData, String), u32>,
    counts: HashMap<PersonalData, u32>,
    /// Whose name a word is a part of; none when several people are called so.
    called: HashMap<String, Option<u32>>,
}

impl Values {
    fn number(&mut self, kind: PersonalData, value: &str) -> u32 {
        if let Some(number) = self.known.get(&(kind, value.to_owned())) {
            return *number;
        }
        // "John" is who "John Smith" was, when nobody else of the call is called so.
        let same = self.called.get(value).copied().flatten().filter(|_| kind == PersonalData::Name);
        let number = same.unwrap_or_else(|| {
            let count = self.counts.entry(kind).or_default();
            *count += 1;
            *count
        });
        if kind == PersonalData::Name {
            for word in value.split(' ') {
                let whose = self.called.entry(word.to_owned()).or_insert(Some(number));
                *whose = whose.filter(|whose| *whose == number);
            }
        }
        self.known.insert((kind, value.to_owned()), number);
        number
    }
}

/// Where the words of the recogniser's entity are said.
fn told(tokens: &Tokens<'_>, entity: &Entity) -> Vec<Found> {
    let Some(kind) = kind_of(&entity.kind) else { return vec![] };
    let wanted = Tokens::of(&entity.text);
    let wanted: Vec<&str> = wanted.iter().map(|token| token.word.as_str()).collect();
    if wanted.is_empty() {
        return vec![];
    }
    let starts = (0..tokens.len()).filter(|at| tokens.says(*at, &wanted));
    starts.map(|at| tokens.found(kind, at..at + wanted.len())).collect()
}

/// The sort of data of a recogniser's word; none when it is no personal data or too unspecific.
fn kind_of(entity: &str) -> Option<PersonalData> {
    use PersonalData::*;
    Some(match entity {
        "person_name" | "username" => Name,
        "phone_number" => Phone,
        "credit_card_number" | "credit_card_cvv" | "credit_card_expiration" => Card,
        "location_address" | "location_zip" | "location_coordinate" => Address,
        "email_address" => Email,
        "date_of_birth" => DateOfBirth,
        "account_number"
        | "banking_information"
        | "drivers_license"
        | "passport_number"
        | "healthcare_number"
        | "us_social_security_number"
        | "vehicle_id"
        | "password"
        | "number_sequence" => Number,
        "ip_address" => Ip,
        "url" => Url,
        own => return own.parse().ok(),
    })
}
