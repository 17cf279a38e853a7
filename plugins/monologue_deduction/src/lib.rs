//! A scorer: the weighted score of the scorecard, minus points for every turn in which the agent talks too long.
//!
//! See README.md for the settings and a worked example.

mod answering;
mod arithmetic;
mod insights;
mod monologue;
mod settings;
mod whole;

wit_bindgen::generate!({ world: "scorer", path: "../../wit/v1" });

use exports::plumbline::plugin::scoring::{CriterionScore, Description, Guest, ScoreInput, ScoreOutput};
use plumbline::plugin::{
    host::{Level, log},
    types,
};

use crate::{arithmetic::FULL_SCORE, settings::Settings};

/// The plugin.
pub struct MonologueDeduction;

// Its symbols are names that only WebAssembly knows; native tests do without them.
#[cfg(target_arch = "wasm32")]
export!(MonologueDeduction);

impl Guest for MonologueDeduction {
    fn describe() -> Description {
        Description {
            name: "monologue_deduction".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "The weighted score of the scorecard, minus points for every turn in which the agent talks too long."
                    .into(),
            settings_schema: Some(settings::SCHEMA.into()),
            metadata: Vec::new(),
        }
    }

    fn validate_settings(settings: String) -> Result<(), String> {
        Settings::parse(&settings).map(drop)
    }

    fn score(settings: String, input: ScoreInput) -> Result<ScoreOutput, String> {
        let output = score(&Settings::parse(&settings)?, &input);
        for (key, value) in &output.metadata {
            log(Level::Info, &format!("{key}: {value}"));
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
    let own = settings.answers.as_deref().filter(|_| settings.applies_to(&input.call.channel));
    let criterion = |criterion: &types::Criterion| match own {
        Some(own) if own == criterion.key && answering::is_awaited(own, &input.metadata) => {
            answering::answer(own, &monologues)
        }
        _ => criterion_score(criterion, &input.answers),
    };
    let all = || input.scorecard.sections.iter().flat_map(|section| &section.criteria);
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

fn criterion_score(criterion: &types::Criterion, answers: &[types::Answer]) -> CriterionScore {
    let fulfilled = arithmetic::fulfilled(criterion, answers);
    CriterionScore {
        key: criterion.key.clone(),
        score: fulfilled.map(|yes| if yes { FULL_SCORE } else { 0 }),
        passed: fulfilled,
        note: None,
    }
}
