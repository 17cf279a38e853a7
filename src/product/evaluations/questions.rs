//! Who answers what of a scorecard, and what all the answers come to. No I/O, and no chance: the pipeline computes it once, and whoever verifies a
//! receipt computes it again.
//!
//! Rules answer first, for nothing. The language model is asked only what is left for it and may be shown: a criterion whose condition
//! is already known to be unfulfilled is not asked. What plugins and people answer waits for them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    answer::{self, AnswerError},
    conditions,
    evidence::{self, TooLarge},
    model::{Answer, Evidence, Given, Place, Quote, RawAnswer, Reason, Utterance, Verdict, Way},
    parts::{
        merge::merge,
        said::{self, PartAnswer},
    },
    rules,
};
use crate::{
    foundation::ids::EvaluationId,
    platform::plugins::Scorecard,
    product::scorecards::model::{AnsweredBy, AutoFail, Criterion, Definition},
};

/// What makes answers of a model's text, as receipts name it. Its version is raised with every change after which the same text, transcript, metrics
/// and people's answers can give other answers, findings or another schema: in how a text is read, in finding quotes, in rules, conditions or the merging
/// of parts, in the schema and in the words of findings. A receipt of another version is not held against what this one makes.
pub const READER: &str = "answers 1.0.0";
/// The answer text of an evaluation for which the language model was asked nothing.
pub const NOTHING: &str = "{}";
/// Provider and model of such an evaluation.
pub const NOBODY: &str = "none";
/// What is certain: in hundredths of a percent.
const CERTAIN: u32 = 10_000;
/// Hundredths of a percent in a percent.
const PERCENT: u32 = 100;

/// What a person answered to a criterion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumanAnswer {
    /// The criterion.
    pub criterion: String,
    /// Yes, no, not applicable, or answered, by the criterion's type.
    pub said: Verdict,
    /// What is answered besides yes and no.
    #[serde(default, skip_serializing_if = "Given::is_nothing")]
    pub given: Given,
    /// Why.
    pub rationale: String,
    /// Words of the transcript.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotes: Vec<String>,
    /// Who answered, as audit events name them.
    pub answered_by: String,
    /// When, in milliseconds since 1970.
    pub answered_at_ms: i64,
    /// The evaluation in which it was given, when that was an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<EvaluationId>,
    /// Why it does not count any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outdated: Option<Outdated>,
}

impl HumanAnswer {
    /// Whether it is the answer to that criterion.
    pub fn counts_for(&self, criterion: &str) -> bool {
        self.outdated.is_none() && self.criterion == criterion
    }
}

/// Why a person's earlier answer is none to what is asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outdated {
    /// The question has other words, another type, or is for somebody else to answer.
    QuestionChanged,
    /// The transcript was changed since.
    TranscriptChanged,
}

impl Outdated {
    fn reason(self) -> Reason {
        match self {
            Self::QuestionChanged => Reason::QuestionChanged,
            Self::TranscriptChanged => Reason::TranscriptChanged,
        }
    }
}

/// What the scorer plugin answered to a criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginAnswer {
    /// The criterion.
    pub criterion: String,
    /// Yes, no, not applicable, or answered, by the criterion's type.
    pub said: Verdict,
    /// What is answered besides yes and no.
    pub given: Given,
    /// Why, in the plugin's words.
    pub rationale: String,
    /// The positions of the utterances that show it.
    pub utterances: Vec<u32>,
}

/// Why there are no answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing of the model's text can be used.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The transcript cannot be searched.
    #[error(transparent)]
    Evidence(#[from] TooLarge),
}

/// A scorecard's questions about one conversation, as far as they are answered without the language model.
pub struct Questions<'a> {
    definition: &'a Definition,
    transcript: &'a [Utterance],
    ruled: Vec<Answer>,
    asked: Vec<&'a Criterion>,
}

impl<'a> Questions<'a> {
    /// Lets the rules answer, and finds what is left for the language model. `metrics` are the conversation metrics that are whole numbers.
    pub fn of(definition: &'a Definition, transcript: &'a [Utterance], metrics: &[(String, i64)]) -> Self {
        Self::ruled(definition, transcript, rules::answer(definition, transcript, metrics))
    }

    /// The same, where the rules have answered so.
    pub(super) fn ruled(definition: &'a Definition, transcript: &'a [Utterance], ruled: Vec<Answer>) -> Self {
        let asked = open_to(AnsweredBy::LanguageModel, definition, &ruled);
        Self { definition, transcript, ruled, asked }
    }

