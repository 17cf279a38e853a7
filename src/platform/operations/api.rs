//! `/api/operations`: how far a long request is, and what can be done about it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
    payload::Json,
};

use super::{
    Operation, OperationError, OperationFilter, OperationStatus, Step, asking,
    store::{self, find},
};
use crate::{
    foundation::{
        access::{Permission, Principal, TenantDenied, TenantGrant},
        clock::Clock,
        ids::{OperationId, TenantId},
    },
    platform::{
        db::Db,
        http::{Cursor, Kind, Limit, Listing, Page, Position, Refusal},
    },
};

#[derive(Tags)]
enum Tag {
    /// Long requests: how far they are, why they failed, and how to call them off or try them again.
    Operations,
}

/// The operations on long requests.
pub struct OperationsApi {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
}

#[OpenApi(prefix_path = "/api/operations", tag = "Tag::Operations")]
impl OperationsApi {
    /// List operations
    ///
    /// Newest first. Operators see all; a tenant's people those about their own tenant.
    #[oai(path = "/", method = "get", operation_id = "list_operations")]
    async fn list_operations(
        &self,
        principal: Principal,
        tenant_id: Query<Option<TenantId>>,
        /// Such as `provision_tenant`.
        #[oai(validator(max_length = 80))]
        kind: Query<Option<String>>,
        status: Query<Option<OperationStatus>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<OperationView>>, Refusal> {
        let grant = granted(&principal, Permission::ReadTenant)?;
        let filter = OperationFilter { tenant_id: tenant_id.0, kind: kind.0.as_deref(), status: status.0 };
        let listing = Listing::new("list_operations", &filter, limit.0, &cursor.0)?;
        let after = listing.after().map(|after| (after.at, OperationId(after.id)));
        let found = match &grant {
            TenantGrant::Operator(grant) => {
                store::list(&self.db.operator_alone(grant), &filter, after, listing.fetch()).await?
            }
            TenantGrant::Member(grant) => {
                let filter = OperationFilter { tenant_id: own(filter.tenant_id, grant.tenant()), ..filter };
                store::list(&self.db.alone(grant), &filter, after, listing.fetch()).await?
            }
        };
        let position = |one: &Operation| Position::new(one.created_at, one.operation_id.0);
        Ok(Json(listing.page(found, position, OperationView::from)))
    }

    /// Get an operation
    ///
    /// Its steps, how far it is, what came of it, and why it failed.
    #[oai(path = "/:operation_id", method = "get", operation_id = "get_operation")]
    async fn get_operation(
        &self,
        principal: Principal,
        operation_id: Path<OperationId>,
    ) -> Result<Json<OperationView>, Refusal> {
        let grant = granted(&principal, Permission::ReadTenant)?;
        let found = match &grant {
            TenantGrant::Operator(grant) => find(&self.db.operator_alone(grant), operation_id.0).await?,
            TenantGrant::Member(grant) => find(&self.db.alone(grant), operation_id.0).await?,
        };
        Ok(Json(found.ok_or_else(unknown)?.into()))
    }

    /// Call an operation off
    ///
    /// It stops at its next good place, and what its steps have made is taken back; that of a failed one too. What cannot be called off any more (a destruction that
    /// has begun) comes to its end. Operators may call off all, a tenant's admin an export of the own tenant.
    #[oai(path = "/:operation_id/cancel", method = "post", operation_id = "cancel_operation")]
    async fn cancel_operation(
        &self,
        principal: Principal,
        operation_id: Path<OperationId>,
    ) -> Result<Json<OperationView>, Refusal> {
        let (id, now) = (operation_id.0, self.clock.now());
        let operation = match granted(&principal, Permission::ExportTenant)? {
            TenantGrant::Operator(grant) => asking::call_off(&self.db, &grant, id, now).await?,
            TenantGrant::Member(grant) => {
                self.db
                    .tenant(&grant, "operations.cancel", async |tx| {
                        let operation = find(tx, id).await?.ok_or_else(unknown)?;
                        if operation.kind != "export_tenant" {
                            return Err(Refusal::new(
                                Kind::Forbidden,
                                "only operators call off this kind of operation",
                            ));
                        }
                        if !store::request_cancel(tx, id, now).await? {
                            return Err(over());
                        }
                        let details = serde_json::json!({ "kind": operation.kind });
                        let root = grant.root();
                        crate::platform::audit::audit(
                            tx,
                            "operation.cancel_requested",
                            "operation",
                            Some(id.0),
                            root,
                            details,
                        )
                        .await?;
                        find(tx, id).await?.ok_or_else(unknown)
                    })
                    .await?
            }
        };
        Ok(Json(operation.into()))
    }

    /// Retry a failed operation
    ///
    /// It goes on at the step that failed; what was done before stays done.
    #[oai(path = "/:operation_id/retry", method = "post", operation_id = "retry_operation")]
    async fn retry_operation(
        &self,
        principal: Principal,
        operation_id: Path<OperationId>,
    ) -> Result<Json<OperationView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        Ok(Json(asking::retry(&self.db, &grant, operation_id.0, self.clock.now()).await?.into()))
    }
}

