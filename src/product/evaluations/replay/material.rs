//! What a version is tried on: a stored call, a pasted conversation, or what a receipt was made of.

use serde_json::Value;

use super::{Of, Pasted, ReplayError, Replays};
use crate::{
    foundation::{
        access::Grant,
        ids::{CallId, EvaluationId},
    },
    platform::plugins::{CallFacts, CriterionScore, PromptInput, Utterance},
    product::{
        calls::{
            metrics::measure,
            redaction::{Company, redact, redact_note},
            written,
        },
        evaluations::{
            beside,
            model::{Answer, EvaluationStatus, speaker_of},
            parts::Span,
            prompt, questions,
            receipt::{Material, Receipt, bundle::Bundle, verify},
            store,
        },
        plugins::runs::Mark,
        scorecards::model::{Criterion, ScorecardVersion},
    },
};

/// What a scorer is given, and what counts so far.
pub(super) struct ToScore {
    pub(super) of: Of,
    pub(super) material: Material,
    pub(super) raw_answer: String,
    pub(super) answers: Vec<Answer>,
    /// What counts, with its criteria.
    pub(super) counted: Option<(Mark, Vec<CriterionScore>)>,
}

/// What a prompt builder is given.
pub(super) struct Asked {
    pub(super) of: Of,
    pub(super) input: PromptInput,
    pub(super) criteria: Vec<Criterion>,
    /// The parts that were asked about, and the digest of what was asked; none where nothing was.
    pub(super) then: Option<(Vec<Span>, String)>,
}

impl Replays {
    /// A stored call, with the answers of its newest evaluation.
    pub(super) async fn stored(&self, grant: &Grant, call_id: CallId) -> Result<ToScore, ReplayError> {
        let on = self.db.alone(grant);
        let Some(found) = store::load_for_score(&on, call_id).await? else {
            store::load_for_assess(&on, call_id).await?.ok_or(ReplayError::NoCall)?;
            return Err(ReplayError::NothingToScore);
        };
        if found.is_outdated() {
            return Err(ReplayError::NothingToScore);
        }
        let counted = match found.status {
            EvaluationStatus::Evaluated => Some(self.counted(grant, found.evaluation_id).await?),
            _ => None,
        };
        let material = found.material();
        let (organization_id, evaluation_id) = (found.call.organization_id, Some(found.evaluation_id));
        let of = Of { organization_id, call_id: Some(call_id), evaluation_id };
        // Of the text that is stored: what a plugin answered, it answers anew.
        let definition = &material.definition;
        let questions = beside::questions(definition, &material.transcript, &material.metrics).await;
        let answers = beside::answers(&questions, &found.raw_answer, &material.human).await;
        let answers = answers.map_err(|_| ReplayError::NothingToScore)?;
        Ok(ToScore { of, material, raw_answer: found.raw_answer, answers, counted })
    }

    /// A conversation that is stored nowhere. Guests see it as they see every other: without personal data.
    pub(super) async fn pasted(
        &self,
        grant: &Grant,
        pasted: Pasted,
        company: &Company,
    ) -> Result<ToScore, ReplayError> {
        let (version, material) = self.material(grant, &pasted, company).await?;
        let raw_answer = without_personal_data(pasted.answers).to_string();
        let questions = beside::questions(&version.definition, &material.transcript, &material.metrics).await;
        let answers = beside::answers(&questions, &raw_answer, &[]).await;
        let answers = answers.map_err(|error| ReplayError::Invalid { field: "answers", reason: error.to_string() })?;
        let of = Of { organization_id: version.organization_id, call_id: None, evaluation_id: None };
        Ok(ToScore { of, material, raw_answer, answers, counted: None })
    }

    /// What a receipt was made of.
    pub(super) async fn replayed(
        &self,
        grant: &Grant,
        id: EvaluationId,
        bundle: &Bundle,
        receipt: &Receipt,
    ) -> Result<ToScore, ReplayError> {
        let about = receipt.about.as_ref().ok_or(ReplayError::NotReplayable)?;
        let material = verify::material_of(bundle, about).ok_or(ReplayError::NotReplayable)?;
        let answers = verify::answers(bundle).map_err(|_| ReplayError::NotReplayable)?;
        let counted = Some(self.counted(grant, id).await?);
        let call_id = about.call.id.parse().ok();
        let of = Of { organization_id: about.organization_id, call_id, evaluation_id: Some(id) };
        Ok(ToScore { of, material, raw_answer: bundle.raw_answer.clone(), answers, counted })
    }

