//! Criteria that the organization's scorer plugin answers. No I/O.
//!
//! The plugin is called twice. First its criteria wait for it: the input's metadata names each ([`AWAITS`]), and the score that it gives to one is the
//! answer. Then its answers are among the others, conditions are applied to all of them, and what it returns now is the score. `wit/v1` stays as
//! it is: what has no field there travels in the metadata.

use super::{Said, mark};
use crate::{
    platform::plugins::{self, CriterionScore, PluginError, ScoreOutput},
    product::{
        evaluations::{
            model::{Answer, Given, Reason, Verdict},
            prompt,
            questions::{PluginAnswer, Questions},
            receipt::Material,
        },
        scorecards::model::{AnswerKind, AnsweredBy, Criterion},
    },
};

/// The key of the input's metadata that names a criterion which waits for the plugin, once for each.
pub const AWAITS: &str = "awaits_plugin";
/// How the keys of the output's metadata begin that say an answer which is no score: this, and the criterion's key.
pub const ANSWER: &str = "answer:";

/// Whether any of the answers waits for the plugin.
pub fn is_awaited(answers: &[Answer]) -> bool {
    answers.iter().any(|answer| answer.reason == Some(Reason::AwaitsPlugin))
}

/// What the plugin is told: which criteria wait for it, and what can be answered to those that ask for more than yes and no. Nothing
/// when none does.
pub fn metadata(material: &Material, answers: &[Answer]) -> Vec<(String, String)> {
    if !is_awaited(answers) {
        return vec![];
    }
    let awaited = awaited(material);
    let named = awaited.iter().map(|criterion| (AWAITS.to_owned(), criterion.key.clone()));
    named.chain(prompt::metadata(&awaited)).collect()
}

/// The plugin's criteria that nobody else has answered and that are not known to be hidden.
fn awaited(material: &Material) -> Vec<&Criterion> {
    let questions = Questions::of(&material.definition, &material.transcript, &material.metrics);
    let mut awaited = questions.open_to(AnsweredBy::Plugin);
    awaited.retain(|criterion| !material.human.iter().any(|answer| answer.counts_for(&criterion.key)));
    awaited
}

/// What the plugin's output answers.
///
/// # Errors
/// [`PluginError::InvalidOutput`] for an answer that is not of its criterion's type.
pub fn said(material: &Material, output: &ScoreOutput) -> Result<Vec<PluginAnswer>, PluginError> {
    let mut said = vec![];
    for criterion in awaited(material) {
        let score = output.criteria.iter().find(|score| score.key == criterion.key);
        let told = output.metadata.iter().find(|(key, _)| key.strip_prefix(ANSWER) == Some(criterion.key.as_str()));
        let answer = match (told, score) {
            (Some((_, words)), _) => in_words(criterion, words),
            (None, Some(CriterionScore { score: Some(hundredths), passed, .. })) => {
                by_worth(material, criterion, *hundredths, *passed)
            }
            (None, _) => continue,
        };
        let judged = answer.and_then(|(verdict, given)| {
            if verdict == Verdict::NotApplicable && !criterion.not_applicable {
                return Err("may not be not applicable");
            }
            criterion.answer.judge(verdict, &given).map(|judged| (judged.verdict, given))
        });
        let (verdict, given) =
            judged.map_err(|why| PluginError::InvalidOutput(format!("its answer to {} {why}", criterion.key)))?;
        let insights = output.insights.iter().filter(|insight| insight.criterion.as_ref() == Some(&criterion.key));
        said.push(PluginAnswer {
            criterion: criterion.key.clone(),
            said: verdict,
            given,
            rationale: score.and_then(|score| score.note.clone()).unwrap_or_default(),
            utterances: insights.flat_map(|insight| insight.utterances.iter().copied()).collect(),
        });
    }
    Ok(said)
}

