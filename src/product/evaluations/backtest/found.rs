//! What a back-test has found so far: small, whatever the number of calls, so that it is saved every few seconds. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::spread::Spread;
use crate::{
    foundation::ids::{AgentId, CallId},
    words,
};

/// Parts of the range from 0 to 100.
pub const BINS: usize = 20;
/// Hundredths in each of them.
const BIN: u32 = 10_000 / BINS as u32;
/// Calls that changed most.
pub const LARGEST: usize = 50;
/// Calls that are named as examples of something.
pub const EXAMPLES: usize = 5;
/// Agents, teams or criteria that are counted by themselves; further ones are counted together.
const GROUPS: usize = 5_000;

words! {
    /// Why a call was not scored.
    pub enum SkipReason {
        /// The transcript has another version by now than the one that was judged.
        TranscriptChanged = "transcript_changed",
        /// The evaluation has no answers.
        NoAnswers = "no_answers",
        /// What is stored cannot be read any more.
        Unreadable = "unreadable",
    }
}

/// An overall score in hundredths, and whether the call passes; none where nothing was scored, or there is no pass mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The score.
    pub score: Option<u32>,
    /// Whether it passes.
    pub passed: Option<bool>,
}

/// What one run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// Instructions, as the engine counts them.
    pub fuel: u64,
    /// Microseconds.
    pub elapsed_us: u64,
    /// The most memory, in bytes.
    pub memory_bytes: u64,
}

impl Took {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            fuel: self.fuel.saturating_add(other.fuel),
            elapsed_us: self.elapsed_us.saturating_add(other.elapsed_us),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

/// The score that counts now and the one of the tested version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The overall scores.
    pub overall: (Judged, Judged),
    /// Those of each criterion.
    pub criteria: Vec<(String, Judged, Judged)>,
}

/// What came of a call that was scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Who was heard.
    pub agent_id: Option<AgentId>,
    /// The call's queue.
    pub queue: Option<String>,
    /// The scores, or the code of the fault.
    pub outcome: Result<Compared, &'static str>,
    /// What it took.
    pub took: Took,
    /// Whether it came out the same when it was scored again; none where it was not.
    pub again: Option<bool>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was left out.
    Skipped(SkipReason),
    /// It was scored, or was to be.
    Ran(Box<Ran>),
}

/// What a number of calls come to, in hundredths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Calls with both scores.
    pub calls: u64,
    /// Calls whose score is another.
    pub changed: u64,
    /// Calls that failed and pass now.
    pub to_pass: u64,
    /// Calls that passed and fail now.
    pub to_fail: u64,
    /// The sum of the scores before.
    pub before: u64,
    /// The sum of the new ones.
    pub after: u64,
}

impl Tally {
    fn add(&mut self, before: Judged, after: Judged) {
        match (before.passed, after.passed) {
            (Some(false), Some(true)) => self.to_pass += 1,
            (Some(true), Some(false)) => self.to_fail += 1,
            _ => {}
        }
        if let (Some(before), Some(after)) = (before.score, after.score) {
            self.calls += 1;
            self.changed += u64::from(before != after);
            self.before += u64::from(before);
            self.after += u64::from(after);
        }
    }

    /// Calls that changed sides.
    pub fn flips(&self) -> u64 {
        self.to_pass + self.to_fail
    }
}

/// Tallies by something; what has no room is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups<K: Ord> {
    /// Those that are counted by themselves.
    pub by: BTreeMap<K, Tally>,
    /// All others.
    pub others: Tally,
}

impl<K: Ord> Default for Groups<K> {
    fn default() -> Self {
        Self { by: BTreeMap::new(), others: Tally::default() }
    }
}

impl<K: Ord> Groups<K> {
    fn add(&mut self, key: K, before: Judged, after: Judged) {
        let room = self.by.len() < GROUPS;
        match self.by.get_mut(&key) {
            Some(tally) => tally.add(before, after),
            None if room => self.by.entry(key).or_default().add(before, after),
            None => self.others.add(before, after),
        }
    }
}

/// Faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// How many calls.
    pub calls: u64,
    /// The first ones.
    pub examples: Vec<CallId>,
}

/// A call whose score changed, in hundredths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The call.
    pub call_id: CallId,
    /// Who was heard.
    pub agent_id: Option<AgentId>,
    /// Before.
    pub before: u32,
    /// Now.
    pub after: u32,
}

impl Change {
    fn by(&self) -> u32 {
        self.before.abs_diff(self.after)
    }
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Calls that were looked at.
    pub done: u64,
    /// Calls that were scored without a fault.
    pub scored: u64,
    /// Calls that were left out, by the reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Calls that failed, by the fault's code.
    pub faults: BTreeMap<String, Faults>,
    /// Scored calls that have no score on one of the sides, because nothing was applicable.
    pub without_score: u64,
    /// All calls.
    pub all: Tally,
    /// Scores that count now, by the part of the range that they are in; of calls with both scores.
    pub before: [u64; BINS],
    /// The new ones.
    pub after: [u64; BINS],
    /// By agent; none for calls of nobody known. Pairs, because keys of JSON are texts.
    #[serde(with = "pairs")]
    pub agents: Groups<Option<AgentId>>,
    /// By queue; none for calls of no queue.
    #[serde(with = "pairs")]
    pub queues: Groups<Option<String>>,
    /// By criterion.
    #[serde(with = "pairs")]
    pub criteria: Groups<String>,
    /// The calls whose score changed most.
    pub largest: Vec<Change>,
    /// Instructions of each call.
    pub fuel: Spread,
    /// Microseconds.
    pub elapsed_us: Spread,
    /// Bytes.
    pub memory_bytes: Spread,
    /// Calls that were scored twice.
    pub sampled: u64,
    /// Those that came out otherwise the second time.
    pub unequal: Faults,
}

impl Found {
    /// Adds what came of a call.
    pub fn add(&mut self, call_id: CallId, came: Came) {
        self.done += 1;
        let ran = match came {
            Came::Skipped(why) => {
                *self.skipped.entry(why).or_default() += 1;
                return;
            }
            Came::Ran(ran) => *ran,
        };
        self.fuel.add(ran.took.fuel);
        self.elapsed_us.add(ran.took.elapsed_us);
        self.memory_bytes.add(ran.took.memory_bytes);
        self.sampled += u64::from(ran.again.is_some());
        if ran.again == Some(false) {
            self.unequal.add(call_id);
        }
        match ran.outcome {
            Err(code) => self.faults.entry(code.to_owned()).or_default().add(call_id),
            Ok(compared) => self.compare(call_id, ran.agent_id, ran.queue, compared),
        }
    }

    fn compare(&mut self, call_id: CallId, agent_id: Option<AgentId>, queue: Option<String>, compared: Compared) {
        self.scored += 1;
        let (before, after) = compared.overall;
        self.all.add(before, after);
        self.agents.add(agent_id, before, after);
        self.queues.add(queue, before, after);
        for (key, before, after) in compared.criteria {
            self.criteria.add(key, before, after);
        }
        let (Some(before), Some(after)) = (before.score, after.score) else {
            self.without_score += 1;
            return;
        };
        self.before[bin(before)] += 1;
        self.after[bin(after)] += 1;
        if before != after {
            self.note(Change { call_id, agent_id, before, after });
        }
    }

    fn note(&mut self, change: Change) {
        let place = self.largest.partition_point(|other| other.by() >= change.by());
        if place < LARGEST {
            self.largest.insert(place, change);
            self.largest.truncate(LARGEST);
        }
    }

    /// Calls that failed.
    pub fn failed(&self) -> u64 {
        self.faults.values().map(|faults| faults.calls).sum()
    }
}

impl Faults {
    fn add(&mut self, call_id: CallId) {
        self.calls += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(call_id);
        }
    }
}

/// Which part of the range a score is in; 100 is in the last.
fn bin(score: u32) -> usize {
    (score / BIN).min(BINS as u32 - 1) as usize
}

