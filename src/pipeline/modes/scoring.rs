//! Scoring by the active scorer, a canary and a shadow.

use std::sync::Arc;

use super::{super::plugin, Means, SHADOW_PATIENCE, record_alone, refused};
use crate::{
    foundation::{
        access::Grant,
        ids::{CallId, TenantId},
    },
    platform::{
        jobs::JobError,
        plugins::{PluginError, Scorer, Trace, Used},
    },
    product::{
        evaluations::{
            scoring::{self, BuiltIn, Case, Outcome, Scored, ScorerFailed},
            store::ForScore,
        },
        plugins::{
            model::{Binding, RunPurpose},
            runs::{self, Ended, Mark, NewRun},
        },
        scorecards::model::Definition,
    },
};

/// As long as a note may be.
const NOTE_CHARACTERS: usize = 2_000;

/// What came of scoring a call, and what it leaves.
pub(in crate::pipeline) struct Judged<'a> {
    /// What came of it.
    pub outcome: Outcome,
    /// The binding of the plugin that scored; none for the built-in scorer.
    pub by: Option<&'a Binding>,
    /// What all plugins took that ran for it.
    pub used: Used,
    /// What they left for their authors.
    pub runs: Vec<NewRun>,
}

impl Judged<'_> {
    /// The score that counts.
    pub(in crate::pipeline) fn mark(&self, definition: &Definition) -> Mark {
        match &self.outcome {
            Outcome::Scored(scored) => mark(scored, definition),
            Outcome::Held { .. } => Mark::default(),
        }
    }
}

/// What one scorer came to.
struct Attempt {
    scored: Result<Scored, PluginError>,
    trace: Trace,
}

impl Attempt {
    fn mark(&self, definition: &Definition) -> Mark {
        self.scored.as_ref().map(|scored| mark(scored, definition)).unwrap_or_default()
    }
}

/// A call to be scored.
struct Work<'a, 'c> {
    means: &'a Means,
    tenant: TenantId,
    call_id: CallId,
    material: &'a ForScore,
    case: &'c Case<'c>,
}

/// Scores by whom the call is to be scored by. A canary that fails, or cannot be had, leaves the call to the one that it is tried beside.
///
/// # Errors
/// What fails the stage: a failure of the active scorer under such a policy, whose run is recorded then, and an object store that does not give it.
pub(in crate::pipeline) async fn score<'a>(
    means: &'a Means,
    grant: &Grant,
    call_id: CallId,
    material: &'a ForScore,
    case: &Case<'_>,
) -> Result<Judged<'a>, JobError> {
    let work = Work { means, tenant: grant.tenant(), call_id, material, case };
    let judged = match material.beside.as_ref().and_then(|beside| beside.canary_for(call_id)) {
        Some(canary) => work.by_canary(canary).await?,
        None => work.by_incumbent(work.incumbent().await?).await,
    };
    let (outcome, by, mut runs) = judged;
    for run in &mut runs {
        run.evaluation_id = Some(material.evaluation_id);
    }
    match outcome {
        Ok(outcome) => {
            let used = runs.iter().fold(Used::default(), |used, run| used.and(run.trace.used));
            Ok(Judged { outcome, by, used, runs })
        }
        Err(ScorerFailed(error)) => {
            record_alone(means, grant, &runs).await?;
            Err(refused(&error, error.code(), error.to_string()))
        }
    }
}

/// Has the organization's shadow score what was scored. It counts for nothing, whatever it does.
pub(in crate::pipeline) async fn shadow_score(
    means: &Means,
    grant: &Grant,
    call_id: CallId,
    material: &ForScore,
    case: &Case<'_>,
    against: Mark,
) {
    let Some(binding) = material.beside.as_ref().and_then(|beside| beside.shadow()) else { return };
    let work = Work { means, tenant: grant.tenant(), call_id, material, case };
    let attempt = tokio::time::timeout(SHADOW_PATIENCE, work.attempt(binding)).await;
    let attempt = attempt.unwrap_or_else(|_| Err("it did not come to its turn in time".to_owned()));
    let mut run = work.run(binding, RunPurpose::Shadow, attempt.as_ref());
    run.evaluation_id = Some(material.evaluation_id);
    run.against = against;
    run.output =
        attempt.ok().and_then(|attempt| attempt.scored.ok()).and_then(|scored| runs::output_of(&scored.output));
    if let Err(error) = record_alone(means, grant, &[run]).await {
        tracing::warn!(error = %error, "a shadow's run could not be recorded");
    }
}

/// What came of it, by which binding, and the runs.
type Found<'a> = (Result<Outcome, ScorerFailed>, Option<&'a Binding>, Vec<NewRun>);

