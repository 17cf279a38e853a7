//! The audit log: who did what to what, written in the transaction that did it, and never changed afterwards.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    foundation::ids::{AuditEventId, OrganizationId, TenantId},
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

/// One event of the platform's own log.
#[derive(Clone, Debug)]
pub struct PlatformEvent<'a> {
    /// Who did it: an operator, a tenant's user, an operation, or the command line.
    pub actor: &'a str,
    /// A noun and a past participle: `tenant.suspended`.
    pub action: &'a str,
    /// The noun.
    pub subject_kind: &'a str,
    /// Which one.
    pub subject_id: Option<Uuid>,
    /// The tenant that it is about.
    pub tenant_id: Option<TenantId>,
    /// The request that is being answered.
    pub request_id: Option<String>,
    /// Ids and names of fields; no personal data, no secret.
    pub details: Value,
    /// When.
    pub now: DateTime<Utc>,
}

/// Appends one event to the platform's own log, on the transaction that does it; `on` is an operator's.
///
/// # Errors
/// [`DbError::Statement`] when PostgreSQL refuses it.
pub async fn audit_platform(on: &impl Statements, event: &PlatformEvent<'_>) -> Result<(), DbError> {
    on.execute(
        sql!("audit/append_platform"),
        &[
            &AuditEventId::new(),
            &event.tenant_id,
            &event.actor,
            &event.action,
            &event.subject_kind,
            &event.subject_id,
            &event.request_id,
            &event.details,
            &event.now,
        ],
    )
    .await?;
    Ok(())
}
