//! What makes a definition valid: every number within its bounds, every key unique, every reference leading somewhere. Whether a valid
//! definition also makes sense is for [`lint`](super::lint) to say.

mod answers;
mod rules;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    str::FromStr,
};

use super::{
    AnsweredBy, Condition, Criterion, Definition, KEY_LENGTH, MAX_CRITERIA, MAX_SECTIONS, MAX_WEIGHT, NAME_LENGTH,
    QUESTION_LENGTH, Scoring, TEXT_LENGTH, Violation, definition::AppliesTo,
};
use crate::product::calls::model::{Channel, Direction};

/// Further mistakes are not listed.
pub(super) const MAX_VIOLATIONS: usize = 50;
/// What is said of a key that is not unique.
pub(super) const USED_TWICE: &str = "is used twice";
/// Most entries of one list of [`AppliesTo`].
const MAX_APPLIES: usize = 100;
/// The longest calls: ten days.
const MAX_DURATION_MS: u64 = 864_000_000;
/// Most answers that a condition names.
const MAX_ANSWERED: usize = 50;

impl Definition {
    /// Holds the definition against the rules of its type.
    ///
    /// # Errors
    /// Every mistake (the first 50), with the path of the field.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        let mut found = Violations::default();
        found.text("name", &self.name, 1, NAME_LENGTH);
        found.text("description", &self.description, 0, TEXT_LENGTH);
        found.within("pass_mark", i64::from(self.pass_mark.unwrap_or(0)), 0, 100);
        found.within("least_confidence", i64::from(self.least_confidence), 0, 100);
        applies_to(&mut found, &self.applies_to);
        found.count("sections", "sections", self.sections.len(), MAX_SECTIONS);
        let criteria = self.criteria().count();
        if criteria > MAX_CRITERIA {
            found.add("sections", format!("has {criteria} criteria in all; at most {MAX_CRITERIA} are allowed"));
        }
        let (mut sections, mut keys, mut earlier) = (HashSet::new(), HashSet::new(), HashMap::new());
        for (s, section) in self.sections.iter().enumerate() {
            let at = format!("sections[{s}]");
            found.key(&at, &section.key, &mut sections);
            found.text(&format!("{at}.name"), &section.name, 1, NAME_LENGTH);
            found.weight(&at, section.weight);
            found.count(&format!("{at}.criteria"), "criteria", section.criteria.len(), MAX_CRITERIA);
            for (c, criterion) in section.criteria.iter().enumerate() {
                let at = format!("{at}.criteria[{c}]");
                found.key(&at, &criterion.key, &mut keys);
                self.criterion(&mut found, &at, criterion);
                if let Some(condition) = &criterion.shown_when {
                    shown_when(&mut found, &format!("{at}.shown_when"), condition, &earlier, self);
                }
                earlier.insert(criterion.key.as_str(), criterion);
            }
        }
        if found.0.is_empty() { Ok(()) } else { Err(found.0) }
    }

    fn criterion(&self, found: &mut Violations, at: &str, criterion: &Criterion) {
        found.text(&format!("{at}.question"), &criterion.question, 1, QUESTION_LENGTH);
        found.text(&format!("{at}.guidance"), &criterion.guidance, 0, TEXT_LENGTH);
        found.weight(at, criterion.weight);
        answers::check(found, &format!("{at}.answer"), &criterion.answer, self.scoring);
        let field = format!("{at}.rule");
        match (criterion.answered_by, &criterion.rule) {
            (AnsweredBy::Rule, Some(rule)) => rules::check(found, &field, rule, &criterion.answer),
            (AnsweredBy::Rule, None) => found.add(&field, "is needed when rules answer".to_owned()),
            (_, Some(_)) => found.add(&field, "is only for criteria that rules answer".to_owned()),
            (_, None) => {}
        }
        let tags: BTreeSet<_> = criterion.tags.iter().collect();
        if tags.len() < criterion.tags.len() {
            found.add(&format!("{at}.tags"), "has a tag twice".to_owned());
        }
    }
}

