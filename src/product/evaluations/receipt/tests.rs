//! The receipt's digests: the same material gives the same numbers, and a change anywhere is found.

use serde_json::json;
use uuid::Uuid;

use super::*;
use super::{
    bundle::{Bundle, KIND},
    verify::{Believed, Finding, Provided, verify},
};
use crate::{
    platform::plugins::{PromptBuilder, PromptInput, Scorer},
    product::{
        calls::redaction::{self, Replaced},
        evaluations::{
            insights,
            prompt::{self, BuiltIn as BuiltInPrompt},
            questions::{Questions, READER},
            samples::{definition, facts, transcript},
            scoring::BuiltIn,
        },
    },
};

fn material() -> Material {
    Material {
        evaluation_id: EvaluationId(Uuid::from_u128(7 << 64 | 42)),
        assessed_at: DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
        call: facts(),
        transcript: transcript(),
        metrics: vec![("longest_silence_ms".into(), 1_200)],
        scorecard: definition().for_plugins(1),
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
        redaction: redaction::digest(&[]),
        metrics: metrics_digest(&material.metrics),
        asked_in: material.evaluation_id,
        asked_at_ms: 0,
        asked: None,
        parts: vec![],
        reused: None,
        prompt_binding_id: None,
        prompt_settings: None,
        parameters: json!({"model": "m"}),
        reader: READER.to_owned(),
        human_answers: None,
        assessed_at_ms: material.assessed_at.timestamp_millis(),
    }
}

async fn first_time(material: &Material, raw: &str) -> Receipt {
    let asked: Vec<_> = material.definition.criteria().collect();
    let input = PromptInput {
        call: facts(),
        utterances: transcript(),
        scorecard: material.scorecard.clone(),
        seed: material.evaluation_id.0.as_u64_pair().1,
        evaluated_at_ms: 0,
        metadata: prompt::metadata(&asked),
    };
    let built = prompt::build_parts(None, &input, &asked, &[]).await.unwrap();
    let answers =
        Questions::of(&material.definition, &material.transcript, &material.metrics).answers(raw, &[]).unwrap();
    let receipt = Receipt::of(&Assessment {
        about: about(material),
        transcript: &material.transcript,
        scorecard_version_id: ScorecardVersionId(Uuid::from_u128(1)),
        scorecard_digest: &material.definition.digest(),
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
    let mut found = insights::of(&input.scorecard, &answers, &output);
    found.extend(insights::of_voices(&input.utterances));
    receipt.scored((BuiltIn.identity(), None), None, &answers, &input, &output, &found)
}

/// The bundle of that receipt, which nobody signed.
fn bundle(receipt: &Receipt, raw: &str) -> Bundle {
    Bundle {
        kind: KIND.to_owned(),
        receipt: receipt.clone().signed(None),
        transcript: transcript(),
        redaction: Replaced::of_digest(vec![], &redaction::digest(&[])),
        metrics: material().metrics,
        scorecard: definition(),
        scorecard_version: 1,
        raw_answer: raw.to_owned(),
        human_answers: vec![],
        scorer_settings: None,
        prompt_settings: None,
    }
}

/// What comes of computing the bundle again: the verdict, and the parts that differ.
async fn found(bundle: &Bundle, receipt: &Receipt) -> (Finding, Vec<&'static str>) {
    let believed = Believed { unsigned: true, ..Believed::default() };
    let report = verify(bundle, receipt, &Provided { believed, ..Provided::default() }).await;
    let differs = report.parts.iter().filter(|part| part.finding == Finding::Differs).map(|part| part.part).collect();
    (report.verdict(), differs)
}

#[tokio::test]
async fn the_same_material_gives_the_same_numbers() {
    let raw = raw_answer();
    let receipt = first_time(&material(), &raw).await;
    // As it comes back from the database: as JSON, keys in another order.
    let stored = digest::canonical(&serde_json::to_value(&receipt).unwrap());
    let receipt: Receipt = serde_json::from_str(&stored).unwrap();
    assert_eq!(found(&bundle(&receipt, &raw), &receipt).await, (Finding::Same, vec![]));
    let unsigned = verify(&bundle(&receipt, &raw), &receipt, &Provided::default()).await;
    assert_eq!(unsigned.verdict(), Finding::CannotBeComputed, "nobody vouches for it");
    assert_eq!(unsigned.output.unwrap().overall, Some(10_000), "the invented quote leaves the denominator");
    assert_eq!(receipt.scoring.unwrap().overall, Some(10_000));
}

#[tokio::test]
async fn a_change_anywhere_is_found() {
    let raw = raw_answer();
    let receipt = first_time(&material(), &raw).await;
    let changed = async |change: fn(&mut Bundle)| {
        let mut bundle = bundle(&receipt, &raw);
        change(&mut bundle);
        found(&bundle, &receipt).await.1
    };
    assert_eq!(changed(|b| b.transcript[1].text.push('!')).await, ["transcript", "prompt", "input"]);
    assert_eq!(
        changed(|b| b.transcript[0].text = "Good evening".into()).await,
        ["transcript", "prompt", "answers", "input", "scores", "overall", "insights"]
    );
    assert_eq!(changed(|b| b.metrics[0].1 += 1).await, ["metrics", "input"]);
    assert_eq!(
        changed(|b| b.raw_answer = b.raw_answer.replace("0.9", "0.8")).await,
        ["raw_answer", "answers", "input"]
    );
    assert_eq!(changed(|b| b.scorer_settings = Some(json!({"deduct": 5}))).await, ["settings"]);
}

#[tokio::test]
async fn answers_that_another_version_read_are_not_called_changed() {
    let raw = raw_answer();
    let mut receipt = first_time(&material(), &raw).await;
    receipt.answers = "0".repeat(64);
    if let Some(scoring) = &mut receipt.scoring {
        (scoring.input, scoring.scores, scoring.overall) = ("1".repeat(64), "2".repeat(64), Some(9_000));
    }
    let of_this = found(&bundle(&receipt, &raw), &receipt).await;
    assert_eq!(of_this, (Finding::Differs, vec!["answers", "input", "scores", "overall"]));
    if let Some(about) = &mut receipt.about {
        about.reader = "answers 0.9.0".to_owned();
    }
    assert_eq!(found(&bundle(&receipt, &raw), &receipt).await, (Finding::CannotBeComputed, vec![]));
    // What does not depend on the reader is held against the receipt all the same.
    let mut changed = bundle(&receipt, &raw);
    changed.metrics[0].1 += 1;
    assert_eq!(found(&changed, &receipt).await, (Finding::Differs, vec!["metrics"]));
}
