//! A scorer: points for what helps a sale, and points off for what harms it. The score is the points as a share of the most that could have
//! been had, and never less than 0.
//!
//! See README.md for the settings and a worked example.

use std::collections::BTreeMap;

use plumbline_plugin::{
    About, AutoFail, Criterion, CriterionScore, Insight, InsightKind, ScoreInput, ScoreOutput, Scorer, Whole,
    arithmetic::{self, FULL_SCORE, Verdicts},
    export_scorer,
};
use serde::Deserialize;

/// The settings as a JSON Schema.
const SCHEMA: &str = include_str!("settings.schema.json");
const MOST: i32 = 1_000;

/// The plugin.
pub struct SalesScorecard;

/// What an organization may set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// By the key of the criterion.
    pub points: BTreeMap<String, Points>,
}

/// What the answers to a criterion are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Points {
    /// Fulfilled.
    pub yes: i32,
    /// Not fulfilled.
    pub no: i32,
}

impl Points {
    /// The most that can be had.
    fn best(self) -> i64 {
        i64::from(self.yes.max(self.no).max(0))
    }
}

impl Settings {
    fn of(&self, criterion: &Criterion) -> Points {
        let usual = || Points { yes: i32::try_from(criterion.weight).unwrap_or(i32::MAX), no: 0 };
        self.points.get(&criterion.key).copied().unwrap_or_else(usual)
    }
}

export_scorer!(SalesScorecard);

impl Scorer for SalesScorecard {
    type Settings = Settings;

    fn about() -> About {
        let summary =
            "Points for what helps a sale, points off for what harms it; the score is their share of the most.";
        // Keys, weights and verdicts are always given: not a word of the call is needed.
        About::new("sales_scorecard", env!("CARGO_PKG_VERSION"), summary).settings_schema(SCHEMA).reads(&[])
    }

    fn check(settings: &Settings) -> Result<(), String> {
        let wild = |points: &Points| points.yes.abs().max(points.no.abs()) > MOST;
        match settings.points.iter().find(|(_, points)| wild(points)) {
            Some((key, _)) => Err(format!("the points of {key} must be -{MOST} to {MOST}")),
            None => Ok(()),
        }
    }

    fn score(settings: &Settings, input: &ScoreInput) -> Result<ScoreOutput, String> {
        let verdicts = Verdicts::of(&input.answers);
        let (mut sum, mut best, mut failed) = (0i64, 0i64, false);
        let mut output =
            ScoreOutput { criteria: Vec::new(), overall: None, insights: Vec::new(), metadata: Vec::new() };
        for criterion in arithmetic::criteria(&input.scorecard) {
            let yes = verdicts.fulfilled(criterion);
            let points = settings.of(criterion);
            let earned = yes.map(|yes| i64::from(if yes { points.yes } else { points.no }));
            sum += earned.unwrap_or(0);
            best += earned.map_or(0, |_| points.best());
            failed |= yes == Some(false) && criterion.auto_fail != AutoFail::None;
            output.criteria.push(one(criterion, points, yes, earned));
            if let Some(lost) = earned.filter(|earned| *earned < 0) {
                output.insights.push(Insight {
                    kind: InsightKind::Risk,
                    text: format!("{} cost {} points.", criterion.key, -lost),
                    criterion: Some(criterion.key.clone()),
                    utterances: Vec::new(),
                });
            }
        }
        output.insights.truncate(100);
        output.overall = share(sum, best).map(|score| if failed { 0 } else { score });
        output.metadata = vec![("points".into(), sum.to_string()), ("best_points".into(), best.to_string())];
        Ok(output)
    }
}

/// The score of one criterion: its points as a share of its best. One that can only take points away is whole as long as it does not.
fn one(criterion: &Criterion, points: Points, yes: Option<bool>, earned: Option<i64>) -> CriterionScore {
    let score = earned.map(|earned| match share(earned, points.best()) {
        Some(score) => score,
        None if earned < 0 => 0,
        None => FULL_SCORE,
    });
    let note = earned.filter(|earned| *earned < 0).map(|earned| format!("{earned} points"));
    CriterionScore { key: criterion.key.clone(), score, passed: yes, note }
}

/// Points as a share of the best, in hundredths from 0 to 10000, rounded half up. None if nothing could be had.
fn share(points: i64, best: i64) -> Option<u32> {
    let whole = |points: i64| Whole::from(u64::try_from(points).unwrap_or(0));
    (best > 0).then(|| arithmetic::rounded(&whole(points), &whole(best)))
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::{
        Verdict::{self, No, NotApplicable, Yes},
        testing::{self, Conversation, score},
    };

    use super::*;

    const SETTINGS: &str =
        r#"{"points": {"need": {"yes": 10}, "next_step": {"yes": 5, "no": -5}, "pressure": {"yes": -8}}}"#;

    fn sold(verdicts: [Verdict; 3]) -> Conversation {
        let [need, next_step, pressure] = verdicts;
        let asked = Conversation::new().agent("What do you need?").criterion("need", 1, need);
        asked.criterion("next_step", 1, next_step).criterion("pressure", 1, pressure)
    }

    fn overall(verdicts: [Verdict; 3]) -> Option<u32> {
        score::<SalesScorecard>(SETTINGS, &sold(verdicts).score_input()).unwrap().overall
    }

    #[test]
    fn the_worked_example_of_the_readme() {
        let output = score::<SalesScorecard>(SETTINGS, &sold([Yes, Yes, Yes]).score_input()).unwrap();
        assert_eq!(output.overall, Some(4_667), "10 + 5 - 8 of 15");
        let scores: Vec<_> = output.criteria.iter().map(|one| (one.score, one.note.as_deref())).collect();
        assert_eq!(scores, [(Some(10_000), None), (Some(10_000), None), (Some(0), Some("-8 points"))]);
        assert_eq!(output.insights[0].text, "pressure cost 8 points.");
        assert_eq!(output.metadata[0], ("points".to_owned(), "7".to_owned()));
    }

    #[test]
    fn it_is_never_less_than_nothing() {
        assert_eq!(overall([No, No, Yes]), Some(0), "-13 of 15");
        assert_eq!(overall([Yes, No, No]), Some(3_333), "5 of 15");
        assert_eq!(overall([NotApplicable, NotApplicable, No]), None, "there is nothing to take from");
        assert_eq!(overall([Yes, NotApplicable, NotApplicable]), Some(10_000));
    }

    #[test]
    fn a_criterion_without_points_has_its_weight() {
        let input = Conversation::new().criterion("greeting", 3, Yes).criterion("identity", 1, No).score_input();
        assert_eq!(score::<SalesScorecard>("{}", &input).unwrap().overall, Some(7_500));
    }

    #[test]
    fn settings_are_judged() {
        assert_eq!(testing::validate::<SalesScorecard>(SETTINGS), Ok(()));
        for wrong in
            [r#"{"points": {"a": {"yes": 1001}}}"#, r#"{"points": {"a": 5}}"#, r#"{"points": {"a": {"maybe": 1}}}"#]
        {
            assert!(testing::validate::<SalesScorecard>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn golden_calls() {
        testing::score_golden_calls::<SalesScorecard>("{}").unwrap();
        testing::score_golden_calls::<SalesScorecard>(SETTINGS).unwrap();
    }
}
