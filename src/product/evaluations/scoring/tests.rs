use super::*;
use crate::product::evaluations::samples::{score_input, scorecard};
use Verdict::{No, NotApplicable, Unverified, Yes};

async fn overall(verdicts: [Verdict; 3]) -> Option<u32> {
    BuiltIn.score(&score_input(verdicts)).await.unwrap().overall
}

#[tokio::test]
async fn the_built_in_scorer_is_the_arithmetic() {
    assert_eq!(overall([Yes, Yes, Yes]).await, Some(10_000));
    assert_eq!(overall([Yes, No, Yes]).await, Some(9_167), "(2/3 + 3) / 4");
    assert_eq!(overall([No, NotApplicable, Yes]).await, Some(7_500));
    assert_eq!(overall([No, Unverified, Yes]).await, Some(7_500), "unverified leaves the denominator");
    assert_eq!(overall([Yes, Yes, No]).await, Some(0), "fails the evaluation");
    assert_eq!(overall([Unverified, Unverified, Unverified]).await, None);
    let mut unanswered = score_input([Yes, Yes, Yes]);
    unanswered.answers.remove(1);
    let output = BuiltIn.score(&unanswered).await.unwrap();
    assert_eq!((output.criteria[1].score, output.overall), (None, Some(10_000)));
}

fn worth(mut input: ScoreInput, worths: [Option<i32>; 3]) -> ScoreInput {
    for (answer, worth) in input.answers.iter_mut().zip(worths) {
        answer.worth = worth;
    }
    input
}

#[tokio::test]
async fn answers_count_with_what_they_are_worth() {
    let input = worth(score_input([Yes, No, Yes]), [Some(50), Some(-100), Some(100)]);
    let output = BuiltIn.score(&input).await.unwrap();
    let shown: Vec<_> = output.criteria.iter().map(|score| (score.score, score.passed)).collect();
    assert_eq!(shown, [(Some(5_000), Some(true)), (Some(0), Some(false)), (Some(10_000), Some(true))]);
    assert_eq!(output.criteria[1].note.as_deref(), Some("Takes 100 % of its share away."));
    assert_eq!(output.overall, Some(7_500), "(2·0.5 − 1) / 3 = 0, and 3/4 of 1");
    let unscored = worth(score_input([Yes, Verdict::Answered, Yes]), [Some(50), None, None]);
    let output = BuiltIn.score(&unscored).await.unwrap();
    assert_eq!((output.overall, output.criteria[2].passed), (Some(5_000), None), "what has no worth does not count");
}

#[tokio::test]
async fn points_are_counted_over_the_most_that_there_can_be() {
    let mut input = worth(score_input([Yes, Yes, Yes]), [Some(2), Some(-1), Some(1)]);
    input.scorecard.points = true; // of 2, 1 and 1
    let output = BuiltIn.score(&input).await.unwrap();
    assert_eq!(output.overall, Some(5_000), "1 of 3 and 1 of 1 points");
    assert_eq!(output.criteria[1].note.as_deref(), Some("Takes 1 points away."));
    let sections = arithmetic::score(&marks_of_answers(
        &input.scorecard,
        &input
            .answers
            .iter()
            .map(|answer| (answer.criterion.as_str(), Said { verdict: answer.verdict, worth: answer.worth }))
            .collect(),
    ));
    assert_eq!(sections.sections, [Some(3_333), Some(10_000)]);
}

#[tokio::test]
async fn a_call_passes_at_the_pass_mark() {
    let definition = |pass_mark| Definition { pass_mark, ..crate::product::evaluations::samples::definition() };
    let with = async |verdicts, mark| {
        let output = BuiltIn.score(&score_input(verdicts)).await.unwrap();
        passed(&definition(Some(mark)), &output)
    };
    assert_eq!(with([Yes, No, Yes], 91).await, Some(true), "91.67");
    assert_eq!(with([Yes, No, Yes], 92).await, Some(false));
    assert_eq!(with([Yes, Yes, Yes], 100).await, Some(true));
    assert_eq!(with([Yes, Yes, No], 0).await, Some(false), "it fails the evaluation, whatever the mark");
    assert_eq!(with([No, No, Yes], 0).await, Some(true));
    assert_eq!(with([Unverified, Unverified, Unverified], 0).await, None, "there is no score");
    assert_eq!(passed(&definition(None), &BuiltIn.score(&score_input([Yes, Yes, Yes])).await.unwrap()), None);
}

