//! From answers to scores: the built-in scorer, and the organization's own with its failure policy.

use std::{collections::HashMap, sync::OnceLock};

use async_trait::async_trait;

use super::{
    arithmetic::{self, CriterionMark, SectionMarks},
    model::{FailurePolicy, Verdict},
};
use crate::{
    platform::plugins::{
        AutoFail, Criterion, CriterionScore, FULL_SCORE, Identity, PluginError, ScoreInput, ScoreOutput, Scorecard,
        Scorer,
    },
    product::scorecards::model::{self, Definition},
};

/// The scorer that is part of the product: [`arithmetic`] over what the answers are worth, and nothing else.
pub struct BuiltIn;

impl BuiltIn {
    /// Whether it is the one that is called so, `name version`, on an evaluation.
    pub fn is_called(scorer: &str) -> bool {
        let own = Self::its_identity();
        scorer.strip_prefix(own.name.as_str()) == Some(&format!(" {}", own.version))
    }

    /// Its name and version; the version changes with every change of what it computes.
    fn its_identity() -> &'static Identity {
        static IDENTITY: OnceLock<Identity> = OnceLock::new();
        IDENTITY.get_or_init(|| Identity {
            name: "builtin".to_owned(),
            version: "2.0.0".to_owned(),
            sha256: None,
            wit: None,
            engine: None,
        })
    }
}

#[async_trait]
impl Scorer for BuiltIn {
    fn identity(&self) -> &Identity {
        Self::its_identity()
    }

    async fn score(&self, input: &ScoreInput) -> Result<ScoreOutput, PluginError> {
        let answers: Answers<'_> = input
            .answers
            .iter()
            .map(|answer| (answer.criterion.as_str(), Said { verdict: answer.verdict, worth: answer.worth }))
            .collect();
        let score = |criterion: &Criterion| {
            let said = answers.get(criterion.key.as_str()).copied();
            let passed = said.and_then(Said::passed);
            let score = mark(input.scorecard.points, criterion, said).shown();
            let note = note(input.scorecard.points, criterion, said);
            CriterionScore { key: criterion.key.clone(), score, passed, note }
        };
        let criteria = input.scorecard.criteria().map(score).collect();
        let overall = arithmetic::score(&marks_of_answers(&input.scorecard, &answers)).overall;
        Ok(ScoreOutput { criteria, overall, insights: Vec::new(), metadata: Vec::new() })
    }
}

/// What counts of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it fails.
    pub verdict: Verdict,
    /// What it is worth; none leaves the denominator.
    pub worth: Option<i32>,
}

impl Said {
    fn passed(self) -> Option<bool> {
        self.worth?;
        match self.verdict {
            Verdict::Yes => Some(true),
            Verdict::No => Some(false),
            Verdict::NotApplicable | Verdict::Unverified | Verdict::Answered | Verdict::Pending => None,
        }
    }
}

/// Answers by the keys of their criteria.
pub type Answers<'a> = HashMap<&'a str, Said>;

/// What answers mean for their sections: how the built-in scorer sees them.
pub fn marks_of_answers(scorecard: &Scorecard, answers: &Answers<'_>) -> Vec<SectionMarks> {
    sections(scorecard, |criterion| mark(scorecard.points, criterion, answers.get(criterion.key.as_str()).copied()))
}

/// What scores of criteria, whoever gave them, mean for their sections.
pub fn marks(scorecard: &Scorecard, scores: &[CriterionScore]) -> Vec<SectionMarks> {
    let scores: HashMap<&str, &CriterionScore> = scores.iter().map(|score| (score.key.as_str(), score)).collect();
    sections(scorecard, |criterion| {
        let score = scores.get(criterion.key.as_str());
        let failed = score.is_some_and(|score| score.passed == Some(false));
        let mark = CriterionMark::scored(criterion.weight, score.and_then(|score| score.score));
        mark.failing(if failed { criterion.auto_fail } else { AutoFail::None })
    })
}

fn sections(scorecard: &Scorecard, mark: impl Fn(&Criterion) -> CriterionMark) -> Vec<SectionMarks> {
    let sections = scorecard.sections.iter().map(|section| SectionMarks {
        weight: (!scorecard.points).then_some(section.weight),
        criteria: section.criteria.iter().map(&mark).collect(),
    });
    sections.collect()
}

fn mark(points: bool, criterion: &Criterion, said: Option<Said>) -> CriterionMark {
    let passed = said.and_then(Said::passed);
    let worth = said.and_then(|said| said.worth.filter(|_| passed.is_some()));
    let mark = match points {
        true => CriterionMark::points(criterion.weight, worth),
        false => CriterionMark::weighed(criterion.weight, worth),
    };
    mark.failing(if passed == Some(false) { criterion.auto_fail } else { AutoFail::None })
}

