//! A prompt builder: the built-in prompt, with advice of the organization's own before the rules.

use plumbline_plugin::{About, Field, Prompt, PromptBuilder, PromptInput, export_prompt_builder, info, prompt};
use serde::Deserialize;

/// The settings as a JSON Schema: people fill in a form that is made of it.
const SCHEMA: &str = include_str!("settings.schema.json");

struct Plugin;

/// What an organization may set.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    advice: String,
}

export_prompt_builder!(Plugin);

impl PromptBuilder for Plugin {
    type Settings = Settings;

    fn about() -> About {
        About::new("{{name}}", env!("CARGO_PKG_VERSION"), "The built-in prompt, with advice of the organization's own.")
            .settings_schema(SCHEMA)
            // What is not named here arrives empty.
            .reads(&[Field::UtterancesText, Field::UtterancesSpeaker, Field::ScorecardText, Field::Metadata])
    }

    fn check(settings: &Settings) -> Result<(), String> {
        if settings.advice.chars().count() > 2_000 {
            return Err("the advice may have 2000 characters".into());
        }
        Ok(())
    }

    fn build(settings: &Settings, input: &PromptInput) -> Result<Prompt, String> {
        info(&format!("utterances: {}", input.utterances.len()));
        let system = [
            "You evaluate a conversation between a company's agent and a customer. The user message is one JSON document: `criteria` are \
             the questions to answer, `transcript` is the conversation as numbered utterances.",
            &settings.advice,
            "Rules:",
            prompt::RULES,
            // Long conversations are asked about in parts.
            &prompt::part(input).unwrap_or_default(),
        ];
        let system: Vec<&str> = system.into_iter().filter(|words| !words.is_empty()).collect();
        Ok(Prompt {
            system: system.join("\n\n"),
            // Everything that was said is inside of one JSON document: words of a caller can never pose as structure.
            user: prompt::document(input)?,
            max_output_tokens: Some(prompt::expected_tokens(input).min(200_000)),
        })
    }
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::testing::{self, Conversation};

    use super::*;

    #[test]
    fn the_advice_is_in_the_instructions() {
        let input = Conversation::new().agent("Hello.").prompt_input();
        let built = testing::build::<Plugin>(r#"{"advice": "We sell gateways."}"#, &input).unwrap();
        assert!(built.system.contains("We sell gateways."));
        assert!(built.user.contains("Hello."));
    }

    #[test]
    fn golden_calls() {
        testing::build_golden_calls::<Plugin>("{}").unwrap();
    }
}