#[test]
fn the_built_in_scorer_knows_its_name() {
    assert!(BuiltIn::is_called("builtin 2.0.0"));
    assert!(!BuiltIn::is_called("builtin 1.0.0") && !BuiltIn::is_called("theirs 2.0.0"));
}

/// Does what the test says.
struct Scripted(Result<ScoreOutput, PluginError>, Identity);

#[async_trait]
impl Scorer for Scripted {
    fn identity(&self) -> &Identity {
        &self.1
    }

    async fn score(&self, _: &ScoreInput) -> Result<ScoreOutput, PluginError> {
        self.0.clone()
    }
}

fn scripted(output: Result<ScoreOutput, PluginError>) -> Scripted {
    Scripted(output, Identity { name: "theirs".into(), ..BuiltIn.identity().clone() })
}

async fn with(output: Result<ScoreOutput, PluginError>, policy: FailurePolicy) -> Result<Outcome, ScorerFailed> {
    let scorer = scripted(output);
    let input = score_input([Yes, No, Yes]);
    score_with(Some(BoundScorer { scorer: Ok(&scorer), policy }), &Case { input: &input, open: None }).await
}

async fn good() -> ScoreOutput {
    ScoreOutput { overall: Some(4_200), ..BuiltIn.score(&score_input([Yes, No, Yes])).await.unwrap() }
}

#[tokio::test]
async fn the_bound_scorer_scores() {
    let Outcome::Scored(scored) = with(Ok(good().await), FailurePolicy::Fail).await.unwrap() else { panic!() };
    assert_eq!((scored.output.overall, scored.scorer.name.as_str(), scored.note), (Some(4_200), "theirs", None));
}

#[tokio::test]
async fn the_failure_policy_decides() {
    let trap = || Err(PluginError::Trap("unreachable".into()));
    assert_eq!(with(trap(), FailurePolicy::Fail).await, Err(ScorerFailed(PluginError::Trap("unreachable".into()))));
    let held = with(trap(), FailurePolicy::Hold).await.unwrap();
    assert_eq!(held, Outcome::Held { note: "The bound scorer failed: the plugin trapped: unreachable".into() });
    let Outcome::Scored(scored) = with(trap(), FailurePolicy::FallBack).await.unwrap() else { panic!() };
    assert_eq!((scored.output.overall, scored.scorer.name.as_str()), (Some(9_167), "builtin"));
    assert!(scored.note.unwrap().ends_with("which failed: the plugin trapped: unreachable"));
    let load = BoundScorer { scorer: Err(PluginError::NotAComponent("cut".into())), policy: FailurePolicy::FallBack };
    let input = score_input([Yes, Yes, Yes]);
    let scored = score_with(Some(load), &Case { input: &input, open: None }).await;
    assert!(matches!(scored, Ok(Outcome::Scored(_))));
}

#[tokio::test]
async fn output_that_does_not_cover_the_scorecard_is_a_failure() {
    let changes: [fn(&mut ScoreOutput); 5] = [
        |output| drop(output.criteria.pop()),
        |output| output.criteria[0].key = "foreign".into(),
        |output| output.criteria[0].key = "recap".into(),
        |output| output.criteria[0].score = Some(10_001),
        |output| output.overall = Some(10_001),
    ];
    for change in changes {
        let mut output = good().await;
        change(&mut output);
        let failed = with(Ok(output), FailurePolicy::Fail).await;
        assert!(matches!(failed, Err(ScorerFailed(PluginError::InvalidOutput(_)))), "{failed:?}");
    }
}

#[tokio::test]
async fn a_long_message_fits_a_note() {
    let Outcome::Held { note } = with(Err(PluginError::Trap("é".repeat(5_000))), FailurePolicy::Hold).await.unwrap()
    else {
        panic!()
    };
    assert!(note.chars().count() <= 2_000);
}

#[test]
fn sections_follow_from_any_scores() {
    let score = |key: &str, score, passed| CriterionScore { key: key.into(), score, passed, note: None };
    let scores = [
        score("greeting", Some(5_000), Some(true)),
        score("recap", None, None),
        score("no_insult", Some(0), Some(false)),
    ];
    let totals = arithmetic::score(&marks(&scorecard(), &scores));
    assert_eq!((totals.sections, totals.overall), (vec![Some(5_000), Some(0)], Some(0)));
}
