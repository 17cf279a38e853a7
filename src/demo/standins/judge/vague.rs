//! Which questions of a scorecard are vague, by the stand-in's judgement: words that leave open what is meant, in a question whose guidance and choices
//! settle nothing. A real model understands more.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{guidance::Guidance, matching::normal_words};

/// Words that say that something was as it should be, and not how that is.
const VAGUE: [&str; 24] = [
    "acceptable",
    "adequate",
    "adequately",
    "appropriate",
    "appropriately",
    "correct",
    "correctly",
    "effective",
    "effectively",
    "enough",
    "good",
    "nice",
    "nicely",
    "professional",
    "professionally",
    "proper",
    "properly",
    "reasonable",
    "reasonably",
    "satisfactory",
    "suitable",
    "suitably",
    "sufficient",
    "well",
];

/// The document that a review's prompt is.
#[derive(Debug, Deserialize)]
pub struct ReviewPrompt {
    questions_to_review: Vec<Question>,
}

/// A question to review.
#[derive(Debug, Deserialize)]
struct Question {
    key: String,
    question: String,
    #[serde(default)]
    guidance: String,
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    guidance: String,
}

impl ReviewPrompt {
    /// The fields of every judgement, by key.
    pub fn judge(&self) -> HashMap<&str, Map<String, Value>> {
        self.questions_to_review.iter().map(|question| (question.key.as_str(), question.judged())).collect()
    }
}

impl Question {
    fn judged(&self) -> Map<String, Value> {
        let words: Vec<String> =
            normal_words(&self.question).into_iter().filter(|word| VAGUE.contains(&word.as_str())).collect();
        let settled = !Guidance::read(&self.guidance).is_empty()
            || !self.choices.is_empty() && self.choices.iter().all(|choice| !choice.guidance.trim().is_empty());
        let vague = !words.is_empty() && !settled;
        let (why, better) = match vague {
            false => (String::new(), String::new()),
            true => (
                format!(
                    "The stand-in knows vague words alone: \"{}\" leaves open what is meant, and the guidance does not settle it.",
                    words.join("\", \"")
                ),
                "Name the words or the deed that the transcript must show, by whom, and until when.".to_owned(),
            ),
        };
        let fields = [("vague", json!(vague)), ("why", json!(why)), ("better", json!(better))];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_nothing_by_themselves_are_vague_until_the_guidance_settles_them() {
        let prompt = json!({"questions_to_review": [
            {"key": "open", "question": "Did the agent behave appropriately?"},
            {"key": "settled", "question": "Was the greeting good?", "guidance": "Yes if the agent says \"good morning\"."},
            {"key": "hollow", "question": "Was the greeting good?", "guidance": "Use common sense."},
            {"key": "chosen", "question": "How good was it?", "choices": [{"guidance": "Named a time."}, {"guidance": "Named none."}]},
            {"key": "half", "question": "How good was it?", "choices": [{"guidance": "Named a time."}, {"guidance": ""}]},
            {"key": "plain", "question": "Did the agent say the reference number?"}]});
        let prompt: ReviewPrompt = serde_json::from_value(prompt).unwrap();
        let judged = prompt.judge();
        let vague = |key: &str| judged[key]["vague"].as_bool().unwrap();
        assert_eq!(
            ["open", "settled", "hollow", "chosen", "half", "plain"].map(vague),
            [true, false, true, false, true, false]
        );
        assert!(judged["open"]["why"].as_str().unwrap().contains("\"appropriately\""));
        assert_eq!(judged["plain"]["why"], "");
    }
}
