//! Writing down a conversation and what was found in it.

use crate::{
    Answer, AutoFail, Call, Criterion, Evidence, PromptInput, ScoreInput, Scorecard, Section, Speaker, Utterance,
    Verdict,
};

/// A conversation, its scorecard and its answers. Each method adds a line.
#[derive(Debug, Clone)]
pub struct Conversation {
    call: Call,
    utterances: Vec<Utterance>,
    metrics: Vec<(String, i64)>,
    sections: Vec<Section>,
    answers: Vec<Answer>,
    metadata: Vec<(String, String)>,
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

impl Conversation {
    /// A call by phone in English in which nothing is said. Without a scorecard of its own it has one of two criteria.
    pub fn new() -> Self {
        let call = Call {
            id: "0192f1c0-7b1e-7cc3-98c4-dc0c0c07398f".into(),
            channel: "phone".into(),
            language: "en".into(),
            started_at_ms: Some(1_795_000_000_000),
            duration_ms: Some(300_000),
        };
        let (utterances, metrics, sections) = (Vec::new(), Vec::new(), Vec::new());
        Self { call, utterances, metrics, sections, answers: Vec::new(), metadata: Vec::new() }
    }

    /// On another channel.
    #[must_use]
    pub fn channel(mut self, channel: &str) -> Self {
        self.call.channel = channel.to_owned();
        self
    }

    /// In another language (BCP 47).
    #[must_use]
    pub fn language(mut self, language: &str) -> Self {
        self.call.language = language.to_owned();
        self
    }

    /// The agent says.
    #[must_use]
    pub fn agent(self, text: &str) -> Self {
        self.says(Speaker::Agent, text)
    }

    /// The customer says.
    #[must_use]
    pub fn customer(self, text: &str) -> Self {
        self.says(Speaker::Customer, text)
    }

    /// Somebody says.
    #[must_use]
    pub fn says(mut self, speaker: Speaker, text: &str) -> Self {
        let n = u32::try_from(self.utterances.len()).map_or(u32::MAX, |before| before + 1);
        let start = u64::from(n) * 4_000;
        let (start_ms, end_ms) = (Some(start), Some(start + 3_000));
        self.utterances.push(Utterance { n, speaker, start_ms, end_ms, text: text.to_owned() });
        self
    }

    /// A metric of the conversation.
    #[must_use]
    pub fn metric(mut self, key: &str, value: i64) -> Self {
        self.metrics.push((key.to_owned(), value));
        self
    }

    /// An entry of the metadata.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A new section, to which the criteria after it belong.
    #[must_use]
    pub fn section(mut self, key: &str, weight: u32) -> Self {
        self.sections.push(Section { key: key.to_owned(), name: key.to_owned(), weight, criteria: Vec::new() });
        self
    }

    /// A criterion and its answer.
    #[must_use]
    pub fn criterion(self, key: &str, weight: u32, verdict: Verdict) -> Self {
        self.grave(key, weight, AutoFail::None, verdict)
    }

    /// A criterion with a consequence, and its answer.
    #[must_use]
    pub fn grave(mut self, key: &str, weight: u32, auto_fail: AutoFail, verdict: Verdict) -> Self {
        let quoted = self.utterances.iter().find(|_| verdict == Verdict::Yes);
        let evidence = quoted.map(|utterance| Evidence {
            utterance: utterance.n,
            quote: utterance.text.clone(),
            speaker: utterance.speaker,
        });
        let (confidence, rationale) = (9_000, "It was said so.".to_owned());
        let evidence = evidence.into_iter().collect();
        self.answers.push(Answer { criterion: key.to_owned(), verdict, confidence, rationale, evidence });
        self.unanswered(key, weight, auto_fail)
    }

    /// A criterion that nobody answered.
    #[must_use]
    pub fn unanswered(mut self, key: &str, weight: u32, auto_fail: AutoFail) -> Self {
        if self.sections.is_empty() {
            self = self.section("section", 1);
        }
        let criterion = Criterion {
            key: key.to_owned(),
            question: format!("Is {key} fulfilled?"),
            guidance: String::new(),
            weight,
            auto_fail,
            not_applicable: true,
        };
        if let Some(section) = self.sections.last_mut() {
            section.criteria.push(criterion);
        }
        self
    }

    /// What a scorer gets.
    pub fn score_input(&self) -> ScoreInput {
        let Self { call, utterances, metrics, sections, answers, metadata } = self.complete();
        let scorecard = Scorecard { name: "Golden".into(), version: 1, sections };
        let evaluated_at_ms = 1_795_000_600_000;
        ScoreInput { call, utterances, metrics, scorecard, answers, seed: 7, evaluated_at_ms, metadata }
    }

    /// What a prompt builder gets.
    pub fn prompt_input(&self) -> PromptInput {
        let ScoreInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata, .. } = self.score_input();
        PromptInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata }
    }

    /// The same with a scorecard.
    pub(super) fn complete(&self) -> Self {
        if self.sections.is_empty() {
            let yes = |one: Self, key| one.criterion(key, 1, Verdict::Yes);
            return yes(yes(self.clone(), "greeting"), "next_step");
        }
        self.clone()
    }
}
