//! What a back-test came to, as it is kept with the version and shown. No I/O.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    found::{BINS, Change, Faults, Found, Groups, SkipReason, Tally},
    model::Standing,
    spread::Spread,
};
use crate::{
    foundation::ids::{AgentId, CallId, OrganizationId},
    platform::plugins::ENGINE,
};

/// The shape of [`Report`].
pub const FORMAT: u32 = 1;
/// Agents, teams or criteria that are shown, those with the most flips first.
const SHOWN: usize = 100;

/// What a back-test came to. Scores are from 0 to 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestReport")]
pub struct Report {
    /// The report's own shape.
    pub format: u32,
    /// The plugin's name and version.
    pub plugin: String,
    /// SHA-256 of the plugin version.
    pub digest: String,
    /// SHA-256 of the settings' canonical JSON.
    pub settings_digest: String,
    /// What ran it.
    pub engine: String,
    /// Calls that were looked at.
    pub calls: u64,
    /// Calls that the version scored.
    pub scored: u64,
    /// Scored calls without an overall score on one of the sides: nothing was applicable. They are in no comparison.
    pub without_score: u64,
    /// Calls that were left out.
    pub skipped: Vec<SkippedView>,
    /// Calls that the version failed at.
    pub faults: Vec<FaultsView>,
    /// The score that counts now, and the version's.
    pub overall: TallyView,
    /// Both in twenty parts of the range from 0 to 100.
    pub distribution: Vec<BinView>,
    /// By agent, those with the most calls that changed sides first; the first 100.
    pub agents: Vec<AgentView>,
    /// By team: the calls of one queue of the organization. The first 100.
    pub teams: Vec<TeamView>,
    /// By criterion; the first 100.
    pub criteria: Vec<CriterionView>,
    /// The calls whose score changed most.
    pub largest: Vec<ChangeView>,
    /// What the calls took.
    pub took: TookView,
    /// Calls that were scored twice, to see whether equal input gives an equal result.
    pub determinism: DeterminismView,
}

/// Calls that were left out for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestSkipped")]
pub struct SkippedView {
    /// The reason.
    pub reason: SkipReason,
    /// How many.
    pub calls: u64,
}

/// Faults of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestFaults")]
pub struct FaultsView {
    /// The fault's stable name: `trap`, `deadline`, `invalid_output` and the like.
    pub code: String,
    /// How many calls.
    pub calls: u64,
    /// Some of them.
    pub examples: Vec<CallId>,
}

/// What a number of calls come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestTally")]
pub struct TallyView {
    /// Calls with a score on both sides.
    pub calls: u64,
    /// Calls whose score is another.
    pub changed: u64,
    /// Calls that fail now and would pass. Without a pass mark nothing passes or fails.
    pub to_pass: u64,
    /// Calls that pass now and would fail.
    pub to_fail: u64,
    /// The mean of the scores that count now; null without calls.
    #[oai(nullable)]
    pub mean_before: Option<f64>,
    /// The mean of the version's.
    #[oai(nullable)]
    pub mean_after: Option<f64>,
}

