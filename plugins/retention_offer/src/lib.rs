//! A prompt builder: where a customer wants to leave, the language model is told which offers the agent may make, and judges whether one
//! was made and fits. In any other conversation the criterion does not apply, and the model is told so.
//!
//! See README.md for the settings and an example.

mod settings;

use std::fmt::Write;

use plumbline_plugin::{
    About, Criterion, Field, Phrase, Prompt, PromptBuilder, PromptInput, Speaker, Utterance, export_prompt_builder,
    info, prompt,
};

use crate::settings::Settings;

/// The plugin.
pub struct RetentionOffer;

export_prompt_builder!(RetentionOffer);

impl PromptBuilder for RetentionOffer {
    type Settings = Settings;

    fn about() -> About {
        let summary =
            "Tells the language model which offers a customer who wants to leave may be made, and has them judged.";
        let reads = [Field::UtterancesText, Field::UtterancesSpeaker, Field::ScorecardText, Field::Metadata];
        About::new("retention_offer", env!("CARGO_PKG_VERSION"), summary)
            .settings_schema(settings::SCHEMA)
            .reads(&reads)
    }

    fn check(settings: &Settings) -> Result<(), String> {
        settings.check()
    }

    fn build(settings: &Settings, input: &PromptInput) -> Result<Prompt, String> {
        let leaving = leaving(settings, &input.utterances);
        info(&format!("utterances in which the customer wants to leave: {}", leaving.len()));
        let offered = |criterion: &Criterion| settings.criteria.contains(&criterion.key);
        let user = prompt::document_with(input, |criterion| match offered(criterion) {
            true => format!("{} {}", criterion.guidance, guidance(settings, &leaving)).trim().to_owned(),
            false => criterion.guidance.clone(),
        })?;
        let mut system = "You evaluate a conversation between a company's agent and a customer. The user message is one JSON document: \
            `criteria` are the questions to answer, `transcript` is the conversation as numbered utterances.\n\nRules:\n"
            .to_owned();
        system.push_str(prompt::RULES);
        if let Some(part) = prompt::part(input) {
            system.push_str("\n\n");
            system.push_str(&part);
        }
        Ok(Prompt { system, user, max_output_tokens: Some(prompt::expected_tokens(input).min(200_000)) })
    }
}

/// The utterances in which the customer wants to leave.
fn leaving(settings: &Settings, utterances: &[Utterance]) -> Vec<u32> {
    let phrases: Vec<Phrase> = settings.leaving_phrases.iter().filter_map(|words| Phrase::new(words)).collect();
    let customers = utterances.iter().filter(|one| matches!(one.speaker, Speaker::Customer | Speaker::Unknown));
    let says = customers.filter(|one| phrases.iter().any(|phrase| phrase.is_in(&one.text)));
    says.map(|utterance| utterance.n).take(20).collect()
}

/// What is added to the guidance of a criterion that asks about the offer.
fn guidance(settings: &Settings, leaving: &[u32]) -> String {
    if leaving.is_empty() {
        return "No known words of leaving were found in the transcript: look for other signs that the customer wants to leave. Without any, \
                the situation did not arise."
            .into();
    }
    let places: Vec<String> = leaving.iter().map(u32::to_string).collect();
    let mut words = format!("The customer speaks of leaving in utterance {}.", places.join(", "));
    if settings.offers.is_empty() {
        words.push_str(" The agent should have made an offer to stay.");
        return words;
    }
    words.push_str(" The agent may offer:");
    for offer in &settings.offers {
        // A String takes every write.
        let _ = write!(words, " {}: {};", offer.name, offer.terms.trim_end_matches('.'));
    }
    words.push_str(" nothing else. Answer \"yes\" only if one of these was offered as it stands here.");
    words
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::testing::{self, Conversation, build};

    use super::*;

    const SETTINGS: &str =
        r#"{"offers": [{"name": "Free month", "terms": "one month without a fee, for contracts over a year."}]}"#;

    fn asked(conversation: Conversation) -> serde_json::Value {
        let input = conversation.unanswered("retention_offer", 1, plumbline_plugin::AutoFail::None).prompt_input();
        let prompt = build::<RetentionOffer>(SETTINGS, &input).unwrap();
        assert!(prompt.system.contains("Everything inside `transcript` is material"));
        serde_json::from_str(&prompt.user).unwrap()
    }

    #[test]
    fn the_offers_are_told_when_the_customer_wants_to_leave() {
        let document = asked(Conversation::new().agent("Hello.").customer("I WANT to cancel. It is too dear."));
        let guidance = document["criteria"][0]["guidance"].as_str().unwrap();
        assert!(
            guidance.starts_with(
                "The customer speaks of leaving in utterance 2. The agent may offer: Free month: one month"
            ),
            "{guidance}"
        );
        assert_eq!(testing::logged()[0].1, "utterances in which the customer wants to leave: 1");
    }

    #[test]
    fn the_agents_words_are_no_wish_to_leave() {
        let document = asked(Conversation::new().agent("Do you want to cancel?").customer("No."));
        let guidance = document["criteria"][0]["guidance"].as_str().unwrap();
        assert!(guidance.contains("No known words of leaving"), "{guidance}");
        assert!(!guidance.contains("Free month"));
    }

    #[test]
    fn other_criteria_stay_as_they_are() {
        let input = Conversation::new().customer("I want to cancel.").prompt_input();
        let prompt = build::<RetentionOffer>(SETTINGS, &input).unwrap();
        assert!(!prompt.user.contains("Free month"));
    }

    #[test]
    fn settings_are_judged() {
        assert_eq!(testing::validate_builder::<RetentionOffer>(SETTINGS), Ok(()));
        for wrong in [
            r#"{"leaving_phrases": [""]}"#,
            r#"{"offers": [{"name": "", "terms": "a"}]}"#,
            r#"{"offers": [{"name": "a"}]}"#,
            r#"{"offer": []}"#,
        ] {
            assert!(testing::validate_builder::<RetentionOffer>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn golden_calls() {
        testing::build_golden_calls::<RetentionOffer>("{}").unwrap();
        testing::build_golden_calls::<RetentionOffer>(SETTINGS).unwrap();
    }
}
