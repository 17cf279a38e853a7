//! The certificate of a tenant's destruction: what was destroyed, when, by whom, how each was verified, and what it does not speak of.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{model::TenantRecord, objects::Inventory, off_board::Queued, store::Certificate};
use crate::{
    foundation::{digest, ids::TenantId},
    platform::{
        db::schema_name,
        operations::{Operation, Step},
    },
};

/// Raised when the document's form changes.
const VERSION: u32 = 1;

/// What is outside of this installation's reach.
const NOT_COVERED: &[&str] = &[
    "backups of the database and of the object store: they end with their own retention",
    "versions that the bucket keeps of deleted objects, if its versioning is on",
    "unfinished multipart uploads: the bucket's lifecycle aborts them",
    "what the speech and language-model providers keep of what they were sent, under their own terms",
    "log files of servers, which name the tenant by its id and hold no content",
    "the platform's audit log and this certificate, which name the tenant and hold no content",
    "archives that were exported and fetched before",
    "masked clones that were made of the tenant: they are tenants of their own",
    "rows of platform.operations, which name who asked for what and hold no content",
];

/// One table that was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DestroyedTable {
    pub(super) name: String,
    pub(super) rows: i64,
    pub(super) bytes: i64,
}

/// All that was destroyed.
#[derive(Serialize)]
pub(super) struct Destroyed {
    pub(super) objects: Inventory,
    pub(super) tables: Vec<DestroyedTable>,
    pub(super) queued: Queued,
}

/// One thing that was looked for afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verified {
    what: String,
    how: String,
    found: u64,
    at: DateTime<Utc>,
}

/// What was looked for and not found. `late` objects were found and deleted before the last look.
pub(super) fn verifications(id: TenantId, late: u64, at: DateTime<Utc>) -> Vec<Verified> {
    let at = at.trunc_subsecs(6);
    let verified = |what: &str, how: String| Verified { what: what.to_owned(), how, found: 0, at };
    vec![
        verified("schema", format!("pg_namespace has no row named {}", schema_name(id))),
        verified("objects", format!("a full list of the prefix {id}/ is empty, and in a local directory there is no unfinished file below it; {late} that came late were deleted before")),
        verified("jobs", "platform.jobs has no row of the tenant".to_owned()),
        verified("uploads", "platform.uploads has no row of the tenant".to_owned()),
        verified("operations", "no row of platform.operations about the tenant holds what was asked for".to_owned()),
        verified(
            "cached entries",
            "the tenant's row had changed 40 seconds before anything was destroyed, and servers keep a tenant, its organizations and its people for 30 seconds at most; tokens whose signature was checked are kept for up to 10 minutes more and open nothing; compiled plugins are kept by digest and know no tenant".to_owned(),
        ),
        verified("keys", "this version has no keys of tenants".to_owned()),
    ]
}

/// The document and its digest.
pub(super) fn of(
    tenant: &TenantRecord,
    operation: &Operation,
    grace_days: u16,
    destroyed: &Destroyed,
    verified: &[Verified],
    now: DateTime<Utc>,
) -> Certificate {
    let issued_at = now.trunc_subsecs(6);
    let ended = |step: &Step| json!({ "step": step.name, "ended_at": step.ended_at, "note": step.note });
    let rows: i64 = destroyed.tables.iter().map(|table| table.rows).sum();
    let document = json!({
        "version": VERSION,
        "tenant_id": tenant.tenant_id,
        "slug": tenant.slug,
        "name": tenant.name,
        "schema": schema_name(tenant.tenant_id),
        "object_prefix": format!("{}/", tenant.tenant_id),
        "requested_by": operation.requested_by,
        "requested_at": operation.created_at,
        "grace_days": grace_days,
        "done_by": format!("operation:{}", operation.operation_id),
        "destroyed": destroyed,
        "destroyed_rows": rows,
        "steps": operation.steps.iter().filter(|step| step.ended_at.is_some()).map(ended).collect::<Vec<_>>(),
        "verified": verified,
        "not_covered": NOT_COVERED,
        "issued_at": issued_at,
    });
    Certificate { digest: digest::of_json(&document), document, issued_at }
}