/// Scores in one part of the range, from `from` on and below `to`; 100 is in the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestBin")]
pub struct BinView {
    /// The least score.
    pub from: u32,
    /// Where the next part begins.
    pub to: u32,
    /// Calls whose score that counts now is there.
    pub before: u64,
    /// Calls whose score by the version is.
    pub after: u64,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestedAgent")]
pub struct AgentView {
    /// Null for calls of nobody known.
    #[oai(nullable)]
    pub agent_id: Option<AgentId>,
    /// The agent's name now; null for calls of nobody known.
    #[serde(skip)]
    #[oai(nullable)]
    pub display_name: Option<String>,
    /// The agent's calls.
    pub tally: TallyView,
}

/// One team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestedTeam")]
pub struct TeamView {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Its queue; null for calls of none.
    #[oai(nullable)]
    pub queue: Option<String>,
    /// The team's calls.
    pub tally: TallyView,
}

/// One criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestedCriterion")]
pub struct CriterionView {
    /// Its key.
    pub key: String,
    /// The calls that were judged by it; their scores are the criterion's own.
    pub tally: TallyView,
}

/// A call whose score changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestedCall")]
pub struct ChangeView {
    /// The call.
    pub call_id: CallId,
    /// Who was heard.
    #[oai(nullable)]
    pub agent_id: Option<AgentId>,
    /// The score that counts now.
    pub before: f64,
    /// The version's.
    pub after: f64,
}

/// What calls took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestTook")]
pub struct TookView {
    /// Instructions, as the engine counts them.
    pub fuel: SpreadView,
    /// Microseconds, from the call's turn to its end.
    pub elapsed_us: SpreadView,
    /// The most memory, in bytes.
    pub memory_bytes: SpreadView,
}

/// How numbers are spread, within 2 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestSpread")]
pub struct SpreadView {
    /// Half of the calls took no more.
    pub p50: u64,
    /// All but one in twenty.
    pub p95: u64,
    /// All but one in a hundred.
    pub p99: u64,
    /// The most.
    pub most: u64,
}

/// Whether equal input gave an equal result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Object)]
#[oai(rename = "BacktestDeterminism")]
pub struct DeterminismView {
    /// Calls that were scored twice: one in a hundred.
    pub sampled: u64,
    /// Those with another result or another count of instructions the second time. A right plugin has none.
    pub unequal: u64,
    /// Some of them.
    pub examples: Vec<CallId>,
}

impl Report {
    /// The report of what was found.
    pub fn of(standing: &Standing) -> Self {
        let (found, backtest) = (&standing.found, &standing.backtest);
        let skipped = found.skipped.iter().map(|(reason, calls)| SkippedView { reason: *reason, calls: *calls });
        let faults = found.faults.iter().map(|(code, Faults { calls, examples })| FaultsView {
            code: code.clone(),
            calls: *calls,
            examples: examples.clone(),
        });
        let agents = shown(&found.agents, |agent_id, tally| AgentView { agent_id, display_name: None, tally });
        let organization_id = backtest.organization_id;
        let teams = shown(&found.queues, |queue, tally| TeamView { organization_id, queue, tally });
        Self {
            format: FORMAT,
            plugin: format!("{} {}", standing.version.name, standing.version.version),
            digest: backtest.digest.clone(),
            settings_digest: backtest.settings_digest.clone(),
            engine: ENGINE.to_owned(),
            calls: found.done,
            scored: found.scored,
            without_score: found.without_score,
            skipped: skipped.collect(),
            faults: faults.collect(),
            overall: TallyView::of(&found.all),
            distribution: distribution(found),
            agents,
            teams,
            criteria: shown(&found.criteria, |key, tally| CriterionView { key, tally }),
            largest: found.largest.iter().map(ChangeView::of).collect(),
            took: TookView {
                fuel: SpreadView::of(&found.fuel),
                elapsed_us: SpreadView::of(&found.elapsed_us),
                memory_bytes: SpreadView::of(&found.memory_bytes),
            },
            determinism: DeterminismView {
                sampled: found.sampled,
                unequal: found.unequal.calls,
                examples: found.unequal.examples.clone(),
            },
        }
    }
}

fn distribution(found: &Found) -> Vec<BinView> {
    let width = 100 / BINS as u32;
    let bins = (0..).zip(found.before.iter().zip(&found.after));
    bins.map(|(n, (before, after))| BinView { from: n * width, to: (n + 1) * width, before: *before, after: *after })
        .collect()
}

/// The groups in which most calls changed sides, then those whose mean changed most.
fn shown<K: Ord + Clone, T>(groups: &Groups<K>, view: impl Fn(K, TallyView) -> T) -> Vec<T> {
    let mut sorted: Vec<(&K, &Tally)> = groups.by.iter().collect();
    let moved = |tally: &Tally| tally.before.abs_diff(tally.after) / tally.calls.max(1);
    sorted.sort_by_key(|(_, tally)| std::cmp::Reverse((tally.flips(), moved(tally), tally.calls)));
    sorted.into_iter().take(SHOWN).map(|(key, tally)| view(key.clone(), TallyView::of(tally))).collect()
}

impl TallyView {
    fn of(tally: &Tally) -> Self {
        // Whole hundredths: two digits after the point.
        let mean = |sum: u64| {
            let hundredths = (sum + tally.calls / 2).checked_div(tally.calls)?;
            Some(hundredths as f64 / 100.0)
        };
        Self {
            calls: tally.calls,
            changed: tally.changed,
            to_pass: tally.to_pass,
            to_fail: tally.to_fail,
            mean_before: mean(tally.before),
            mean_after: mean(tally.after),
        }
    }
}

impl ChangeView {
    fn of(change: &Change) -> Self {
        let points = |hundredths: u32| f64::from(hundredths) / 100.0;
        Self {
            call_id: change.call_id,
            agent_id: change.agent_id,
            before: points(change.before),
            after: points(change.after),
        }
    }
}

impl SpreadView {
    fn of(spread: &Spread) -> Self {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| spread.percentile(percent));
        Self { p50, p95, p99, most: spread.most() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::evaluations::backtest::samples;

    #[test]
    fn it_says_what_was_found() {
        let report = samples::report();
        let overall = TallyView {
            calls: 3,
            changed: 2,
            to_pass: 0,
            to_fail: 1,
            mean_before: Some(80.0),
            mean_after: Some(66.67),
        };
        assert_eq!(report.overall, overall);
        assert_eq!(report.teams[0].queue.as_deref(), Some("billing"));
        assert_eq!((&report.teams[0].tally, &report.criteria[0].tally), (&overall, &overall));
        let moved: Vec<_> = report.largest.iter().map(|change| (change.before, change.after)).collect();
        assert_eq!(moved, [(90.0, 40.01), (80.0, 90.0)]);
        assert_eq!(report.distribution[8], BinView { from: 40, to: 45, before: 0, after: 1 });
        assert_eq!((report.determinism.sampled, report.determinism.unequal), (1, 0));
        let stored = serde_json::to_value(&report).unwrap();
        assert_eq!(serde_json::from_value::<Report>(stored).unwrap(), report, "as it is kept");
        assert_eq!(samples::empty_report().overall.mean_before, None);
    }

    #[test]
    fn the_groups_with_most_flips_come_first_and_few_are_shown() {
        let mut groups = Groups::default();
        for n in 0..SHOWN + 5 {
            groups.by.insert(n, Tally { calls: 1, to_fail: n as u64, ..Tally::default() });
        }
        let shown = shown(&groups, |key, tally| (key, tally.to_fail));
        assert_eq!((shown.len(), shown[0]), (SHOWN, (SHOWN + 4, SHOWN as u64 + 4)));
    }
}
