//! Rules: which of them a type of answer takes, how many there may be, and that they speak of what exists.

use super::{
    super::{AnswerKind, AnswerType, MetricRule, NAME_LENGTH, Near, PhraseRule, Rule, RuleAnswers, RuleGroup, Within},
    Violations,
};
use crate::product::calls::metrics;

/// Most phrases of one list.
const MAX_PHRASES: usize = 200;
/// Most words of one phrase.
const MAX_WORDS: usize = 20;
/// Most `*` of one phrase.
const MAX_STARS: usize = 4;
/// Most rules of one group.
const MAX_GROUP: usize = 20;
/// How deep groups lie within groups.
const MAX_DEPTH: usize = 4;
/// Most rules of one criterion, groups counted; it bounds what evaluating it costs.
const MAX_RULES: usize = 200;
/// Most choices that are chosen by rule.
const MAX_CHOOSE: usize = 100;
const MAX_SECONDS: i64 = 864_000;
const MAX_TURNS: i64 = 1_000;
const MAX_NEAR_WORDS: i64 = 100;
const MAX_NEAR_TURNS: i64 = 50;
const MAX_TIMES: i64 = 1_000;

/// The rules of a criterion that is answered so.
pub(super) fn check(found: &mut Violations, at: &str, answers: &RuleAnswers, answer: &AnswerType) {
    use AnswerKind::{MultipleChoice, Number, SingleChoice, Text, YesNo};
    let kind = answer.kind;
    if kind == Text {
        return found.add(at, "cannot answer with words; let somebody else answer, or take another type".to_owned());
    }
    fits(found, &format!("{at}.yes_when"), answers.yes_when.is_some(), kind == YesNo);
    fits(found, &format!("{at}.choose"), !answers.choose.is_empty(), matches!(kind, SingleChoice | MultipleChoice));
    fits(found, &format!("{at}.number_from"), answers.number_from.is_some(), kind == Number);
    if let Some(metric) = &answers.number_from {
        known(found, &format!("{at}.number_from"), metric);
    }
    let mut rules = 0;
    for (name, rule) in [("applies_when", &answers.applies_when), ("yes_when", &answers.yes_when)] {
        if let Some(rule) = rule {
            one(found, &format!("{at}.{name}"), rule, 0, &mut rules);
        }
    }
    if answers.choose.len() > MAX_CHOOSE {
        found.count(&format!("{at}.choose"), "choices", answers.choose.len(), MAX_CHOOSE);
    }
    for (n, choose) in answers.choose.iter().take(MAX_CHOOSE).enumerate() {
        let at = format!("{at}.choose[{n}]");
        if !answer.choices.iter().any(|choice| choice.key == choose.choice) {
            found.add(&format!("{at}.choice"), "is none of the choices".to_owned());
        }
        one(found, &format!("{at}.when"), &choose.when, 0, &mut rules);
    }
    if rules > MAX_RULES {
        found.add(at, format!("has {rules} rules; at most {MAX_RULES} are allowed"));
    }
}

fn fits(found: &mut Violations, field: &str, given: bool, wanted: bool) {
    match (given, wanted) {
        (true, false) => found.add(field, "does not answer this type".to_owned()),
        (false, true) => found.add(field, "is needed: it answers".to_owned()),
        _ => {}
    }
}

fn known(found: &mut Violations, field: &str, metric: &str) {
    if !metrics::is_known(metric) {
        found.add(field, "is no conversation metric".to_owned());
    }
}

fn one(found: &mut Violations, at: &str, rule: &Rule, depth: usize, rules: &mut usize) {
    *rules += 1;
    match rule {
        Rule::Phrase(rule) => phrase(found, &format!("{at}.phrase"), rule),
        Rule::Metric(rule) => metric(found, &format!("{at}.metric"), rule),
        Rule::All(rules_of) => group(found, &format!("{at}.all"), rules_of, depth + 1, rules),
        Rule::Any(rules_of) => group(found, &format!("{at}.any"), rules_of, depth + 1, rules),
        Rule::None(rules_of) => group(found, &format!("{at}.none"), rules_of, depth + 1, rules),
    }
}

