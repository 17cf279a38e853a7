//! The receipt: digests of everything that went into a score, and the way to compute it again.
//!
//! Every digest is a SHA-256 over canonical JSON (`foundation/digest`), the raw answer's over its bytes. Nothing of the clock or of chance
//! goes into a score: a scorer's seed is made of the evaluation's id, and its time is the moment when the evidence was checked.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    answer::{self, AnswerError},
    conditions, evidence,
    model::{Answer, Utterance},
};
use crate::{
    foundation::{
        digest,
        ids::{BindingId, EvaluationId, ScorecardVersionId},
    },
    platform::plugins::{CallFacts, Identity, PluginError, Prompt, ScoreInput, ScoreOutput, Scorecard, Scorer},
    product::scorecards::model::Definition,
};

/// The receipt's own format.
pub const FORMAT: u32 = 1;

/// What went into an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`FORMAT`] when it was written.
    pub format: u32,
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

/// What went into the scores, and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// What is known once the model has answered.
pub struct Assessment<'a> {
    /// The transcript that was judged.
    pub transcript: &'a [Utterance],
    /// The scorecard version.
    pub scorecard_version_id: ScorecardVersionId,
    /// Its digest.
    pub scorecard_digest: &'a str,
    /// What was asked.
    pub prompt: &'a Prompt,
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
            transcript: transcript_digest(assessment.transcript),
            scorecard_version_id: assessment.scorecard_version_id,
            scorecard: assessment.scorecard_digest.to_owned(),
            prompt: prompt_digest(assessment.prompt),
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

    /// The receipt of the scored evaluation. `bound` is the binding and settings of the plugin that scored; none for the built-in scorer.
    #[must_use]
    pub fn scored(
        self,
        scorer: &Identity,
        bound: Option<(BindingId, &Value)>,
        input: &ScoreInput,
        output: &ScoreOutput,
    ) -> Self {
        let scoring = Scoring {
            scorer: scorer.clone(),
            binding_id: bound.map(|(binding_id, _)| binding_id),
            settings: bound.map(|(_, settings)| digest::of_json(settings)),
            input: digest::of_json(input),
            scores: digest::of_json(output),
            overall: output.overall,
        };
        Self { scoring: Some(scoring), ..self }
    }
}

/// Digest of a transcript: numbers, speakers, times and words.
pub fn transcript_digest(transcript: &[Utterance]) -> String {
    digest::of_json(&transcript)
}

/// Digest of what was asked: system and user message.
pub fn prompt_digest(prompt: &Prompt) -> String {
    digest::of_json(&[&prompt.system, &prompt.user])
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
            metadata: Vec::new(),
        }
    }
}

/// Why a score cannot be computed again.
#[derive(Debug, thiserror::Error)]
pub enum RecomputeError {
    /// The model's text is no answer.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The transcript cannot be searched.
    #[error(transparent)]
    Evidence(#[from] evidence::TooLarge),
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
    let answers = evidence::check(answer::parse(raw_answer, &material.scorecard)?, &material.transcript)?;
    let answers = conditions::apply(&material.definition, answers);
    let input = material.score_input(&answers);
    let output = scorer.score(&input).await?;
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
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::platform::plugins::{PromptBuilder, PromptInput};
    use crate::product::evaluations::{
        prompt::{BuiltIn as BuiltInPrompt, build_with},
        samples::{definition, facts, scorecard, transcript},
        scoring::BuiltIn,
    };

    fn material() -> Material {
        Material {
            evaluation_id: EvaluationId(Uuid::from_u128(7 << 64 | 42)),
            assessed_at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
            call: facts(),
            transcript: transcript(),
            metrics: vec![("longest_silence_ms".into(), 1_200)],
            scorecard: scorecard(),
            definition: definition(),
        }
    }

    fn raw_answer() -> String {
        let said = |verdict: &str, quote: &str| json!({"verdict": verdict, "confidence": 0.9, "rationale": "r", "evidence": [{"utterance": 1, "quote": quote}]});
        json!({"greeting": said("yes", "good morning"), "recap": said("yes", "invented"), "no_insult": said("yes", "how can i help")})
            .to_string()
    }

    async fn first_time(material: &Material, raw: &str) -> Receipt {
        let (call, utterances, scorecard) = (facts(), transcript(), scorecard());
        let input = PromptInput { call, utterances, scorecard, seed: 0, evaluated_at_ms: 0, metadata: vec![] };
        let built = build_with(None, &input).await.unwrap();
        let answers = evidence::check(answer::parse(raw, &material.scorecard).unwrap(), &material.transcript).unwrap();
        let receipt = Receipt::of(&Assessment {
            transcript: &material.transcript,
            scorecard_version_id: ScorecardVersionId(Uuid::from_u128(1)),
            scorecard_digest: "d",
            prompt: &built.prompt,
            prompt_builder: BuiltInPrompt.identity(),
            prompt_note: None,
            schema: &built.schema,
            provider: "openai",
            model: "m",
            raw_answer: raw,
            answers: &answers,
        });
        let input = material.score_input(&answers);
        let output = BuiltIn.score(&input).await.unwrap();
        receipt.scored(BuiltIn.identity(), None, &input, &output)
    }

    #[tokio::test]
    async fn the_same_material_gives_the_same_numbers() {
        let (material, raw) = (material(), raw_answer());
        let receipt = first_time(&material, &raw).await;
        // As it comes back from the database: as JSON, keys in another order.
        let stored = digest::canonical(&serde_json::to_value(&receipt).unwrap());
        let receipt: Receipt = serde_json::from_str(&stored).unwrap();
        let again = recompute(&receipt, &material, &raw, &BuiltIn, None).await.unwrap();
        assert_eq!(again.differences, Vec::<&str>::new());
        assert_eq!(again.output.overall, Some(10_000), "the invented quote leaves the denominator");
        assert_eq!(receipt.scoring.unwrap().overall, Some(10_000));
    }

    #[tokio::test]
    async fn a_change_anywhere_is_found() {
        let raw = raw_answer();
        let receipt = first_time(&material(), &raw).await;
        let changed = async |change: fn(&mut Material)| {
            let mut material = material();
            change(&mut material);
            recompute(&receipt, &material, &raw, &BuiltIn, None).await.unwrap().differences
        };
        assert_eq!(changed(|m| m.transcript[1].text.push('!')).await, ["transcript", "input"]);
        assert_eq!(
            changed(|m| m.transcript[0].text = "Good evening".into()).await,
            ["transcript", "answers", "input", "scores", "overall"]
        );
        assert_eq!(changed(|m| m.metrics[0].1 += 1).await, ["input"]);
        assert_eq!(changed(|m| m.scorecard.sections[0].weight += 1).await, ["input"]);
        let other = raw.replace("0.9", "0.8");
        let found = recompute(&receipt, &material(), &other, &BuiltIn, None).await.unwrap().differences;
        assert_eq!(found, ["raw_answer", "answers", "input"]);
        let settings = json!({"deduct": 5});
        let found = recompute(&receipt, &material(), &raw, &BuiltIn, Some(&settings)).await.unwrap().differences;
        assert_eq!(found, ["settings"]);
    }
}
