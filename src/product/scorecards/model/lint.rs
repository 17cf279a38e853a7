//! Whether a definition makes sense: what no call can reach, what nobody can pass, what counts for nothing. Pure.
//!
//! An error keeps a draft from being published; a warning does not. What breaks the rules of the type itself is found by
//! [`Definition::validate`] and listed here too, as errors.

mod reach;

use std::collections::HashMap;

use poem_openapi::{Enum, Object};

use self::reach::Reach;
use super::{AnswerKind, AnsweredBy, AutoFail, Criterion, Definition, Scoring, Section, Violation};
use crate::platform::plugins::FULL_SCORE;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[oai(rename = "LintSeverity", rename_all = "snake_case")]
pub enum Severity {
    /// The definition cannot be published.
    Error,
    /// Somebody should look.
    Warning,
}

/// What sort of finding it is. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enum)]
#[oai(rename_all = "snake_case")]
pub enum LintCode {
    /// Two sections, criteria, choices or ranges have the same key.
    DuplicateKey,
    /// A value breaks the rules of its field.
    Invalid,
    /// No answer can fulfil the condition, so the criterion is never asked.
    UnreachableCondition,
    /// A part of the condition can never be: the other criterion is not answered so.
    UnreachableAnswer,
    /// Another range before it holds all its numbers.
    UnreachableRange,
    /// The best answers to everything do not reach the pass mark.
    PassMarkUnreachable,
    /// No answer fails the criterion, so its auto-fail never happens.
    AutoFailNever,
    /// The section's criteria are scored, and none of them can earn anything.
    SectionEarnsNothing,
    /// No criterion of the section is scored: it is shown, and counts for nothing.
    SectionUnscored,
    /// No criterion at all is scored, so no call gets a score.
    NothingScored,
    /// Every answer is worth the same.
    AnswerMakesNoDifference,
    /// Two criteria ask the same.
    EqualQuestions,
    /// The language model finds that two readers could answer the question differently; only where it is asked.
    VagueQuestion,
    /// The language model was to judge questions and did not.
    QuestionsNotReviewed,
    /// A plugin is to answer, and the organization's scorer is the built-in one, which answers nothing.
    NoPluginToAnswer,
}

