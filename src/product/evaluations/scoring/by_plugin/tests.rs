//! What a plugin's scores and words become, and that it is called twice and no more.

use std::sync::Mutex;

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{BoundScorer, Case, Outcome, score_by, score_with},
    *,
};
use crate::{
    foundation::ids::EvaluationId,
    platform::plugins::{FULL_SCORE, Identity, ScoreInput, Scorer},
    product::evaluations::{
        questions::NOTHING,
        samples::{facts, transcript},
    },
    product::plugins::model::FailurePolicy,
};

fn material() -> Material {
    let choice = |key: &str, score: i32, fails: bool| json!({"key": key, "label": key, "score": score, "fails": fails});
    let plugin = |key: &str, answer: Value| json!({"key": key, "question": key, "answered_by": "plugin", "not_applicable": true, "answer": answer});
    let definition = serde_json::from_value(json!({"name": "S", "sections": [{"key": "s", "name": "S", "criteria": [
        plugin("kept", json!({"type": "yes_no", "yes": 100, "no": 40})),
        plugin("tone", json!({"type": "single_choice", "choices": [choice("good", 100, false), choice("fair", 60, false), choice("also_fair", 60, false), choice("rude", 0, true)]})),
        plugin("tags", json!({"type": "multiple_choice", "choices": [choice("a", 30, false), choice("b", 20, false)]})),
        plugin("offers", json!({"type": "number", "ranges": [{"key": "some", "from": 1, "score": 100}]})),
        plugin("words", json!({"type": "text"})),
        {"key": "greeted", "question": "Greeted?", "answered_by": "rule", "shown_when": {"criterion": "tone", "answered": ["rude"]},
         "rule": {"yes_when": {"phrase": {"any_of": ["good morning"]}}}}]}]}))
    .unwrap();
    assert_eq!(crate::product::scorecards::model::Definition::validate(&definition), Ok(()));
    Material {
        evaluation_id: EvaluationId(Uuid::from_u128(7)),
        assessed_at: DateTime::from_timestamp_millis(0).unwrap(),
        call: facts(),
        transcript: transcript(),
        metrics: vec![],
        scorecard: definition.for_plugins(1),
        definition,
        human: vec![],
    }
}

