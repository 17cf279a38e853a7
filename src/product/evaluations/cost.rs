//! What an evaluation cost, by the operator's price table, and what a criterion's share of it is. No I/O.
//!
//! Money is counted in millionths of the currency's unit, rounded half up once for each sum: a price per million tokens is millionths per token.

use std::collections::BTreeMap;

use serde::Serialize;

use super::model::Answer;
use crate::product::scorecards::model::{AnswerKind, AnsweredBy, Criterion};

/// Tokens that stand for a criterion's answer before anybody has answered, by experience of the stand-ins and the schema's own words.
const TOKENS_AN_ANSWER: u64 = 110;
/// Characters of English that make a token.
const CHARACTERS_A_TOKEN: u64 = 4;

/// What things cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// The currency's name, such as `USD`.
    pub currency: String,
    /// By the model's name, of which the longest beginning counts: `gpt-5.1` is also the price of `gpt-5.1-2025-11-13`.
    pub models: BTreeMap<String, ModelPrice>,
    /// An hour of audio, by the provider's name.
    pub audio_hours: BTreeMap<String, f64>,
}

/// What a language model costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelPrice {
    /// A million tokens of questions.
    pub input: f64,
    /// A million tokens of answers.
    pub output: f64,
}

/// Tokens, and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Tokens of questions.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// In millionths; none where there is no price.
    pub micros: Option<u64>,
}

impl Prices {
    /// What tokens of a model cost; `None` where it has no price.
    pub fn tokens(&self, model: &str, prompt_tokens: u64, completion_tokens: u64) -> Option<u64> {
        let priced = self.models.iter().filter(|(name, _)| model.starts_with(name.as_str()));
        let (_, price) = priced.max_by_key(|(name, _)| name.len())?;
        micros(prompt_tokens as f64 * price.input + completion_tokens as f64 * price.output)
    }

    /// What audio of a provider costs; `None` where it has no price.
    pub fn audio(&self, provider: &str, duration_ms: u64) -> Option<u64> {
        micros(duration_ms as f64 / 3_600_000.0 * self.audio_hours.get(provider)? * 1e6)
    }
}

/// No price is below nothing, and none so high that it cannot be counted.
fn micros(amount: f64) -> Option<u64> {
    (amount.is_finite() && (0.0..9.0e15).contains(&amount)).then(|| (amount + 0.5).floor() as u64)
}

/// Shares an amount out so that the shares add up to it exactly: by weight, rounded down, and what is left over one by one from the first on.
/// Without any weight nobody has a share.
pub fn shared(amount: u64, weights: &[u64]) -> Vec<u64> {
    let all: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if all == 0 {
        return vec![0; weights.len()];
    }
    let part = |weight: &u64| u64::try_from(u128::from(amount) * u128::from(*weight) / all).unwrap_or(u64::MAX);
    let mut shares: Vec<u64> = weights.iter().map(part).collect();
    let mut left = amount.saturating_sub(shares.iter().sum());
    for (share, _) in shares.iter_mut().zip(weights).filter(|(_, weight)| **weight > 0) {
        if left == 0 {
            break;
        }
        *share += 1;
        left -= 1;
    }
    shares
}

/// What each answer's share of the language model's cost is weighed by: the characters that its criterion took of the question and that its answer
/// took of the answer, and nothing for what the model was not asked. The transcript, which all share, follows these weights.
pub fn weights(criteria: &[&Criterion], answers: &[Answer]) -> Vec<u64> {
    let characters = |text: &str| text.chars().count() as u64;
    let weight = |answer: &Answer| {
        let criterion = criteria.iter().find(|criterion| criterion.key == answer.criterion)?;
        let quotes: u64 = answer.evidence.iter().map(|evidence| characters(&evidence.quote)).sum();
        (answer.answered_by == AnsweredBy::LanguageModel)
            .then(|| asked(criterion) + characters(&answer.rationale) + quotes)
    };
    answers.iter().map(|answer| weight(answer).unwrap_or(0)).collect()
}

