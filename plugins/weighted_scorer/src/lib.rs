//! A scorer: the weighted score of the scorecard, and whether it reaches the pass mark. The same scorer is written in TypeScript and in
//! Python beside this one; a property test holds their results against each other.
//!
//! See README.md for the settings and a worked example.

use plumbline_plugin::{
    About, AutoFail, Field, Insight, InsightKind, ScoreInput, ScoreOutput, Scorer,
    arithmetic::{self, FULL_SCORE, Verdicts},
    export_scorer,
};
use serde::Deserialize;

/// The settings as a JSON Schema.
const SCHEMA: &str = include_str!("settings.schema.json");

/// The plugin.
pub struct WeightedScorer;

/// What an organization may set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What must be reached, in hundredths.
    pub pass_mark_hundredths: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pass_mark_hundredths: 8_000 }
    }
}

export_scorer!(WeightedScorer);

impl Scorer for WeightedScorer {
    type Settings = Settings;

    fn about() -> About {
        let summary = "The weighted score of the scorecard, and whether it reaches the pass mark.";
        About::new("weighted_scorer", env!("CARGO_PKG_VERSION"), summary)
            .settings_schema(SCHEMA)
            .reads(&[Field::AnswersEvidence])
            .memory_bytes(32 << 20)
    }

    fn check(settings: &Settings) -> Result<(), String> {
        if settings.pass_mark_hundredths > FULL_SCORE {
            return Err(format!("pass_mark_hundredths must be at most {FULL_SCORE}"));
        }
        Ok(())
    }

    fn score(settings: &Settings, input: &ScoreInput) -> Result<ScoreOutput, String> {
        let mut output = arithmetic::weighted(&input.scorecard, &input.answers);
        let verdicts = Verdicts::of(&input.answers);
        for criterion in arithmetic::criteria(&input.scorecard) {
            if criterion.auto_fail == AutoFail::None || verdicts.fulfilled(criterion) != Some(false) {
                continue;
            }
            let evidence = verdicts.answer(&criterion.key).map(|answer| answer.evidence.as_slice()).unwrap_or_default();
            output.insights.push(Insight {
                kind: InsightKind::Risk,
                text: format!("{} failed, and with it more than itself.", criterion.key),
                criterion: Some(criterion.key.clone()),
                utterances: evidence.iter().map(|evidence| evidence.utterance).take(100).collect(),
            });
        }
        output.insights.truncate(100);
        if let Some(overall) = output.overall {
            let passed = overall >= settings.pass_mark_hundredths;
            output.metadata.push(("passed".into(), passed.to_string()));
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::{
        Verdict,
        testing::{self, Conversation, score},
    };

    use super::*;

    fn sample(refund: Verdict) -> ScoreInput {
        let spoken = Conversation::new().agent("Hello, this is Ana.").customer("Hi.");
        let opening = spoken.section("opening", 1).criterion("greeting", 1, Verdict::Yes);
        let resolution = opening.criterion("identity", 2, Verdict::No).section("resolution", 2);
        let next_step = resolution.criterion("next_step", 1, Verdict::Yes);
        next_step.grave("refund", 1, AutoFail::Evaluation, refund).score_input()
    }

    #[test]
    fn the_worked_example_of_the_readme() {
        let output = score::<WeightedScorer>("{}", &sample(Verdict::NotApplicable)).unwrap();
        assert_eq!(output.overall, Some(7_778));
        assert_eq!(output.metadata, [("passed".to_owned(), "false".to_owned())]);
        let lower =
            score::<WeightedScorer>(r#"{"pass_mark_hundredths": 7778}"#, &sample(Verdict::NotApplicable)).unwrap();
        assert_eq!(lower.metadata, [("passed".to_owned(), "true".to_owned())]);
    }

    #[test]
    fn an_auto_fail_is_told() {
        let output = score::<WeightedScorer>("{}", &sample(Verdict::No)).unwrap();
        assert_eq!(output.overall, Some(0));
        assert_eq!(output.insights[0].text, "refund failed, and with it more than itself.");
        assert_eq!(output.insights[0].criterion.as_deref(), Some("refund"));
    }

    #[test]
    fn settings_are_judged() {
        assert_eq!(testing::validate::<WeightedScorer>("{}"), Ok(()));
        for wrong in
            ["[]", r#"{"pass_mark": 1}"#, r#"{"pass_mark_hundredths": 10001}"#, r#"{"pass_mark_hundredths": 1.5}"#]
        {
            assert!(testing::validate::<WeightedScorer>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn golden_calls() {
        testing::score_golden_calls::<WeightedScorer>("{}").unwrap();
    }
}