    /// The conversation.
    pub(super) fn transcript(&self) -> &'a [Utterance] {
        self.transcript
    }

    /// A copy that borrows nothing.
    pub(super) fn owned(&self) -> (Definition, Vec<Utterance>, Known) {
        let asked = self.asked.iter().map(|criterion| criterion.key.clone()).collect();
        (self.definition.clone(), self.transcript.to_vec(), Known { ruled: self.ruled.clone(), asked })
    }

    /// What the language model is asked, in the scorecard's order.
    pub fn asked(&self) -> &[&'a Criterion] {
        &self.asked
    }

    /// The same questions, of which the language model is asked only these.
    #[must_use]
    pub fn about(&self, keys: &[String]) -> Self {
        let asked = self.asked.iter().copied().filter(|criterion| keys.contains(&criterion.key));
        Self { asked: asked.collect(), ruled: self.ruled.clone(), ..*self }
    }

    /// What is left to somebody who is asked after the rules, in the scorecard's order: but for what is known not to be shown.
    pub fn open_to(&self, who: AnsweredBy) -> Vec<&'a Criterion> {
        open_to(who, self.definition, &self.ruled)
    }

    /// The keys of what is asked; none when that is the whole scorecard.
    pub fn asked_keys(&self) -> Option<Vec<String>> {
        let all = self.definition.criteria().count() == self.asked.len();
        (!all).then(|| self.asked.iter().map(|criterion| criterion.key.clone()).collect())
    }

    /// The scorecard as prompt builders see it: with what is asked alone. `version` is the published version's number.
    pub fn scorecard(&self, version: u32) -> Scorecard {
        only(self.definition.for_plugins(version), &self.asked)
    }

    /// All answers, in the scorecard's order: the rules', the language model's out of its text, those of people, and what still waits. Conditions
    /// are applied. What the model answered unusably is unverified, what it was too unsure of waits for a person, and an auto-fail for which it
    /// quotes nothing says so.
    ///
    /// # Errors
    /// [`Unusable`] when nothing at all of the model's text can be used.
    pub fn answers(&self, raw: &str, human: &[HumanAnswer]) -> Result<Vec<Answer>, Unusable> {
        self.with_plugin(raw, human, None)
    }

    /// The criteria whose answers in the model's text can be used, whatever they say.
    pub fn readable(&self, raw: &str) -> Vec<String> {
        let answers = self.of_the_model(raw).unwrap_or_default().into_iter();
        let usable = answers.filter(|answer| answer.reason != Some(Reason::UnusableAnswer));
        usable.map(|answer| answer.criterion).collect()
    }

    /// The same once the scorer plugin has answered. What it left out waits for a person.
    ///
    /// # Errors
    /// As [`Questions::answers`].
    pub fn answers_after(
        &self,
        raw: &str,
        human: &[HumanAnswer],
        plugin: &[PluginAnswer],
    ) -> Result<Vec<Answer>, Unusable> {
        self.with_plugin(raw, human, Some(plugin))
    }

    fn with_plugin(
        &self,
        raw: &str,
        human: &[HumanAnswer],
        plugin: Option<&[PluginAnswer]>,
    ) -> Result<Vec<Answer>, Unusable> {
        let mut by_key: HashMap<&str, Answer> =
            self.ruled.iter().map(|answer| (answer.criterion.as_str(), answer.clone())).collect();
        for (criterion, answer) in self.asked.iter().zip(self.of_the_model(raw)?) {
            by_key.insert(&criterion.key, answer);
        }
        let criterion = |key: &str| self.definition.criteria().find(|criterion| criterion.key == key);
        for answer in plugin.unwrap_or_default() {
            if let Some(criterion) = criterion(&answer.criterion)
                && let Some(answered) = self.of_the_plugin(criterion, answer)
            {
                by_key.insert(&criterion.key, answered);
            }
        }
        for answer in human.iter().filter(|answer| answer.outdated.is_none()) {
            if let Some(criterion) = criterion(&answer.criterion)
                && let Some(answered) = self.of_a_person(criterion, answer)?
            {
                by_key.insert(&criterion.key, answered);
            }
        }
        let outdated = |key: &str| human.iter().find(|answer| answer.criterion == key)?.outdated.map(Outdated::reason);
        let answers = self.definition.criteria().map(|criterion| {
            by_key.remove(criterion.key.as_str()).unwrap_or_else(|| match criterion.answered_by {
                AnsweredBy::Human => {
                    let reason = outdated(&criterion.key).unwrap_or(Reason::AwaitsPerson);
                    open(criterion, Verdict::Pending, reason)
                }
                AnsweredBy::Plugin if plugin.is_some() => open(criterion, Verdict::Pending, Reason::NoPluginAnswer),
                AnsweredBy::Plugin => open(criterion, Verdict::Pending, Reason::AwaitsPlugin),
                AnsweredBy::LanguageModel | AnsweredBy::Rule => {
                    open(criterion, Verdict::NotApplicable, Reason::NotShown)
                }
            })
        });
        Ok(conditions::apply(self.definition, answers.collect()))
    }

    /// One answer for each criterion that was asked: of a conversation that was asked about in parts, what the parts' answers come to.
    fn of_the_model(&self, raw: &str) -> Result<Vec<Answer>, Unusable> {
        let parts = said::read(raw).map_err(AnswerError::from)?;
        let mut read: Vec<Vec<Result<Answer, AnswerError>>> = self.asked.iter().map(|_| vec![]).collect();
        for part in &parts {
            let (at, here): (Vec<usize>, Vec<&Criterion>) =
                self.asked.iter().copied().enumerate().filter(|(_, criterion)| part.has(&criterion.key)).unzip();
            for (at, answer) in at.into_iter().zip(self.of_part(part, &here)?) {
                read[at].push(answer);
            }
        }
        for (criterion, answers) in self.asked.iter().zip(&mut read).filter(|(_, answers)| answers.is_empty()) {
            answers.push(Err(AnswerError::Missing(criterion.key.clone())));
        }
        let mut all = read.iter().flatten();
        if let (Some(Err(first)), true) = (all.clone().next(), all.all(Result::is_err)) {
            return Err(Unusable::Answer(first.clone()));
        }
        let least = self.definition.least_confidence.saturating_mul(PERCENT);
        let answers = self.asked.iter().zip(read).map(|(criterion, read)| {
            let unusable = |_| open(criterion, Verdict::Unverified, Reason::UnusableAnswer);
            let mut answer = merge(criterion, read.into_iter().map(|read| read.unwrap_or_else(unusable)).collect());
            if answer.confidence < least && !matches!(answer.verdict, Verdict::Unverified | Verdict::Pending) {
                (answer.verdict, answer.worth, answer.reason) = (Verdict::Pending, None, Some(Reason::LowConfidence));
            }
            let quoted = answer.evidence.iter().any(|evidence| evidence.found.is_some());
            if answer.verdict == Verdict::No && criterion.auto_fail != AutoFail::None && !quoted {
                answer.reason = Some(Reason::AutoFailUnquoted);
            }
            answer
        });
        Ok(answers.collect())
    }

    /// What was answered about one part, with its quotes held against the part's own utterances; or why that cannot be used.
    fn of_part(
        &self,
        part: &PartAnswer<'_>,
        asked: &[&Criterion],
    ) -> Result<Vec<Result<Answer, AnswerError>>, Unusable> {
        let transcript = part.span.map_or(self.transcript, |span| span.of(self.transcript));
        let read = answer::read(&part.text, asked)?;
        let usable: Vec<RawAnswer> = read.iter().filter_map(|read| read.as_ref().ok().cloned()).collect();
        let mut checked = evidence::check(usable, asked, transcript)?.into_iter();
        let answers = read.into_iter().zip(asked).map(|(read, criterion)| {
            let missing = || AnswerError::Missing(criterion.key.clone());
            read.and_then(|_| checked.next().ok_or_else(missing))
        });
        Ok(answers.collect())
    }

    /// What a person answered counts, whatever was there before; `None` when it is not of the criterion's type.
    fn of_a_person(&self, criterion: &Criterion, human: &HumanAnswer) -> Result<Option<Answer>, TooLarge> {
        let Ok(judged) = criterion.answer.judge(human.said, &human.given) else { return Ok(None) };
        let quotes = human.quotes.iter().map(|quote| Quote { utterance: 0, quote: quote.clone() });
        let raw = RawAnswer {
            criterion: criterion.key.clone(),
            verdict: judged.verdict,
            given: human.given.clone(),
            confidence: CERTAIN,
            rationale: human.rationale.clone(),
            quotes: quotes.collect(),
        };
        let Some(answer) = evidence::check(vec![raw], &[criterion], self.transcript)?.pop() else { return Ok(None) };
        Ok(Some(Answer {
            verdict: judged.verdict,
            worth: judged.worth,
            reason: evidence::reason(judged.verdict, judged.worth, &answer.evidence),
            answered_by: AnsweredBy::Human,
            carried_from: human.carried_from,
            ..answer
        }))
    }

    /// What the plugin answered, with the utterances that it names as evidence; `None` when it is not of the criterion's type.
    fn of_the_plugin(&self, criterion: &Criterion, plugin: &PluginAnswer) -> Option<Answer> {
        let judged = criterion.answer.judge(plugin.said, &plugin.given).ok()?;
        let mut named = plugin.utterances.clone();
        named.sort_unstable();
        named.dedup();
        named.truncate(rules::MAX_EVIDENCE);
        let said = self.transcript.iter().filter(|utterance| named.contains(&utterance.n));
        let evidence: Vec<Evidence> = said.map(whole).collect();
        Some(Answer {
            criterion: criterion.key.clone(),
            claimed: judged.verdict,
            verdict: judged.verdict,
            given: plugin.given.clone(),
            worth: judged.worth,
            answered_by: AnsweredBy::Plugin,
            reason: evidence::reason(judged.verdict, judged.worth, &evidence),
            carried_from: None,
            confidence: CERTAIN,
            rationale: plugin.rationale.replace('\0', "\u{fffd}"),
            evidence,
        })
    }
}

