//! The audit log: who did what to what, written in the transaction that did it, and never changed afterwards.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    foundation::ids::{AuditEventId, OrganizationId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::request_id,
    },
    sql,
};

/// Appends one event to the log of `organization`, which must be one that the transaction's grant reaches, or the root. It stands if the
/// transaction commits. The actor is the grant's, the request the one that is being
/// answered.
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
    let request_id = request_id::current();
    let id = AuditEventId::new();
    let actor = tx.grant().actor();
    tx.execute(
        sql!("audit/append"),
        &[&id, &organization, &actor, &action, &subject_kind, &subject_id, &request_id, &details],
    )
    .await?;
    Ok(())
}
