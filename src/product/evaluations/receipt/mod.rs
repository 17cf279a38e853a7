//! The receipt: digests of everything that went into a score, and the way to compute it again.
//!
//! Every digest is a SHA-256 over canonical JSON (`foundation/digest`), the raw answer's over its bytes. Nothing of the clock or of chance
//! goes into a score: a scorer's seed is made of the evaluation's id, and its time is the moment when the evidence was checked.
//!
//! [`keys`] sign a receipt once it is scored; a [`bundle`] is a receipt with all that it was made of, which [`verify`] computes again, in the
//! server or far from it. docs/RECEIPTS.md is the format for third parties.

pub mod api;
pub mod bundle;
pub mod keys;
mod outcome;
pub mod reading;
pub mod verify;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    model::{Answer, Insight, RevisionCause, Utterance},
    parts::Span,
    questions::{HumanAnswer, Questions, Unusable},
    scoring::{self, Case, by_plugin},
};
use crate::{
    foundation::{
        digest,
        ids::{BindingId, EvaluationId, OrganizationId, ReceiptKeyId, RescoreId, ScorecardVersionId},
    },
    platform::plugins::{CallFacts, Identity, PluginError, Prompt, ScoreInput, ScoreOutput, Scorecard, Scorer},
    product::scorecards::model::{Definition, ScorecardVersion},
};

/// The receipt's own format.
pub const FORMAT: u32 = 2;

/// What went into an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// Which evaluation this is; none in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// The key that signs it; none when it is unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<ReceiptKeyId>,
    /// Digest of the transcript.
    pub transcript: String,
    /// The scorecard version.
    pub scorecard_version_id: ScorecardVersionId,
    /// Digest of the scorecard version's definition.
    pub scorecard: String,
    /// Digest of system and user message.
    pub prompt: String,
    /// Who built the prompt.
    pub prompt_builder: Identity,
    /// Why another builder than the bound one.
    pub prompt_note: Option<String>,
    /// Digest of the answer's schema.
    pub schema: String,
    /// Who was asked.
    pub provider: String,
    /// The model that answered.
    pub model: String,
    /// Digest of the model's text.
    pub raw_answer: String,
    /// Digest of the answers with their checked evidence.
    pub answers: String,
    /// The scoring, once it is done.
    pub scoring: Option<Scoring>,
    /// Whether this is the receipt of a masked copy: the digests of what was masked are zeros, and nothing can be computed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
}

/// Which evaluation a receipt is about, and the circumstances under which it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The evaluation. The random half of its id is the scorer's seed.
    pub evaluation_id: EvaluationId,
    /// The organization that owns the call.
    pub organization_id: OrganizationId,
    /// Which of the call's evaluations, from 1.
    pub revision: i32,
    /// Why there is this revision.
    pub cause: RevisionCause,
    /// The revision before.
    pub replaces: Option<EvaluationId>,
    /// The re-score that it is a part of.
    pub rescore_id: Option<RescoreId>,
    /// The call as a whole, as prompt builder and scorer were told of it.
    pub call: CallFacts,
    /// SHA-256 of the recording; none for a written conversation.
    pub audio: Option<String>,
    /// Which version of the transcript, from 1.
    pub transcript_version: i32,
    /// Digest of what the redaction replaced where, and by which of its rules; the transcript's digest is of the text that came of it.
    pub redaction: String,
    /// Digest of the conversation metrics.
    pub metrics: String,
    /// The evaluation for which the language model was asked: another one where its answers were used again.
    pub asked_in: EvaluationId,
    /// When it was asked: the prompt builder's clock.
    pub asked_at_ms: i64,
    /// The criteria that it was asked about; none when it was all of them.
    pub asked: Option<Vec<String>>,
    /// The parts of the conversation that it was asked about one by one; none when it was asked about the whole at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Span>,
    /// The criteria whose stored answers were used again, and where they were given.
    pub reused: Option<Reused>,
    /// The plugin that built the prompt.
    pub prompt_binding_id: Option<BindingId>,
    /// Digest of that plugin's settings.
    pub prompt_settings: Option<String>,
    /// What besides the question decided the answer: the model that was asked, temperature, seed, most tokens.
    pub parameters: Value,
    /// Digest of what people answered, who they were and when; none when nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human_answers: Option<String>,
    /// When the evidence was checked: the scorer's clock.
    pub assessed_at_ms: i64,
}

/// Answers that were used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reused {
    /// The evaluation that they were given in.
    pub evaluation_id: EvaluationId,
    /// The criteria.
    pub criteria: Vec<String>,
}

