//! The receipt's digests: the same material gives the same numbers, and a change anywhere is found.

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
        human: vec![],
    }
}

fn raw_answer() -> String {
    let said = |verdict: &str, quote: &str| json!({"verdict": verdict, "confidence": 0.9, "rationale": "r", "evidence": [{"utterance": 1, "quote": quote}]});
    json!({"greeting": said("yes", "good morning how"), "recap": said("yes", "invented"), "no_insult": said("yes", "how can i help")})
        .to_string()
}

fn about(material: &Material) -> About {
    About {
        evaluation_id: material.evaluation_id,
        organization_id: OrganizationId(Uuid::from_u128(3)),
        revision: 1,
        cause: RevisionCause::First,
        replaces: None,
        rescore_id: None,
        call: material.call.clone(),
        audio: None,
        transcript_version: 1,
        redaction: crate::product::calls::redaction::digest(&[]),
        metrics: metrics_digest(&material.metrics),
        asked_in: material.evaluation_id,
        asked_at_ms: 0,
        asked: None,
        parts: vec![],
        reused: None,
        prompt_binding_id: None,
        prompt_settings: None,
        parameters: json!({"model": "m"}),
        human_answers: None,
        assessed_at_ms: material.assessed_at.timestamp_millis(),
    }
}

async fn first_time(material: &Material, raw: &str) -> Receipt {
    let (call, utterances, scorecard) = (facts(), transcript(), scorecard());
    let input = PromptInput { call, utterances, scorecard, seed: 0, evaluated_at_ms: 0, metadata: vec![] };
    let built = build_with(None, &input, &material.definition.criteria().collect::<Vec<_>>(), 100_000).await.unwrap();
    let answers =
        Questions::of(&material.definition, &material.transcript, &material.metrics).answers(raw, &[]).unwrap();
    let receipt = Receipt::of(&Assessment {
        about: about(material),
        transcript: &material.transcript,
        scorecard_version_id: ScorecardVersionId(Uuid::from_u128(1)),
        scorecard_digest: "d",
        prompts: &built.prompts,
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
    receipt.scored(BuiltIn.identity(), None, &answers, &input, &output, &[])
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
