//! Rows of `platform.tenants` and `platform.certificates`: one function per query file.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::Row;

use super::model::{FirstAdmin, TenantRecord};
use crate::{
    foundation::ids::{OperationId, OrganizationId, TenantId, UserId},
    platform::{
        db::{DbError, InTenant, Statements},
        http::Listing,
        tenancy::TenantStatus,
    },
    sql,
};

/// A tenant that is just asked for.
pub(super) struct NewRow<'a> {
    pub(super) tenant_id: TenantId,
    pub(super) root: OrganizationId,
    pub(super) slug: &'a str,
    pub(super) name: &'a str,
    pub(super) issuer: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// `false` when another tenant has the slug or the issuer.
pub(super) async fn insert(on: &impl Statements, new: &NewRow<'_>) -> Result<bool, DbError> {
    let NewRow { tenant_id, root, slug, name, issuer, now } = new;
    let made = on.execute(sql!("lifecycle/insert"), &[tenant_id, slug, name, issuer, root, now]).await?;
    Ok(made == 1)
}

/// Who has the slug, or the issuer; `true` when it is the slug.
pub(super) async fn find_taken(
    on: &impl Statements,
    slug: &str,
    issuer: &str,
) -> Result<Option<(TenantId, bool)>, DbError> {
    let row = on.opt(sql!("lifecycle/find_taken"), &[&slug, &issuer]).await?;
    row.map(|row| Ok((row.try_get("tenant_id")?, row.try_get("has_slug")?))).transpose()
}

pub(super) async fn find(on: &impl Statements, id: TenantId) -> Result<Option<TenantRecord>, DbError> {
    on.opt(sql!("lifecycle/find"), &[&id]).await?.as_ref().map(record).transpose()
}

pub(super) async fn lock(on: &impl Statements, id: TenantId) -> Result<Option<TenantRecord>, DbError> {
    on.opt(sql!("lifecycle/lock"), &[&id]).await?.as_ref().map(record).transpose()
}

pub(super) async fn find_by_slug(on: &impl Statements, slug: &str) -> Result<Option<TenantRecord>, DbError> {
    on.opt(sql!("lifecycle/find_by_slug"), &[&slug]).await?.as_ref().map(record).transpose()
}

pub(super) async fn list(
    on: &impl Statements,
    status: Option<TenantStatus>,
    slug_prefix: Option<&str>,
    listing: &Listing,
) -> Result<Vec<TenantRecord>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("lifecycle/list"), &[&status, &slug_prefix, &at, &id, &most]).await?;
    rows.iter().map(record).collect()
}

/// Writes name and issuer over the revision that `tenant` has; `false` when it has another by now.
pub(super) async fn update(on: &impl Statements, tenant: &TenantRecord) -> Result<bool, DbError> {
    let TenantRecord { tenant_id, revision, name, issuer, .. } = tenant;
    Ok(on.execute(sql!("lifecycle/update"), &[tenant_id, revision, name, issuer]).await? == 1)
}

/// Where a tenant goes to.
pub(super) struct Move<'a> {
    pub(super) from: TenantStatus,
    pub(super) to: TenantStatus,
    pub(super) reason: Option<&'a str>,
    pub(super) leaves_at: Option<DateTime<Utc>>,
}

/// `false` when it is not where it should come from.
pub(super) async fn move_status(on: &impl Statements, id: TenantId, to: &Move<'_>) -> Result<bool, DbError> {
    let moved = on.execute(sql!("lifecycle/move_status"), &[&id, &to.from, &to.to, &to.reason, &to.leaves_at]).await?;
    Ok(moved == 1)
}

/// `false` when it is too late.
pub(super) async fn set_hold(on: &impl Statements, id: TenantId, reason: Option<&str>) -> Result<bool, DbError> {
    Ok(on.execute(sql!("lifecycle/set_hold"), &[&id, &reason]).await? == 1)
}

/// `false` while a legal hold is on, or when the tenant does not leave.
pub(super) async fn begin_destruction(on: &impl Statements, id: TenantId) -> Result<bool, DbError> {
    Ok(on.execute(sql!("lifecycle/begin_destruction"), &[&id]).await? == 1)
}

pub(super) async fn delete_jobs(on: &impl Statements, id: TenantId) -> Result<u64, DbError> {
    on.execute(sql!("lifecycle/delete_jobs"), &[&id]).await
}

