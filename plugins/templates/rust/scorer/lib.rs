//! A scorer: the weighted score of the scorecard, minus points if the agent never says one of the wanted phrases.

use plumbline_plugin::{
    About, Field, Insight, InsightKind, Phrase, ScoreInput, ScoreOutput, Scorer, Speaker, arithmetic, export_scorer, info,
};
use serde::Deserialize;

/// The settings as a JSON Schema: people fill in a form that is made of it.
const SCHEMA: &str = include_str!("settings.schema.json");

struct Plugin;

/// What an organization may set. Scores and points are whole hundredths: 500 is 5.00.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    phrases: Vec<String>,
    deduct_hundredths: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { phrases: vec!["thank you".into(), "thanks".into()], deduct_hundredths: 500 }
    }
}

export_scorer!(Plugin);

impl Scorer for Plugin {
    type Settings = Settings;

    fn about() -> About {
        let summary = "The weighted score, minus points if the agent never says one of the wanted phrases.";
        About::new("{{name}}", env!("CARGO_PKG_VERSION"), summary)
            .settings_schema(SCHEMA)
            // What is not named here arrives empty. Keys, weights and verdicts are always given.
            .reads(&[Field::UtterancesText, Field::UtterancesSpeaker])
    }

    fn check(settings: &Settings) -> Result<(), String> {
        if settings.deduct_hundredths > arithmetic::FULL_SCORE {
            return Err("deduct_hundredths must be at most 10000".into());
        }
        Ok(())
    }

    fn score(settings: &Settings, input: &ScoreInput) -> Result<ScoreOutput, String> {
        // Every criterion's score, and the overall score, exactly as the built-in scorer has them.
        let mut output = arithmetic::weighted(&input.scorecard, &input.answers);
        let Some(weighted) = output.overall else { return Ok(output) };
        output.metadata.push(("weighted_score".into(), weighted.to_string()));

        let phrases: Vec<Phrase> = settings.phrases.iter().filter_map(|words| Phrase::new(words)).collect();
        let mut agents = input.utterances.iter().filter(|utterance| utterance.speaker == Speaker::Agent);
        let said = agents.any(|utterance| phrases.iter().any(|phrase| phrase.is_in(&utterance.text)));
        info(&format!("a wanted phrase was said: {said}"));
        if !said {
            output.overall = Some(weighted.saturating_sub(settings.deduct_hundredths));
            output.insights.push(Insight {
                kind: InsightKind::Risk,
                text: "The agent said none of the wanted phrases.".into(),
                criterion: None,
                utterances: Vec::new(),
            });
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::{
        Verdict,
        testing::{self, Conversation},
    };

    use super::*;

    fn overall(conversation: Conversation) -> Option<u32> {
        let spoken = conversation.criterion("greeting", 1, Verdict::Yes).criterion("next_step", 1, Verdict::No);
        testing::score::<Plugin>("{}", &spoken.score_input()).unwrap().overall
    }

    #[test]
    fn a_phrase_that_is_missing_costs_points() {
        assert_eq!(overall(Conversation::new().agent("Thank you for calling.").customer("Hi.")), Some(5_000));
        assert_eq!(overall(Conversation::new().agent("What?").customer("Thank you, too.")), Some(4_500));
    }

    #[test]
    fn settings_are_judged() {
        assert!(testing::validate::<Plugin>("{}").is_ok());
        assert!(testing::validate::<Plugin>(r#"{"deduct_hundredths": 10001}"#).is_err());
        assert!(testing::validate::<Plugin>(r#"{"phrase": []}"#).is_err());
    }

    #[test]
    fn golden_calls() {
        testing::score_golden_calls::<Plugin>("{}").unwrap();
    }
}
