//! What an organization may set.

use plumbline_plugin::Phrase;
use serde::Deserialize;

/// The settings as a JSON Schema, for the form in which they are entered.
pub const SCHEMA: &str = include_str!("settings.schema.json");
const DISCLOSURES: usize = 50;
const PHRASES: usize = 50;
const NAME_CHARACTERS: usize = 100;
const PHRASE_CHARACTERS: usize = 200;

/// What an organization may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What the agent must say.
    pub disclosures: Vec<Disclosure>,
    /// The channels on which it must be said.
    pub channels: Vec<String>,
}

/// Something that the agent must say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// Its name, as it is shown.
    pub name: String,
    /// Any of these words will do.
    pub phrases: Vec<String>,
    /// How many utterances of the agent it may take.
    #[serde(default)]
    pub within_first_turns: Option<u32>,
    /// The criterion that fails with it.
    #[serde(default)]
    pub criterion: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let phrases = ["this call is recorded", "this call may be recorded", "calls are recorded"];
        let recording = Disclosure {
            name: "recording".into(),
            phrases: phrases.map(str::to_owned).to_vec(),
            within_first_turns: Some(4),
            criterion: None,
        };
        Self { disclosures: vec![recording], channels: vec!["phone".into()] }
    }
}

impl Settings {
    /// Whether they make sense; the error is a sentence for the person who wrote them.
    pub fn check(&self) -> Result<(), String> {
        if self.disclosures.len() > DISCLOSURES {
            return Err(format!("there may be at most {DISCLOSURES} disclosures"));
        }
        self.disclosures.iter().try_for_each(Disclosure::check)
    }

    /// Whether the disclosures must be made on this channel.
    pub fn applies_to(&self, channel: &str) -> bool {
        self.channels.iter().any(|one| one == channel)
    }
}

impl Disclosure {
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if name.trim().is_empty() || name.chars().count() > NAME_CHARACTERS {
            return Err(format!("a disclosure needs a name of 1 to {NAME_CHARACTERS} characters"));
        }
        if self.phrases.is_empty() || self.phrases.len() > PHRASES {
            return Err(format!("the disclosure {name} needs 1 to {PHRASES} phrases"));
        }
        if self.phrases.iter().any(|words| words.chars().count() > PHRASE_CHARACTERS || Phrase::new(words).is_none()) {
            return Err(format!("the phrases of {name} have 1 to {PHRASE_CHARACTERS} characters"));
        }
        if self.within_first_turns == Some(0) {
            return Err(format!("within_first_turns of {name} must be at least 1"));
        }
        Ok(())
    }
}