/// What a plugin says first, and everything that it was given.
struct Said {
    scores: Vec<(&'static str, u32, Option<bool>)>,
    words: Vec<(&'static str, &'static str)>,
    scores_again: Option<&'static str>,
    identity: Identity,
    given: Mutex<Vec<ScoreInput>>,
}

fn plugin(scores: &[(&'static str, u32, Option<bool>)], words: &[(&'static str, &'static str)]) -> Said {
    let identity =
        Identity { name: "theirs".into(), version: "1".into(), sha256: Some("00".repeat(32)), wit: None, engine: None };
    Said { scores: scores.to_vec(), words: words.to_vec(), scores_again: None, identity, given: Mutex::default() }
}

#[async_trait::async_trait]
impl Scorer for Said {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn score(&self, input: &ScoreInput) -> Result<ScoreOutput, PluginError> {
        let first = input.metadata.iter().any(|(key, _)| key == AWAITS);
        let score = |key: &str| {
            let said = self.scores.iter().find(|(said, _, _)| first && *said == key);
            let counts = input.answers.iter().any(|answer| answer.criterion == key && answer.worth.is_some());
            let again = !first && (counts || self.scores_again == Some(key));
            CriterionScore {
                key: key.to_owned(),
                score: said.map(|said| said.1).or(again.then_some(FULL_SCORE)),
                passed: said.map_or(again.then_some(true), |said| said.2),
                note: None,
            }
        };
        let words =
            self.words.iter().filter(|_| first).map(|(key, words)| (format!("{ANSWER}{key}"), (*words).to_owned()));
        let output = ScoreOutput {
            criteria: input.scorecard.criteria().map(|criterion| score(&criterion.key)).collect(),
            overall: Some(if first { 1 } else { 7_700 }),
            insights: vec![],
            metadata: words.collect(),
        };
        self.given.lock().unwrap().push(input.clone());
        Ok(output)
    }
}

/// All answers as `key verdict given worth reason`, and the overall score.
async fn answered(plugin: &Said) -> Result<(Vec<String>, Option<u32>), PluginError> {
    let material = material();
    let answers = Questions::of(&material.definition, &material.transcript, &[]).answers(NOTHING, &[]).unwrap();
    let input = material.score_input(&answers);
    let scored = score_by(plugin, &Case::of(&material, NOTHING, &answers, &input)).await?;
    let tell = |answer: &Answer| {
        let given = serde_json::to_value(&answer.given).unwrap();
        format!("{} {:?} {given} {:?} {:?}", answer.criterion, answer.verdict, answer.worth, answer.reason)
    };
    let answers = scored.answered.map(|own| own.answers).unwrap_or(answers);
    Ok((answers.iter().map(tell).collect(), scored.output.overall))
}

#[tokio::test]
async fn scores_and_words_become_answers_and_conditions_follow_them() {
    let plugin = plugin(
        &[("kept", 4_000, None), ("tone", 0, Some(false))],
        &[("tags", "b a"), ("offers", "3"), ("words", "Said so.")],
    );
    let (answers, overall) = answered(&plugin).await.unwrap();
    let expected = [
        r#"kept No {} Some(40) None"#,
        r#"tone No {"choices":["rude"]} Some(0) None"#,
        r#"tags Yes {"choices":["b","a"]} Some(50) None"#,
        r#"offers Yes {"number":3} Some(100) None"#,
        r#"words Answered {"text":"Said so."} None Some(Unscored)"#,
        r#"greeted Yes {} Some(100) None"#,
    ];
    assert_eq!(answers, expected);
    assert_eq!(overall, Some(7_700), "of the second call");
    let given = plugin.given.lock().unwrap();
    let waits: Vec<&str> =
        given[0].metadata.iter().filter(|(key, _)| key == AWAITS).map(|(_, criterion)| criterion.as_str()).collect();
    assert_eq!(waits, ["kept", "tone", "tags", "offers", "words"]);
    assert!(given[0].metadata.iter().any(|(_, value)| value.contains("also_fair")), "it is told what can be chosen");
    assert_eq!((given.len(), given[1].metadata.len()), (2, 0));
    assert_eq!(given[1].answers[0].verdict, Verdict::No, "its own answers are among them");
}

#[tokio::test]
async fn what_it_leaves_out_waits_for_a_person() {
    let (answers, _) = answered(&plugin(&[], &[("kept", "not_applicable")])).await.unwrap();
    assert_eq!(answers[0], "kept NotApplicable {} None Some(NotApplicable)");
    assert_eq!(answers[1], "tone Pending {} None Some(NoPluginAnswer)");
    assert_eq!(answers[5], "greeted NotApplicable {} None Some(NotShown)");
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failure() {
    for (scores, words, why) in [
        (vec![("kept", 7_000, None)], vec![], "does not say whether it passed"),
        (vec![("tone", 6_000, None)], vec![], "several of its choices"),
        (vec![("tone", 5_000, None)], vec![], "none of its choices"),
        (vec![("tone", 0, Some(true))], vec![], "none of its choices"),
        (vec![("offers", 10_000, Some(true))], vec![], "have to be named"),
        (vec![], vec![("kept", "perhaps")], "neither yes nor no"),
        (vec![], vec![("tone", "good rude")], "exactly one choice"),
        (vec![], vec![("tags", "c")], "none of the choices"),
        (vec![], vec![("offers", "3.5")], "no whole number"),
    ] {
        let failed = answered(&plugin(&scores, &words)).await;
        assert!(matches!(&failed, Err(PluginError::InvalidOutput(said)) if said.contains(why)), "{why}: {failed:?}");
    }
    let late = Said { scores_again: Some("tone"), ..plugin(&[], &[]) };
    assert!(matches!(answered(&late).await, Err(PluginError::InvalidOutput(_))), "it scores what it has not answered");
}

#[tokio::test]
async fn a_failure_falls_back_to_a_scorer_that_answers_nothing() {
    let material = material();
    let answers = Questions::of(&material.definition, &material.transcript, &[]).answers(NOTHING, &[]).unwrap();
    let input = material.score_input(&answers);
    let wrong = plugin(&[], &[("kept", "perhaps")]);
    let bound = BoundScorer { scorer: Ok(&wrong), policy: FailurePolicy::FallBack };
    let case = Case::of(&material, NOTHING, &answers, &input);
    let Ok(Outcome::Scored(scored)) = score_with(Some(bound), &case).await else { panic!() };
    assert_eq!((scored.answered, scored.output.overall), (None, None));
    assert!(scored.note.unwrap().contains("its answer to kept is neither yes nor no"));
    assert_eq!(answers[0].reason, Some(Reason::AwaitsPlugin), "which says that nobody has answered");
}
