//! A scorer: the weighted score of the scorecard, which is 0 as soon as the agent left out something that must be said. What must be
//! said is looked for in the transcript, word by word: no language model judges it.
//!
//! See README.md for the settings and a worked example.

mod settings;

use plumbline_plugin::{
    About, CriterionScore, Field, Insight, InsightKind, Phrase, ScoreInput, ScoreOutput, Scorer, Speaker, Utterance,
    arithmetic, export_scorer, info,
};

use crate::settings::{Disclosure, Settings};

/// The plugin.
pub struct ComplianceGate;

export_scorer!(ComplianceGate);

impl Scorer for ComplianceGate {
    type Settings = Settings;

    fn about() -> About {
        let summary = "The weighted score, which is 0 when the agent did not say what must be said.";
        About::new("compliance_gate", env!("CARGO_PKG_VERSION"), summary).settings_schema(settings::SCHEMA).reads(&[
            Field::CallChannel,
            Field::UtterancesText,
            Field::UtterancesSpeaker,
        ])
    }

    fn check(settings: &Settings) -> Result<(), String> {
        settings.check()
    }

    fn score(settings: &Settings, input: &ScoreInput) -> Result<ScoreOutput, String> {
        let mut output = arithmetic::weighted(&input.scorecard, &input.answers);
        if !settings.applies_to(&input.call.channel) {
            return Ok(output);
        }
        for disclosure in &settings.disclosures {
            let said = said(disclosure, &input.utterances);
            let shown = said.map_or_else(|| "missing".to_owned(), |n| format!("utterance {n}"));
            info(&format!("{}: {shown}", disclosure.name));
            output.metadata.push((format!("disclosure:{}", key(&disclosure.name)), shown));
            if said.is_none() {
                fail(&mut output, disclosure);
            }
        }
        Ok(output)
    }
}

/// The utterance in which the agent made the disclosure in time.
fn said(disclosure: &Disclosure, utterances: &[Utterance]) -> Option<u32> {
    let phrases: Vec<Phrase> = disclosure.phrases.iter().filter_map(|words| Phrase::new(words)).collect();
    let turns = disclosure.within_first_turns.map_or(usize::MAX, |turns| turns as usize);
    let mut agents = utterances.iter().filter(|utterance| utterance.speaker == Speaker::Agent).take(turns);
    agents.find(|utterance| phrases.iter().any(|phrase| phrase.is_in(&utterance.text))).map(|utterance| utterance.n)
}

/// The evaluation fails, if there is one: where nothing is applicable there is no score to fail. So does the criterion that belongs to
/// the disclosure, unless it left the denominator.
fn fail(output: &mut ScoreOutput, disclosure: &Disclosure) {
    output.overall = output.overall.map(|_| 0);
    let own = |one: &&mut CriterionScore| Some(&one.key) == disclosure.criterion.as_ref();
    let criterion = output.criteria.iter_mut().find(own);
    let belongs_to = criterion.map(|criterion| {
        if criterion.passed.is_some() {
            criterion.score = Some(0);
            criterion.passed = Some(false);
        }
        criterion.note = Some(format!("The agent did not say it: {}.", disclosure.name));
        criterion.key.clone()
    });
    output.insights.push(Insight {
        kind: InsightKind::Risk,
        text: format!("The disclosure \"{}\" is missing, which fails the evaluation.", disclosure.name),
        criterion: belongs_to,
        utterances: Vec::new(),
    });
}

/// A name as a key of metadata, which may have 128 bytes in all.
fn key(name: &str) -> &str {
    let mut end = name.len().min(100);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use plumbline_plugin::{
        Verdict,
        testing::{self, Conversation, score},
    };

    use super::*;

    fn spoken(turns: &[&str]) -> Conversation {
        let say = |conversation: Conversation, words: &&str| conversation.agent(words).customer("Yes.");
        let spoken = turns.iter().fold(Conversation::new(), say);
        spoken.criterion("greeting", 3, Verdict::Yes).criterion("recording", 1, Verdict::Yes)
    }

    #[test]
    fn the_worked_example_of_the_readme() {
        let said = score::<ComplianceGate>("{}", &spoken(&["Hello! This call is recorded."]).score_input()).unwrap();
        assert_eq!(said.overall, Some(10_000));
        assert_eq!(said.metadata, [("disclosure:recording".to_owned(), "utterance 1".to_owned())]);
        let silent = score::<ComplianceGate>("{}", &spoken(&["Hello!"]).score_input()).unwrap();
        assert_eq!(silent.overall, Some(0));
        assert_eq!(silent.insights[0].text, "The disclosure \"recording\" is missing, which fails the evaluation.");
        assert_eq!(testing::logged()[0].1, "recording: missing");
    }

    #[test]
    fn it_must_be_said_by_the_agent_in_time() {
        let settings = r#"{"disclosures": [{"name": "recording", "phrases": ["this call is recorded"], "within_first_turns": 2, "criterion": "recording"}]}"#;
        let late =
            score::<ComplianceGate>(settings, &spoken(&["Hello.", "Well.", "This call is recorded."]).score_input());
        let late = late.unwrap();
        assert_eq!(late.overall, Some(0));
        let recording = &late.criteria[1];
        assert_eq!((recording.score, recording.passed), (Some(0), Some(false)));
        assert_eq!(recording.note.as_deref(), Some("The agent did not say it: recording."));
        assert_eq!(late.insights[0].criterion.as_deref(), Some("recording"));
        let by_the_customer = spoken(&["Hello."]).customer("I hope this call is recorded.");
        assert_eq!(score::<ComplianceGate>(settings, &by_the_customer.score_input()).unwrap().overall, Some(0));
        let in_time = score::<ComplianceGate>(settings, &spoken(&["Hello.", "THIS CALL IS RECORDED!"]).score_input());
        assert_eq!(in_time.unwrap().overall, Some(10_000));
    }

    #[test]
    fn other_channels_and_what_is_not_applicable_stay() {
        let chat = spoken(&["Hello!"]).channel("chat");
        assert_eq!(score::<ComplianceGate>("{}", &chat.score_input()).unwrap().overall, Some(10_000));
        let nothing = Conversation::new().agent("Hello.").criterion("greeting", 1, Verdict::NotApplicable);
        assert_eq!(score::<ComplianceGate>("{}", &nothing.score_input()).unwrap().overall, None);
    }

    #[test]
    fn settings_are_judged() {
        assert_eq!(testing::validate::<ComplianceGate>(r#"{"disclosures": []}"#), Ok(()));
        for wrong in [
            r#"{"disclosures": [{"name": "", "phrases": ["a"]}]}"#,
            r#"{"disclosures": [{"name": "a", "phrases": []}]}"#,
            r#"{"disclosures": [{"name": "a", "phrases": [" "]}]}"#,
            r#"{"disclosures": [{"name": "a", "phrases": ["a"], "within_first_turns": 0}]}"#,
            r#"{"disclosures": [{"name": "a", "phrases": ["a"], "within": 1}]}"#,
        ] {
            assert!(testing::validate::<ComplianceGate>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn golden_calls() {
        testing::score_golden_calls::<ComplianceGate>("{}").unwrap();
    }

    #[test]
    fn a_key_is_cut_between_letters() {
        assert_eq!(key(&"ü".repeat(60)), "ü".repeat(50));
    }
}
