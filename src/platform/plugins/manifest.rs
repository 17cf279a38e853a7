//! What a plugin says it reads and needs, from its description's metadata; and the blanking of everything else. The contract stays as it
//! is: the keys are `reads`, `limit.memory_bytes`, `limit.time_ms` and `limit.fuel`.

use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    Answer, CallFacts, Description, Evidence, PluginError, PromptInput, ScoreInput, Scorecard, Speaker, Utterance,
    text::bounded,
};

/// The metadata key of the fields that a plugin reads, separated by spaces.
const READS: &str = "reads";
/// How the metadata keys of limits begin.
const LIMIT: &str = "limit.";
/// What stands for a call's id where it is not read.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";
/// How much of a word that nobody knows is quoted, in bytes.
const QUOTED_BYTES: usize = 60;

macro_rules! fields {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// A field of the input that a plugin may read. Keys, weights, verdicts and positions are no fields: they are always given.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Field {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Field {
            /// All of them, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in a manifest.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

fields! {
    /// The call's id; blank: the nil UUID.
    CallId = "call.id",
    /// Phone, chat, e-mail; blank: empty.
    CallChannel = "call.channel",
    /// The language; blank: empty.
    CallLanguage = "call.language",
    /// When the call began and how long it took; blank: none.
    CallTimes = "call.times",
    /// What was said, always redacted; blank: empty.
    UtterancesText = "utterances.text",
    /// Who spoke, also of quotes; blank: not told apart.
    UtterancesSpeaker = "utterances.speaker",
    /// When each utterance began and ended; blank: none.
    UtterancesTimes = "utterances.times",
    /// Conversation metrics; blank: no metric.
    Metrics = "metrics",
    /// The words of the scorecard: names, questions, guidance; blank: empty.
    ScorecardText = "scorecard.text",
    /// How sure the judge is; blank: 0.
    AnswersConfidence = "answers.confidence",
    /// Why the judge decided so; blank: empty.
    AnswersRationale = "answers.rationale",
    /// The quotes that answers rest on; blank: none.
    AnswersEvidence = "answers.evidence",
    /// What the organization and the call carry along, and which criteria wait for the plugin's own answer; blank: nothing.
    Metadata = "metadata",
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Field {
    type Err = PluginError;

    fn from_str(name: &str) -> Result<Self, PluginError> {
        if name == "utterances.raw_text" {
            let why =
                "it wants to read utterances.raw_text; plugins are given the redacted text alone, as utterances.text";
            return Err(PluginError::Manifest(why.to_owned()));
        }
        Self::ALL.iter().copied().find(|field| field.name() == name).ok_or_else(|| {
            let quoted = bounded(name, QUOTED_BYTES);
            PluginError::Manifest(format!("it wants to read {quoted:?}, which is no field of the input"))
        })
    }
}

/// An upper bound on what each call may take; none where nothing is said. Of a manifest, or of a tenant's plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Linear memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Time in which the guest itself runs, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Instructions, as the engine counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
}

/// What a plugin says it reads and needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The fields that it is given; all of them if it says nothing.
    pub reads: BTreeSet<Field>,
    /// Whether it names its fields itself.
    pub declared: bool,
    /// Limits that it sets itself, below those of the platform and the plan.
    pub limits: Allowance,
}

impl Default for Manifest {
    /// Of a plugin that says nothing: it is given everything.
    fn default() -> Self {
        Self { reads: Field::ALL.iter().copied().collect(), declared: false, limits: Allowance::default() }
    }
}

impl Manifest {
    /// What a description's metadata says; other keys are nobody's business here.
    ///
    /// # Errors
    /// [`PluginError::Manifest`] for a field or a limit that does not exist, a limit that is not a whole number above 0, and for a key
    /// that is there twice.
    pub fn of(description: &Description) -> Result<Self, PluginError> {
        let mut manifest = Self::default();
        let mut seen = BTreeSet::new();
        for (key, value) in &description.metadata {
            let ours = key == READS || key.starts_with(LIMIT);
            if ours && !seen.insert(key.as_str()) {
                return Err(PluginError::Manifest(format!("it says {:?} twice", bounded(key, QUOTED_BYTES))));
            }
            if key == READS {
                manifest.reads = value.split_whitespace().map(Field::from_str).collect::<Result<_, _>>()?;
                manifest.declared = true;
            } else if ours {
                manifest.limits.declare(key, value)?;
            }
        }
        Ok(manifest)
    }

    /// Whether a field is given to the plugin.
    pub fn reads(&self, field: Field) -> bool {
        self.reads.contains(&field)
    }

