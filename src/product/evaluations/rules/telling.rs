//! What a rule found, in plain words.

use super::{conversation::Conversation, holds::Said};
use crate::product::{
    evaluations::model::Speaker,
    scorecards::model::{MetricRule, PhraseRule, RuleSpeaker, Within},
};

/// So many phrases or matches are named, the others counted.
const NAMED: usize = 3;
const MATCH_CHARS: usize = 120;
const LONGEST_SENTENCE: usize = 1_500;

/// A sentence of a clause, cut where nobody reads on.
pub(super) fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let mut text: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    if let Some((cut, _)) = text.char_indices().nth(LONGEST_SENTENCE) {
        text.truncate(cut);
        text.push('…');
    }
    text.push('.');
    text
}

pub(super) fn metric(rule: &MetricRule, value: Option<i64>) -> String {
    let Some(value) = value else { return format!("the conversation has no {}", rule.metric) };
    let bounds = match (rule.at_least, rule.at_most) {
        (Some(least), Some(most)) => format!(" (asked for: {least} to {most})"),
        (Some(least), None) => format!(" (asked for: at least {least})"),
        (None, Some(most)) => format!(" (asked for: at most {most})"),
        (None, None) => String::new(),
    };
    format!("{} is {value}{bounds}", rule.metric)
}

pub(super) fn phrase(conversation: &Conversation<'_>, rule: &PhraseRule, said: &[Said], wanted: usize) -> String {
    if said.is_empty() {
        let who = match rule.speaker {
            Some(RuleSpeaker::Agent) => "the agent says none of",
            Some(RuleSpeaker::Customer) => "the customer says none of",
            None => "nobody says any of",
        };
        let near = rule.near.as_ref().map(|near| format!(" close to {}", list(&near.any_of)));
        let part = rule.within.as_ref().map(|within| part(within, rule.speaker.is_some()));
        return format!("{who} {}{}{}", list(&rule.any_of), near.unwrap_or_default(), part.unwrap_or_default());
    }
    let told: Vec<String> = said.iter().take(NAMED).map(|said| told(conversation, said)).collect();
    let more = said.len().saturating_sub(NAMED);
    let mut text = told.join(", ");
    if more > 0 {
        text.push_str(&format!(", and {more} more"));
    }
    if wanted > 1 {
        text.push_str(&format!(" ({} times; asked for: {wanted})", said.len()));
    }
    text
}

fn told(conversation: &Conversation<'_>, said: &Said) -> String {
    let who = match conversation.speaker(said.found) {
        Speaker::Agent => "the agent says",
        Speaker::Customer => "the customer says",
        Speaker::System => "the system says",
        Speaker::Unknown => "somebody says",
    };
    let words = |found| quoted(&conversation.place(found).words);
    let near = said.near.map(|near| format!(" close to {}", words(near))).unwrap_or_default();
    format!("{who} {}{near} in turn {}", words(said.found), conversation.number(said.found))
}

fn quoted(words: &str) -> String {
    let mut words = words.to_owned();
    if let Some((cut, _)) = words.char_indices().nth(MATCH_CHARS) {
        words.truncate(cut);
        words.push('…');
    }
    format!("“{words}”")
}

fn list(phrases: &[String]) -> String {
    let mut text = phrases.iter().take(NAMED).map(|phrase| quoted(phrase)).collect::<Vec<_>>().join(", ");
    let more = phrases.len().saturating_sub(NAMED);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn part(within: &Within, own_turns: bool) -> String {
    let turns = if own_turns { "own turns" } else { "turns" };
    let bounds = [
        within.first_seconds.map(|most| format!("the first {most} seconds")),
        within.last_seconds.map(|most| format!("the last {most} seconds")),
        within.first_turns.map(|most| format!("the first {most} {turns}")),
        within.last_turns.map(|most| format!("the last {most} {turns}")),
    ];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    if bounds.is_empty() { String::new() } else { format!(" in {}", bounds.join(" and ")) }
}