/// What went into the scores, and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// Who scored: name, version, and for a plugin its digest, contract and engine.
    pub scorer: Identity,
    /// The organization's binding of the plugin that scored.
    pub binding_id: Option<BindingId>,
    /// Digest of the plugin's settings.
    pub settings: Option<String>,
    /// Digest of everything that the scorer was given.
    pub input: String,
    /// Digest of everything that it returned.
    pub scores: String,
    /// The overall score in hundredths.
    pub overall: Option<u32>,
    /// Digest of the findings.
    pub insights: String,
}

/// What is known once the model has answered.
pub struct Assessment<'a> {
    /// Which evaluation, under which circumstances.
    pub about: About,
    /// The transcript that was judged.
    pub transcript: &'a [Utterance],
    /// The scorecard version.
    pub scorecard_version_id: ScorecardVersionId,
    /// Its digest.
    pub scorecard_digest: &'a str,
    /// What was asked: one prompt, or one for each part of the conversation.
    pub prompts: &'a [Prompt],
    /// Who built the prompt.
    pub prompt_builder: &'a Identity,
    /// Why another builder than the bound one.
    pub prompt_note: Option<&'a str>,
    /// The answer's schema.
    pub schema: &'a Value,
    /// Who was asked.
    pub provider: &'a str,
    /// The model that answered.
    pub model: &'a str,
    /// Its text.
    pub raw_answer: &'a str,
    /// The answers with their checked evidence.
    pub answers: &'a [Answer],
}

impl Receipt {
    /// The receipt of an evaluation that is not scored yet.
    pub fn of(assessment: &Assessment<'_>) -> Self {
        Self {
            format: FORMAT,
            about: Some(assessment.about.clone()),
            signed_by: None,
            transcript: transcript_digest(assessment.transcript),
            scorecard_version_id: assessment.scorecard_version_id,
            scorecard: assessment.scorecard_digest.to_owned(),
            prompt: prompt_digest(assessment.prompts),
            prompt_builder: assessment.prompt_builder.clone(),
            prompt_note: assessment.prompt_note.map(str::to_owned),
            schema: digest::of_json(assessment.schema),
            provider: assessment.provider.to_owned(),
            model: assessment.model.to_owned(),
            raw_answer: digest::of_bytes(assessment.raw_answer.as_bytes()),
            answers: digest::of_json(&assessment.answers),
            scoring: None,
            masked: false,
        }
    }

    /// The receipt of the scored evaluation. `bound` is the binding and settings of the plugin that scored; none for the built-in scorer. `answers`
    /// are all of them, a plugin's own as well.
    #[must_use]
    pub fn scored(
        self,
        scorer: &Identity,
        bound: Option<(BindingId, &Value)>,
        answers: &[Answer],
        input: &ScoreInput,
        output: &ScoreOutput,
        insights: &[Insight],
    ) -> Self {
        let scoring = Scoring {
            scorer: scorer.clone(),
            binding_id: bound.map(|(binding_id, _)| binding_id),
            settings: bound.map(|(_, settings)| digest::of_json(settings)),
            input: digest::of_json(input),
            scores: digest::of_json(output),
            overall: output.overall,
            insights: digest::of_json(&insights),
        };
        Self { answers: digest::of_json(&answers), scoring: Some(scoring), ..self }
    }

    /// The receipt of stored answers that are judged by another version, without anything asked. Who was asked what stays as it was.
    #[must_use]
    pub fn judged_anew(&self, about: About, version: &ScorecardVersion, raw_answer: &str, answers: &[Answer]) -> Self {
        Self {
            about: Some(about),
            signed_by: None,
            scorecard_version_id: version.scorecard_version_id,
            scorecard: version.digest.clone(),
            raw_answer: digest::of_bytes(raw_answer.as_bytes()),
            answers: digest::of_json(&answers),
            scoring: None,
            ..self.clone()
        }
    }

    /// The receipt as it is signed: its canonical JSON.
    pub fn payload(&self) -> String {
        digest::canonical(&serde_json::to_value(self).expect("maps of the product have string keys"))
    }
}

/// Digest of a transcript: numbers, speakers, times and words.
pub fn transcript_digest(transcript: &[Utterance]) -> String {
    digest::of_json(&transcript)
}

/// Leaves of a scorecard what has these keys.
pub fn only(scorecard: &mut Scorecard, keys: &[String]) {
    for section in &mut scorecard.sections {
        section.criteria.retain(|criterion| keys.contains(&criterion.key));
    }
    scorecard.sections.retain(|section| !section.criteria.is_empty());
}

/// Digest of conversation metrics: the whole numbers among them, sorted by key.
pub fn metrics_digest(metrics: &[(String, i64)]) -> String {
    digest::of_json(&metrics)
}

