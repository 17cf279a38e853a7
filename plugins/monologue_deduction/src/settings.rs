//! What an organization may set.

use serde::Deserialize;

/// The settings as a JSON Schema, for the form in which they are entered.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// What an organization may set. Points are in hundredths, like scores.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The longest turn that is not yet a monologue, in words.
    pub longest_turn_words: u32,
    /// What each monologue costs.
    pub deduct_hundredths: u32,
    /// What all monologues together cost at most.
    pub deduct_at_most_hundredths: u32,
    /// The channels on which a long turn is a fault.
    pub channels: Vec<String>,
    /// The key of a criterion that the plugin answers: yes without a monologue, no with one.
    pub answers: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            longest_turn_words: 120,
            deduct_hundredths: 250,
            deduct_at_most_hundredths: 1_000,
            channels: vec!["phone".into()],
            answers: None,
        }
    }
}

impl Settings {
    /// Whether they make sense; the error is a sentence for the person who wrote them.
    pub fn check(&self) -> Result<(), String> {
        if self.longest_turn_words == 0 {
            return Err("longest_turn_words must be at least 1".into());
        }
        if self.deduct_hundredths > 10_000 || self.deduct_at_most_hundredths > 10_000 {
            return Err("deduct_hundredths and deduct_at_most_hundredths must be at most 10000".into());
        }
        Ok(())
    }

    /// Whether a long turn is a fault on this channel.
    pub fn applies_to(&self, channel: &str) -> bool {
        self.channels.iter().any(|one| one == channel)
    }

    /// What so many monologues cost, in hundredths.
    pub fn deduction(&self, monologues: usize) -> u32 {
        let count = u32::try_from(monologues).unwrap_or(u32::MAX);
        self.deduct_hundredths.saturating_mul(count).min(self.deduct_at_most_hundredths)
    }
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::testing::validate;

    use super::*;
    use crate::MonologueDeduction;

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(plumbline_plugin::settings("{}"), Ok(Settings::default()));
        let settings: Settings = plumbline_plugin::settings(r#"{"longest_turn_words": 80}"#).unwrap();
        assert_eq!((settings.longest_turn_words, settings.deduct_hundredths), (80, 250));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            "",
            "null",
            "[80, 250]",
            r#"{"longest_turn": 1}"#,
            r#"{"longest_turn_words": 0}"#,
            r#"{"deduct_hundredths": 10001}"#,
        ] {
            assert!(validate::<MonologueDeduction>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_monologues_together_cost_no_more_than_the_most() {
        let settings = Settings::default();
        assert_eq!([0, 1, 4, 5, 1_000_000].map(|n| settings.deduction(n)), [0, 250, 1_000, 1_000, 1_000]);
    }
}
