//! What the host demands of a result, so that a native test finds it first.

use std::collections::HashSet;

use super::Conversation;
use crate::{Prompt, ScoreInput, ScoreOutput, Scorer, Verdict, arithmetic::criteria};

const SENTENCE_BYTES: usize = 2_000;

pub fn score(output: &ScoreOutput, input: &ScoreInput) -> Result<(), String> {
    let known: HashSet<&str> = criteria(&input.scorecard).map(|criterion| criterion.key.as_str()).collect();
    let utterances: HashSet<u32> = input.utterances.iter().map(|utterance| utterance.n).collect();
    let mut missing = known.clone();
    for one in &output.criteria {
        if !known.contains(one.key.as_str()) {
            return Err(format!("it scores {}, which is not in the scorecard", one.key));
        }
        if !missing.remove(one.key.as_str()) {
            return Err(format!("it scores {} twice", one.key));
        }
        in_range(&one.key, one.score)?;
        fits("a note", one.note.as_deref().unwrap_or_default())?;
    }
    if let Some(key) = missing.iter().next() {
        return Err(format!("it says nothing of {key}; a criterion that does not count has the score none"));
    }
    in_range("overall", output.overall)?;
    for insight in &output.insights {
        fits("an insight", &insight.text)?;
        if insight.criterion.as_deref().is_some_and(|key| !known.contains(key)) {
            return Err("an insight belongs to a criterion that is not in the scorecard".into());
        }
        if !insight.utterances.iter().all(|n| utterances.contains(n)) {
            return Err("an insight points at an utterance that is not in the transcript".into());
        }
    }
    output.metadata.iter().try_for_each(|(_, value)| fits("a metadata value", value))
}

pub fn prompt(prompt: &Prompt) -> Result<(), String> {
    match prompt.max_output_tokens {
        _ if prompt.user.trim().is_empty() => Err("its user message is empty".into()),
        Some(tokens @ (0 | 200_001..)) => Err(format!("max_output_tokens is {tokens}, not 1 to 200000")),
        _ => Ok(()),
    }
}

/// A criterion that is not applicable changes nothing.
pub fn neutral<T: Scorer>(settings: &str, conversation: &Conversation, before: &ScoreOutput) -> Result<(), String> {
    let more = conversation.complete().criterion("golden_not_applicable", 5, Verdict::NotApplicable);
    let input = more.score_input();
    let after = super::score::<T>(settings, &input)?.overall;
    if after != before.overall {
        return Err(format!(
            "a criterion that is not applicable changes the score from {:?} to {after:?}",
            before.overall
        ));
    }
    Ok(())
}

fn in_range(what: &str, score: Option<u32>) -> Result<(), String> {
    match score {
        Some(10_001..) => {
            Err(format!("the score of {what} is {} hundredths; 10000 is the highest", score.unwrap_or(0)))
        }
        _ => Ok(()),
    }
}

fn fits(what: &str, text: &str) -> Result<(), String> {
    if text.len() > SENTENCE_BYTES {
        return Err(format!("{what} has {} bytes, {SENTENCE_BYTES} are allowed", text.len()));
    }
    Ok(())
}
