//! A prompt builder: instructions in the language of the conversation, rationales in the language of those who read them, and a glossary.
//! The rules of the answer stay in English, word for word: they are what the model was tried with.
//!
//! See README.md for the settings and an example.

mod words;

use plumbline_plugin::{About, Field, Prompt, PromptBuilder, PromptInput, export_prompt_builder, prompt};
use serde::Deserialize;

use crate::words::Words;

/// The settings as a JSON Schema.
const SCHEMA: &str = include_str!("settings.schema.json");
const GLOSSARY: usize = 200;

/// The plugin.
pub struct BilingualPrompt;

/// What an organization may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Language of the rationales; none: that of the conversation.
    pub rationales_in: Option<String>,
    /// Words that the model may not know.
    pub glossary: Vec<Entry>,
}

/// A word, and what it means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The word.
    pub word: String,
    /// What it means.
    pub means: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rationales_in: Some("en".into()), glossary: Vec::new() }
    }
}

export_prompt_builder!(BilingualPrompt);

impl PromptBuilder for BilingualPrompt {
    type Settings = Settings;

    fn about() -> About {
        let summary = "Instructions in the conversation's language, rationales in the readers' language, a glossary.";
        let reads = [
            Field::CallLanguage,
            Field::UtterancesText,
            Field::UtterancesSpeaker,
            Field::ScorecardText,
            Field::Metadata,
        ];
        About::new("bilingual_prompt", env!("CARGO_PKG_VERSION"), summary).settings_schema(SCHEMA).reads(&reads)
    }

    fn check(settings: &Settings) -> Result<(), String> {
        if let Some(language) = settings.rationales_in.as_deref().filter(|tag| !is_tag(tag)) {
            return Err(format!("rationales_in is {language:?}, which is no language tag such as en or pt-BR"));
        }
        if settings.glossary.len() > GLOSSARY {
            return Err(format!("the glossary may have at most {GLOSSARY} words"));
        }
        let fits = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
        match settings.glossary.iter().all(|entry| fits(&entry.word, 100) && fits(&entry.means, 300)) {
            true => Ok(()),
            false => Err("a word of the glossary has 1 to 100 characters and a meaning of 1 to 300".into()),
        }
    }

    fn build(settings: &Settings, input: &PromptInput) -> Result<Prompt, String> {
        let Words { opening, rationales, glossary } = words::of(&input.call.language);
        let mut system = format!("{opening}\n\nRules:\n{}", prompt::RULES);
        let readers = settings.rationales_in.as_deref().unwrap_or(&input.call.language);
        if !readers.is_empty() {
            system.push_str(&format!("\n\n{rationales}{readers}."));
        }
        let said: Vec<String> =
            settings.glossary.iter().map(|entry| format!("{} = {}", entry.word, entry.means)).collect();
        if !said.is_empty() {
            system.push_str(&format!("\n\n{glossary}{}.", said.join("; ")));
        }
        if let Some(part) = prompt::part(input) {
            system.push_str(&format!("\n\n{part}"));
        }
        let max_output_tokens = Some(prompt::expected_tokens(input).min(200_000));
        Ok(Prompt { system, user: prompt::document(input)?, max_output_tokens })
    }
}

/// Letters, digits and hyphens, as in BCP 47.
fn is_tag(tag: &str) -> bool {
    let proper = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    tag.len() <= 35 && tag.split('-').all(proper)
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::testing::{self, Conversation, build};

    use super::*;

    fn system(language: &str, settings: &str) -> String {
        let input = Conversation::new().language(language).agent("Grüß Gott.").prompt_input();
        build::<BilingualPrompt>(settings, &input).unwrap().system
    }

    #[test]
    fn instructions_are_in_the_language_of_the_conversation() {
        assert!(system("de-AT", "{}").starts_with("Du bewertest"));
        assert!(system("es", "{}").starts_with("Evalúas"));
        assert!(system("fr_CA", "{}").starts_with("Tu évalues"));
        assert!(system("ja", "{}").starts_with("You evaluate"));
    }

    #[test]
    fn rationales_are_in_the_language_of_the_readers() {
        assert!(system("de", "{}").contains("Schreibe jede `rationale` in dieser Sprache: en."));
        assert!(system("de", r#"{"rationales_in": null}"#).contains("in dieser Sprache: de."));
        let glossary = r#"{"glossary": [{"word": "Anschluss", "means": "a line, not a connection flight"}]}"#;
        assert!(system("de", glossary).contains("Wörter mit besonderer Bedeutung: Anschluss = a line"));
    }

    #[test]
    fn the_transcript_stays_as_it_was_spoken() {
        let input = Conversation::new().language("de").agent("Grüß Gott.").prompt_input();
        let prompt = build::<BilingualPrompt>("{}", &input).unwrap();
        let document: serde_json::Value = serde_json::from_str(&prompt.user).unwrap();
        assert_eq!(document["transcript"][0]["text"], "Grüß Gott.");
    }

    #[test]
    fn settings_are_judged() {
        assert_eq!(testing::validate_builder::<BilingualPrompt>(r#"{"rationales_in": "pt-BR"}"#), Ok(()));
        for wrong in [
            r#"{"rationales_in": "in English, please"}"#,
            r#"{"rationales_in": ""}"#,
            r#"{"glossary": [{"word": "a", "means": " "}]}"#,
        ] {
            assert!(testing::validate_builder::<BilingualPrompt>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn golden_calls() {
        testing::build_golden_calls::<BilingualPrompt>("{}").unwrap();
    }
}