/// Characters of a question.
fn asked(criterion: &Criterion) -> u64 {
    let choices = criterion.answer.choices.iter().map(|choice| choice.label.len() + choice.guidance.len() + 40);
    (criterion.question.len() + criterion.guidance.len() + choices.sum::<usize>() + 100) as u64
}

/// What asking these criteria about conversations would cost, before anybody is asked: an estimate by the characters of questions and
/// transcripts. `transcripts` are their characters, one number for each call.
pub fn estimate(prices: &Prices, model: &str, criteria: &[&Criterion], transcripts: &[u64]) -> Spent {
    let asked_of: Vec<&&Criterion> =
        criteria.iter().filter(|criterion| criterion.answered_by == AnsweredBy::LanguageModel).collect();
    if asked_of.is_empty() {
        return Spent { micros: Some(0), ..Spent::default() };
    }
    let question: u64 = asked_of.iter().map(|criterion| asked(criterion)).sum();
    let words = asked_of.iter().filter(|criterion| criterion.answer.kind == AnswerKind::Text).count() as u64;
    let calls = transcripts.len() as u64;
    let prompt_tokens = (calls * question + transcripts.iter().sum::<u64>()) / CHARACTERS_A_TOKEN;
    let completion_tokens = calls * (asked_of.len() as u64 + words) * TOKENS_AN_ANSWER;
    let micros = prices.tokens(model, prompt_tokens, completion_tokens);
    Spent { prompt_tokens, completion_tokens, micros }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::product::evaluations::samples::every_type;

    fn prices() -> Prices {
        let price = |input, output| ModelPrice { input, output };
        Prices {
            currency: "USD".into(),
            models: [("gpt-5".into(), price(9.0, 9.0)), ("gpt-5.1".into(), price(1.25, 10.0))].into(),
            audio_hours: [("assemblyai".into(), 0.27)].into(),
        }
    }

    #[test]
    fn the_longest_name_is_the_price() {
        assert_eq!(prices().tokens("gpt-5.1-2025-11-13", 1_000, 100), Some(2_250));
        assert_eq!(prices().tokens("gpt-5-mini", 1_000, 0), Some(9_000));
        assert_eq!(prices().tokens("gpt-4", 1_000, 0), None, "no price is no zero");
        assert_eq!(prices().tokens("gpt-5.1", 1, 0), Some(1), "1.25 millionths");
        assert_eq!(prices().tokens("gpt-5.1", 2, 0), Some(3), "half up");
        assert_eq!(prices().audio("assemblyai", 600_000), Some(45_000));
        assert_eq!(prices().audio("recogniser", 600_000), None);
    }

    #[test]
    fn an_estimate_grows_with_what_is_asked() {
        let definition = every_type();
        let criteria: Vec<_> = definition.criteria().collect();
        let one = estimate(&prices(), "gpt-5.1", &criteria, &[4_000]);
        let two = estimate(&prices(), "gpt-5.1", &criteria, &[4_000, 4_000]);
        assert_eq!((two.prompt_tokens, two.completion_tokens), (2 * one.prompt_tokens, 2 * one.completion_tokens));
        assert!(one.prompt_tokens > 1_000 && one.micros.is_some());
        assert_eq!(estimate(&prices(), "gpt-5.1", &[], &[4_000]), Spent { micros: Some(0), ..Spent::default() });
    }

    proptest! {
        #[test]
        fn shares_add_up(amount in 0u64..1_000_000_000_000, weights in prop::collection::vec(0u64..100_000, 1..50)) {
            let shares = shared(amount, &weights);
            let all: u64 = shares.iter().sum();
            prop_assert_eq!(all, if weights.iter().any(|weight| *weight > 0) { amount } else { 0 });
            for (share, weight) in shares.iter().zip(&weights) {
                prop_assert!(*weight > 0 || *share == 0);
            }
        }
    }
}
