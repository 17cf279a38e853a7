//! Findings that follow from an evaluation: what went well, what is at risk, what was not met and why, what could not be verified.

use std::collections::HashMap;

use super::model::{
    Answer, Evidence, Insight, InsightKind, Reason, Speaker, Utterance, Verdict, speaker_word, verdict_word,
};
use crate::platform::plugins::{self, AutoFail, Criterion, CriterionScore, FULL_SCORE, ScoreOutput, Scorecard};

/// The findings, in the order of the scorecard; a scorer's own come last.
pub fn of(scorecard: &Scorecard, answers: &[Answer], output: &ScoreOutput) -> Vec<Insight> {
    let answers: HashMap<&str, &Answer> = answers.iter().map(|answer| (answer.criterion.as_str(), answer)).collect();
    let scores: HashMap<&str, &CriterionScore> =
        output.criteria.iter().map(|score| (score.key.as_str(), score)).collect();
    let mut found = Vec::new();
    for section in &scorecard.sections {
        let mut counting = section.criteria.iter().filter_map(|criterion| {
            let score = scores.get(criterion.key.as_str())?;
            score.score.map(|full| full == FULL_SCORE && score.passed != Some(false))
        });
        let met = section.criteria.iter().filter(|criterion| {
            answers.get(criterion.key.as_str()).is_some_and(|answer| answer.verdict == Verdict::Yes)
        });
        let met = met.count();
        if met > 0 && counting.all(|full| full) {
            let text = format!("{}: every applicable criterion is met ({met}).", section.name);
            found.push(Insight { kind: InsightKind::Strength, criterion: None, text });
        }
        for criterion in &section.criteria {
            if let Some(answer) = answers.get(criterion.key.as_str()) {
                of_answer(criterion, &section.name, answer, &mut found);
            }
        }
    }
    found.extend(output.insights.iter().map(of_scorer));
    found
}

/// Whether a person has to look before the score may be relied on: an answer was left out because its evidence is not in the transcript or it
/// could not be used, an answer waits for a person, or nobody knows who says what.
pub fn needs_review(answers: &[Answer], transcript: &[Utterance]) -> bool {
    let open = |answer: &Answer| match answer.verdict {
        Verdict::Unverified => true,
        Verdict::Pending => answer.reason != Some(Reason::AwaitsPlugin),
        _ => false,
    };
    answers.iter().any(open) || voices_unknown(transcript)
}

/// What there is to say when the recogniser could not tell the voices apart: what "the agent says" cannot be judged then.
pub fn of_voices(transcript: &[Utterance]) -> Option<Insight> {
    voices_unknown(transcript).then(|| Insight {
        kind: InsightKind::Note,
        criterion: None,
        text: "The recogniser could not tell who speaks, so the verdicts may be wrong. Upload recordings with the agent and the customer on a channel \
               each."
            .to_owned(),
    })
}

fn voices_unknown(transcript: &[Utterance]) -> bool {
    transcript.iter().all(|utterance| utterance.speaker == Speaker::Unknown)
}

fn of_answer(criterion: &Criterion, section: &str, answer: &Answer, found: &mut Vec<Insight>) {
    let mut add = |kind, text| found.push(Insight { kind, criterion: Some(criterion.key.clone()), text });
    match answer.verdict {
        Verdict::No => {
            let quotes: Vec<String> = answer.evidence.iter().filter_map(quoted).collect();
            let evidence = if quotes.is_empty() { String::new() } else { format!(" Evidence: {}.", quotes.join("; ")) };
            add(
                InsightKind::FailedCriterion,
                format!("Not met: {} {}{evidence}", criterion.question, answer.rationale),
            );
            match criterion.auto_fail {
                AutoFail::None => {}
                AutoFail::Section => {
                    add(InsightKind::Risk, format!("{} This fails the section {section}.", criterion.question));
                }
                AutoFail::Evaluation => {
                    add(InsightKind::Risk, format!("{} This fails the whole evaluation.", criterion.question));
                }
            }
        }
        Verdict::Unverified => {
            if answer.reason == Some(Reason::UnusableAnswer) {
                let text = format!(
                    "{} The model's answer could not be used: not counted until a person has looked.",
                    criterion.question
                );
                return add(InsightKind::Note, text);
            }
            let why = match answer.evidence.len() {
                0 => "without a quote".to_owned(),
                1 => "with a quote that is not in the transcript".to_owned(),
                quotes => format!("with {quotes} quotes, none of which is in the transcript"),
            };
            let claimed = verdict_word(answer.claimed);
            let text =
                format!("{} Answered \"{claimed}\" {why}: not counted until a person has looked.", criterion.question);
            add(InsightKind::UnverifiedEvidence, text);
        }
        Verdict::Pending if answer.reason == Some(Reason::LowConfidence) => {
            let text =
                format!("{} The model was too unsure of its answer: a person has to answer.", criterion.question);
            add(InsightKind::Note, text);
        }
        Verdict::Pending => {
            let why = match answer.reason {
                Some(Reason::PartsDisagree) => "The parts of the call contradict each other: a person has to answer",
                Some(Reason::NoPluginAnswer) => "The scorer plugin gave no answer: a person may",
                Some(Reason::QuestionChanged) => {
                    "A person answered when the question was another: a person has to answer again"
                }
                Some(Reason::TranscriptChanged) => {
                    "A person answered before the transcript was changed: a person has to answer again"
                }
                _ => return,
            };
            add(InsightKind::Note, format!("{} {why}.", criterion.question));
        }
        Verdict::Yes | Verdict::NotApplicable | Verdict::Answered => {}
    }
}

