//! A re-score: calls of an organization under another scorecard version, its estimate and its report. No I/O.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    foundation::ids::{AgentId, CallId, EvaluationId, OrganizationId, RescoreId, ScorecardId, ScorecardVersionId},
    product::{evaluations::reuse, scorecards::model::Definition},
    words,
};

words! {
    /// How a re-score stands.
    pub enum RescoreStatus {
        /// Nobody has begun.
        Waiting = "waiting",
        /// Calls are being evaluated.
        Running = "running",
        /// Every call has its new revision, or a reason why not.
        Succeeded = "succeeded",
        /// It was called off; what was evaluated before stays.
        Cancelled = "cancelled",
    }
}

/// Which calls a re-score takes: evaluated ones of the scorecard's organization, under another version than the new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Calls of this agent alone.
    pub agent_id: Option<AgentId>,
    /// Calls received then or later.
    pub received_from: Option<DateTime<Utc>>,
    /// Calls received before.
    pub received_before: Option<DateTime<Utc>>,
    /// By what else calls are chosen. Kept with the audit event; which calls it took is kept with the re-score.
    #[serde(default)]
    pub narrowed: Narrowed,
}

/// What else calls are chosen by; all of it has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrowed {
    /// Calls of this queue.
    pub queue: Option<String>,
    /// `phone`, `chat` or `email`.
    pub channel: Option<String>,
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// The beginning of the language's tag: `en` is also `en-GB`.
    pub language: Option<String>,
    /// Calls that are judged by a version of this scorecard now.
    pub scorecard_id: Option<ScorecardId>,
    /// Calls whose overall score is that or more, in hundredths.
    pub score_from: Option<i32>,
    /// Calls whose overall score is less, in hundredths.
    pub score_below: Option<i32>,
}

/// A re-score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rescore {
    /// Its id.
    pub rescore_id: RescoreId,
    /// Whose calls.
    pub organization_id: OrganizationId,
    /// The scorecard.
    pub scorecard_id: ScorecardId,
    /// The version that is applied.
    pub scorecard_version_id: ScorecardVersionId,
    /// That version's number.
    pub version: i32,
    /// Which calls.
    pub range: Range,
    /// How it stands.
    pub status: RescoreStatus,
    /// Whether it is to stop.
    pub cancel_requested: bool,
    /// Who wanted it.
    pub requested_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How far it is.
    pub progress: Progress,
}

/// How far a re-score is, in calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// All of them.
    pub total: i64,
    /// Not begun.
    pub waiting: i64,
    /// Being assessed or scored.
    pub running: i64,
    /// With a new, scored revision.
    pub evaluated: i64,
    /// Left alone, for a reason: the call was just worked on, or has gone another way.
    pub skipped: i64,
    /// Without a new score, for a reason.
    pub failed: i64,
    /// Left alone because the re-score was called off.
    pub cancelled: i64,
    /// Questions that the language model was asked, in all calls.
    pub asked: i64,
    /// Questions whose stored answer was used again.
    pub reused: i64,
}

/// What a re-score would take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Calls.
    pub calls: i64,
    /// Calls about which nothing is asked.
    pub calls_without_questions: i64,
    /// Questions that would be asked, in all calls.
    pub asked: i64,
    /// Questions whose stored answer would be used again.
    pub reused: i64,
    /// Tokens of the questions, by what the calls took before.
    pub prompt_tokens: i64,
    /// Tokens of the answers, in the same way.
    pub completion_tokens: i64,
    /// What the tokens cost, by the price table; none without one.
    pub money: Option<Decimal>,
}

/// Calls that are judged by one version now.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they are judged by.
    pub definition: Definition,
    /// How many.
    pub calls: i64,
    /// How many of them were judged by a transcript that was changed since.
    pub outdated: i64,
    /// Tokens that their questions took, in all.
    pub prompt_tokens: i64,
    /// Tokens of the answers.
    pub completion_tokens: i64,
}