/// What is known of questions, without the scorecard and the conversation that they are about.
pub(super) struct Known {
    ruled: Vec<Answer>,
    asked: Vec<String>,
}

impl Known {
    /// The questions about these again.
    pub fn about<'a>(self, definition: &'a Definition, transcript: &'a [Utterance]) -> Questions<'a> {
        let asked = definition.criteria().filter(|criterion| self.asked.contains(&criterion.key)).collect();
        Questions { definition, transcript, ruled: self.ruled, asked }
    }
}

/// Leaves of a scorecard what is asked.
pub fn only(mut scorecard: Scorecard, asked: &[&Criterion]) -> Scorecard {
    for section in &mut scorecard.sections {
        section.criteria.retain(|criterion| asked.iter().any(|asked| asked.key == criterion.key));
    }
    scorecard.sections.retain(|section| !section.criteria.is_empty());
    scorecard
}

/// Which of the asked criteria a text does not answer usably, and why.
///
/// # Errors
/// [`AnswerError`] when the text as a whole is no answer.
pub fn unusable<'a>(raw: &str, asked: &[&'a Criterion]) -> Result<Vec<(&'a str, AnswerError)>, AnswerError> {
    let read = answer::read(raw, asked)?;
    let unusable = asked.iter().zip(read);
    Ok(unusable.filter_map(|(criterion, read)| Some((criterion.key.as_str(), read.err()?))).collect())
}