impl<'a> Work<'a, '_> {
    /// Without a canary, or where it left the call.
    async fn by_incumbent(&self, attempt: Attempt) -> Found<'a> {
        let Some(binding) = self.material.scorer.as_ref() else {
            return (
                attempt.scored.map(|scored| Outcome::Scored(Box::new(scored))).map_err(ScorerFailed),
                None,
                vec![],
            );
        };
        let mut run = self.run(binding, RunPurpose::Active, Ok(&attempt));
        let outcome = scoring::settled(attempt.scored, binding.policy, self.case).await;
        if let Ok(Outcome::Scored(scored)) = &outcome {
            run.against = mark(scored, self.definition());
        }
        let by = matches!(&outcome, Ok(Outcome::Scored(scored)) if scored.scorer.sha256.is_some()).then_some(binding);
        (outcome, by, vec![run])
    }

    /// Both run, so that nobody waits longer for a canary that fails.
    async fn by_canary(&self, canary: &'a Binding) -> Result<Found<'a>, JobError> {
        let (tried, incumbent) = tokio::join!(self.attempt(canary), self.incumbent());
        let mut run = self.run(canary, RunPurpose::Canary, tried.as_ref());
        run.against = incumbent.as_ref().map(|incumbent| incumbent.mark(self.definition())).unwrap_or_default();
        let why = match tried {
            Ok(Attempt { scored: Ok(scored), .. }) => {
                let comparison = self.material.scorer.as_ref().map(|active| {
                    let attempt = incumbent.as_ref().map_err(|error| error.to_string());
                    let mut comparison = self.run(active, RunPurpose::Comparison, attempt.as_ref().copied());
                    comparison.against = run.mark;
                    let scored = incumbent.as_ref().ok().and_then(|attempt| attempt.scored.as_ref().ok());
                    comparison.output = scored.and_then(|scored| runs::output_of(&scored.output));
                    comparison
                });
                let runs = [run].into_iter().chain(comparison).collect();
                return Ok((Ok(Outcome::Scored(Box::new(scored))), Some(canary), runs));
            }
            Ok(Attempt { scored: Err(error), .. }) => scoring::short(&error),
            Err(why) => why,
        };
        tracing::warn!(code = run.ended.outcome, "the canary failed");
        let (outcome, by, more) = self.by_incumbent(incumbent?).await;
        let outcome = outcome.map(|outcome| noted(outcome, canary, &why));
        Ok((outcome, by, [run].into_iter().chain(more).collect()))
    }

    /// The active scorer, or the built-in one.
    async fn incumbent(&self) -> Result<Attempt, JobError> {
        match &self.material.scorer {
            None => Ok(Attempt { scored: scoring::score_by(&BuiltIn, self.case).await, trace: Trace::default() }),
            Some(binding) => {
                let loaded = plugin::load(self.means, self.tenant, binding).await?;
                Ok(self.called(loaded.and_then(|plugin| plugin.scorer(&binding.settings.to_string()))).await)
            }
        }
    }

    /// A plugin that is tried; or why it could not be had.
    async fn attempt(&self, binding: &Binding) -> Result<Attempt, String> {
        let loaded = plugin::load(self.means, self.tenant, binding).await.map_err(|error| error.to_string())?;
        Ok(self.called(loaded.and_then(|plugin| plugin.scorer(&binding.settings.to_string()))).await)
    }

    async fn called(&self, scorer: Result<Arc<dyn Scorer>, PluginError>) -> Attempt {
        match scorer {
            Ok(scorer) => {
                let scored = scoring::score_by(scorer.as_ref(), self.case).await;
                Attempt { scored, trace: scorer.trace() }
            }
            Err(error) => Attempt { scored: Err(error), trace: Trace::default() },
        }
    }

    fn run(&self, binding: &Binding, purpose: RunPurpose, attempt: Result<&Attempt, &String>) -> NewRun {
        let of = (self.material.call.organization_id, self.call_id);
        match attempt {
            Ok(attempt) => NewRun {
                mark: attempt.mark(self.definition()),
                ..NewRun::of((binding, purpose), of, Ended::of(attempt.scored.as_ref()), attempt.trace.clone())
            },
            Err(why) => NewRun::of((binding, purpose), of, Ended::unavailable(why), Trace::default()),
        }
    }

    fn definition(&self) -> &'a Definition {
        &self.material.scorecard.definition
    }
}

fn mark(scored: &Scored, definition: &Definition) -> Mark {
    Mark { overall: scored.output.overall, passed: scoring::passed(definition, &scored.output) }
}

/// The evaluation says that the canary should have scored.
fn noted(outcome: Outcome, canary: &Binding, why: &str) -> Outcome {
    let more = |note: Option<String>| {
        let failed: String = why.chars().take(700).collect();
        let failed = format!(
            "The canary {} {} failed, and another scorer took its place: {failed}",
            canary.name, canary.version
        );
        let notes: Vec<String> = [Some(failed), note].into_iter().flatten().collect();
        notes.join(" ").chars().take(NOTE_CHARACTERS).collect::<String>()
    };
    match outcome {
        Outcome::Scored(scored) => {
            Outcome::Scored(Box::new(Scored { note: Some(more(scored.note.clone())), ..*scored }))
        }
        Outcome::Held { note } => Outcome::Held { note: more(Some(note)) },
    }
}
