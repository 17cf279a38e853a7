//! What the words before say that the next ones are, and what the other side has asked for.

use super::{Found, PersonalData, cues::PERSONS, tokens::Tokens};
use crate::product::calls::model::Speaker;

/// So many utterances after a question its answer is waited for.
const PATIENCE: u8 = 4;
/// So many more are heard when an answer may come in pieces, as long numbers do.
const PIECES: u8 = 2;

/// What one side waits for from the other.
#[derive(Default)]
pub(super) struct Asked {
    waiting: Option<(Speaker, PersonalData, u8)>,
}

impl Asked {
    /// What this speaker has been asked for.
    pub fn of(&self, speaker: Speaker) -> Option<PersonalData> {
        self.waiting.filter(|(by, ..)| *by != speaker || speaker == Speaker::Unknown).map(|(_, kind, _)| kind)
    }

    /// An utterance is over. A new question takes the place of the one before.
    pub fn hear(&mut self, speaker: Speaker, tokens: &Tokens<'_>, found: &[Found]) {
        use PersonalData::{Card, Iban, Number, Phone};

        if let Some((_, kind, left)) = &mut self.waiting {
            let answered = found.iter().any(|found| found.kind == *kind);
            *left = match answered {
                true if matches!(kind, Card | Iban | Number | Phone) => PIECES,
                true => 0,
                false => left.saturating_sub(1),
            };
        }
        let told = !found.is_empty();
        self.waiting = self.waiting.filter(|(.., left)| *left > 0);
        if !told && let Some(kind) = question(tokens) {
            self.waiting = Some((speaker, kind, PATIENCE));
        }
    }
}

/// What the utterance asks for: the last thing that it names, when it asks at all.
fn question(tokens: &Tokens<'_>) -> Option<PersonalData> {
    let asks = |word: &str| {
        matches!(
            word,
            "what"
                | "whats"
                | "may"
                | "can"
                | "could"
                | "please"
                | "provide"
                | "give"
                | "tell"
                | "need"
                | "verify"
                | "confirm"
                | "have"
                | "spell"
                | "who"
                | "whom"
                | "which"
                | "where"
                | "when"
                | "know"
                | "get"
                | "share"
                | "read"
                | "state"
                | "enter"
        )
    };
    // "Membership number" alone is a question as well.
    let asked = tokens.len() <= 7 || tokens.text.contains('?') || tokens.iter().any(|token| asks(&token.word));
    if asked && (0..tokens.len()).any(|at| names_person(tokens, at)) {
        return Some(PersonalData::Name);
    }
    let mut named: Vec<(PersonalData, bool)> = (0..tokens.len()).filter_map(|at| named(tokens, at)).collect();
    named.sort_by_key(|(_, vague)| !vague);
    // "Who placed the order?"
    let who = || (0..tokens.len().min(3)).any(|at| matches!(tokens.word(at), "who" | "whom" | "whose"));
    if who() && named.iter().all(|(kind, _)| *kind == PersonalData::Number) {
        return Some(PersonalData::Name);
    }
    named.last().filter(|_| asked).map(|(kind, _)| *kind)
}

/// "The name on the account", "the name of the cardholder", "which name is it under".
fn names_person(tokens: &Tokens<'_>, at: usize) -> bool {
    let of = |at: usize| PERSONS.contains(&tokens.word(at)) || tokens.word(at) == "account";
    let owner = matches!(tokens.word(at + 1), "of" | "for")
        && (of(at + 2) || matches!(tokens.word(at + 2), "the" | "your" | "a") && (of(at + 3) || of(at + 4)));
    tokens.word(at) == "name" && (matches!(tokens.word(at + 1), "on") || owner)
}

/// What the word names. `bool`: it says so only of numbers that are long.
pub(super) fn named(tokens: &Tokens<'_>, at: usize) -> Option<(PersonalData, bool)> {
    use PersonalData::*;
    let before = |words: &[&str]| at > 0 && words.contains(&tokens.word(at - 1));
    Some(match tokens.word(at) {
        "card" | "visa" | "mastercard" | "amex" | "cvv" | "cvc" | "cvn" | "expiry" | "expiration" | "expires" => {
            (Card, false)
        }
        "code" if before(&["security"]) => (Card, false),
        "phone" | "telephone" | "mobile" | "cell" | "cellphone" | "fax" | "tel" | "landline" | "callback"
        | "whatsapp" => (Phone, false),
        "reach" | "call" | "ring" | "text" => (Phone, true),
        word @ ("email" | "mail") if word == "email" || before(&["e"]) => (Email, false),
        "iban" => (Iban, false),
        "birth" | "birthday" | "birthdate" | "dob" | "born" => (DateOfBirth, false),
        "zip" | "zipcode" | "postcode" | "postal" | "address" | "street" => {
            if at > 0 && before(&["email", "mail", "ip", "web"]) {
                return None;
            }
            (Address, false)
        }
        "name" | "surname"
            if !before(&["product", "company", "user", "brand", "domain", "file", "the", "hotel", "restaurant"]) =>
        {
            (Name, false)
        }
        "account" | "order" | "reference" | "confirmation" | "booking" | "reservation" | "policy" | "member"
        | "membership" | "invoice" | "case" | "ticket" | "tracking" | "passport" | "license" | "licence" | "ssn"
        | "routing" | "pin" | "claim" | "serial" | "loyalty" | "patient" | "employee" | "insurance" | "sort" | "id"
        | "identification" | "customer" | "vin" | "contract" | "parcel" | "security" => (Number, false),
        "digits" => (Number, false),
        "number" | "code" => (Number, true),
        _ => return None,
    })
}

/// What the words shortly before this one say that it is. `bool`: only when it is long.
pub(super) fn before(tokens: &Tokens<'_>, at: usize) -> Option<(PersonalData, bool)> {
    let near = (at.saturating_sub(12)..at).rev();
    let mut vague = None;
    for word in near {
        match named(tokens, word) {
            Some((kind, false)) if kind != PersonalData::Name => return Some((kind, false)),
            Some((kind, true)) => vague = vague.or(Some((kind, true))),
            _ => {}
        }
    }
    vague
}
