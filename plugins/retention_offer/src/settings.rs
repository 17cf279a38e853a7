//! What an organization may set.

use plumbline_plugin::Phrase;
use serde::{Deserialize, Serialize};

/// The settings as a JSON Schema, for the form in which they are entered.
pub const SCHEMA: &str = include_str!("settings.schema.json");
const PHRASES: usize = 100;
const OFFERS: usize = 50;

/// What an organization may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Words by which a customer who wants to leave is known.
    pub leaving_phrases: Vec<String>,
    /// What the agent may offer then.
    pub offers: Vec<Offer>,
    /// The keys of the criteria that ask about the offer.
    pub criteria: Vec<String>,
}

/// Something that the agent may offer.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// To whom, and what.
    pub terms: String,
}

impl Default for Settings {
    fn default() -> Self {
        let phrases = [
            "cancel my contract",
            "cancel my subscription",
            "want to cancel",
            "like to cancel",
            "switch to another provider",
            "terminate my contract",
        ];
        Self {
            leaving_phrases: phrases.map(str::to_owned).to_vec(),
            offers: Vec::new(),
            criteria: vec!["retention_offer".into()],
        }
    }
}

impl Settings {
    /// Whether they make sense; the error is a sentence for the person who wrote them.
    pub fn check(&self) -> Result<(), String> {
        if self.leaving_phrases.len() > PHRASES || self.offers.len() > OFFERS {
            return Err(format!("there may be at most {PHRASES} leaving_phrases and {OFFERS} offers"));
        }
        if self.leaving_phrases.iter().any(|words| words.chars().count() > 200 || Phrase::new(words).is_none()) {
            return Err("a leaving phrase has 1 to 200 characters".into());
        }
        let long = |text: &str, most: usize| text.trim().is_empty() || text.chars().count() > most;
        if self.offers.iter().any(|offer| long(&offer.name, 100) || long(&offer.terms, 1_000)) {
            return Err("an offer has a name of 1 to 100 characters and terms of 1 to 1000".into());
        }
        Ok(())
    }
}
