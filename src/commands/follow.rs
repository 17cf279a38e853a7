//! An operation done in this process, with its steps told as they go.

use std::{process::ExitCode, sync::Arc, time::Duration};

use plumbline::{
    app::App,
    foundation::{access::OperatorGrant, clock::Clock, ids::OperationId},
    platform::{
        db::Db,
        operations::{self, Operation, OperationStatus, StepStatus},
    },
};
use tokio_util::sync::CancellationToken;

use super::Failure;

/// Whoever waits at a terminal waits no longer than this for a step's time to come.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Does an operation as far as its time comes soon, or watches another process do it. Told to stop, it leaves the operation at a good place.
pub async fn to_its_end(
    app: &App,
    grant: &OperatorGrant,
    owner: &tokio_postgres::Config,
    operation: Operation,
    stop: &CancellationToken,
) -> Result<Operation, Failure> {
    let id = operation.operation_id;
    let ended = CancellationToken::new();
    let telling = tokio::spawn(tell(app.db().clone(), grant.clone(), id, ended.clone()));
    let runner = app.runner(owner);
    let outcome = async {
        loop {
            let now = match runner.run_one(id, stop).await? {
                Some(done) => done,
                None => found(app.db(), grant, id).await?,
            };
            let wait = (now.run_at - Clock::system().now()).to_std().unwrap_or_default();
            if now.ended_at.is_some() || stop.is_cancelled() || wait > PATIENCE {
                return Ok(now);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait.max(LOOK_EVERY)) => {}
            }
        }
    }
    .await;
    ended.cancel();
    let _ = telling.await; // it only talks
    outcome
}

/// What the shell is told: 0 when it is done or goes on by itself later, 1 when it failed, 130 when it was interrupted.
pub fn code(operation: &Operation, stop: &CancellationToken) -> ExitCode {
    match operation.status {
        OperationStatus::Succeeded => ExitCode::SUCCESS,
        OperationStatus::Failed | OperationStatus::Cancelled => ExitCode::FAILURE,
        _ if stop.is_cancelled() => ExitCode::from(130),
        _ => ExitCode::SUCCESS,
    }
}

async fn found(db: &Db, grant: &OperatorGrant, id: OperationId) -> Result<Operation, Failure> {
    let found = operations::find(&db.operator_alone(grant), id).await?;
    found.ok_or_else(|| Failure::Said(format!("there is no operation {id}")))
}

/// A line to stderr whenever a step is somewhere else than it was.
async fn tell(db: Arc<Db>, grant: OperatorGrant, id: OperationId, ended: CancellationToken) {
    let mut said = vec![];
    loop {
        let last = ended.is_cancelled();
        if let Ok(operation) = found(&db, &grant, id).await {
            let lines: Vec<String> = operation.steps.iter().map(line).collect();
            for (n, line) in lines.iter().enumerate() {
                if !line.is_empty() && said.get(n) != Some(line) {
                    eprintln!("{line}");
                }
            }
            said = lines;
        }
        if last {
            return;
        }
        tokio::select! {
            () = ended.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Nothing for a step that nobody has come to.
fn line(step: &operations::Step) -> String {
    let note = step.note.as_deref().unwrap_or_default();
    match step.status {
        StepStatus::Waiting if note.is_empty() => String::new(),
        StepStatus::Waiting => format!("{:>15}  waits: {note}", step.name),
        StepStatus::Running => match step.total {
            Some(total) => format!("{:>15}  {} of {total}", step.name, step.done),
            None if step.done > 0 => format!("{:>15}  {}", step.name, step.done),
            None => String::new(),
        },
        StepStatus::Done => format!("{:>15}  done  {note}", step.name),
        StepStatus::Failed => format!("{:>15}  FAILED  {note}", step.name),
    }
}
