//! From answers to scores: the built-in scorer, and the organization's own with its failure policy, which may answer criteria too ([`by_plugin`]).

pub mod by_plugin;

use std::{collections::HashMap, sync::OnceLock};

use async_trait::async_trait;

use super::{
    arithmetic::{self, CriterionMark, SectionMarks},
    model::{Answer, Verdict},
    questions::Questions,
    receipt::Material,
};
use crate::{
    platform::plugins::{
        AutoFail, BUILT_IN, Criterion, CriterionScore, FULL_SCORE, Identity, PluginError, ScoreInput, ScoreOutput,
        Scorecard, Scorer,
    },
    product::plugins::model::FailurePolicy,
    product::scorecards::model::{self, Definition},
};

/// The scorer that is part of the product: [`arithmetic`] over what the answers are worth, and nothing else.
pub struct BuiltIn;

impl BuiltIn {
    /// Whether it is the one that a receipt names, in this version: a plugin has a digest, whatever it calls itself.
    pub fn is(scorer: &Identity) -> bool {
        scorer == Self::its_identity()
    }

    /// Its name and version; the version changes with every change of what it computes.
    fn its_identity() -> &'static Identity {
        static IDENTITY: OnceLock<Identity> = OnceLock::new();
        IDENTITY.get_or_init(|| Identity {
            name: BUILT_IN.to_owned(),
            version: "2.1.0".to_owned(),
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

/// What is scored.
pub struct Case<'a> {
    /// What the scorer is given.
    pub input: &'a ScoreInput,
    /// What waits for a plugin's answer; none when nothing does.
    pub open: Option<Open<'a>>,
}

/// An evaluation some of whose criteria a plugin has to answer.
#[derive(Clone, Copy)]
pub struct Open<'a> {
    material: &'a Material,
    raw_answer: &'a str,
}

impl<'a> Case<'a> {
    /// Scores these answers; `input` is made of them, and they of the material and the language model's text.
    pub fn of(material: &'a Material, raw_answer: &'a str, answers: &[Answer], input: &'a ScoreInput) -> Self {
        Self { input, open: by_plugin::is_awaited(answers).then_some(Open { material, raw_answer }) }
    }
}

impl Open<'_> {
    /// All answers once the plugin's are among them, and what the plugin is to score now.
    fn answered(&self, output: &ScoreOutput) -> Result<Answered, PluginError> {
        let Material { definition, transcript, metrics, human, .. } = self.material;
        let said = by_plugin::said(self.material, output)?;
        let answers = Questions::of(definition, transcript, metrics).answers_after(self.raw_answer, human, &said);
        // The language model's text was read before, when the evaluation was assessed.
        let answers = answers.map_err(|error| PluginError::InvalidOutput(error.to_string()))?;
        Ok(Answered { input: self.material.score_input(&answers), answers })
    }
}

/// What came of scoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There are scores.
    Scored(Box<Scored>),
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
    /// What was scored, when the plugin answered before it scored.
    pub answered: Option<Answered>,
}

/// All answers, the plugin's among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The answers, in the scorecard's order.
    pub answers: Vec<Answer>,
    /// What the plugin scored, which is made of them.
    pub input: ScoreInput,
}

/// The bound scorer failed, and its organization wants the stage to fail with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scorer failed: {0}")]
pub struct ScorerFailed(#[from] pub PluginError);

/// Scores by the bound scorer, or by the built-in one.
///
/// # Errors
/// [`ScorerFailed`] under the policy [`FailurePolicy::Fail`].
pub async fn score_with(bound: Option<BoundScorer<'_>>, case: &Case<'_>) -> Result<Outcome, ScorerFailed> {
    let Some(BoundScorer { scorer, policy }) = bound else {
        return Ok(Outcome::Scored(Box::new(score_by(&BuiltIn, case).await?)));
    };
    let scored = match scorer {
        Ok(scorer) => score_by(scorer, case).await,
        Err(error) => Err(error),
    };
    settled(scored, policy, case).await
}

/// What comes of a bound scorer's attempt under the policy of its binding.
///
/// # Errors
/// [`ScorerFailed`] under the policy [`FailurePolicy::Fail`].
pub async fn settled(
    scored: Result<Scored, PluginError>,
    policy: FailurePolicy,
    case: &Case<'_>,
) -> Result<Outcome, ScorerFailed> {
    let error = match scored {
        Ok(scored) => return Ok(Outcome::Scored(Box::new(scored))),
        Err(error) => error,
    };
    tracing::warn!(code = error.code(), policy = ?policy, "the bound scorer failed");
    match policy {
        FailurePolicy::Fail => Err(error.into()),
        FailurePolicy::Hold => Ok(Outcome::Held { note: format!("The bound scorer failed: {}", short(&error)) }),
        FailurePolicy::FallBack => {
            let note = format!("The built-in scorer took the place of the bound one, which failed: {}", short(&error));
            Ok(Outcome::Scored(Box::new(Scored { note: Some(note), ..score_by(&BuiltIn, case).await? })))
        }
    }
}

/// Scores by one scorer, whatever comes of it. A plugin answers first, where something waits for it; the built-in scorer answers nothing.
///
/// # Errors
/// [`PluginError`], also for output that does not cover the scorecard.
pub async fn score_by(scorer: &dyn Scorer, case: &Case<'_>) -> Result<Scored, PluginError> {
    let output = covering(scorer, case.input).await?;
    let identity = scorer.identity().clone();
    let Some(open) = case.open.filter(|_| identity.sha256.is_some()) else {
        return Ok(Scored { output, scorer: identity, note: None, answered: None });
    };
    let answered = open.answered(&output)?;
    let output = covering(scorer, &answered.input).await?;
    by_plugin::only_what_is_answered(&output, &answered.answers)?;
    Ok(Scored { output, scorer: identity, note: None, answered: Some(answered) })
}

async fn covering(scorer: &dyn Scorer, input: &ScoreInput) -> Result<ScoreOutput, PluginError> {
    let output = scorer.score(input).await?;
    covers(&output, &input.scorecard)?;
    Ok(output)
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
pub fn short(error: &PluginError) -> String {
    error.to_string().chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).take(1_500).collect()
}

#[cfg(test)]
mod tests;
