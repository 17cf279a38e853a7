//! Rows of `platform.operations`: one function per query file.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::Row;

use super::model::{NewOperation, Operation, OperationError, OperationStatus, Step};
use crate::{
    foundation::ids::{LeaseToken, OperationId, TenantId},
    platform::db::{DbError, Statements},
    sql,
};

/// Which operations a list shows.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct OperationFilter<'a> {
    /// Those about one tenant alone.
    pub tenant_id: Option<TenantId>,
    /// Those of one kind alone.
    pub kind: Option<&'a str>,
    /// Those that stand so alone.
    pub status: Option<OperationStatus>,
}

/// Puts an operation among the waiting ones.
pub(super) async fn insert(
    on: &impl Statements,
    new: &NewOperation,
    now: DateTime<Utc>,
) -> Result<OperationId, DbError> {
    let id = OperationId::new();
    let (tenant, root) = new.tenant.unzip();
    let steps: Vec<Step> = new.steps.iter().map(|name| Step::new(name)).collect();
    let steps = stored("steps", serde_json::to_value(steps))?;
    on.execute(
        sql!("operations/insert"),
        &[&id, &new.kind, &tenant, &root, &new.input, &steps, &new.run_at, &new.requested_by, &now],
    )
    .await?;
    Ok(id)
}

/// One operation.
pub(super) async fn find(on: &impl Statements, id: OperationId) -> Result<Option<Operation>, DbError> {
    on.opt(sql!("operations/find"), &[&id]).await?.as_ref().map(operation).transpose()
}

/// The open operation of a kind about a tenant.
pub(super) async fn find_open(
    on: &impl Statements,
    tenant: TenantId,
    kind: &str,
) -> Result<Option<OperationId>, DbError> {
    let row = on.opt(sql!("operations/find_open"), &[&tenant, &kind]).await?;
    Ok(row.map(|row| row.try_get("operation_id")).transpose()?)
}

/// Operations, newest first; `after` is the last one of the page before.
pub(super) async fn list(
    on: &impl Statements,
    filter: &OperationFilter<'_>,
    after: Option<(DateTime<Utc>, OperationId)>,
    limit: i64,
) -> Result<Vec<Operation>, DbError> {
    let (at, id) = after.unzip();
    let rows =
        on.all(sql!("operations/list"), &[&filter.tenant_id, &filter.kind, &filter.status, &at, &id, &limit]).await?;
    rows.iter().map(operation).collect()
}

/// Takes the next operation that may be done, or the given one alone; its claim lasts until `until`.
pub(super) async fn lease(
    on: &impl Statements,
    only: Option<OperationId>,
    kinds: &[&str],
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<Operation>, DbError> {
    let token = LeaseToken::new();
    let row = on.opt(sql!("operations/lease"), &[&now, &token, &until, &only, &kinds]).await?;
    row.as_ref().map(operation).transpose()
}

/// Extends the claim; tells whether somebody wants the operation called off, or `None` when the claim was lost.
pub(super) async fn extend(
    on: &impl Statements,
    operation: &Operation,
    until: DateTime<Utc>,
) -> Result<Option<bool>, DbError> {
    let row = on.opt(sql!("operations/extend"), &[&operation.operation_id, &operation.lease, &until]).await?;
    Ok(row.map(|row| row.try_get("cancel_requested")).transpose()?)
}

/// Records where an operation stands. `false` when the claim was lost: somebody else is at work on it.
pub(super) async fn save(on: &impl Statements, operation: &Operation) -> Result<bool, DbError> {
    let steps = stored("steps", serde_json::to_value(&operation.steps))?;
    let result = Value::Object(operation.result.clone());
    let (kind, reason) = operation.error.as_ref().map(|error| (&error.kind, &error.reason)).unzip();
    let saved = on
        .execute(
            sql!("operations/save"),
            &[
                &operation.operation_id,
                &operation.lease,
                &operation.status,
                &steps,
                &result,
                &kind,
                &reason,
                &operation.attempts,
                &operation.run_at,
                &operation.ended_at,
            ],
        )
        .await?;
    Ok(saved == 1)
}

/// Asks for an operation to be called off. `false` when it has ended.
pub(super) async fn request_cancel(on: &impl Statements, id: OperationId, now: DateTime<Utc>) -> Result<bool, DbError> {
    Ok(on.execute(sql!("operations/request_cancel"), &[&id, &now]).await? == 1)
}

/// Asks for a failed operation to be called off: what its steps have made is taken back. `false` when it has not failed.
pub(super) async fn call_off_failed(
    on: &impl Statements,
    id: OperationId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    Ok(on.execute(sql!("operations/call_off_failed"), &[&id, &now]).await? == 1)
}

/// Lets a failed operation go on at the step that failed. `false` when it has not failed.
pub(super) async fn retry(on: &impl Statements, id: OperationId, now: DateTime<Utc>) -> Result<bool, DbError> {
    Ok(on.execute(sql!("operations/retry"), &[&id, &now]).await? == 1)
}

/// Appends one event to the platform's own audit log.
pub(super) async fn audit(
    on: &impl Statements,
    actor: &str,
    action: &str,
    operation: &Operation,
    request_id: Option<String>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let details = serde_json::json!({ "kind": operation.kind, "error": operation.error.as_ref().map(|e| &e.kind) });
    crate::platform::audit::audit_platform(
        on,
        &crate::platform::audit::PlatformEvent {
            actor,
            action,
            subject_kind: "operation",
            subject_id: Some(operation.operation_id.0),
            tenant_id: operation.tenant_id,
            request_id,
            details,
            now,
        },
    )
    .await
}

fn stored(what: &'static str, value: Result<Value, serde_json::Error>) -> Result<Value, DbError> {
    value.map_err(|source| DbError::Stored { what, source })
}

fn operation(row: &Row) -> Result<Operation, DbError> {
    let read = |what, value| -> Result<_, DbError> {
        serde_json::from_value(value).map_err(|source| DbError::Stored { what, source })
    };
    let kind: Option<String> = row.try_get("error_kind")?;
    let reason: Option<String> = row.try_get("error_reason")?;
    let result: Option<Value> = row.try_get("result")?;
    Ok(Operation {
        operation_id: row.try_get("operation_id")?,
        kind: row.try_get("kind")?,
        tenant_id: row.try_get("tenant_id")?,
        root_organization_id: row.try_get("root_organization_id")?,
        status: row.try_get("status")?,
        input: row.try_get("input")?,
        steps: serde_json::from_value(row.try_get("steps")?)
            .map_err(|source| DbError::Stored { what: "steps", source })?,
        result: result.map(|value| read("result", value)).transpose()?.unwrap_or_default(),
        error: kind.map(|kind| OperationError { kind, reason: reason.unwrap_or_default() }),
        cancel_requested: row.try_get("cancel_requested")?,
        attempts: row.try_get("attempts")?,
        run_at: row.try_get("run_at")?,
        requested_by: row.try_get("requested_by")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
        lease: row.try_get("lease_token")?,
    })
}