/// Digest of what people answered; none when nobody did.
pub fn human_digest(human: &[HumanAnswer]) -> Option<String> {
    (!human.is_empty()).then(|| digest::of_json(&human))
}

/// Digest of what was asked: system and user message, or the list of those of all parts.
pub fn prompt_digest(prompts: &[Prompt]) -> String {
    match prompts {
        [prompt] => digest::of_json(&[&prompt.system, &prompt.user]),
        prompts => digest::of_json(&prompts.iter().map(|prompt| [&prompt.system, &prompt.user]).collect::<Vec<_>>()),
    }
}

/// Everything that a score is made of, besides the scorer.
#[derive(Clone, Debug)]
pub struct Material {
    /// The evaluation: its id is the scorer's seed.
    pub evaluation_id: EvaluationId,
    /// When the evidence was checked: the scorer's clock.
    pub assessed_at: DateTime<Utc>,
    /// The conversation as a whole.
    pub call: CallFacts,
    /// The transcript.
    pub transcript: Vec<Utterance>,
    /// Conversation metrics.
    pub metrics: Vec<(String, i64)>,
    /// The scorecard version.
    pub scorecard: Scorecard,
    /// Its definition.
    pub definition: Definition,
    /// What people answered.
    pub human: Vec<HumanAnswer>,
}

impl Material {
    /// What the scorer is given.
    pub fn score_input(&self, answers: &[Answer]) -> ScoreInput {
        ScoreInput {
            call: self.call.clone(),
            utterances: self.transcript.clone(),
            metrics: self.metrics.clone(),
            scorecard: self.scorecard.clone(),
            answers: answers.iter().map(Answer::for_plugins).collect(),
            // The random half of a UUIDv7.
            seed: self.evaluation_id.0.as_u64_pair().1,
            evaluated_at_ms: self.assessed_at.timestamp_millis(),
            metadata: by_plugin::metadata(self, answers),
        }
    }
}

/// Why a score cannot be computed again.
#[derive(Debug, thiserror::Error)]
pub enum RecomputeError {
    /// The model's text is no answer, or the transcript cannot be searched.
    #[error(transparent)]
    Answers(#[from] Unusable),
    /// The scorer failed.
    #[error(transparent)]
    Scorer(#[from] PluginError),
}

/// A score computed again from the model's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// The answers with their checked evidence.
    pub answers: Vec<Answer>,
    /// The scores.
    pub output: ScoreOutput,
    /// What is not as the receipt says; empty when everything is.
    pub differences: Vec<&'static str>,
}

/// Computes a score again: parse, evidence, scorer, in the same way as the first time, and compares every digest on the way.
/// Equal material and an equal scorer give equal numbers. `settings` are those of the plugin behind `scorer`.
///
/// # Errors
/// [`RecomputeError`] when a step fails that once worked.
pub async fn recompute(
    receipt: &Receipt,
    material: &Material,
    raw_answer: &str,
    scorer: &dyn Scorer,
    settings: Option<&Value>,
) -> Result<Recomputed, RecomputeError> {
    let questions = Questions::of(&material.definition, &material.transcript, &material.metrics);
    let answers = questions.answers(raw_answer, &material.human)?;
    let input = material.score_input(&answers);
    let scored = scoring::score_by(scorer, &Case::of(material, raw_answer, &answers, &input)).await?;
    let (answers, input) = scored.answered.map_or((answers, input), |answered| (answered.answers, answered.input));
    let output = scored.output;
    let scoring = receipt.scoring.as_ref();
    let scored = |digest: fn(&Scoring) -> &String, now: String| scoring.is_some_and(|scoring| *digest(scoring) == now);
    let checks = [
        ("transcript", receipt.transcript == transcript_digest(&material.transcript)),
        ("raw_answer", receipt.raw_answer == digest::of_bytes(raw_answer.as_bytes())),
        ("answers", receipt.answers == digest::of_json(&answers)),
        ("scorer", scoring.is_some_and(|scoring| scoring.scorer == *scorer.identity())),
        ("settings", scoring.is_some_and(|scoring| scoring.settings == settings.map(digest::of_json))),
        ("input", scored(|scoring| &scoring.input, digest::of_json(&input))),
        ("scores", scored(|scoring| &scoring.scores, digest::of_json(&output))),
        ("overall", scoring.is_some_and(|scoring| scoring.overall == output.overall)),
    ];
    let differences = checks.into_iter().filter(|(_, same)| !same).map(|(what, _)| what).collect();
    Ok(Recomputed { answers, output, differences })
}

#[cfg(test)]
mod tests;
