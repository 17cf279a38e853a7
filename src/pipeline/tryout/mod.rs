//! Criteria of a scorecard, tried on chosen past calls before they are published: asked as the stage asks, and shown. No evaluation comes of it and no
//! score changes; what stays is what the model was paid for ([`memory`]), so that publishing what was tried buys nothing again.
//!
//! A request waits so long and no longer. What is being asked then is heard to its end and remembered; what was not begun is not begun. The same
//! request goes on from there, and pays nothing twice.

mod api;

use std::{sync::Arc, time::Duration};

use chrono::SubsecRound;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use self::api::TryoutsApi;
use super::{
    Means,
    asking::{Asking, Heard},
    assess::unusable,
    modes::{self, Question},
};
use crate::{
    foundation::{
        access::Grant,
        ids::{CallId, EvaluationId, ScorecardId},
    },
    platform::{
        audit::audit,
        db::DbError,
        http::{Kind, Problem, Refusal},
        jobs::JobError,
        plugins::Used,
        tenancy::quotas,
    },
    product::{
        evaluations::{
            beside,
            cost::Spent,
            evidence,
            memory::{self, Of},
            model::Answer,
            questions::{self, Questions},
            spending::{Share, shares},
            store::{self, ForAssess},
        },
        plugins::runs::NewRun,
        scorecards::{
            ScorecardError, Scorecards, Side,
            model::{Criterion, Definition, ScorecardVersion},
        },
    },
};

/// Calls of one request.
pub const MOST_CALLS: usize = 20;
/// Calls of all requests about which this process asks at once.
const AT_ONCE: usize = 8;