pub(super) async fn delete_uploads(on: &impl Statements, id: TenantId) -> Result<u64, DbError> {
    on.execute(sql!("lifecycle/delete_uploads"), &[&id]).await
}

pub(super) async fn close_operations(
    on: &impl Statements,
    id: TenantId,
    but: OperationId,
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    on.execute(sql!("lifecycle/close_operations"), &[&id, &but, &now]).await
}

pub(super) async fn scrub_operations(on: &impl Statements, id: TenantId, but: OperationId) -> Result<u64, DbError> {
    on.execute(sql!("lifecycle/scrub_operations"), &[&id, &but]).await
}

/// How many rows about a destroyed tenant are there that should not be: jobs, uploads, operations that hold what was asked for.
pub(super) async fn left_behind(
    on: &impl Statements,
    id: TenantId,
    but: OperationId,
) -> Result<(i64, i64, i64), DbError> {
    let row = on.one(sql!("lifecycle/left_behind"), &[&id, &but]).await?;
    Ok((row.try_get("jobs")?, row.try_get("uploads")?, row.try_get("operations")?))
}

/// What was destroyed of a tenant, when, and how that was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// What it certifies.
    pub document: Value,
    /// SHA-256 of the document's canonical JSON, hex.
    pub digest: String,
    /// When it was written.
    pub issued_at: DateTime<Utc>,
}

/// Keeps the certificate, unless there is one.
pub(super) async fn certify(
    on: &impl Statements,
    tenant: &TenantRecord,
    certificate: &Certificate,
) -> Result<(), DbError> {
    let Certificate { document, digest, issued_at } = certificate;
    on.execute(sql!("lifecycle/certify"), &[&tenant.tenant_id, &tenant.slug, document, digest, issued_at]).await?;
    Ok(())
}

pub(super) async fn find_certificate(on: &impl Statements, id: TenantId) -> Result<Option<Certificate>, DbError> {
    let row = on.opt(sql!("lifecycle/find_certificate"), &[&id]).await?;
    row.map(|row| {
        Ok(Certificate {
            document: row.try_get("document")?,
            digest: row.try_get("digest")?,
            issued_at: row.try_get("issued_at")?,
        })
    })
    .transpose()
}

/// `false` when it is buried already.
pub(super) async fn bury(on: &impl Statements, id: TenantId, now: DateTime<Utc>) -> Result<bool, DbError> {
    Ok(on.execute(sql!("lifecycle/bury"), &[&id, &now]).await? == 1)
}

/// `false` when the subject is a user already.
pub(super) async fn insert_admin(
    on: &impl InTenant,
    user_id: UserId,
    admin: &FirstAdmin,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let FirstAdmin { subject, display_name, email } = admin;
    let root = on.root();
    let made =
        on.execute(sql!("lifecycle/insert_admin"), &[&user_id, &root, subject, display_name, email, &now]).await?;
    Ok(made == 1)
}

/// The operation that a request of the same actor with this idempotency key began.
pub(super) struct Keyed {
    pub(super) operation_id: OperationId,
    pub(super) tenant_id: TenantId,
    pub(super) digest: String,
}

pub(super) async fn find_keyed(
    on: &impl Statements,
    kind: &str,
    actor: &str,
    key: &str,
    since: DateTime<Utc>,
) -> Result<Option<Keyed>, DbError> {
    let row = on.opt(sql!("lifecycle/find_keyed"), &[&kind, &actor, &key, &since]).await?;
    row.map(|row| {
        Ok(Keyed {
            operation_id: row.try_get("operation_id")?,
            tenant_id: row.try_get("tenant_id")?,
            digest: row.try_get("request_digest")?,
        })
    })
    .transpose()
}

fn record(row: &Row) -> Result<TenantRecord, DbError> {
    Ok(TenantRecord {
        tenant_id: row.try_get("tenant_id")?,
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        status: row.try_get("status")?,
        status_reason: row.try_get("status_reason")?,
        issuer: row.try_get("issuer")?,
        root_organization_id: row.try_get("root_organization_id")?,
        schema_version: row.try_get("schema_version")?,
        revision: row.try_get("revision")?,
        legal_hold: row.try_get("legal_hold")?,
        leaves_at: row.try_get("leaves_at")?,
        destroyed_at: row.try_get("destroyed_at")?,
        created_at: row.try_get("created_at")?,
    })
}