/// Leave about whichever tenant it turns out to be: row security shows a tenant's people their own alone.
fn granted(principal: &Principal, permission: Permission) -> Result<TenantGrant, Refusal> {
    Ok(match principal {
        Principal::Operator(operator) => TenantGrant::Operator(operator.may(permission)?),
        Principal::Caller(caller) => TenantGrant::Member(caller.may(permission)?),
    })
}

/// A tenant's people who ask about another tenant get what there is about it and about their own: nothing.
fn own(asked: Option<TenantId>, own: TenantId) -> Option<TenantId> {
    asked.or(Some(own))
}

fn unknown() -> Refusal {
    Refusal::not_found("operation")
}

fn over() -> Refusal {
    Refusal::new(Kind::IllegalState, "the operation has come to its end")
}

impl From<TenantDenied> for Refusal {
    fn from(denied: TenantDenied) -> Self {
        match denied {
            TenantDenied::NotFound => Refusal::not_found("tenant"),
            TenantDenied::Denied(denied) => denied.into(),
        }
    }
}

/// A long request as the API shows it.
#[derive(Debug, Object)]
#[oai(rename = "Operation")]
pub struct OperationView {
    /// Its id.
    operation_id: OperationId,
    /// What is done, such as `provision_tenant`.
    kind: String,
    /// The tenant that it is about.
    tenant_id: Option<TenantId>,
    /// How it stands.
    status: OperationStatus,
    /// How much is done, 0 to 1; steps count alike.
    #[oai(validator(minimum(value = "0"), maximum(value = "1")))]
    progress: f64,
    /// What is done, in order.
    steps: Vec<Step>,
    /// What came of it so far.
    result: serde_json::Value,
    /// Why it failed.
    error: Option<OperationError>,
    /// Whether somebody wants it called off.
    cancel_requested: bool,
    /// When it goes on, if it waits.
    run_at: DateTime<Utc>,
    /// Who asked for it: `operator:<subject>`, `user:<subject>` or `command-line:<login>`.
    requested_by: String,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// When it was begun.
    started_at: Option<DateTime<Utc>>,
    /// When it came to its end.
    ended_at: Option<DateTime<Utc>>,
}

impl From<Operation> for OperationView {
    fn from(operation: Operation) -> Self {
        Self {
            progress: operation.progress(),
            operation_id: operation.operation_id,
            kind: operation.kind,
            tenant_id: operation.tenant_id,
            status: operation.status,
            steps: operation.steps,
            result: serde_json::Value::Object(operation.result),
            error: operation.error,
            cancel_requested: operation.cancel_requested,
            run_at: operation.run_at,
            requested_by: operation.requested_by,
            created_at: operation.created_at,
            started_at: operation.started_at,
            ended_at: operation.ended_at,
        }
    }
}
