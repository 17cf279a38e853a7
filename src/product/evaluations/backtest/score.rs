//! One call: what its stored score was made of is given to the tested version, in the way of the pipeline.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;
use tokio_postgres::{Row, types::Json};

use super::{
    found::{Came, Compared, Judged, Ran, SkipReason, Took},
    model::Position,
};
use crate::{
    foundation::ids::ScorecardVersionId,
    platform::{
        db::DbError,
        plugins::{Identity, Plugin, PluginError, ScoreInput, ScoreOutput, Scorecard, Scorer},
    },
    product::{
        evaluations::{
            beside,
            model::Answer,
            questions::HumanAnswer,
            receipt::Material,
            scoring::{self, Case, Scored},
            store,
        },
        scorecards::model::{Definition, ScorecardVersion},
    },
};

/// What a call is judged by.
pub(super) struct Judge {
    definition: Definition,
    scorecard: Scorecard,
}

impl Judge {
    pub(super) fn of(version: ScorecardVersion) -> Self {
        Self { scorecard: version.for_plugins(), definition: version.definition }
    }
}

/// The version under its settings.
pub(super) struct Tested {
    plugin: Plugin,
    settings: String,
}

impl Tested {
    pub(super) fn new(plugin: Plugin, settings: &Value) -> Self {
        Self { plugin, settings: settings.to_string() }
    }
}

/// The place of a call that was read.
pub(super) fn position(row: &Row) -> Result<Position, DbError> {
    Ok(Position { received_at: row.try_get("received_at")?, call_id: row.try_get("call_id")? })
}

/// Scores a call that was read, twice where it is sampled. What is stored and cannot be read is left out, and said.
pub(super) async fn score(
    row: &Row,
    judges: &HashMap<ScorecardVersionId, std::sync::Arc<Judge>>,
    tested: &Tested,
    is_sampled: bool,
) -> Result<(Position, Came, Took), DbError> {
    let at = position(row)?;
    let judge = judges.get(&row.try_get::<_, ScorecardVersionId>("scorecard_version_id")?);
    let stored = match judge {
        Some(judge) => Stored::read(row, judge).await,
        None => Err(SkipReason::Unreadable),
    };
    let (stored, judge) = match (stored, judge) {
        (Ok(stored), Some(judge)) => (stored, judge),
        (Err(why), _) => return Ok((at, Came::Skipped(why), Took::default())),
        (_, None) => return Ok((at, Came::Skipped(SkipReason::Unreadable), Took::default())),
    };
    let input = stored.material.score_input(&stored.answers);
    let case = Case::of(&stored.material, &stored.raw_answer, &stored.answers, &input);
    let (scored, took) = run(tested, &case).await;
    let (again, more) = if is_sampled {
        let (second, more) = run(tested, &case).await;
        // Time and the host's own troubles say nothing of the plugin.
        let is_chance = [&scored, &second].iter().any(|one| one.as_ref().is_err_and(PluginError::is_temporary));
        ((!is_chance).then(|| scored == second && took.fuel == more.fuel), more)
    } else {
        (None, Took::default())
    };
    let outcome = match scored {
        Ok(scored) => Ok(stored.compared(&judge.definition, &scored.output)),
        Err(error) => Err(error.code()),
    };
    let ran = Ran { agent_id: row.try_get("agent_id")?, queue: row.try_get("queue")?, outcome, took, again };
    Ok((at, Came::Ran(Box::new(ran)), took.and(more)))
}