impl Estimate {
    /// What asking these calls under the new definition would take. `price` is given tokens of questions and of answers.
    pub fn of(groups: &[Group], new: &Definition, price: impl Fn(i64, i64) -> Option<Decimal>) -> Self {
        let mut estimate = Self::default();
        for group in groups {
            let all = reuse::plan(None, new);
            let plan = reuse::plan(Some(&group.definition), new);
            let fresh = group.calls - group.outdated;
            let count = |keys: &[String]| i64::try_from(keys.len()).unwrap_or(i64::MAX);
            let (asked, everything) = (count(&plan.asked), count(&all.asked));
            estimate.calls += group.calls;
            estimate.asked += fresh * asked + group.outdated * everything;
            estimate.reused += fresh * count(&plan.reused);
            let questioned = if asked == 0 { group.outdated } else { group.calls };
            estimate.calls_without_questions += group.calls - questioned;
            // A question holds the transcript, whatever it asks; an answer is as long as what was asked.
            estimate.prompt_tokens += group.prompt_tokens * questioned / group.calls.max(1);
            let before = i64::try_from(group.definition.criteria().count()).unwrap_or(i64::MAX).max(1);
            let answers = fresh * asked + group.outdated * everything;
            estimate.completion_tokens += group.completion_tokens * answers / (before * group.calls.max(1));
        }
        estimate.money = price(estimate.prompt_tokens, estimate.completion_tokens);
        estimate
    }
}

/// One call before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The call.
    pub call_id: CallId,
    /// Who was heard.
    pub agent_id: Option<AgentId>,
    /// The agent's name.
    pub agent_name: Option<String>,
    /// The evaluation before.
    pub before_id: EvaluationId,
    /// The new one.
    pub after_id: EvaluationId,
    /// The overall score before, in hundredths.
    pub before: Option<u32>,
    /// The new one.
    pub after: Option<u32>,
    /// Whether it passed before, as its evaluation says: an auto-fail does not pass. None without a pass mark or a score.
    pub passed_before: Option<bool>,
    /// Whether it passes now.
    pub passed_after: Option<bool>,
}

impl Change {
    /// By how much the score changed, in hundredths; none when one of the two is none.
    pub fn by(&self) -> Option<i64> {
        Some(i64::from(self.after?) - i64::from(self.before?))
    }

    fn fails_now(&self) -> bool {
        (self.passed_before, self.passed_after) == (Some(true), Some(false))
    }

    fn passes_now(&self) -> bool {
        (self.passed_before, self.passed_after) == (Some(false), Some(true))
    }
}

/// What a number of calls come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls with both scores.
    pub calls: u64,
    /// Calls whose score is another.
    pub changed: u64,
    /// Calls that passed and fail now.
    pub pass_to_fail: u64,
    /// Calls that failed and pass now.
    pub fail_to_pass: u64,
    /// The sum of all changes, in hundredths.
    pub sum: i64,
}

impl Tally {
    fn add(&mut self, change: &Change) {
        self.calls += 1;
        self.changed += u64::from(change.before != change.after);
        self.pass_to_fail += u64::from(change.fails_now());
        self.fail_to_pass += u64::from(change.passes_now());
        self.sum += change.by().unwrap_or(0);
    }

    /// By how much a call's score changed in the mean, in hundredths; rounded towards zero.
    pub fn mean(&self) -> i64 {
        self.sum / i64::try_from(self.calls.max(1)).unwrap_or(i64::MAX)
    }
}

/// One criterion before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriterionChange {
    /// The criterion.
    pub key: String,
    /// Calls that have it, before or now.
    pub calls: i64,
    /// Met before, and not now.
    pub pass_to_fail: i64,
    /// Not met before, and now.
    pub fail_to_pass: i64,
    /// Did not count before, or was not asked, and counts now.
    pub counts_now: i64,
    /// Counted before, and not now.
    pub counts_no_more: i64,
}

/// Changes that a report names one by one, at most, in each of its lists.
pub const NAMED: usize = 100;

/// What a re-score changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RescoreReport {
    /// All calls together.
    pub all: Tally,
    /// By agent, those with the most calls that changed sides first.
    pub agents: Vec<(Option<AgentId>, Option<String>, Tally)>,
    /// By criterion, in the order of their keys.
    pub criteria: Vec<CriterionChange>,
    /// Calls that passed and fail now, or the other way; at most [`NAMED`].
    pub sides_changed: Vec<Change>,
    /// The calls whose score changed most, at most [`NAMED`].
    pub biggest: Vec<Change>,
}