/// Something that does not make sense, or may not.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "LintFinding")]
pub struct Finding {
    /// What sort of finding.
    pub code: LintCode,
    /// How grave it is.
    pub severity: Severity,
    /// The place, for example `sections[0].criteria[2].shown_when`.
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Everything that does not make sense, errors first, each sort in the order of the definition.
pub fn lint(definition: &Definition) -> Vec<Finding> {
    let mut found = Findings::default();
    if let Err(violations) = definition.validate() {
        violations.into_iter().for_each(|violation| found.violation(violation));
        // What follows counts on keys that are unique and on references that lead somewhere.
        return found.sorted();
    }
    let mut reach = Reach::default();
    let mut questions: HashMap<String, &str> = HashMap::new();
    for (s, section) in definition.sections.iter().enumerate() {
        for (c, criterion) in section.criteria.iter().enumerate() {
            let at = format!("sections[{s}].criteria[{c}]");
            condition(&mut found, &at, criterion, &reach);
            answers(&mut found, &at, criterion);
            reach.add(criterion);
            let question = plain(&criterion.question);
            if let Some(first) = questions.get(question.as_str()) {
                let message = format!("asks what {first} asks; ask once, or say what is different");
                found.add(LintCode::EqualQuestions, Severity::Warning, &format!("{at}.question"), message);
            } else {
                questions.insert(question, &criterion.key);
            }
        }
        earnings(&mut found, &format!("sections[{s}]"), section, &reach);
    }
    whole(&mut found, definition, &reach);
    found.sorted()
}

/// The same for an organization: `has_scorer` tells whether a plugin scores its calls, which alone can answer what is left to a plugin.
pub fn lint_for(definition: &Definition, has_scorer: bool) -> Vec<Finding> {
    let mut found = Findings(lint(definition));
    if has_scorer {
        return found.0;
    }
    for (s, section) in definition.sections.iter().enumerate() {
        for (c, criterion) in section.criteria.iter().enumerate() {
            if criterion.answered_by == AnsweredBy::Plugin {
                let (severity, what) = match criterion.auto_fail {
                    AutoFail::None => (Severity::Warning, "it stays unanswered"),
                    _ => (Severity::Error, "its auto-fail never happens"),
                };
                let message = format!("no plugin scores the organization's calls: {what} until one is bound");
                let field = format!("sections[{s}].criteria[{c}].answered_by");
                found.add(LintCode::NoPluginToAnswer, severity, &field, message);
            }
        }
    }
    found.sorted()
}

fn condition(found: &mut Findings, at: &str, criterion: &Criterion, reach: &Reach<'_>) {
    let Some(condition) = &criterion.shown_when else { return };
    let possible = |word: &String| reach.can_be(&condition.criterion, word);
    let other = &condition.criterion;
    if !condition.answered.iter().any(possible) {
        let message = format!("{other} is never answered so: this criterion is never asked");
        found.add(LintCode::UnreachableCondition, Severity::Error, &format!("{at}.shown_when"), message);
        return;
    }
    for (n, word) in condition.answered.iter().enumerate().filter(|(_, word)| !possible(word)) {
        let field = format!("{at}.shown_when.answered[{n}]");
        let message = format!("{other} is never answered as {word}");
        found.add(LintCode::UnreachableAnswer, Severity::Warning, &field, message);
    }
}

fn answers(found: &mut Findings, at: &str, criterion: &Criterion) {
    let answer = &criterion.answer;
    if criterion.auto_fail != AutoFail::None && answer.failing_words().is_empty() {
        let message = match answer.kind {
            AnswerKind::Text => "words are never scored and fail nothing; ask for yes or no, or take the auto-fail out",
            _ => "no answer fails this criterion; mark one with `fails`, or take the auto-fail out",
        };
        found.add(LintCode::AutoFailNever, Severity::Error, &format!("{at}.auto_fail"), message.to_owned());
    } else if criterion.auto_fail != AutoFail::None && !answer.failing_words().iter().any(|w| reach::says(criterion, w))
    {
        let message = "the rule never gives an answer that fails; let it choose one, or take the auto-fail out";
        found.add(LintCode::AutoFailNever, Severity::Error, &format!("{at}.auto_fail"), message.to_owned());
    }
    for n in reach::covered(&answer.ranges) {
        let message = "the ranges before it hold all its numbers; the first that holds a number counts";
        let field = format!("{at}.answer.ranges[{n}]");
        found.add(LintCode::UnreachableRange, Severity::Warning, &field, message.to_owned());
    }
    let fails = criterion.auto_fail != AutoFail::None && !answer.failing_words().is_empty();
    if answer.is_scored() && !fails && answer.most() == answer.least() {
        let message = "every answer is worth the same".to_owned();
        found.add(LintCode::AnswerMakesNoDifference, Severity::Warning, &format!("{at}.answer"), message);
    }
}

fn earnings(found: &mut Findings, at: &str, section: &Section, reach: &Reach<'_>) {
    let scored: Vec<_> = section.criteria.iter().filter(|criterion| criterion.answer.is_scored()).collect();
    if scored.is_empty() {
        let message = "no criterion of it is scored: it is shown, and counts for nothing".to_owned();
        found.add(LintCode::SectionUnscored, Severity::Warning, at, message);
    } else if !scored.iter().any(|criterion| reach.is_asked(&criterion.key) && reach::best(criterion) > 0) {
        let message = "no answer in it earns anything: with weights every call loses the section's share, with points what is taken away \
                       counts nowhere";
        found.add(LintCode::SectionEarnsNothing, Severity::Error, at, message.to_owned());
    }
}

fn whole(found: &mut Findings, definition: &Definition, reach: &Reach<'_>) {
    if !definition.criteria().any(|criterion| criterion.answer.is_scored()) {
        let message = "no criterion is scored, so no call gets a score".to_owned();
        let severity = if definition.pass_mark.is_some() { Severity::Error } else { Severity::Warning };
        found.add(LintCode::NothingScored, severity, "sections", message);
        return;
    }
    let Some(mark) = definition.pass_mark else { return };
    // With points the best answers earn everything there is.
    let best = match definition.scoring {
        Scoring::Weights => reach.best_overall(definition),
        Scoring::Points => FULL_SCORE,
    };
    if best < mark * (FULL_SCORE / 100) {
        let (whole, rest) = (best / 100, best % 100);
        let message = format!("the best answers to everything come to {whole}.{rest:02}, which is below the pass mark");
        found.add(LintCode::PassMarkUnreachable, Severity::Error, "pass_mark", message);
    }
}

/// A question without case, punctuation and blanks.
fn plain(question: &str) -> String {
    let words = question.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, code: LintCode, severity: Severity, field: &str, message: String) {
        self.0.push(Finding { code, severity, field: field.to_owned(), message });
    }

    fn violation(&mut self, violation: Violation) {
        let code = match violation.message.as_str() {
            super::validate::USED_TWICE => LintCode::DuplicateKey,
            _ => LintCode::Invalid,
        };
        self.0.push(Finding { code, severity: Severity::Error, field: violation.field, message: violation.message });
    }

    fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.severity);
        self.0
    }
}

impl Criterion {
    /// Whether it can leave the denominator by an answer or a condition.
    fn can_be_left_out(&self) -> bool {
        self.not_applicable
            || self.shown_when.is_some()
            || (self.answered_by == AnsweredBy::Rule
                && self.rule.as_ref().is_some_and(|rule| rule.applies_when.is_some()))
    }
}

#[cfg(test)]
mod tests;
