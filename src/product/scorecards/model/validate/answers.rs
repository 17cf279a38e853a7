//! What can be answered: choices, ranges, and what each is worth.

use std::collections::HashSet;

use super::{
    super::{AnswerKind, AnswerType, NAME_LENGTH, Scoring, TEXT_LENGTH},
    Violations,
};

/// Most choices of a criterion, and most ranges.
const MAX_CHOICES: usize = 50;
/// Characters of the longest unit.
const UNIT_LENGTH: usize = 40;
/// A condition asks for it, whatever the type of the answer.
const RESERVED: &str = "not_applicable";

pub(super) fn check(found: &mut Violations, at: &str, answer: &AnswerType, scoring: Scoring) {
    let (least, most) = scoring.worths();
    let plain = AnswerType::default();
    if answer.kind == AnswerKind::YesNo {
        found.within(&format!("{at}.yes"), i64::from(answer.yes), least, most);
        found.within(&format!("{at}.no"), i64::from(answer.no), least, most);
    } else {
        only(found, &format!("{at}.yes"), answer.yes == plain.yes, "yes_no");
        only(found, &format!("{at}.no"), answer.no == plain.no, "yes_no");
    }
    match answer.kind {
        AnswerKind::SingleChoice | AnswerKind::MultipleChoice => choices(found, at, answer, (least, most)),
        _ => only(found, &format!("{at}.choices"), answer.choices.is_empty(), "single_choice and multiple_choice"),
    }
    if answer.kind == AnswerKind::Number {
        ranges(found, at, answer, (least, most));
        found.text(&format!("{at}.unit"), &answer.unit, 0, UNIT_LENGTH);
    } else {
        only(found, &format!("{at}.ranges"), answer.ranges.is_empty(), "number");
        only(found, &format!("{at}.unit"), answer.unit.is_empty(), "number");
    }
}

fn only(found: &mut Violations, field: &str, absent: bool, kinds: &str) {
    if !absent {
        found.add(field, format!("is only for {kinds}"));
    }
}

fn choices(found: &mut Violations, at: &str, answer: &AnswerType, (least, most): (i64, i64)) {
    let field = format!("{at}.choices");
    found.count(&field, "choices", answer.choices.len(), MAX_CHOICES);
    if answer.kind == AnswerKind::SingleChoice && answer.choices.len() == 1 {
        found.add(&field, "needs at least two to choose from".to_owned());
    }
    let mut keys = HashSet::new();
    for (n, choice) in answer.choices.iter().enumerate() {
        let at = format!("{field}[{n}]");
        key(found, &at, &choice.key, &mut keys);
        found.text(&format!("{at}.label"), &choice.label, 1, NAME_LENGTH);
        found.text(&format!("{at}.guidance"), &choice.guidance, 0, TEXT_LENGTH);
        found.within(&format!("{at}.score"), i64::from(choice.score), least, most);
    }
}

fn ranges(found: &mut Violations, at: &str, answer: &AnswerType, (least, most): (i64, i64)) {
    let field = format!("{at}.ranges");
    if answer.ranges.len() > MAX_CHOICES {
        found.count(&field, "ranges", answer.ranges.len(), MAX_CHOICES);
    }
    let mut keys = HashSet::new();
    for (n, range) in answer.ranges.iter().enumerate() {
        let at = format!("{field}[{n}]");
        key(found, &at, &range.key, &mut keys);
        found.within(&format!("{at}.score"), i64::from(range.score), least, most);
        if let (Some(from), Some(to)) = (range.from, range.to)
            && from > to
        {
            found.add(&format!("{at}.to"), "must not be below `from`".to_owned());
        }
    }
}

fn key<'a>(found: &mut Violations, at: &str, key: &'a str, seen: &mut HashSet<&'a str>) {
    if key == RESERVED {
        found.add(&format!("{at}.key"), format!("must not be {RESERVED}, which conditions know already"));
    } else {
        found.key(at, key, seen);
    }
}
