//! An operation and its steps. No I/O.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    foundation::ids::{LeaseToken, OperationId, OrganizationId, TenantId},
    words,
};

words! {
    /// How an operation stands.
    pub enum OperationStatus {
        /// Its time has not come, or the operator's process has not come to it.
        Waiting = "waiting",
        /// It is being done.
        Running = "running",
        /// All steps are done.
        Succeeded = "succeeded",
        /// A step failed; `error` says why, and the steps say what is left. It can be retried and goes on at that step.
        Failed = "failed",
        /// It was called off; what its steps had made was taken back.
        Cancelled = "cancelled",
    }
}

words! {
    /// How a step stands.
    pub enum StepStatus {
        /// Not begun.
        Waiting = "waiting",
        /// Begun.
        Running = "running",
        /// Done.
        Done = "done",
        /// Failed; the operation stops here.
        Failed = "failed",
    }
}

/// One step of an operation. Steps are idempotent: after a crash the one that was at work is done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "OperationStep")]
pub struct Step {
    /// What it does, in a word or two.
    pub name: String,
    /// How it stands.
    pub status: StepStatus,
    /// How much of it is done, in its own unit.
    pub done: u64,
    /// How much there is, where that is known.
    pub total: Option<u64>,
    /// What it found or made, or why it waits.
    pub note: Option<String>,
    /// When it was begun, last time.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Step {
    /// One that is not begun.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: StepStatus::Waiting,
            done: 0,
            total: None,
            note: None,
            started_at: None,
            ended_at: None,
        }
    }

    /// How much of it is done, 0 to 1.
    fn part(&self) -> f64 {
        match (self.status, self.total) {
            (StepStatus::Done, _) => 1.0,
            (_, Some(total)) if total > 0 => (self.done as f64 / total as f64).min(1.0),
            _ => 0.0,
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct OperationError {
    /// Stable name of the cause.
    pub kind: String,
    /// What happened, for people.
    pub reason: String,
}

/// A long-running request.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its id.
    pub operation_id: OperationId,
    /// What is done: the procedure's name.
    pub kind: String,
    /// The tenant that it is about.
    pub tenant_id: Option<TenantId>,
    /// That tenant's root organization, by which its people find it.
    pub root_organization_id: Option<OrganizationId>,
    /// How it stands.
    pub status: OperationStatus,
    /// What was asked for. Holds no secret.
    pub input: Value,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What came of it so far: an object whose fields its steps add.
    pub result: Map<String, Value>,
    /// Why it failed.
    pub error: Option<OperationError>,
    /// Whether somebody wants it called off.
    pub cancel_requested: bool,
    /// How often the step at work was begun since it last came forward.
    pub attempts: i16,
    /// When it may go on.
    pub run_at: DateTime<Utc>,
    /// Who asked for it, as audit events name them.
    pub requested_by: String,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it came to an end.
    pub ended_at: Option<DateTime<Utc>>,
    /// Proof of the claim of whoever is at work on it.
    pub(super) lease: Option<LeaseToken>,
}

impl Operation {
    /// How much is done, 0 to 1: steps count alike.
    pub fn progress(&self) -> f64 {
        if self.status == OperationStatus::Succeeded || self.steps.is_empty() {
            return 1.0;
        }
        self.steps.iter().map(Step::part).sum::<f64>() / self.steps.len() as f64
    }

    /// What was asked for.
    ///
    /// # Errors
    /// When it has another shape: it was stored by another version.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.input.clone())
    }

    /// The first step that is not done.
    pub(super) fn next_step(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.status != StepStatus::Done)
    }

    /// The step has come to its end.
    pub(super) fn done(&mut self, at: usize, note: Option<String>, now: DateTime<Utc>) {
        let step = &mut self.steps[at];
        step.status = StepStatus::Done;
        step.note = note.or(step.note.take());
        step.ended_at = Some(now);
        if let Some(total) = step.total {
            step.done = total;
        }
        self.attempts = 0;
    }
}

/// A long request to be made.
#[derive(Clone, Debug)]
pub struct NewOperation {
    /// What is to be done: a procedure's name.
    pub kind: &'static str,
    /// The tenant that it is about.
    pub tenant: Option<(TenantId, OrganizationId)>,
    /// What is asked for.
    pub input: Value,
    /// The procedure's steps.
    pub steps: &'static [&'static str],
    /// When it may begin.
    pub run_at: DateTime<Utc>,
    /// Who asks, as audit events name them.
    pub requested_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(steps: Vec<Step>) -> Operation {
        let now = "2026-11-23T09:00:00Z".parse().expect("a time");
        Operation {
            operation_id: OperationId::new(),
            kind: "test".to_owned(),
            tenant_id: None,
            root_organization_id: None,
            status: OperationStatus::Running,
            input: Value::Null,
            steps,
            result: Map::new(),
            error: None,
            cancel_requested: false,
            attempts: 1,
            run_at: now,
            requested_by: "operator:olga".to_owned(),
            created_at: now,
            started_at: None,
            ended_at: None,
            lease: None,
        }
    }

    #[test]
    fn progress_counts_steps_and_parts_of_them() {
        let mut running = operation(vec![Step::new("first"), Step::new("second")]);
        assert_eq!((running.progress(), running.next_step()), (0.0, Some(0)));
        running.done(0, None, running.created_at);
        running.steps[1].total = Some(4);
        running.steps[1].done = 1;
        assert_eq!((running.progress(), running.next_step(), running.attempts), (0.625, Some(1), 0));
        running.done(1, Some("made".to_owned()), running.created_at);
        assert_eq!((running.progress(), running.next_step(), running.steps[1].done), (1.0, None, 4));
        assert_eq!(operation(vec![]).progress(), 1.0);
    }
}