async fn run(tested: &Tested, case: &Case<'_>) -> (Result<Scored, PluginError>, Took) {
    let metered = Metered { tested, took: Mutex::default() };
    let scored = scoring::score_by(&metered, case).await;
    (scored, metered.took.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A call's evaluation as it is stored.
struct Stored {
    material: Material,
    raw_answer: String,
    answers: Vec<Answer>,
    overall: Judged,
    criteria: HashMap<String, Judged>,
}

impl Stored {
    async fn read(row: &Row, judge: &Judge) -> Result<Self, SkipReason> {
        let stored = Self::columns(row, judge).map_err(|_| SkipReason::Unreadable)?;
        let judged: i32 = row.try_get("judged_version").map_err(|_| SkipReason::Unreadable)?;
        let (mut stored, version) = stored;
        if judged != version {
            return Err(SkipReason::TranscriptChanged);
        }
        if stored.answers.is_empty() {
            return Err(SkipReason::NoAnswers);
        }
        if !stored.raw_answer.is_empty() {
            stored.answers = stored.without_the_plugins().await?;
        }
        Ok(stored)
    }

    fn columns(row: &Row, judge: &Judge) -> Result<(Self, i32), DbError> {
        let call = store::call(row, row.try_get("call_id")?)?;
        let Json(human): Json<Vec<HumanAnswer>> = row.try_get("human_answers")?;
        let Json(answers) = row.try_get("answers")?;
        let material = Material {
            evaluation_id: row.try_get("evaluation_id")?,
            assessed_at: row.try_get("assessed_at")?,
            call: call.facts,
            transcript: call.utterances,
            metrics: call.metrics,
            scorecard: judge.scorecard.clone(),
            definition: judge.definition.clone(),
            human,
        };
        let hundredths = |score: Option<i32>| score.map(i32::unsigned_abs);
        let overall = Judged { score: hundredths(row.try_get("overall")?), passed: row.try_get("passed")? };
        let keys: Option<Vec<String>> = row.try_get("keys")?;
        let scores: Option<Vec<Option<i32>>> = row.try_get("scores")?;
        let passes: Option<Vec<Option<bool>>> = row.try_get("passes")?;
        let each = scores.unwrap_or_default().into_iter().zip(passes.unwrap_or_default());
        let each = each.map(|(score, passed)| Judged { score: hundredths(score), passed });
        let raw_answer: Option<String> = row.try_get("raw_answer")?;
        let stored = Self {
            material,
            raw_answer: raw_answer.unwrap_or_default(),
            answers,
            overall,
            criteria: keys.unwrap_or_default().into_iter().zip(each).collect(),
        };
        Ok((stored, call.transcript_version))
    }

    /// The answers as they were before a plugin answered its criteria: the tested version is to answer them itself.
    async fn without_the_plugins(&self) -> Result<Vec<Answer>, SkipReason> {
        let Material { definition, transcript, metrics, human, .. } = &self.material;
        let questions = beside::questions(definition, transcript, metrics).await;
        beside::answers(&questions, &self.raw_answer, human).await.map_err(|_| SkipReason::Unreadable)
    }

    fn compared(&self, definition: &Definition, output: &ScoreOutput) -> Compared {
        let after = Judged { score: output.overall, passed: scoring::passed(definition, output) };
        let criteria = output.criteria.iter().map(|score| {
            let before = self.criteria.get(&score.key).copied().unwrap_or_default();
            (score.key.clone(), before, Judged { score: score.score, passed: score.passed })
        });
        Compared { overall: (self.overall, after), criteria: criteria.collect() }
    }
}

/// The version as a scorer, with a meter.
struct Metered<'a> {
    tested: &'a Tested,
    took: Mutex<Took>,
}

#[async_trait]
impl Scorer for Metered<'_> {
    fn identity(&self) -> &Identity {
        self.tested.plugin.identity()
    }

    async fn score(&self, input: &ScoreInput) -> Result<ScoreOutput, PluginError> {
        let run = self.tested.plugin.run_score(&self.tested.settings, input).await?;
        let memory_bytes = u64::try_from(run.memory_bytes).unwrap_or(u64::MAX);
        let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        *took = took.and(Took { fuel: run.fuel, elapsed_us: run.elapsed_us, memory_bytes });
        run.outcome
    }
}
