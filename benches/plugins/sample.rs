//! The evaluation that is scored: 200 utterances of 8 to 23 words and phrases, 12 criteria with four quotes each.

use plumbline::platform::plugins::{
    Answer, AutoFail, CallFacts, Criterion, Evidence, Given, ScoreInput, Scorecard, Section, Speaker, Utterance,
    Verdict,
};

/// What an organization would set.
pub const SETTINGS: &str = r#"{
  "empathy": ["i understand", "i'm sorry", "thank you for", "i appreciate", "happy to help"],
  "risk": ["cancel", "lawyer", "complaint", "supervisor", "refund", "terrible"],
  "disclosures": ["this call is recorded", "verify your", "date of birth"],
  "longest_turn_words": 30, "deduct_monologue": 25, "deduct_disclosure": 100
}"#;

/// Utterances of the call.
pub const UTTERANCES: u32 = 200;
const CRITERIA: u32 = 12;
const SECTIONS: u32 = 3;

#[rustfmt::skip]
const WORDS: [&str; 25] = [
    "billing", "account", "the", "please", "I understand", "verify your", "cancel", "address", "thank you for", "hold", "refund", "order", "number", "today", "I'm sorry",
    "minutes", "help", "with", "that", "problem", "yes", "okay", "invoice", "Friday", "customer",
];

/// The same in every run.
pub fn input() -> ScoreInput {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut clock = 0;
    let utterances: Vec<_> = (1..=UTTERANCES).map(|n| utterance(n, &mut clock, &mut random)).collect();
    let call = CallFacts {
        id: "0192f1c0-7b1e-7cc3-98c4-dc0c0c07398f".into(),
        channel: "phone".into(),
        language: "en".into(),
        started_at_ms: Some(1_795_000_000_000),
        duration_ms: Some(clock),
    };
    ScoreInput {
        call,
        answers: (0..CRITERIA).map(|n| answer(n, &utterances)).collect(),
        utterances,
        metrics: vec![("longest_silence_ms".into(), 4_200), ("agent_words".into(), 1_500)],
        scorecard: scorecard(),
        seed: 7,
        evaluated_at_ms: 1_795_000_900_000,
        metadata: vec![("queue".into(), "billing".into())],
    }
}

fn utterance(n: u32, clock: &mut u64, random: &mut Random) -> Utterance {
    let words = 8 + random.below(16);
    let text: Vec<_> = (0..words).map(|_| WORDS[random.below(25) as usize]).collect();
    let start = (*clock + random.below(5_000)).saturating_sub(800);
    let end = start + 300 * words;
    *clock = end;
    // Two turns of the agent for each of the customer.
    let speaker = if n.is_multiple_of(3) { Speaker::Customer } else { Speaker::Agent };
    Utterance { n, speaker, start_ms: Some(start), end_ms: Some(end), text: text.join(" ") }
}

fn scorecard() -> Scorecard {
    let criterion = |n: u32| Criterion {
        key: format!("criterion_{n:02}"),
        question: format!("Was step {n} done?"),
        guidance: "The agent greets the customer, verifies identity and states the purpose of the call.".into(),
        weight: 1 + n % 4,
        auto_fail: if n == 7 { AutoFail::Section } else { AutoFail::None },
        not_applicable: true,
    };
    let section = |s: u32| Section {
        key: format!("section_{s}"),
        name: format!("Section {s}"),
        weight: 1 + s,
        criteria: (0..CRITERIA).filter(|n| n % SECTIONS == s).map(criterion).collect(),
    };
    let sections = (0..SECTIONS).map(section).collect();
    Scorecard { name: "Support".into(), version: 3, points: false, sections }
}

fn answer(n: u32, utterances: &[Utterance]) -> Answer {
    let verdict = [Verdict::Yes, Verdict::Yes, Verdict::No, Verdict::Yes, Verdict::NotApplicable][n as usize % 5];
    let quoted = |place: u32| {
        let utterance = &utterances[place as usize % utterances.len()];
        Evidence { utterance: utterance.n, quote: utterance.text.clone(), speaker: utterance.speaker }
    };
    Answer {
        criterion: format!("criterion_{n:02}"),
        verdict,
        worth: None,
        given: Given::default(),
        confidence: 9_300,
        rationale: "The agent greeted the customer and verified the account; see the quoted utterances.".into(),
        evidence: [3, 17, n * 11, 150].map(quoted).into(),
    }
}

/// Xorshift: enough for a sample.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