/// What the score alone does not tell: what failed with the criterion, and what was taken away.
fn note(points: bool, criterion: &Criterion, said: Option<Said>) -> Option<String> {
    let said = said?;
    let passed = said.passed()?;
    let fails = match (passed, criterion.auto_fail) {
        (false, AutoFail::Section) => Some("Fails its section.".to_owned()),
        (false, AutoFail::Evaluation) => Some("Fails the evaluation.".to_owned()),
        _ => None,
    };
    let taken = said.worth.filter(|worth| *worth < 0).map(|worth| match points {
        true => format!("Takes {} points away.", worth.unsigned_abs()),
        false => format!("Takes {} % of its share away.", worth.unsigned_abs().min(100)),
    });
    let said: Vec<String> = [fails, taken].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// Whether the call passes: its overall score, as it is shown, is the pass mark or more, and nothing failed the evaluation. None without a pass
/// mark, and where nothing was scored.
pub fn passed(definition: &Definition, output: &ScoreOutput) -> Option<bool> {
    let (mark, overall) = (definition.pass_mark?, output.overall?);
    let failed = definition.criteria().any(|criterion| {
        let failed = |score: &CriterionScore| score.key == criterion.key && score.passed == Some(false);
        criterion.auto_fail == model::AutoFail::Evaluation && output.criteria.iter().any(failed)
    });
    Some(!failed && overall >= mark.saturating_mul(FULL_SCORE / 100))
}

/// A bound scorer (or why it could not be loaded), and what to do when it fails.
pub struct BoundScorer<'a> {
    /// The scorer.
    pub scorer: Result<&'a dyn Scorer, PluginError>,
    /// What its organization wants when it fails.
    pub policy: FailurePolicy,
}

/// What came of scoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There are scores.
    Scored(Scored),
    /// The bound scorer failed, and the evaluation waits for a person.
    Held {
        /// Why, for the evaluation's note.
        note: String,
    },
}

/// Scores, and who gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scored {
    /// The scores: every criterion exactly once.
    pub output: ScoreOutput,
    /// Who scored: what the receipt says.
    pub scorer: Identity,
    /// Why another scorer than the bound one scored.
    pub note: Option<String>,
}

/// The bound scorer failed, and its organization wants the stage to fail with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scorer failed: {0}")]
pub struct ScorerFailed(#[from] pub PluginError);

/// Scores by the bound scorer, or by the built-in one.
///
/// # Errors
/// [`ScorerFailed`] under the policy [`FailurePolicy::Fail`].
pub async fn score_with(bound: Option<BoundScorer<'_>>, input: &ScoreInput) -> Result<Outcome, ScorerFailed> {
    let Some(BoundScorer { scorer, policy }) = bound else {
        return Ok(Outcome::Scored(attempt(Ok(&BuiltIn), input).await?));
    };
    let error = match attempt(scorer, input).await {
        Ok(scored) => return Ok(Outcome::Scored(scored)),
        Err(error) => error,
    };
    tracing::warn!(code = error.code(), policy = ?policy, "the bound scorer failed");
    match policy {
        FailurePolicy::Fail => Err(error.into()),
        FailurePolicy::Hold => Ok(Outcome::Held { note: format!("The bound scorer failed: {}", short(&error)) }),
        FailurePolicy::FallBack => {
            let note = format!("The built-in scorer took the place of the bound one, which failed: {}", short(&error));
            Ok(Outcome::Scored(Scored { note: Some(note), ..attempt(Ok(&BuiltIn), input).await? }))
        }
    }
}

async fn attempt(scorer: Result<&dyn Scorer, PluginError>, input: &ScoreInput) -> Result<Scored, PluginError> {
    let scorer = scorer?;
    let output = scorer.score(input).await?;
    covers(&output, &input.scorecard)?;
    Ok(Scored { output, scorer: scorer.identity().clone(), note: None })
}

/// Every criterion exactly once, in range; a score for what was not answered would hide that it was not.
fn covers(output: &ScoreOutput, scorecard: &Scorecard) -> Result<(), PluginError> {
    let invalid = |why: String| Err(PluginError::InvalidOutput(why));
    let mut missing: HashMap<&str, ()> = scorecard.criteria().map(|criterion| (criterion.key.as_str(), ())).collect();
    for score in &output.criteria {
        if missing.remove(score.key.as_str()).is_none() {
            return invalid("it scores a criterion twice, or one that is not in the scorecard".to_owned());
        }
        if score.score.is_some_and(|score| score > FULL_SCORE) {
            return invalid(format!("the score of {} is beyond the highest", score.key));
        }
    }
    if !missing.is_empty() {
        return invalid(format!("it leaves out {} criteria of the scorecard", missing.len()));
    }
    if output.overall.is_some_and(|overall| overall > FULL_SCORE) {
        return invalid("the overall score is beyond the highest".to_owned());
    }
    Ok(())
}

/// The message, at most as long as a note may be.
fn short(error: &PluginError) -> String {
    error.to_string().chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).take(1_500).collect()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            (output.overall, output.criteria[2].passed),
            (Some(5_000), None),
            "what has no worth does not count"
        );
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
        score_with(Some(BoundScorer { scorer: Ok(&scorer), policy }), &score_input([Yes, No, Yes])).await
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
        let load =
            BoundScorer { scorer: Err(PluginError::NotAComponent("cut".into())), policy: FailurePolicy::FallBack };
        assert!(matches!(score_with(Some(load), &score_input([Yes, Yes, Yes])).await, Ok(Outcome::Scored(_))));
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
        let Outcome::Held { note } =
            with(Err(PluginError::Trap("é".repeat(5_000))), FailurePolicy::Hold).await.unwrap()
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
}