impl RescoreReport {
    /// The report of these changes.
    pub fn of(changes: Vec<Change>, criteria: Vec<CriterionChange>) -> Self {
        let mut report = Self { criteria, ..Self::default() };
        let mut agents: BTreeMap<Option<AgentId>, (Option<String>, Tally)> = BTreeMap::new();
        for change in &changes {
            report.all.add(change);
            let agent = agents.entry(change.agent_id).or_insert_with(|| (change.agent_name.clone(), Tally::default()));
            agent.1.add(change);
        }
        report.agents = agents.into_iter().map(|(id, (name, tally))| (id, name, tally)).collect();
        report.agents.sort_by_key(|(id, _, tally)| {
            (std::cmp::Reverse(tally.pass_to_fail + tally.fail_to_pass), std::cmp::Reverse(tally.changed), *id)
        });
        let sides = changes.iter().filter(|change| change.fails_now() || change.passes_now());
        report.sides_changed = sides.take(NAMED).cloned().collect();
        report.biggest = changes.into_iter().filter(|change| change.by().is_some_and(|by| by != 0)).collect();
        report.biggest.sort_by_key(|change| (std::cmp::Reverse(change.by().unwrap_or(0).abs()), change.call_id));
        report.biggest.truncate(NAMED);
        report
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn change(n: u128, agent: u128, before: u32, after: u32) -> Change {
        Change {
            call_id: CallId(Uuid::from_u128(n)),
            agent_id: Some(AgentId(Uuid::from_u128(agent))),
            agent_name: None,
            before_id: EvaluationId(Uuid::nil()),
            after_id: EvaluationId(Uuid::nil()),
            before: Some(before),
            after: Some(after),
            passed_before: Some(before >= 8_000),
            passed_after: Some(after >= 8_000),
        }
    }

    #[test]
    fn a_report_tells_who_changes_sides_and_by_how_much() {
        let none = Change { before: None, passed_before: None, ..change(5, 2, 0, 9_000) };
        let changes = vec![
            change(1, 1, 8_000, 7_999),
            change(2, 1, 8_000, 8_000),
            change(3, 2, 1_000, 9_000),
            change(4, 2, 500, 900),
            none,
        ];
        let report = RescoreReport::of(changes, vec![]);
        let expected = Tally { calls: 5, changed: 4, pass_to_fail: 1, fail_to_pass: 1, sum: 8_399 };
        assert_eq!((report.all.clone(), report.all.mean()), (expected, 1_679));
        let calls = |changes: &[Change]| changes.iter().map(|change| change.call_id.0.as_u128()).collect::<Vec<_>>();
        assert_eq!(calls(&report.sides_changed), [1, 3]);
        assert_eq!(calls(&report.biggest), [3, 4, 1]);
        let agents: Vec<_> = report.agents.iter().map(|(_, _, tally)| (tally.calls, tally.pass_to_fail)).collect();
        assert_eq!(agents, [(3, 0), (2, 1)], "as many changed sides, and more changed at all");
    }

    #[test]
    fn only_what_is_asked_again_is_estimated() {
        let definition = |question: &str| -> Definition {
            let criterion =
                |key: &str, question: &str| serde_json::json!({"key": key, "question": question, "weight": 1});
            serde_json::from_value(serde_json::json!({
                "name": "S", "sections": [{"key": "s", "name": "S", "weight": 1, "criteria": [criterion("a", "A?"), criterion("b", question)]}]
            }))
            .unwrap()
        };
        let group = |calls, outdated| Group {
            definition: definition("B?"),
            calls,
            outdated,
            prompt_tokens: 1_000 * calls,
            completion_tokens: 100 * calls,
        };
        let free = Estimate::of(&[group(10, 0)], &definition("B?"), |_, _| None);
        let nothing = Estimate { calls: 10, calls_without_questions: 10, reused: 20, ..Estimate::default() };
        assert_eq!(free, nothing);
        let asked = Estimate::of(&[group(10, 0)], &definition("Other?"), |prompt, _| Some(Decimal::new(prompt, 3)));
        assert_eq!((asked.asked, asked.reused, asked.calls_without_questions), (10, 10, 0));
        assert_eq!((asked.prompt_tokens, asked.completion_tokens), (10_000, 500));
        assert_eq!(asked.money, Some(Decimal::new(10_000, 3)));
        let outdated = Estimate::of(&[group(10, 4)], &definition("B?"), |_, _| None);
        assert_eq!((outdated.asked, outdated.reused, outdated.prompt_tokens), (8, 12, 4_000));
    }
}
