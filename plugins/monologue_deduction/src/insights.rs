//! What stands out, in sentences.

use plumbline_plugin::{Answer, AutoFail, Criterion, Insight, InsightKind, Scorecard, arithmetic::Verdicts};

use crate::monologue::Monologue;

/// More of one sort would not be read.
const AT_MOST: usize = 20;
const UTTERANCES: usize = 100;
/// How much of a question is repeated, in characters.
const QUESTION: usize = 200;

/// A strength for each section without a failure, a risk for each failure with a consequence.
pub fn of_criteria(scorecard: &Scorecard, answers: &[Answer]) -> Vec<Insight> {
    let mut found = Vec::new();
    let known = Verdicts::of(answers);
    for section in &scorecard.sections {
        let verdicts: Vec<_> = section.criteria.iter().filter_map(|one| known.fulfilled(one)).collect();
        if !verdicts.is_empty() && verdicts.iter().all(|yes| *yes) {
            let text = format!("Everything that applied in \"{}\" was fulfilled.", beginning(&section.name));
            found.push(Insight { kind: InsightKind::Strength, text, criterion: None, utterances: Vec::new() });
        }
        let failed = section.criteria.iter().filter(|one| known.fulfilled(one) == Some(false));
        found.extend(failed.filter_map(|criterion| failure(criterion, &known)));
    }
    found.truncate(AT_MOST);
    found
}

/// A risk for each monologue, of the criterion that the plugin answers by them.
pub fn of_monologues(monologues: &[Monologue], answers: Option<&str>) -> Vec<Insight> {
    let tell = |monologue: &Monologue| Insight {
        kind: InsightKind::Risk,
        text: format!("The agent spoke {} words before anybody else had a turn.", monologue.words),
        criterion: answers.map(str::to_owned),
        utterances: monologue.utterances.iter().copied().take(UTTERANCES).collect(),
    };
    monologues.iter().take(AT_MOST).map(tell).collect()
}

fn failure(criterion: &Criterion, known: &Verdicts<'_>) -> Option<Insight> {
    let failed = match criterion.auto_fail {
        AutoFail::None => return None,
        AutoFail::Section => "its section",
        AutoFail::Evaluation => "the evaluation",
    };
    let answer = known.answer(&criterion.key)?;
    Some(Insight {
        kind: InsightKind::Risk,
        text: format!("\"{}\" was not fulfilled, which fails {failed}.", beginning(&criterion.question)),
        criterion: Some(criterion.key.clone()),
        utterances: answer.evidence.iter().map(|evidence| evidence.utterance).take(UTTERANCES).collect(),
    })
}

fn beginning(text: &str) -> String {
    text.chars().take(QUESTION).collect()
}
