//! Answering a criterion of the scorecard that is left to the plugin.

use plumbline_plugin::{CriterionScore, arithmetic::FULL_SCORE};

use crate::monologue::Monologue;

/// The key of the input's metadata that names a criterion which waits for this plugin's answer, once for each.
const AWAITS: &str = "awaits_plugin";

/// Whether the criterion waits for an answer. Once it is answered, its answer is among the others, and is scored as they are.
pub fn is_awaited(criterion: &str, metadata: &[(String, String)]) -> bool {
    metadata.iter().any(|(key, value)| key == AWAITS && value == criterion)
}

/// Yes without a monologue, no with one.
pub fn answer(criterion: &str, monologues: &[Monologue]) -> CriterionScore {
    let longest = monologues.iter().map(|monologue| monologue.words).max();
    let note = match longest {
        None => "The agent let the customer speak.".to_owned(),
        Some(words) => format!("The agent spoke {words} words before anybody else had a turn."),
    };
    CriterionScore {
        key: criterion.to_owned(),
        score: Some(if longest.is_none() { FULL_SCORE } else { 0 }),
        passed: Some(longest.is_none()),
        note: Some(note),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_awaited_is_answered() {
        let metadata = [("awaits_plugin".to_owned(), "lets_speak".to_owned())];
        assert!(is_awaited("lets_speak", &metadata));
        assert!(!is_awaited("greeting", &metadata) && !is_awaited("lets_speak", &[]));
    }

    #[test]
    fn a_monologue_is_a_no() {
        let yes = answer("lets_speak", &[]);
        assert_eq!((yes.score, yes.passed), (Some(FULL_SCORE), Some(true)));
        let no = answer("lets_speak", &[Monologue { words: 182, utterances: vec![3] }]);
        assert_eq!((no.score, no.passed), (Some(0), Some(false)));
        assert_eq!(no.note.as_deref(), Some("The agent spoke 182 words before anybody else had a turn."));
    }
}
