//! The audit log: who did what to what, written in the transaction that did it, and never changed afterwards.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    foundation::ids::{AuditEventId, OrganizationId},
    platform::db::{DbError, InTenant, Statements, TenantTx},
    sql,
};

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Runs `work` so that the audit events in it name the request. What `work` spawns is not part of it.
pub async fn in_request<F: Future>(request_id: String, work: F) -> F::Output {
    REQUEST_ID.scope(request_id, work).await
}

/// Appends one event to the log of `organization`, which must be one that the transaction's grant reaches, or the root. It stands if the
/// transaction commits. The actor is the grant's, the request that of [`in_request`].
///
/// `action` is a noun and a past participle (`organization.created`), `subject_kind` the noun; `details` hold ids and names of fields,
/// no personal data.
///
/// # Errors
/// [`DbError::Statement`] when PostgreSQL refuses it.
pub async fn audit(
    tx: &TenantTx<'_>,
    action: &str,
    subject_kind: &str,
    subject_id: Option<Uuid>,
    organization: OrganizationId,
    details: Value,
) -> Result<(), DbError> {
    let request_id = REQUEST_ID.try_with(Clone::clone).ok();
    let id = AuditEventId::new();
    let actor = tx.grant().actor();
    tx.execute(
        sql!("audit/append"),
        &[&id, &organization, &actor, &action, &subject_kind, &subject_id, &request_id, &details],
    )
    .await?;
    Ok(())
}
