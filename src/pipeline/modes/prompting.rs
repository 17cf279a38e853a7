//! Prompts by the active builder, a canary and a shadow.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{super::plugin, Means, SHADOW_PATIENCE, record_alone, refused};
use crate::{
    foundation::{
        access::Grant,
        ids::{CallId, EvaluationId},
    },
    platform::{
        jobs::JobError,
        plugins::{Plugin, PluginError, PromptBuilder, PromptInput, Trace, Used},
    },
    product::{
        evaluations::{
            prompt::{self, BoundBuilder, Built, PromptError},
            store::ForAssess,
        },
        plugins::{
            model::{Binding, FailurePolicy, RunPurpose},
            runs::{Ended, NewRun},
        },
        scorecards::model::{Criterion, ScorecardVersion},
    },
};

/// What is to be asked.
pub(in crate::pipeline) struct Question<'a> {
    /// About which call.
    pub call_id: CallId,
    /// What is known of it.
    pub material: &'a ForAssess,
    /// What it is judged by.
    pub scorecard: &'a ScorecardVersion,
    /// The criteria that the language model is asked about.
    pub asked: &'a [&'a Criterion],
    /// A prompt builder's seed.
    pub seed: EvaluationId,
    /// Its clock.
    pub now: DateTime<Utc>,
    /// Whether somebody only tries criteria: then every run is a test.
    pub is_trial: bool,
}

impl Question<'_> {
    fn input(&self) -> PromptInput {
        self.material.prompt_input(self.scorecard, self.asked, self.seed, self.now)
    }

    fn run(&self, (binding, purpose): (&Binding, RunPurpose), ended: Ended, trace: Trace) -> NewRun {
        let purpose = if self.is_trial { RunPurpose::Test } else { purpose };
        NewRun::of((binding, purpose), (self.material.call.organization_id, self.call_id), ended, trace)
    }
}

/// One attempt of a plugin.
struct Attempt {
    built: Result<Built, PromptError>,
    trace: Trace,
}

impl Attempt {
    /// What the plugin did, whatever took its place.
    fn ended(&self) -> Ended {
        match &self.built {
            Ok(Built { failure: Some(error), .. }) | Err(PromptError::Plugin(error)) => Ended::of::<()>(Err(error)),
            Ok(_) | Err(PromptError::Empty) => Ended::of(Ok(())),
            Err(error @ PromptError::TooLarge { .. }) => {
                Ended { outcome: error.code(), message: Some(error.to_string()) }
            }
        }
    }
}

/// The question, by whom it is to be built. A canary that fails, or cannot be had, leaves it to the one that it is tried beside.
///
/// # Errors
/// What fails the stage, whose runs are recorded then.
pub(in crate::pipeline) async fn build(
    means: &Means,
    grant: &Grant,
    question: &Question<'_>,
) -> Result<Built, JobError> {
    let input = question.input();
    let (mut runs, mut failed) = (vec![], None);
    if let Some(canary) = question.material.beside.as_ref().and_then(|beside| beside.canary_for(question.call_id)) {
        let run = |ended, trace| question.run((canary, RunPurpose::Canary), ended, trace);
        match attempt((means, grant), canary, FailurePolicy::Fail, &input, question.asked).await {
            Err(why) => runs.push(run(Ended::unavailable(&why), Trace::default())),
            Ok(tried) => {
                runs.push(run(tried.ended(), tried.trace.clone()));
                if let Ok(built) = tried.built {
                    return Ok(Built { bound: Some(canary.clone()), runs, ..built });
                }
            }
        }
        let code = runs.last().map_or("failed", |run| run.ended.outcome);
        tracing::warn!(code, "the canary failed");
        let (name, version) = (&canary.name, &canary.version);
        failed =
            Some(format!("The canary prompt builder {name} {version} failed ({code}); another one took its place."));
    }
    let built = match &question.material.prompt_builder {
        None => prompt::build_with(None, &input, question.asked, means.request_characters).await,
        Some(active) => match attempt((means, grant), active, active.policy, &input, question.asked).await {
            Err(reason) => {
                record_alone(means, grant, &runs).await?;
                return Err(JobError::Temporary { reason, retry_after: None });
            }
            Ok(tried) => {
                runs.push(question.run((active, RunPurpose::Active), tried.ended(), tried.trace.clone()));
                let by_plugin = |built: &Built| built.builder.sha256.is_some().then(|| active.clone());
                tried.built.map(|built| Built { bound: by_plugin(&built), ..built })
            }
        },
    };
    match built {
        Ok(built) => {
            let used = runs.iter().fold(Used::default(), |used, run| used.and(run.trace.used));
            let notes: Vec<String> = [failed, built.note].into_iter().flatten().collect();
            let note = (!notes.is_empty()).then(|| notes.join(" "));
            Ok(Built { note, used, runs, ..built })
        }
        Err(error) => {
            record_alone(means, grant, &runs).await?;
            Err(match &error {
                PromptError::Plugin(failure) => refused(failure, error.code(), error.to_string()),
                _ => JobError::Confidential { kind: error.code(), words: error.to_string() },
            })
        }
    }
}

/// Has the organization's shadow build the prompt of an evaluation that is stored. It counts for nothing, whatever it does.
pub(in crate::pipeline) async fn shadow_prompt(means: &Means, grant: &Grant, question: &Question<'_>) {
    let Some(binding) = question.material.beside.as_ref().and_then(|beside| beside.shadow()) else { return };
    if question.asked.is_empty() {
        return;
    }
    let input = question.input();
    let tried = attempt((means, grant), binding, FailurePolicy::Fail, &input, question.asked);
    let tried = tokio::time::timeout(SHADOW_PATIENCE, tried).await;
    let tried = tried.unwrap_or_else(|_| Err("it did not come to its turn in time".to_owned()));
    let run = |ended, trace| question.run((binding, RunPurpose::Shadow), ended, trace);
    let mut run = match tried {
        Err(why) => run(Ended::unavailable(&why), Trace::default()),
        Ok(tried) => {
            let mut run = run(tried.ended(), tried.trace);
            run.output = tried.built.ok().map(|built| json!({ "prompts": built.prompts, "parts": built.parts }));
            run
        }
    };
    run.evaluation_id = Some(question.seed);
    if let Err(error) = record_alone(means, grant, &[run]).await {
        tracing::warn!(error = %error, "a shadow's run could not be recorded");
    }
}

/// A plugin's prompt under a policy; or why the plugin could not be had.
async fn attempt(
    (means, grant): (&Means, &Grant),
    binding: &Binding,
    policy: FailurePolicy,
    input: &PromptInput,
    asked: &[&Criterion],
) -> Result<Attempt, String> {
    let loaded: Result<Plugin, PluginError> =
        plugin::load(means, grant.tenant(), binding).await.map_err(|error| error.to_string())?;
    let builder: Result<Arc<dyn PromptBuilder>, PluginError> =
        loaded.and_then(|plugin| plugin.prompt_builder(&binding.settings.to_string()));
    let bound = BoundBuilder { builder: builder.as_deref().map_err(Clone::clone), policy };
    let built = prompt::build_with(Some(bound), input, asked, means.request_characters).await;
    let trace = builder.map_or_else(|_| Trace::default(), |builder| builder.trace());
    Ok(Attempt { built, trace })
}