/// Why nothing is tried.
#[derive(Debug, thiserror::Error)]
pub enum TryoutError {
    /// There is no such scorecard or version.
    #[error(transparent)]
    Scorecard(#[from] ScorecardError),
    /// The version has no such criterion.
    #[error("the version has no such criterion")]
    NoCriterion(usize),
    /// There is no such call in the scorecard's organization, or the grant does not reach it.
    #[error("the scorecard's organization has no such call")]
    NoCall(usize),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<TryoutError> for Refusal {
    fn from(error: TryoutError) -> Self {
        let said = error.to_string();
        let wrong = |field: String, message: &str| Problem::new(Kind::Unprocessable, said).field(field, message).into();
        match error {
            TryoutError::NoCriterion(n) => wrong(format!("criteria[{n}]"), "is no criterion of the version"),
            TryoutError::NoCall(n) => wrong(format!("calls[{n}]"), "is no call of the scorecard's organization"),
            TryoutError::Scorecard(error) => error.into(),
            TryoutError::Db(error) => error.into(),
        }
    }
}

/// What was answered about one call.
struct Judged {
    /// Who was asked.
    provider: &'static str,
    /// The model that answered.
    model: String,
    /// What the answers cost, whenever they were paid.
    cost: Spent,
    /// What of it was paid now.
    paid: Spent,
    /// What a prompt builder took.
    plugin: Used,
    /// The criteria that were tried, with their answers and their shares of the cost.
    answers: Vec<(Criterion, Answer, Share)>,
    /// Quotes, and those of them that are not in the transcript.
    quotes: (usize, usize),
}

/// Why there are no answers about one call.
struct Unanswered {
    kind: &'static str,
    reason: String,
}

/// One call of a request.
struct Tried {
    call_id: CallId,
    outcome: Result<Judged, Unanswered>,
}

/// What a request came to.
struct Report {
    version: ScorecardVersion,
    calls: Vec<Tried>,
}

/// Tries criteria.
#[derive(Clone)]
pub struct Tryouts {
    means: Arc<Means>,
    scorecards: Scorecards,
    patience: Duration,
    turns: Arc<Semaphore>,
}

impl Tryouts {
    /// By the same means as the stages.
    fn new(means: Arc<Means>, patience: Duration) -> Self {
        let scorecards = Scorecards::new(means.db.clone(), means.clock.clone());
        Self { means, scorecards, patience, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Has criteria of a version answered for calls of its organization. `wanted` are keys; none means all.
    async fn run(
        &self,
        grant: &Grant,
        id: ScorecardId,
        side: Side,
        wanted: Option<Vec<String>>,
        calls: &[CallId],
    ) -> Result<Report, TryoutError> {
        let version = self.scorecards.side(grant, id, side).await?;
        let keys = closed(&version.definition, wanted.as_deref()).map_err(TryoutError::NoCriterion)?;
        let mut materials = Vec::with_capacity(calls.len());
        for (n, call_id) in calls.iter().enumerate() {
            let found = store::load_for_assess(&self.means.db.alone(grant), *call_id).await?;
            let found = found.filter(|found| found.call.organization_id == version.organization_id);
            materials.push((*call_id, found.ok_or(TryoutError::NoCall(n))?));
        }
        let details = serde_json::json!({ "version": version.version, "calls": calls.len(), "criteria": keys.len() });
        self.means
            .db
            .tenant(grant, "scorecards.try", async |tx| {
                audit(tx, "scorecard.tried", "scorecard", Some(id.0), version.organization_id, details).await
            })
            .await?;
        let version = Arc::new(version);
        let calls = self.ask_all(grant, &version, keys, materials).await;
        Ok(Report { version: Arc::unwrap_or_clone(version), calls })
    }

    /// All calls, side by side, as far as they get in time; in the order in which they were named.
    async fn ask_all(
        &self,
        grant: &Grant,
        version: &Arc<ScorecardVersion>,
        keys: Vec<String>,
        materials: Vec<(CallId, ForAssess)>,
    ) -> Vec<Tried> {
        let late = CancellationToken::new();
        // Also when the client goes away.
        let _on_drop = late.clone().drop_guard();
        let (told, mut heard) = mpsc::unbounded_channel();
        let keys = Arc::new(keys);
        let mut outcomes: Vec<(CallId, Option<Result<Judged, Unanswered>>)> = vec![];
        for (n, (call_id, material)) in materials.into_iter().enumerate() {
            outcomes.push((call_id, None));
            let one = One {
                means: self.means.clone(),
                grant: grant.clone(),
                version: version.clone(),
                keys: keys.clone(),
                call_id,
                material,
            };
            let (turns, late, told) = (self.turns.clone(), late.clone(), told.clone());
            let work = async move {
                let turn = tokio::select! {
                    biased;
                    () = late.cancelled() => return,
                    turn = turns.acquire_owned() => turn,
                };
                let Ok(_turn) = turn else { return };
                let outcome = one.judged().await;
                // Nobody may be there any more; the answer is remembered all the same.
                let _ = told.send((n, outcome));
            };
            tokio::spawn(work.in_current_span());
        }
        drop(told);
        let until = tokio::time::Instant::now() + self.patience;
        while let Ok(Some((n, outcome))) = tokio::time::timeout_at(until, heard.recv()).await {
            outcomes[n].1 = Some(outcome);
        }
        let late = || {
            Unanswered {
            kind: "not_yet",
            reason: "the language model takes longer than a request waits; send the same request again, nothing is paid twice"
                .to_owned(),
        }
        };
        let each = outcomes.into_iter();
        each.map(|(call_id, outcome)| Tried { call_id, outcome: outcome.unwrap_or_else(|| Err(late())) }).collect()
    }
}

/// One call, and what it is asked.
struct One {
    means: Arc<Means>,
    grant: Grant,
    version: Arc<ScorecardVersion>,
    keys: Arc<Vec<String>>,
    call_id: CallId,
    material: ForAssess,
}

impl One {
    async fn judged(self) -> Result<Judged, Unanswered> {
        self.judge().await.map_err(|error| match error {
            JobError::Permanent { kind, reason } => Unanswered { kind, reason },
            // The caller may read the call, so the words may be shown.
            JobError::Confidential { kind, words } => Unanswered { kind, reason: words },
            error => Unanswered { kind: error.code(), reason: error.to_string() },
        })
    }

    async fn judge(&self) -> Result<Judged, JobError> {
        let call = &self.material.call;
        if call.utterances.is_empty() {
            let reason = "the call has no transcript".to_owned();
            return Err(JobError::Permanent { kind: "no_transcript", reason });
        }
        let definition = &self.version.definition;
        let questions = beside::questions(definition, &call.utterances, &call.metrics).await.about(&self.keys);
        let (heard, plugin, runs) = self.ask(&questions).await?;
        let paid = self.settle(heard.as_ref(), plugin, &runs).await?;
        let raw = heard.as_ref().map_or(questions::NOTHING, |heard| heard.raw.as_str());
        let mut answers = beside::answers(&questions, raw, &[]).await.map_err(unusable)?;
        answers.retain(|answer| self.keys.contains(&answer.criterion));
        let tokens = heard.as_ref().map_or((0, 0), |heard| (heard.prompt_tokens, heard.completion_tokens));
        let cost = self.spent(heard.as_ref(), tokens);
        let criteria: Vec<&Criterion> = definition.criteria().collect();
        let shares = shares(&criteria, &answers, tokens, cost.micros, plugin);
        let quotes = evidence::rejected(&answers);
        let each = answers.into_iter().zip(shares).filter_map(|(answer, share)| {
            let criterion = criteria.iter().find(|criterion| criterion.key == answer.criterion)?;
            Some(((*criterion).clone(), answer, share))
        });
        Ok(Judged {
            provider: heard.as_ref().map_or(questions::NOBODY, |_| self.means.language_model.name()),
            answers: each.collect(),
            model: heard.map_or_else(|| questions::NOBODY.to_owned(), |heard| heard.model),
            cost,
            paid,
            plugin,
            quotes,
        })
    }

    /// Asks as the stage does; a prompt builder has the same seed in every try, so that the same question stays the same.
    async fn ask(&self, questions: &Questions<'_>) -> Result<(Option<Heard>, Used, Vec<NewRun>), JobError> {
        if questions.asked().is_empty() {
            return Ok((None, Used::default(), vec![]));
        }
        let (means, call) = (&self.means, &self.material.call);
        let seed = EvaluationId(uuid::Uuid::nil());
        let (call_id, material, now) = (self.call_id, &self.material, means.clock.now());
        let question = Question {
            call_id,
            material,
            scorecard: &self.version,
            asked: questions.asked(),
            seed,
            now,
            is_trial: true,
        };
        let built = modes::build(means, &self.grant, &question).await?;
        let of = Of { call_id: self.call_id, organization_id: call.organization_id, agent_id: call.agent_id };
        let heard = Asking { means, grant: &self.grant, of }.ask(&built, questions.asked()).await?;
        Ok((Some(heard), built.used, built.runs))
    }

    /// Counts what was paid now, and each answer once, whoever asks for it at the same time.
    async fn settle(&self, heard: Option<&Heard>, plugin: Used, runs: &[NewRun]) -> Result<Spent, JobError> {
        let Some(heard) = heard else { return Ok(self.spent(None, (0, 0))) };
        let (now, organization) = (self.means.clock.now().trunc_subsecs(6), self.material.call.organization_id);
        self.means
            .db
            .tenant(&self.grant, "scorecards.try_settle", async |tx| {
                let (prompt, completion) = memory::settle(tx, self.call_id, &heard.due.digests).await?;
                let unkept = heard.due.unkept;
                let tokens = (prompt + unkept.prompt, completion + unkept.completion);
                let paid = self.spent(Some(heard), tokens);
                modes::record(tx, &self.means, runs, now).await?;
                quotas::count_plugin_run(tx, organization, (plugin.fuel, plugin.elapsed_us), now).await?;
                if tokens != (0, 0) {
                    quotas::count_paid(tx, organization, tokens, paid.micros, now).await?;
                }
                Ok(paid)
            })
            .await
    }

    fn spent(&self, heard: Option<&Heard>, (prompt_tokens, completion_tokens): (u64, u64)) -> Spent {
        let price = |heard: &Heard| self.means.prices.tokens(&heard.model, prompt_tokens, completion_tokens);
        Spent { prompt_tokens, completion_tokens, micros: heard.map_or(Some(0), price) }
    }
}

/// The criteria that are wanted, and those that their conditions name: without the answers to these nobody knows whether they are shown.
///
/// # Errors
/// The position of a key that the definition does not have.
fn closed(definition: &Definition, wanted: Option<&[String]>) -> Result<Vec<String>, usize> {
    let all: Vec<&Criterion> = definition.criteria().collect();
    let Some(wanted) = wanted else { return Ok(all.iter().map(|criterion| criterion.key.clone()).collect()) };
    if let Some(n) = wanted.iter().position(|key| !all.iter().any(|criterion| criterion.key == *key)) {
        return Err(n);
    }
    let mut keys: Vec<String> = wanted.to_vec();
    // A condition names an earlier criterion, so one way back finds all.
    for criterion in all.iter().rev() {
        if let Some(condition) = &criterion.shown_when
            && keys.contains(&criterion.key)
            && !keys.contains(&condition.criterion)
        {
            keys.push(condition.criterion.clone());
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_condition_names_is_tried_too() {
        let when = |key: &str, other: &str| json!({"key": key, "question": key, "shown_when": {"criterion": other, "answered": ["yes"]}});
        let definition: Definition = serde_json::from_value(json!({"name": "S", "sections": [
            {"key": "s", "name": "S", "criteria": [
                {"key": "a", "question": "A?"}, when("b", "a"), {"key": "c", "question": "C?"}, when("d", "b")]}]}))
        .unwrap();
        let keys = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&key| key.to_owned()).collect();
            closed(&definition, Some(&wanted))
        };
        assert_eq!(keys(&["d"]).unwrap(), ["d", "b", "a"]);
        assert_eq!(keys(&["c"]).unwrap(), ["c"]);
        assert_eq!(keys(&["c", "x"]), Err(1));
        assert_eq!(closed(&definition, None).unwrap(), ["a", "b", "c", "d"]);
    }
}
