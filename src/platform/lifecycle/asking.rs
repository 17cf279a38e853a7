//! Long requests as they are written down: kept under their idempotency key, and found by it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::{LifecycleError, Requested, store};
use crate::{
    foundation::{
        access::OperatorGrant,
        ids::{OperationId, TenantId},
    },
    platform::{
        db::{DbError, PlatformTx, Statements},
        http::{KeyError, Keyed, Once, idempotency::REMEMBERED},
        operations,
    },
};

/// What the same request of the same operator gave before.
pub(super) async fn replayed(
    tx: &PlatformTx<'_>,
    grant: &OperatorGrant,
    kind: &str,
    keyed: &Keyed,
    now: DateTime<Utc>,
) -> Result<Option<Once<Requested>>, LifecycleError> {
    let Some((key, digest)) = keyed.named() else { return Ok(None) };
    let since = now - REMEMBERED;
    let Some(before) = store::find_keyed(tx, kind, grant.actor(), key, since).await? else { return Ok(None) };
    if before.digest != digest {
        return Err(KeyError::Reused.into());
    }
    match requested(tx, before.tenant_id, before.operation_id).await {
        Ok(value) => Ok(Some(Once { value, replayed: true })),
        Err(LifecycleError::NotFound) => Ok(None), // what it began was called off, and everything taken back
        Err(error) => Err(error),
    }
}

/// A long request that is there, and its tenant.
pub(super) async fn requested(
    on: &impl Statements,
    tenant: TenantId,
    operation: OperationId,
) -> Result<Requested, LifecycleError> {
    Ok(Requested {
        tenant: store::find(on, tenant).await?.ok_or(LifecycleError::NotFound)?,
        operation: operations::find(on, operation).await?.ok_or(LifecycleError::NotFound)?,
    })
}

/// What is asked for, with the idempotency key under which it is.
pub(super) fn input(asked: &impl Serialize, keyed: &Keyed) -> Result<Value, DbError> {
    let mut input = serde_json::to_value(asked).map_err(|source| DbError::Stored { what: "input", source })?;
    if let (Some((key, digest)), Some(fields)) = (keyed.named(), input.as_object_mut()) {
        fields.insert("idempotency_key".to_owned(), key.into());
        fields.insert("request_digest".to_owned(), digest.into());
    }
    Ok(input)
}

/// Who has what must be unique.
pub(super) fn taken(by: Option<(TenantId, bool)>) -> LifecycleError {
    match by {
        Some((tenant, has_slug)) => {
            LifecycleError::Taken { field: if has_slug { "slug" } else { "issuer" }, by: Some(tenant) }
        }
        None => LifecycleError::Stale, // whoever had it let go of it just now
    }
}
