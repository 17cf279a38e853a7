//! Plugins tried by hand: a version with settings over a stored call, a pasted conversation or a stored evaluation. The answers are those that are there,
//! so no language model is asked and nothing is paid; nothing changes, and what stays is one run for the plugin's author to see.

pub mod api;
mod building;
mod material;
mod scoring;

use std::sync::Arc;

use chrono::TimeDelta;
use object_store::ObjectStore;
use serde_json::Value;
use tokio::sync::Semaphore;

use self::material::{Asked, ToScore};
use super::{
    reading::{EvaluationError, Evaluations},
    receipt::reading::{ReceiptError, Receipts},
};
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        ids::{CallId, EvaluationId, OrganizationId, ScorecardId},
    },
    platform::{
        db::{Db, DbError, Statements},
        http::{Kind, Problem, Refusal},
        plugins::{CriterionScore, Insight, Plugin, PluginError, PluginHost, Prompt, Trace, World},
        tenancy::quotas,
    },
    product::{
        calls::{CallError, model::CallDetails, model::Utterance, redaction::Company},
        evaluations::store,
        plugins::{
            model::RunPurpose,
            runs::{self, Ended, Mark, NewRun},
            versions,
        },
        scorecards::{ScorecardError, Scorecards, Side},
    },
    sql,
};

/// Conversations that one process tries plugins on at once.
const AT_ONCE: usize = 4;

/// Why nothing is tried.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The tenant has no such version.
    #[error("no such plugin")]
    NoPlugin,
    /// There is no such call, or the grant does not reach it.
    #[error("no such call")]
    NoCall,
    /// The call has nothing that a scorer could be given.
    #[error("the call has no answers yet: there is nothing to score")]
    NothingToScore,
    /// The call has nothing that a prompt could be built of.
    #[error("there is no scorecard, or no question for the language model")]
    NothingToAsk,
    /// What the evaluation was made of is not there.
    #[error("what the evaluation was made of is not there")]
    NotReplayable,
    /// Something of the request makes no sense.
    #[error("{field} {reason}")]
    Invalid {
        /// What.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// The object store did not give the component.
    #[error("the object store: {0}")]
    Objects(#[from] object_store::Error),
    /// The pasted conversation.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The scorecard.
    #[error(transparent)]
    Scorecard(#[from] ScorecardError),
    /// The evaluation.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// Its receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::NoPlugin => Refusal::not_found("plugin"),
            ReplayError::NoCall => Refusal::not_found("call"),
            ReplayError::NothingToScore | ReplayError::NothingToAsk | ReplayError::NotReplayable => {
                Refusal::new(Kind::IllegalState, error.to_string())
            }
            ReplayError::Invalid { field, ref reason } => {
                Problem::new(Kind::Unprocessable, error.to_string()).field(field, reason.clone()).into()
            }
            ReplayError::Objects(_) => Problem::new(Kind::Busy, "the plugin cannot be read now").retry_after(5).into(),
            ReplayError::Call(error) => error.into(),
            ReplayError::Scorecard(error) => error.into(),
            ReplayError::Evaluation(error) => error.into(),
            ReplayError::Receipt(error) => error.into(),
            ReplayError::Db(error) => error.into(),
        }
    }
}

/// A plugin version with settings.
#[derive(Clone, Debug)]
pub struct Version {
    /// SHA-256 of the component.
    pub digest: String,
    /// Its settings.
    pub settings: Value,
}

/// A conversation that is stored nowhere.
pub struct Pasted {
    /// Whose it would be, and the rest that is said about a call.
    pub details: CallDetails,
    /// What was said.
    pub utterances: Vec<Utterance>,
    /// What it is judged by.
    pub scorecard: ScorecardId,
    /// In which version.
    pub side: Side,
    /// The answers, by the criteria's keys, in the language model's form.
    pub answers: Value,
}

/// What a version is tried on.
pub enum On {
    /// A stored call, with the answers of its newest evaluation.
    Call(CallId),
    /// A conversation that is stored nowhere.
    Pasted(Box<Pasted>),
}

/// Who ran.
#[derive(Clone, Debug)]
pub struct Ran {
    /// SHA-256 of the component.
    pub digest: String,
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for.
    pub world: World,
}

