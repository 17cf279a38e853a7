//! What a guest returned, held against the scorecard and the contract before anything of it is believed.

use std::{cell::LazyCell, collections::HashSet};

use super::{Description, FULL_SCORE, PluginError, Prompt, ScoreInput, ScoreOutput};

/// The name of the scorer and the prompt builder that are part of the product. No plugin has it.
pub const BUILT_IN: &str = "builtin";
/// Words to a reader: a note, an insight, a summary.
const SENTENCE_BYTES: usize = 2_000;
const INSIGHTS: usize = 200;
const UTTERANCES_PER_INSIGHT: usize = 200;
const METADATA: usize = 256;
const KEY_BYTES: usize = 64;
/// A metadata key may be made of a word and a criterion's key.
const METADATA_KEY_BYTES: usize = 128;
const SCHEMA_BYTES: usize = 64 << 10;
const MAX_OUTPUT_TOKENS: u32 = 200_000;

/// A description that can be shown and put into a receipt.
pub(super) fn description(found: &Description) -> Result<(), PluginError> {
    let proper = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if found.name.is_empty() || found.name.len() > KEY_BYTES || !found.name.chars().all(proper) {
        return invalid("its name is not 1 to 64 of a-z, 0-9, _ and -");
    }
    if found.name == BUILT_IN {
        return invalid(&format!("it calls itself {BUILT_IN}, which is the name of what comes with the product"));
    }
    if found.version.is_empty()
        || found.version.len() > KEY_BYTES
        || !found.version.chars().all(|c| c.is_ascii_graphic())
    {
        return invalid("its version is not 1 to 64 printable characters");
    }
    fits("the summary", &found.summary, SENTENCE_BYTES)?;
    // A table holds no such character, nor does a terminal show it.
    let texts = found.metadata.iter().flat_map(|(key, value)| [key, value]).chain([&found.summary]);
    if texts.chain(&found.settings_schema).any(|text| text.contains(is_control)) {
        return invalid("its description has control characters");
    }
    // The same, written as JSON writes it.
    if found.settings_schema.as_ref().is_some_and(|schema| schema.contains("\\u0000")) {
        return invalid("its settings schema has a NUL");
    }
    if let Some(schema) = &found.settings_schema {
        fits("the settings schema", schema, SCHEMA_BYTES)?;
        if !serde_json::from_str::<serde_json::Value>(schema).is_ok_and(|schema| schema.is_object()) {
            return invalid("its settings schema is not a JSON object");
        }
    }
    metadata(&found.metadata)
}

/// Line ends and tabs stand in texts of people.
fn is_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

/// A score of the criteria that were asked for, within the range, pointing only at what exists.
pub(super) fn score(found: &ScoreOutput, input: &ScoreInput) -> Result<(), PluginError> {
    let known: HashSet<&str> = input.scorecard.criteria().map(|criterion| criterion.key.as_str()).collect();
    // Nearly always an utterance stands where its number says: the set is for whoever points elsewhere.
    let spoken = LazyCell::new(|| input.utterances.iter().map(|utterance| utterance.n).collect::<HashSet<u32>>());
    let is_spoken = |n: &u32| {
        let there = (*n as usize).checked_sub(1).and_then(|place| input.utterances.get(place));
        there.is_some_and(|utterance| utterance.n == *n) || spoken.contains(n)
    };
    if found.criteria.len() > known.len() {
        return invalid("it scores more criteria than there are");
    }
    let mut seen = HashSet::new();
    for criterion in &found.criteria {
        let Some(key) = known.get(criterion.key.as_str()) else {
            return invalid("it scores a criterion that is not in the scorecard");
        };
        if !seen.insert(key) {
            return invalid(&format!("it scores {key} twice"));
        }
        in_range(key, criterion.score)?;
        fits("a note", criterion.note.as_deref().unwrap_or_default(), SENTENCE_BYTES)?;
    }
    in_range("overall", found.overall)?;
    at_most("insights", found.insights.len(), INSIGHTS)?;
    for insight in &found.insights {
        fits("an insight", &insight.text, SENTENCE_BYTES)?;
        if insight.criterion.as_deref().is_some_and(|key| !known.contains(key)) {
            return invalid("an insight belongs to a criterion that is not in the scorecard");
        }
        at_most("utterances of an insight", insight.utterances.len(), UTTERANCES_PER_INSIGHT)?;
        if !insight.utterances.iter().all(is_spoken) {
            return invalid("an insight points at an utterance that is not in the transcript");
        }
    }
    metadata(&found.metadata)
}

/// A prompt that can be sent. Its size is bounded by what one call may copy.
pub(super) fn prompt(found: &Prompt) -> Result<(), PluginError> {
    if found.user.trim().is_empty() {
        return invalid("its user message is empty");
    }
    match found.max_output_tokens {
        Some(tokens) if tokens == 0 || tokens > MAX_OUTPUT_TOKENS => {
            invalid(&format!("max-output-tokens is {tokens}, not 1 to {MAX_OUTPUT_TOKENS}"))
        }
        _ => Ok(()),
    }
}

fn metadata(found: &[(String, String)]) -> Result<(), PluginError> {
    at_most("metadata", found.len(), METADATA)?;
    for (key, value) in found {
        fits("a metadata key", key, METADATA_KEY_BYTES)?;
        fits("a metadata value", value, SENTENCE_BYTES)?;
    }
    Ok(())
}

fn in_range(what: &str, score: Option<u32>) -> Result<(), PluginError> {
    match score {
        Some(score) if score > FULL_SCORE => {
            invalid(&format!("the score of {what} is {score} hundredths; {FULL_SCORE} is the highest"))
        }
        _ => Ok(()),
    }
}

fn fits(what: &str, text: &str, bytes: usize) -> Result<(), PluginError> {
    if text.len() > bytes {
        let message = format!("{what} has {} bytes, {bytes} are allowed", text.len());
        return Err(PluginError::OutputTooLarge(message));
    }
    Ok(())
}

fn at_most(what: &str, count: usize, allowed: usize) -> Result<(), PluginError> {
    if count > allowed {
        return Err(PluginError::OutputTooLarge(format!("{count} {what}, {allowed} are allowed")));
    }
    Ok(())
}

fn invalid<T>(why: &str) -> Result<T, PluginError> {
    Err(PluginError::InvalidOutput(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_plugin_has_the_name_of_what_comes_with_the_product() {
        let called = |name: &str| {
            let version = "2.0.0".to_owned();
            let name = name.to_owned();
            description(&Description { name, version, summary: String::new(), settings_schema: None, metadata: vec![] })
        };
        assert_eq!(called("monologue"), Ok(()));
        assert_eq!(called("builtin-like"), Ok(()));
        assert!(matches!(called("builtin"), Err(PluginError::InvalidOutput(_))));
    }

    #[test]
    fn a_description_has_no_character_that_no_table_holds() {
        let said = |summary: &str, schema: Option<&str>, value: &str| {
            let (name, version) = ("a".to_owned(), "1".to_owned());
            let metadata = vec![("hint".to_owned(), value.to_owned())];
            let (summary, settings_schema) = (summary.to_owned(), schema.map(str::to_owned));
            description(&Description { name, version, summary, settings_schema, metadata })
        };
        assert_eq!(said("Two\nlines.", Some("{}"), "a\tb"), Ok(()));
        assert!(said("\0", None, "").is_err());
        assert!(said("", Some("{\"title\": \"\u{1b}\"}"), "").is_err());
        assert!(said("", Some("{\"title\": \"\\u0000\"}"), "").is_err());
        assert!(said("", None, "a\0b").is_err());
    }
}