fn group(found: &mut Violations, at: &str, group: &RuleGroup, depth: usize, rules: &mut usize) {
    if depth > MAX_DEPTH {
        return found.add(at, format!("lies more than {MAX_DEPTH} groups deep"));
    }
    found.count(&format!("{at}.rules"), "rules", group.rules.len(), MAX_GROUP);
    for (n, rule) in group.rules.iter().take(MAX_GROUP).enumerate() {
        one(found, &format!("{at}.rules[{n}]"), rule, depth, rules);
    }
}

fn phrase(found: &mut Violations, at: &str, rule: &PhraseRule) {
    phrases(found, &format!("{at}.any_of"), &rule.any_of);
    if let Some(times) = rule.at_least {
        found.within(&format!("{at}.at_least"), i64::from(times), 1, MAX_TIMES);
    }
    if let Some(part) = &rule.within {
        within(found, &format!("{at}.within"), part);
    }
    if let Some(Near { any_of, words, turns }) = &rule.near {
        let at = format!("{at}.near");
        phrases(found, &format!("{at}.any_of"), any_of);
        if words.is_some() == turns.is_some() {
            found.add(&at, "needs either `words` or `turns`".to_owned());
        }
        if let Some(words) = words {
            found.within(&format!("{at}.words"), i64::from(*words), 1, MAX_NEAR_WORDS);
        }
        if let Some(turns) = turns {
            found.within(&format!("{at}.turns"), i64::from(*turns), 1, MAX_NEAR_TURNS);
        }
    }
}

fn phrases(found: &mut Violations, at: &str, phrases: &[String]) {
    found.count(at, "phrases", phrases.len(), MAX_PHRASES);
    for (n, phrase) in phrases.iter().take(MAX_PHRASES).enumerate() {
        let field = format!("{at}[{n}]");
        found.text(&field, phrase, 1, NAME_LENGTH);
        if !phrase.trim().is_empty() && !phrase.chars().any(char::is_alphanumeric) {
            found.add(&field, "needs at least one word".to_owned());
        }
        let (stars, words) = (phrase.matches('*').count(), words(phrase));
        if stars > MAX_STARS {
            found.add(&field, format!("has {stars} *; at most {MAX_STARS} are allowed"));
        }
        if words > MAX_WORDS {
            found.add(&field, format!("has {words} words; at most {MAX_WORDS} are allowed"));
        }
    }
}

/// Runs of letters and digits; apostrophes part no words.
fn words(phrase: &str) -> usize {
    let parts = phrase.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’'));
    parts.filter(|word| !word.is_empty()).count()
}

fn within(found: &mut Violations, at: &str, part: &Within) {
    let bounds = [
        ("first_seconds", part.first_seconds, MAX_SECONDS),
        ("last_seconds", part.last_seconds, MAX_SECONDS),
        ("first_turns", part.first_turns, MAX_TURNS),
        ("last_turns", part.last_turns, MAX_TURNS),
    ];
    if bounds.iter().all(|(_, value, _)| value.is_none()) {
        found.add(at, "needs at least one bound".to_owned());
    }
    for (name, value, most) in bounds {
        if let Some(value) = value {
            found.within(&format!("{at}.{name}"), i64::from(value), 1, most);
        }
    }
}

fn metric(found: &mut Violations, at: &str, rule: &MetricRule) {
    known(found, &format!("{at}.metric"), &rule.metric);
    match (rule.at_least, rule.at_most) {
        (None, None) => found.add(at, "needs `at_least` or `at_most`".to_owned()),
        (Some(least), Some(most)) if least > most => {
            found.add(&format!("{at}.at_most"), "must not be below `at_least`".to_owned());
        }
        _ => {}
    }
}
