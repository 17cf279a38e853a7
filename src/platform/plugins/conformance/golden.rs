//! The golden calls: four conversations that are written, and the largest one, which is made.

use std::fmt::Write;

use crate::platform::plugins::{
    Answer, AutoFail, Criterion, Evidence, Given, PromptInput, ScoreInput, Section, Speaker, Utterance, Verdict,
};

/// The name of the largest call.
pub(super) const LARGEST: &str = "largest_call";
/// How many utterances it has: three hours of talk.
const UTTERANCES: u32 = 2_000;
/// How many words each of them has.
const WORDS: u32 = 30;
/// How many criteria it is scored by.
const CRITERIA: u32 = 100;

const WRITTEN: [(&str, &str); 5] = [
    ("support_call", include_str!("support_call.json")),
    ("bilingual_chat", include_str!("bilingual_chat.json")),
    ("auto_fail", include_str!("auto_fail.json")),
    ("nothing_applicable", include_str!("nothing_applicable.json")),
    ("empty_call", include_str!("empty_call.json")),
];

/// One golden call.
#[derive(Debug, Clone)]
pub struct Golden {
    /// Its name in reports.
    pub name: &'static str,
    /// What a scorer is given.
    pub input: ScoreInput,
}

impl Golden {
    /// What a prompt builder is given.
    pub fn prompt_input(&self) -> PromptInput {
        let ScoreInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata, .. } = self.input.clone();
        PromptInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata }
    }
}

/// All golden calls; the largest comes last.
///
/// # Panics
/// Never: a test reads each of the written ones.
pub fn golden_calls() -> Vec<Golden> {
    let read = |(name, text): &(&'static str, &str)| Golden {
        name,
        input: serde_json::from_str(text).expect("golden calls are part of the program"),
    };
    let mut calls: Vec<_> = WRITTEN.iter().map(read).collect();
    let largest = largest(calls[0].input.clone());
    calls.push(Golden { name: LARGEST, input: largest });
    calls
}

/// The first call, as long as calls are.
fn largest(mut input: ScoreInput) -> ScoreInput {
    let duration_ms = u64::from(UTTERANCES) * 5_000;
    input.call.duration_ms = Some(duration_ms);
    input.utterances = (1..=UTTERANCES).map(utterance).collect();
    input.scorecard.name = "Everything that can be asked".to_owned();
    input.scorecard.sections = (0..10).map(section).collect();
    input.answers = input.scorecard.criteria().zip(0..).map(|(criterion, n)| answer(criterion, n)).collect();
    input
}

fn utterance(n: u32) -> Utterance {
    let mut text = String::new();
    for word in 0..WORDS {
        // words of different lengths, and a few that stand in the written calls
        let _ = match (n + word * 7) % 11 {
            0 => write!(text, "thank you "),
            1 => write!(text, "größer "),
            2 => write!(text, "invoice-{} ", n * WORDS + word),
            _ => write!(text, "word{} ", (n * 31 + word) % 997),
        };
    }
    text.truncate(text.trim_end().len());
    let start_ms = u64::from(n - 1) * 5_000;
    Utterance {
        n,
        speaker: if n % 2 == 1 { Speaker::Agent } else { Speaker::Customer },
        start_ms: Some(start_ms),
        end_ms: Some(start_ms + 4_500),
        text,
    }
}

fn section(number: u32) -> Section {
    let each = CRITERIA / 10;
    let criterion = |n: u32| Criterion {
        key: format!("criterion_{}", number * each + n),
        question: format!("Did the agent do what point {} of the handbook asks for?", number * each + n),
        guidance: "Judge by what was said, not by how it was meant.".to_owned(),
        weight: n % 5 + 1,
        auto_fail: AutoFail::None,
        not_applicable: true,
    };
    Section {
        key: format!("section_{number}"),
        name: format!("Chapter {number}"),
        weight: number % 3 + 1,
        criteria: (0..each).map(criterion).collect(),
    }
}

fn answer(criterion: &Criterion, n: u32) -> Answer {
    let verdict = match n % 7 {
        0 => Verdict::No,
        1 => Verdict::NotApplicable,
        _ => Verdict::Yes,
    };
    let quoted = utterance(n * 19 + 1);
    let evidence = Evidence { utterance: quoted.n, quote: quoted.text, speaker: quoted.speaker };
    Answer {
        criterion: criterion.key.clone(),
        verdict,
        worth: None,
        given: Given::default(),
        confidence: 5_000 + n * 49,
        rationale: format!("Utterance {} shows it.", n * 19 + 1),
        evidence: vec![evidence],
    }
}