    /// What a prompt of a stored call is made of.
    pub(super) async fn stored_question(&self, grant: &Grant, call_id: CallId) -> Result<Asked, ReplayError> {
        let found = store::load_for_assess(&self.db.alone(grant), call_id).await?.ok_or(ReplayError::NoCall)?;
        let scorecard = found.scorecard.as_ref().ok_or(ReplayError::NothingToAsk)?;
        let (call, definition) = (&found.call, &scorecard.definition);
        let questions = beside::questions(definition, &call.utterances, &call.metrics).await;
        let input = found.prompt_input(scorecard, questions.asked(), EvaluationId(uuid::Uuid::nil()), self.clock.now());
        let of = Of { organization_id: call.organization_id, call_id: Some(call_id), evaluation_id: None };
        asked(of, input, questions.asked(), None)
    }

    /// What a prompt of a pasted conversation is made of.
    pub(super) async fn pasted_question(
        &self,
        grant: &Grant,
        pasted: Pasted,
        company: &Company,
    ) -> Result<Asked, ReplayError> {
        let (version, material) = self.material(grant, &pasted, company).await?;
        let questions = beside::questions(&version.definition, &material.transcript, &material.metrics).await;
        let input = PromptInput {
            call: material.call.clone(),
            utterances: material.transcript.clone(),
            scorecard: questions::only(material.scorecard.clone(), questions.asked()),
            seed: 0,
            evaluated_at_ms: material.assessed_at.timestamp_millis(),
            metadata: prompt::metadata(questions.asked()),
        };
        let of = Of { organization_id: version.organization_id, call_id: None, evaluation_id: None };
        asked(of, input, questions.asked(), None)
    }

    async fn material(
        &self,
        grant: &Grant,
        pasted: &Pasted,
        company: &Company,
    ) -> Result<(ScorecardVersion, Material), ReplayError> {
        written::check(&pasted.utterances)?;
        let version = self.scorecards.side(grant, pasted.scorecard, pasted.side).await?;
        let details = &pasted.details;
        if version.organization_id != details.organization_id {
            let reason = "is another one than the scorecard's".to_owned();
            return Err(ReplayError::Invalid { field: "conversation.organization_id", reason });
        }
        let texts = redact(&pasted.utterances, &[], company).texts;
        let ms = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        let turn = |(turn, text): (&crate::product::calls::model::Utterance, String)| Utterance {
            n: turn.n.unsigned_abs(),
            speaker: speaker_of(turn.speaker.as_str()),
            start_ms: ms(turn.start_ms),
            end_ms: ms(turn.end_ms),
            text,
        };
        let material = Material {
            evaluation_id: EvaluationId(uuid::Uuid::nil()),
            assessed_at: self.clock.now(),
            call: CallFacts {
                id: uuid::Uuid::nil().to_string(),
                channel: details.channel.to_string(),
                language: details.language.clone().unwrap_or_else(|| "und".to_owned()),
                started_at_ms: details.started_at.map(|at| at.timestamp_millis()),
                duration_ms: pasted.utterances.iter().filter_map(|turn| ms(turn.end_ms)).max(),
            },
            transcript: pasted.utterances.iter().zip(texts).map(turn).collect(),
            metrics: store::metrics(serde_json::to_value(measure(&pasted.utterances)).ok()),
            scorecard: version.for_plugins(),
            definition: version.definition.clone(),
            human: vec![],
        };
        Ok((version, material))
    }

    async fn counted(&self, grant: &Grant, id: EvaluationId) -> Result<(Mark, Vec<CriterionScore>), ReplayError> {
        let found = self.evaluations.get(grant, id).await?;
        Ok((Mark { overall: found.summary.overall, passed: found.summary.passed }, found.scores))
    }
}

/// What the prompt of a receipt was made of.
pub(super) fn replayed_question(bundle: &Bundle, receipt: &Receipt) -> Result<Asked, ReplayError> {
    let about = receipt.about.as_ref().ok_or(ReplayError::NotReplayable)?;
    let (input, criteria) = verify::prompt_input(bundle, about);
    let of = Of {
        organization_id: about.organization_id,
        call_id: about.call.id.parse().ok(),
        evaluation_id: Some(about.evaluation_id),
    };
    asked(of, input, &criteria, Some((about.parts.clone(), receipt.prompt.clone())))
}

fn asked(
    of: Of,
    input: PromptInput,
    criteria: &[&Criterion],
    then: Option<(Vec<Span>, String)>,
) -> Result<Asked, ReplayError> {
    if criteria.is_empty() || input.utterances.is_empty() {
        return Err(ReplayError::NothingToAsk);
    }
    Ok(Asked { of, input, criteria: criteria.iter().map(|&criterion| criterion.clone()).collect(), then })
}

/// Pasted answers as a guest may see them: what people say in them in their own words is redacted like a note.
fn without_personal_data(answers: Value) -> Value {
    match answers {
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(words) if key == "rationale" || key == "text" => {
                    (key, Value::String(redact_note(&words)))
                }
                other => (key, without_personal_data(other)),
            })
            .collect(),
        other => other,
    }
}