/// Groups as pairs.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

    use super::{Groups, Tally};

    pub fn serialize<K: Ord + Serialize, S: Serializer>(groups: &Groups<K>, to: S) -> Result<S::Ok, S::Error> {
        (groups.by.iter().collect::<Vec<_>>(), &groups.others).serialize(to)
    }

    pub fn deserialize<'de, K: Ord + DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Groups<K>, D::Error> {
        let (by, others) = <(Vec<(K, Tally)>, Tally)>::deserialize(from)?;
        Ok(Groups { by: by.into_iter().collect(), others })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(score: u32, passed: bool) -> Judged {
        Judged { score: Some(score), passed: Some(passed) }
    }

    fn call(n: u128) -> CallId {
        CallId(uuid::Uuid::from_u128(n))
    }

    fn ran(before: Judged, after: Judged) -> Ran {
        Ran {
            agent_id: Some(AgentId(uuid::Uuid::from_u128(7))),
            queue: None,
            outcome: Ok(Compared { overall: (before, after), criteria: vec![("a".to_owned(), before, after)] }),
            took: Took { fuel: 1_000, elapsed_us: 50, memory_bytes: 1 << 16 },
            again: None,
        }
    }

    #[test]
    fn what_changed_is_counted_by_all_that_it_belongs_to() {
        let mut found = Found::default();
        let mut add = |n, before, after| found.add(call(n), Came::Ran(Box::new(ran(before, after))));
        add(1, judged(9_000, true), judged(5_000, false));
        add(2, judged(5_000, false), judged(9_000, true));
        add(3, judged(10_000, true), judged(10_000, true));
        add(4, Judged::default(), judged(100, false));
        let expected = Tally { calls: 3, changed: 2, to_pass: 1, to_fail: 1, before: 24_000, after: 24_000 };
        assert_eq!((&found.all, found.scored, found.without_score), (&expected, 4, 1));
        assert_eq!(found.agents.by.values().collect::<Vec<_>>(), [&expected]);
        assert_eq!(found.queues.by[&None], expected);
        assert_eq!(found.criteria.by["a"], expected);
        assert_eq!((found.before[10], found.before[18], found.before[19]), (1, 1, 1), "100 is in the last part");
        assert_eq!(found.before.iter().sum::<u64>(), found.after.iter().sum::<u64>());
        assert_eq!(found.largest.iter().map(|change| change.call_id).collect::<Vec<_>>(), [call(1), call(2)]);
    }

    #[test]
    fn faults_and_reasons_are_counted_and_named_with_few_examples() {
        let mut found = Found::default();
        for n in 0..9 {
            let outcome = Err(if n == 0 { "trap" } else { "fuel" });
            found.add(
                call(n),
                Came::Ran(Box::new(Ran { outcome, again: Some(n > 0), ..ran(Judged::default(), Judged::default()) })),
            );
        }
        found.add(call(10), Came::Skipped(SkipReason::NoAnswers));
        assert_eq!((found.done, found.scored, found.failed(), found.sampled), (10, 0, 9, 9));
        assert_eq!((found.faults["fuel"].calls, found.faults["fuel"].examples.len()), (8, EXAMPLES));
        assert_eq!(found.unequal, Faults { calls: 1, examples: vec![call(0)] });
        assert_eq!(found.skipped[&SkipReason::NoAnswers], 1);
    }

    #[test]
    fn it_is_bounded_and_comes_back_as_it_was_stored() {
        let mut found = Found::default();
        for n in 0..6_000_u32 {
            let after = judged(n, false);
            let ran = Ran { queue: Some(format!("queue {n}")), ..ran(judged(0, false), after) };
            found.add(call(n.into()), Came::Ran(Box::new(ran)));
        }
        assert_eq!((found.queues.by.len(), found.queues.others.calls), (GROUPS, 1_000));
        assert_eq!(found.largest.len(), LARGEST);
        assert_eq!((found.largest[0].after, found.largest[LARGEST - 1].after), (5_999, 5_950));
        let stored = serde_json::to_value(&found).unwrap();
        assert_eq!(serde_json::from_value::<Found>(stored).unwrap(), found);
    }
}