/// A whole utterance as evidence.
fn whole(utterance: &Utterance) -> Evidence {
    let place = Place {
        utterance: utterance.n,
        speaker: utterance.speaker,
        start_char: 0,
        end_char: u32::try_from(utterance.text.chars().count()).unwrap_or(u32::MAX),
        words: utterance.text.clone(),
        way: Way::Exact,
        start_ms: utterance.start_ms,
        end_ms: utterance.end_ms,
    };
    Evidence { quote: utterance.text.clone(), found: Some(place) }
}

/// The criteria that somebody is asked, such as the language model: their own, but for those that are known not to be shown.
fn open_to<'a>(who: AnsweredBy, definition: &'a Definition, ruled: &[Answer]) -> Vec<&'a Criterion> {
    /// What is known of a criterion when the rules have answered.
    enum Known<'b> {
        NotShown,
        Ruled(&'b Answer),
        Nothing,
    }
    let mut known: HashMap<&str, (&Criterion, Known<'_>)> = HashMap::new();
    let mut asked = vec![];
    for criterion in definition.criteria() {
        let hidden =
            criterion.shown_when.as_ref().is_some_and(|condition| match known.get(condition.criterion.as_str()) {
                None => true,
                Some((_, Known::NotShown)) => true,
                Some((_, Known::Nothing)) => false,
                Some((other, Known::Ruled(answer))) => {
                    let words = other.answer.words(answer.verdict, &answer.given);
                    !words.iter().any(|word| condition.answered.iter().any(|wanted| wanted == word))
                }
            });
        let of_rules = ruled.iter().find(|answer| answer.criterion == criterion.key);
        let now = match of_rules {
            _ if hidden => Known::NotShown,
            Some(answer) => Known::Ruled(answer),
            None => Known::Nothing,
        };
        if !hidden && criterion.answered_by == who {
            asked.push(criterion);
        }
        known.insert(&criterion.key, (criterion, now));
    }
    asked
}

/// A criterion that nobody has answered.
fn open(criterion: &Criterion, verdict: Verdict, reason: Reason) -> Answer {
    Answer {
        criterion: criterion.key.clone(),
        claimed: verdict,
        verdict,
        given: Given::default(),
        worth: None,
        answered_by: criterion.answered_by,
        reason: Some(reason),
        carried_from: None,
        confidence: 0,
        rationale: String::new(),
        evidence: vec![],
    }
}

#[cfg(test)]
mod tests;