/// One criterion, as the version scored it and as others did.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its key.
    pub key: String,
    /// What the version scored; none when it failed.
    pub score: Option<CriterionScore>,
    /// What the built-in scorer scores.
    pub built_in: Option<CriterionScore>,
    /// What counts; none when nothing does.
    pub counted: Option<CriterionScore>,
}

/// What came of a try.
#[derive(Debug)]
pub struct Tested {
    /// Who ran; none for the built-in scorer, where an evaluation of its is replayed.
    pub ran: Option<Ran>,
    /// How it ended.
    pub ended: Ended,
    /// What it left behind.
    pub trace: Trace,
    /// What it scored.
    pub mark: Mark,
    /// What the built-in scorer scores.
    pub built_in: Mark,
    /// What counts; none when nothing does.
    pub counted: Option<Mark>,
    /// All criteria, in the scorecard's order; none of a prompt builder.
    pub criteria: Vec<Compared>,
    /// What it found.
    pub insights: Vec<Insight>,
    /// What else it said.
    pub metadata: Vec<(String, String)>,
    /// What it would ask; none of a scorer.
    pub prompts: Vec<Prompt>,
    /// Whether scores, or prompts, are what was recorded; none where nothing was.
    pub same: Option<bool>,
}

impl Tested {
    fn failed(error: &PluginError) -> Self {
        Self::ended(Ended::of::<()>(Err(error)), Trace::default())
    }

    fn ended(ended: Ended, trace: Trace) -> Self {
        Self {
            ran: None,
            ended,
            trace,
            mark: Mark::default(),
            built_in: Mark::default(),
            counted: None,
            criteria: vec![],
            insights: vec![],
            metadata: vec![],
            prompts: vec![],
            same: None,
        }
    }
}

/// Whose the run is.
#[derive(Clone, Copy)]
struct Of {
    organization_id: OrganizationId,
    call_id: Option<CallId>,
    evaluation_id: Option<EvaluationId>,
}

/// A component of the tenant.
struct Component {
    digest: String,
    name: String,
    version: String,
    world: World,
    object_key: String,
}

/// Tries plugins. Cheap to clone.
#[derive(Clone)]
pub struct Replays {
    db: Arc<Db>,
    clock: Clock,
    objects: Arc<dyn ObjectStore>,
    plugins: Arc<PluginHost>,
    receipts: Receipts,
    evaluations: Evaluations,
    scorecards: Scorecards,
    request_characters: usize,
    keep: TimeDelta,
    turns: Arc<Semaphore>,
}

impl Replays {
    /// `request_characters` are those that a language model is asked at once, `keep` how long runs are kept.
    pub fn new(receipts: Receipts, clock: Clock, request_characters: usize, keep: TimeDelta) -> Self {
        let db = receipts.db.clone();
        Self {
            objects: receipts.objects.clone(),
            plugins: receipts.plugins.clone(),
            evaluations: Evaluations::new(db.clone()),
            scorecards: Scorecards::new(db.clone(), clock.clone()),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            db,
            clock,
            receipts,
            request_characters,
            keep,
        }
    }

    /// Runs a version over a call. Whatever it does wrong is in the answer.
    ///
    /// # Errors
    /// [`ReplayError`], when there is nothing to run or to run it on.
    pub async fn test(
        &self,
        grant: &Grant,
        version: &Version,
        on: On,
        company: &Company,
    ) -> Result<Tested, ReplayError> {
        let component = self.component(grant, &version.digest).await?;
        match component.world {
            World::Scorer => {
                let to_score = match on {
                    On::Call(call_id) => self.stored(grant, call_id).await?,
                    On::Pasted(pasted) => self.pasted(grant, *pasted, company).await?,
                };
                self.score(grant, Some((component, &version.settings)), &to_score).await
            }
            World::PromptBuilder => {
                let asked = match on {
                    On::Call(call_id) => self.stored_question(grant, call_id).await?,
                    On::Pasted(pasted) => self.pasted_question(grant, *pasted, company).await?,
                };
                self.build(grant, (component, &version.settings), &asked).await
            }
        }
    }