    /// What is left of an input for a scorer: the same one if it reads everything.
    pub fn blank_score<'a>(&self, input: &'a ScoreInput) -> Cow<'a, ScoreInput> {
        if self.reads_all() {
            return Cow::Borrowed(input);
        }
        Cow::Owned(ScoreInput {
            call: self.call(&input.call),
            utterances: self.utterances(&input.utterances),
            metrics: self.list(Field::Metrics, &input.metrics),
            scorecard: self.scorecard(&input.scorecard),
            answers: input.answers.iter().map(|answer| self.answer(answer)).collect(),
            seed: input.seed,
            evaluated_at_ms: input.evaluated_at_ms,
            metadata: self.list(Field::Metadata, &input.metadata),
        })
    }

    /// What is left of an input for a prompt builder: the same one if it reads everything.
    pub fn blank_prompt<'a>(&self, input: &'a PromptInput) -> Cow<'a, PromptInput> {
        if self.reads_all() {
            return Cow::Borrowed(input);
        }
        Cow::Owned(PromptInput {
            call: self.call(&input.call),
            utterances: self.utterances(&input.utterances),
            scorecard: self.scorecard(&input.scorecard),
            seed: input.seed,
            evaluated_at_ms: input.evaluated_at_ms,
            metadata: self.list(Field::Metadata, &input.metadata),
        })
    }

    fn reads_all(&self) -> bool {
        self.reads.len() == Field::ALL.len()
    }

    fn text(&self, field: Field, text: &str) -> String {
        if self.reads(field) { text.to_owned() } else { String::new() }
    }

    fn list<T: Clone>(&self, field: Field, list: &[T]) -> Vec<T> {
        if self.reads(field) { list.to_vec() } else { Vec::new() }
    }

    fn speaker(&self, speaker: Speaker) -> Speaker {
        if self.reads(Field::UtterancesSpeaker) { speaker } else { Speaker::Unknown }
    }

    fn call(&self, call: &CallFacts) -> CallFacts {
        let times = self.reads(Field::CallTimes);
        CallFacts {
            id: if self.reads(Field::CallId) { call.id.clone() } else { NO_ID.to_owned() },
            channel: self.text(Field::CallChannel, &call.channel),
            language: self.text(Field::CallLanguage, &call.language),
            started_at_ms: call.started_at_ms.filter(|_| times),
            duration_ms: call.duration_ms.filter(|_| times),
        }
    }

    fn utterances(&self, utterances: &[Utterance]) -> Vec<Utterance> {
        let times = self.reads(Field::UtterancesTimes);
        let blank = |utterance: &Utterance| Utterance {
            n: utterance.n,
            speaker: self.speaker(utterance.speaker),
            start_ms: utterance.start_ms.filter(|_| times),
            end_ms: utterance.end_ms.filter(|_| times),
            text: self.text(Field::UtterancesText, &utterance.text),
        };
        utterances.iter().map(blank).collect()
    }

    fn scorecard(&self, scorecard: &Scorecard) -> Scorecard {
        let mut scorecard = scorecard.clone();
        if !self.reads(Field::ScorecardText) {
            scorecard.name.clear();
            for section in &mut scorecard.sections {
                section.name.clear();
                for criterion in &mut section.criteria {
                    criterion.question.clear();
                    criterion.guidance.clear();
                }
            }
        }
        scorecard
    }

    fn answer(&self, answer: &Answer) -> Answer {
        let quoted = |evidence: &Evidence| Evidence {
            utterance: evidence.utterance,
            quote: evidence.quote.clone(),
            speaker: self.speaker(evidence.speaker),
        };
        let evidence = answer.evidence.iter().filter(|_| self.reads(Field::AnswersEvidence)).map(quoted);
        Answer {
            criterion: answer.criterion.clone(),
            verdict: answer.verdict,
            worth: answer.worth,
            given: answer.given.clone(),
            confidence: if self.reads(Field::AnswersConfidence) { answer.confidence } else { 0 },
            rationale: self.text(Field::AnswersRationale, &answer.rationale),
            evidence: evidence.collect(),
        }
    }
}

impl Allowance {
    fn declare(&mut self, key: &str, value: &str) -> Result<(), PluginError> {
        let shown = bounded(key, QUOTED_BYTES);
        let limit = match key.strip_prefix(LIMIT) {
            Some("memory_bytes") => &mut self.memory_bytes,
            Some("time_ms") => &mut self.time_ms,
            Some("fuel") => &mut self.fuel,
            _ => return Err(PluginError::Manifest(format!("it sets {shown:?}, which is no limit"))),
        };
        let number = value.parse().ok().filter(|number| *number > 0);
        *limit = Some(number.ok_or_else(|| {
            let value = bounded(value, QUOTED_BYTES);
            PluginError::Manifest(format!("its {shown} is {value:?}, not a whole number above 0"))
        })?);
        Ok(())
    }

    /// The lower of both, limit by limit.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let lower = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        Self {
            memory_bytes: lower(self.memory_bytes, other.memory_bytes),
            time_ms: lower(self.time_ms, other.time_ms),
            fuel: lower(self.fuel, other.fuel),
        }
    }
}

#[cfg(test)]
mod tests;