/// A score for what the plugin did not answer would hide that nobody did.
///
/// # Errors
/// [`PluginError::InvalidOutput`].
pub fn only_what_is_answered(output: &ScoreOutput, answers: &[Answer]) -> Result<(), PluginError> {
    let unanswered = answers.iter().filter(|answer| answer.reason == Some(Reason::NoPluginAnswer));
    for answer in unanswered {
        if output.criteria.iter().any(|score| score.key == answer.criterion && score.score.is_some()) {
            let why = format!("it scores {}, which it has not answered", answer.criterion);
            return Err(PluginError::InvalidOutput(why));
        }
    }
    Ok(())
}

/// The answer that the plugin says in words: yes, no, `not_applicable`, keys of choices parted by blanks, a whole number, or the text itself.
fn in_words(criterion: &Criterion, words: &str) -> Result<(Verdict, Given), &'static str> {
    let words = words.replace('\0', "\u{fffd}");
    if words == "not_applicable" {
        return Ok((Verdict::NotApplicable, Given::default()));
    }
    let given = match criterion.answer.kind {
        AnswerKind::YesNo => {
            let verdict = match words.as_str() {
                "yes" => Verdict::Yes,
                "no" => Verdict::No,
                _ => return Err("is neither yes nor no"),
            };
            return Ok((verdict, Given::default()));
        }
        AnswerKind::SingleChoice | AnswerKind::MultipleChoice => {
            Given { choices: words.split_whitespace().map(str::to_owned).collect(), ..Given::default() }
        }
        AnswerKind::Number => {
            let number = words.trim().parse().map_err(|_| "is no whole number")?;
            Given { number: Some(number), ..Given::default() }
        }
        AnswerKind::Text => Given { text: Some(words), ..Given::default() },
    };
    Ok((Verdict::Answered, given))
}

/// The answer that a score stands for: of yes and no the one that it says to have passed or failed, else the only answer that is worth that much.
fn by_worth(
    material: &Material,
    criterion: &Criterion,
    hundredths: u32,
    passed: Option<bool>,
) -> Result<(Verdict, Given), &'static str> {
    let asked = material.scorecard.criteria().find(|asked| asked.key == criterion.key);
    let asked = asked.ok_or("is about a criterion that is not in the scorecard")?;
    let is_worth = |verdict: Verdict, worth: i32| worth_of(material, asked, verdict, worth) == Some(hundredths);
    let answer = &criterion.answer;
    match (answer.kind, passed) {
        (AnswerKind::YesNo, Some(true)) => Ok((Verdict::Yes, Given::default())),
        (AnswerKind::YesNo, Some(false)) => Ok((Verdict::No, Given::default())),
        (AnswerKind::YesNo, None) => {
            let (yes, no) = (is_worth(Verdict::Yes, answer.yes), is_worth(Verdict::No, answer.no));
            match (yes, no) {
                (true, false) => Ok((Verdict::Yes, Given::default())),
                (false, true) => Ok((Verdict::No, Given::default())),
                _ => Err("does not say whether it passed"),
            }
        }
        (AnswerKind::SingleChoice, passed) => {
            let mut fit = answer.choices.iter().filter(|choice| {
                let verdict = if choice.fails { Verdict::No } else { Verdict::Yes };
                is_worth(verdict, choice.score) && passed.is_none_or(|passed| passed != choice.fails)
            });
            match (fit.next(), fit.next()) {
                (Some(only), None) => {
                    Ok((Verdict::Answered, Given { choices: vec![only.key.clone()], ..Given::default() }))
                }
                (None, _) => Err("is a score that none of its choices is worth"),
                (Some(_), Some(_)) => Err("is a score that several of its choices are worth: it has to be named"),
            }
        }
        (AnswerKind::MultipleChoice | AnswerKind::Number | AnswerKind::Text, _) => {
            Err("is a score: choices, numbers and words have to be named")
        }
    }
}

/// What is shown of a criterion that is answered so, in hundredths.
fn worth_of(material: &Material, asked: &plugins::Criterion, verdict: Verdict, worth: i32) -> Option<u32> {
    mark(material.scorecard.points, asked, Some(Said { verdict, worth: Some(worth) })).shown()
}

#[cfg(test)]
mod tests;