fn applies_to(found: &mut Violations, applies: &AppliesTo) {
    let lists = [
        ("queues", &applies.queues),
        ("channels", &applies.channels),
        ("directions", &applies.directions),
        ("languages", &applies.languages),
    ];
    for (name, list) in lists {
        let field = format!("applies_to.{name}");
        if list.len() > MAX_APPLIES {
            found.add(&field, format!("has {} entries; at most {MAX_APPLIES} are allowed", list.len()));
        }
        let mut seen = HashSet::new();
        for (n, word) in list.iter().enumerate() {
            let field = format!("{field}[{n}]");
            match name {
                "channels" => found.word(&field, Channel::from_str(word).is_ok(), Channel::ALL),
                "directions" => found.word(&field, Direction::from_str(word).is_ok(), Direction::ALL),
                "languages" if !is_language(word) => found.add(&field, "must be a BCP 47 language".to_owned()),
                _ => found.text(&field, word, 1, NAME_LENGTH),
            }
            if !seen.insert(word) {
                found.add(&field, "is there twice".to_owned());
            }
        }
    }
    if applies.min_duration_ms > MAX_DURATION_MS {
        found.add("applies_to.min_duration_ms", format!("must be at most {MAX_DURATION_MS}"));
    }
}

/// `en`, `en-GB`, `zh-Hant-TW`: the form that uploads take.
fn is_language(word: &str) -> bool {
    let mut parts = word.split(['-', '_']);
    let first = parts.next().unwrap_or_default();
    let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric());
    word.len() <= 35
        && (2..=8).contains(&first.len())
        && letters(first)
        && parts.all(|part| (1..=8).contains(&part.len()) && plain(part))
}

fn shown_when(
    found: &mut Violations,
    at: &str,
    condition: &Condition,
    earlier: &HashMap<&str, &Criterion>,
    definition: &Definition,
) {
    let field = format!("{at}.criterion");
    let Some(other) = earlier.get(condition.criterion.as_str()) else {
        let later = definition.criteria().any(|criterion| criterion.key == condition.criterion);
        let why = if later { "must come earlier in the scorecard" } else { "is no criterion of the scorecard" };
        return found.add(&field, why.to_owned());
    };
    let possible = other.possible_words();
    if possible.is_empty() {
        return found.add(&field, "has no answers that can be asked for".to_owned());
    }
    found.count(&format!("{at}.answered"), "answers", condition.answered.len(), MAX_ANSWERED);
    let mut seen = HashSet::new();
    for (n, word) in condition.answered.iter().enumerate() {
        let field = format!("{at}.answered[{n}]");
        if !possible.contains(&word.as_str()) {
            found.add(&field, format!("must be one of {}", some_of(&possible)));
        } else if !seen.insert(word) {
            found.add(&field, "is there twice".to_owned());
        }
    }
}

/// The first few words, for a message.
fn some_of(words: &[&str]) -> String {
    let more = if words.len() > 10 { ", …" } else { "" };
    format!("{}{more}", words.iter().take(10).copied().collect::<Vec<_>>().join(", "))
}

/// The mistakes so far.
#[derive(Default)]
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, field: &str, message: String) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation { field: field.to_owned(), message });
        }
    }

    fn text(&mut self, field: &str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length > most {
            self.add(field, format!("has {length} characters; at most {most} are allowed"));
        } else if least > 0 && text.trim().is_empty() {
            self.add(field, "must not be empty".to_owned());
        } else if text.contains('\0') {
            self.add(field, "must not contain a NUL character".to_owned());
        }
    }

    fn count(&mut self, field: &str, what: &str, count: usize, most: usize) {
        if count == 0 {
            self.add(field, format!("needs at least one of its {what}"));
        } else if count > most {
            self.add(field, format!("has {count} {what}; at most {most} are allowed"));
        }
    }

    fn within(&mut self, field: &str, value: i64, least: i64, most: i64) {
        if !(least..=most).contains(&value) {
            self.add(field, format!("must be {least} to {most}"));
        }
    }

    fn word<T: std::fmt::Display>(&mut self, field: &str, known: bool, all: &[T]) {
        if !known {
            let all: Vec<String> = all.iter().map(T::to_string).collect();
            self.add(field, format!("must be one of {}", all.join(", ")));
        }
    }

    fn weight(&mut self, at: &str, weight: u32) {
        self.within(&format!("{at}.weight"), i64::from(weight), 1, i64::from(MAX_WEIGHT));
    }

    fn key<'a>(&mut self, at: &str, key: &'a str, seen: &mut HashSet<&'a str>) {
        let field = format!("{at}.key");
        let proper = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if key.is_empty() || key.len() > KEY_LENGTH || !key.chars().all(proper) {
            self.add(&field, format!("must be 1 to {KEY_LENGTH} of a-z, 0-9 and _"));
        } else if !seen.insert(key) {
            self.add(&field, USED_TWICE.to_owned());
        }
    }
}

impl Scoring {
    /// The least and the most that an answer may be worth.
    pub(super) fn worths(self) -> (i64, i64) {
        match self {
            Self::Weights => (-100, 100),
            Self::Points => (-1_000, 1_000),
        }
    }
}