    /// Runs a version over what a stored evaluation was made of: the one that scored it, when none is named.
    ///
    /// # Errors
    /// As [`Replays::test`].
    pub async fn replay(
        &self,
        grant: &Grant,
        id: EvaluationId,
        digest: Option<String>,
        settings: Option<Value>,
    ) -> Result<Tested, ReplayError> {
        let bundle = self.receipts.bundle(grant, id).await?;
        let receipt = bundle.receipt.receipt().map_err(|_| ReplayError::NotReplayable)?;
        let scored = receipt.scoring.as_ref().ok_or(ReplayError::NotReplayable)?;
        if receipt.masked || receipt.about.is_none() {
            return Err(ReplayError::NotReplayable);
        }
        let then = scored.scorer.sha256.clone();
        let Some(digest) = digest.or_else(|| then.clone()) else {
            let to_score = self.replayed(grant, id, &bundle, &receipt).await?;
            return self.score(grant, None, &to_score).await;
        };
        let component = self.component(grant, &digest).await?;
        let of_receipt = match component.world {
            World::Scorer if then.as_ref() == Some(&digest) => bundle.scorer_settings.clone(),
            World::PromptBuilder if receipt.prompt_builder.sha256.as_ref() == Some(&digest) => {
                bundle.prompt_settings.clone()
            }
            _ => None,
        };
        let settings = settings.or(of_receipt).unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        match component.world {
            World::Scorer => {
                let to_score = self.replayed(grant, id, &bundle, &receipt).await?;
                self.score(grant, Some((component, &settings)), &to_score).await
            }
            World::PromptBuilder => {
                let asked = material::replayed_question(&bundle, &receipt)?;
                self.build(grant, (component, &settings), &asked).await
            }
        }
    }

    async fn component(&self, grant: &Grant, digest: &str) -> Result<Component, ReplayError> {
        let on = self.db.alone(grant);
        let with_root = store::with_root(&on);
        let row = on.opt(sql!("plugins/find_component"), &[&digest, &with_root]).await?.ok_or(ReplayError::NoPlugin)?;
        let text = |column: &str| -> Result<String, DbError> { Ok(row.try_get(column)?) };
        let world = match text("world")?.as_str() {
            "scorer" => World::Scorer,
            _ => World::PromptBuilder,
        };
        let (name, version, object_key) = (text("name")?, text("version")?, text("object_key")?);
        Ok(Component { digest: text("digest")?, name, version, world, object_key })
    }

    /// The component with its settings accepted; the inner error is the plugin's own fault.
    async fn ready(
        &self,
        grant: &Grant,
        component: &Component,
        settings: &str,
    ) -> Result<Result<Plugin, PluginError>, ReplayError> {
        let (digest, key) = (&component.digest, &component.object_key);
        let loaded = versions::load(&self.plugins, self.objects.as_ref(), grant.tenant(), digest, key).await?;
        Ok(match loaded {
            Ok(plugin) => plugin.validate_settings(settings).await.map(|()| plugin),
            Err(error) => Err(error),
        })
    }

    /// Keeps the run for the author, and counts what it took.
    async fn kept(&self, grant: &Grant, of: Of, component: Component, tested: Tested) -> Result<Tested, ReplayError> {
        let Component { digest, name, version, world, .. } = component;
        let run = NewRun {
            organization_id: of.organization_id,
            digest: digest.clone(),
            binding_id: None,
            call_id: of.call_id,
            evaluation_id: of.evaluation_id,
            purpose: RunPurpose::Test,
            ended: tested.ended.clone(),
            trace: tested.trace.clone(),
            mark: tested.mark,
            against: tested.counted.unwrap_or_default(),
            // It is in the answer to who asked.
            output: None,
        };
        let (now, used) = (self.clock.now(), tested.trace.used);
        self.db
            .tenant(grant, "plugins.test_run", async |tx| {
                runs::record(tx, &[run], self.keep, now).await?;
                quotas::count_plugin_run(tx, of.organization_id, (used.fuel, used.elapsed_us), now).await
            })
            .await?;
        Ok(Tested { ran: Some(Ran { digest, name, version, world }), ..tested })
    }
}