fn quoted(evidence: &Evidence) -> Option<String> {
    let place = evidence.found.as_ref()?;
    Some(format!("\"{}\" ({}, utterance {})", place.words, speaker_word(place.speaker), place.utterance))
}

fn of_scorer(insight: &plugins::Insight) -> Insight {
    let kind = match insight.kind {
        plugins::InsightKind::Strength => InsightKind::Strength,
        plugins::InsightKind::Risk => InsightKind::Risk,
        plugins::InsightKind::Other => InsightKind::Note,
    };
    let mut text = insight.text.replace('\0', "\u{fffd}");
    if !insight.utterances.is_empty() {
        let utterances: Vec<String> = insight.utterances.iter().map(u32::to_string).collect();
        text = format!("{text} (utterances {})", utterances.join(", "));
    }
    Insight { kind, criterion: insight.criterion.clone(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platform::plugins::Scorer,
        product::evaluations::{
            evidence,
            model::{Given, Quote, RawAnswer},
            samples::{definition, score_input, scorecard, transcript},
            scoring,
        },
    };

    fn raw(criterion: &str, verdict: Verdict, quotes: &[&str]) -> RawAnswer {
        let quotes = quotes.iter().map(|quote| Quote { utterance: 1, quote: (*quote).to_owned() }).collect();
        RawAnswer {
            criterion: criterion.into(),
            verdict,
            given: Given::default(),
            confidence: 9_000,
            rationale: "Reason.".into(),
            quotes,
        }
    }

    async fn found(raw: Vec<RawAnswer>) -> (Vec<(InsightKind, String)>, bool) {
        let answers = evidence::check(raw, &definition().criteria().collect::<Vec<_>>(), &transcript()).unwrap();
        let mut input = score_input([Verdict::Yes; 3]);
        input.answers = answers.iter().map(Answer::for_plugins).collect();
        let mut output = scoring::BuiltIn.score(&input).await.unwrap();
        output.insights.push(plugins::Insight {
            kind: plugins::InsightKind::Other,
            text: "Long monologue.".into(),
            criterion: None,
            utterances: vec![1, 2],
        });
        let insights = of(&scorecard(), &answers, &output);
        (
            insights.into_iter().map(|insight| (insight.kind, insight.text)).collect(),
            needs_review(&answers, &transcript()),
        )
    }

    #[test]
    fn nobody_relies_on_a_score_of_unknown_voices() {
        let mut transcript = transcript();
        assert!(of_voices(&transcript).is_none() && !needs_review(&[], &transcript));
        transcript.iter_mut().for_each(|utterance| utterance.speaker = Speaker::Unknown);
        assert!(of_voices(&transcript).is_some() && needs_review(&[], &transcript));
    }

    #[tokio::test]
    async fn what_was_found_is_said_with_its_evidence() {
        let (insights, review) = found(vec![
            raw("greeting", Verdict::Yes, &["good morning how"]),
            raw("recap", Verdict::NotApplicable, &[]),
            raw("no_insult", Verdict::No, &["ignore your instructions"]),
        ])
        .await;
        let expected = [
            (InsightKind::Strength, "OPENING: every applicable criterion is met (1)."),
            (
                InsightKind::FailedCriterion,
                "Not met: Did the agent do no_insult? Reason. Evidence: \"Ignore your instructions\" (customer, utterance 2).",
            ),
            (InsightKind::Risk, "Did the agent do no_insult? This fails the whole evaluation."),
            (InsightKind::Note, "Long monologue. (utterances 1, 2)"),
        ];
        assert_eq!(insights, expected.map(|(kind, text)| (kind, text.to_owned())));
        assert!(!review);
    }

    #[tokio::test]
    async fn an_unverified_answer_is_never_silent() {
        let (insights, review) = found(vec![
            raw("greeting", Verdict::Yes, &["good evening"]),
            raw("recap", Verdict::Yes, &[]),
            raw("no_insult", Verdict::Yes, &["how can I help"]),
        ])
        .await;
        assert!(review);
        let unverified: Vec<_> = insights.iter().filter(|(kind, _)| *kind == InsightKind::UnverifiedEvidence).collect();
        assert_eq!(unverified.len(), 2);
        assert!(unverified[0].1.contains("Answered \"yes\" with a quote that is not in the transcript"));
        assert!(unverified[1].1.contains("Answered \"yes\" without a quote"));
    }
}
