//! Whether a rule holds of a conversation, by which matches, and why.

use super::{
    conversation::{Conversation, Match},
    phrases::Phrases,
    telling,
};
use crate::product::scorecards::model::{MetricRule, Near, PhraseRule, Rule, RuleGroup};

/// What rules are held against.
pub(super) struct Judge<'a> {
    pub conversation: &'a Conversation<'a>,
    pub phrases: &'a Phrases<'a>,
    pub metrics: &'a [(String, i64)],
}

/// Whether a rule holds, and what decided it.
#[derive(Debug)]
pub(super) struct Finding {
    pub holds: bool,
    /// Whether nobody knows: it rests on a metric that the conversation does not have.
    pub is_unknown: bool,
    /// The matches that decided it.
    pub matches: Vec<Match>,
    /// A clause for people.
    pub because: String,
}

impl Finding {
    pub fn nothing() -> Self {
        Self { holds: true, is_unknown: false, matches: vec![], because: String::new() }
    }

    /// The clause behind a word and a colon.
    pub fn told(self, word: &str) -> Self {
        Self { because: format!("{word}: {}", self.because), ..self }
    }

    /// Another finding beside this one.
    pub fn join(&mut self, other: Self) {
        self.matches.extend(other.matches);
        if !self.because.is_empty() {
            self.because.push_str("; ");
        }
        self.because.push_str(&other.because);
    }
}

/// A match, and the one close by that it needed.
pub(super) struct Said {
    pub found: Match,
    pub near: Option<Match>,
}

impl Judge<'_> {
    pub fn holds(&self, rule: &Rule) -> Finding {
        match rule {
            Rule::Phrase(phrase) => self.phrase(phrase),
            Rule::Metric(metric) => self.within(metric),
            Rule::All(group) => self.group(group, false, false),
            Rule::Any(group) => self.group(group, true, true),
            Rule::None(group) => self.group(group, true, false),
        }
    }

    pub fn metric(&self, key: &str) -> Option<i64> {
        self.metrics.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }

    /// A rule of the group that is `decisive` decides it, and the group then holds as `then` says. What decided is told: those rules, or else all.
    fn group(&self, group: &RuleGroup, decisive: bool, then: bool) -> Finding {
        let findings: Vec<Finding> = group.rules.iter().map(|rule| self.holds(rule)).collect();
        let decides = |finding: &Finding| !finding.is_unknown && finding.holds == decisive;
        let decided = findings.iter().any(decides);
        let is_unknown = !decided && findings.iter().any(|finding| finding.is_unknown);
        let mut all = Finding { holds: if decided { then } else { !then }, is_unknown, ..Finding::nothing() };
        findings.into_iter().filter(|finding| !decided || decides(finding)).for_each(|told| all.join(told));
        all
    }

    fn within(&self, rule: &MetricRule) -> Finding {
        let value = self.metric(&rule.metric);
        let holds = value.is_some_and(|value| {
            rule.at_least.is_none_or(|least| value >= least) && rule.at_most.is_none_or(|most| value <= most)
        });
        Finding { holds, is_unknown: value.is_none(), matches: vec![], because: telling::metric(rule, value) }
    }

    fn phrase(&self, rule: &PhraseRule) -> Finding {
        let heard = |phrases: &[String]| -> Vec<Match> {
            phrases.iter().flat_map(|phrase| self.phrases.matches(phrase)).collect()
        };
        let mut found = heard(&rule.any_of);
        if self.phrases.is_exhausted() {
            return Finding { holds: false, ..Finding::nothing() };
        }
        found.retain(|found| self.conversation.listens(*found, rule.speaker, rule.within.as_ref()));
        let mut said: Vec<Said> = match &rule.near {
            None => found.into_iter().map(|found| Said { found, near: None }).collect(),
            Some(near) => close_by(&found, &heard(&near.any_of), near),
        };
        apart(&mut said);
        let wanted = rule.at_least.unwrap_or(1).max(1) as usize;
        let holds = said.len() >= wanted;
        let because = telling::phrase(self.conversation, rule, &said, wanted);
        let matches = said.iter().flat_map(|said| [Some(said.found), said.near]).flatten().collect();
        Finding { holds, is_unknown: false, matches, because }
    }
}

/// Those of the matches that have another one close enough, with the closest: of equally close ones the one before. Each is compared with one before it
/// and at most two behind, whatever there is.
fn close_by(found: &[Match], others: &[Match], near: &Near) -> Vec<Said> {
    let mut others = others.to_vec();
    others.sort_unstable();
    others.dedup();
    // Of the others up to each one, which ends last: of those in one turn that is the closest to what comes behind.
    let mut last: Vec<usize> = Vec::with_capacity(others.len());
    for (nth, other) in others.iter().enumerate() {
        let before = last.last().copied().filter(|before| others[*before].to >= other.to);
        last.push(before.unwrap_or(nth));
    }
    let reach = if near.words.is_some() { 0 } else { near.turns.unwrap_or(0) };
    let said = found.iter().filter_map(|found| {
        let behind = others.partition_point(|other| other.from < found.from);
        let before = behind.checked_sub(1).map(|nth| others[last[nth]]);
        let behind = others[behind..].iter().copied().take(2).find(|other| other != found);
        let apart = |other: &Match| other.from.saturating_sub(found.to).max(found.from.saturating_sub(other.to));
        let close = |other: &Match| {
            other.turn.abs_diff(found.turn) <= reach && near.words.is_none_or(|most| apart(other) <= most)
        };
        let near = [before, behind].into_iter().flatten().filter(close).min_by_key(|other| apart(other))?;
        Some(Said { found: *found, near: Some(near) })
    });
    said.collect()
}

/// Leaves as many matches as possible of which no two share a word.
fn apart(said: &mut Vec<Said>) {
    said.sort_by_key(|said| (said.found.to, said.found.from));
    let mut free = 0;
    said.retain(|said| {
        let keep = said.found.from >= free;
        if keep {
            free = said.found.to;
        }
        keep
    });
}
