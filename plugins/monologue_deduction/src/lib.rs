//! A scorer: the weighted score of the scorecard, minus points for every turn in which the agent talks too long.
//!
//! See README.md for the settings and a worked example.

mod answering;
mod insights;
mod monologue;
mod settings;

use plumbline_plugin::{
    About, Criterion, Field, ScoreInput, ScoreOutput, Scorer,
    arithmetic::{self, Verdicts},
    export_scorer, info,
};

use crate::settings::Settings;

/// The plugin.
pub struct MonologueDeduction;

export_scorer!(MonologueDeduction);

impl Scorer for MonologueDeduction {
    type Settings = Settings;

    fn about() -> About {
        let summary =
            "The weighted score of the scorecard, minus points for every turn in which the agent talks too long.";
        let reads = [
            Field::CallChannel,
            Field::UtterancesText,
            Field::UtterancesSpeaker,
            Field::ScorecardText,
            Field::AnswersEvidence,
            Field::Metadata,
        ];
        About::new("monologue_deduction", env!("CARGO_PKG_VERSION"), summary)
            .settings_schema(settings::SCHEMA)
            .reads(&reads)
    }

    fn check(settings: &Settings) -> Result<(), String> {
        settings.check()
    }

    fn score(settings: &Settings, input: &ScoreInput) -> Result<ScoreOutput, String> {
        let output = score(settings, input);
        for (key, value) in &output.metadata {
            info(&format!("{key}: {value}"));
        }
        Ok(output)
    }
}

fn score(settings: &Settings, input: &ScoreInput) -> ScoreOutput {
    let weighted = arithmetic::overall(&input.scorecard, &input.answers);
    let monologues = match settings.applies_to(&input.call.channel) {
        true => monologue::find(&input.utterances, settings.longest_turn_words),
        false => Vec::new(),
    };
    let deduction = settings.deduction(monologues.len());
    let verdicts = Verdicts::of(&input.answers);
    let own = settings.answers.as_deref().filter(|_| settings.applies_to(&input.call.channel));
    let criterion = |criterion: &Criterion| match own {
        Some(own) if own == criterion.key && answering::is_awaited(own, &input.metadata) => {
            answering::answer(own, &monologues)
        }
        _ => arithmetic::score(criterion, verdicts.fulfilled(criterion)),
    };
    let all = || arithmetic::criteria(&input.scorecard);
    // An insight may only belong to a criterion of the scorecard.
    let answered = own.filter(|own| all().any(|criterion| criterion.key == *own));
    let mut found = insights::of_criteria(&input.scorecard, &input.answers);
    found.extend(insights::of_monologues(&monologues, answered));
    ScoreOutput {
        criteria: all().map(criterion).collect(),
        overall: weighted.map(|score| score.saturating_sub(deduction)),
        insights: found,
        metadata: vec![
            ("weighted_score".into(), weighted.map_or_else(|| "none".into(), |score| score.to_string())),
            ("deduction".into(), deduction.to_string()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::{
        Verdict,
        testing::{self, Conversation},
    };

    use super::*;

    #[test]
    fn the_worked_example_of_the_readme() {
        let spoken = Conversation::new().agent("One two three four five.").customer("Yes.");
        let opening = spoken.section("opening", 1).criterion("greeting", 1, Verdict::Yes);
        let resolution = opening.criterion("identity", 2, Verdict::No).section("resolution", 2);
        let input = resolution.criterion("next_step", 1, Verdict::Yes).criterion("refund", 1, Verdict::NotApplicable);
        let settings = r#"{"longest_turn_words": 4}"#;
        let output = testing::score::<MonologueDeduction>(settings, &input.score_input()).unwrap();
        assert_eq!(output.overall, Some(7_778 - 250));
        let logged: Vec<_> = testing::logged().into_iter().map(|(_, text)| text).collect();
        assert_eq!(logged, ["weighted_score: 7778", "deduction: 250"]);
    }

    #[test]
    fn golden_calls() {
        testing::score_golden_calls::<MonologueDeduction>("{}").unwrap();
    }
}
