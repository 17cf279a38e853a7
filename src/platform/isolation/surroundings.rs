//! Walls outside of the schema: objects, the issuer, caches, and whether the schema is the one that this version made.

use futures_util::StreamExt;
use object_store::{ObjectStore, path::Path};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{Check, Isolation};
use crate::{
    foundation::{
        access::{Grant, Permission},
        ids::OrganizationId,
    },
    platform::{
        db::{DbError, Statements},
        fleet::{expected_fingerprint, fingerprint},
        tenancy::Tenant,
    },
    sql,
};

/// Objects that are listed at most.
const MOST_OBJECTS: usize = 100_000;
/// Organizations whose objects' keys are looked at, the first of the directory.
const MOST_ORGANIZATIONS: usize = 1_000;

/// What a process keeps in memory, and what tells one tenant's from another's.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CacheKey {
    /// The source file, below `src`.
    pub kept_in: &'static str,
    /// What is kept.
    pub what: &'static str,
    /// By which key it is found.
    pub key: &'static str,
}

/// Every cache of the program; tests/it/isolation_report.rs finds those that are not here.
pub const CACHES: &[CacheKey] = &[
    CacheKey { kept_in: "platform/tenancy/tenants.rs", what: "tenants", key: "the issuer or the tenant's id" },
    CacheKey { kept_in: "platform/tenancy/tenants.rs", what: "organizations", key: "the tenant's id" },
    CacheKey {
        kept_in: "platform/identity/members.rs",
        what: "users and their agents",
        key: "the tenant's id and the subject",
    },
    CacheKey { kept_in: "platform/identity/keys.rs", what: "issuers' public keys", key: "the issuer" },
    CacheKey {
        kept_in: "platform/identity/verified.rs",
        what: "tokens whose signature was checked",
        key: "the SHA-256 of the whole token, its signature included, and the issuer's key that proved it",
    },
    CacheKey {
        kept_in: "platform/plugins/host.rs",
        what: "compiled plugins, without settings or data",
        key: "the SHA-256 of the component: equal bytes are one program",
    },
    CacheKey { kept_in: "platform/db", what: "prepared statements", key: "the query, the tenant and the scope role" },
];

pub(super) async fn checks(on: &Isolation, tenant: &Tenant) -> Result<Vec<Check>, DbError> {
    let objects = "Does every stored object of the tenant lie below its own prefix?";
    let row = on.db.platform_alone().one(sql!("isolation/issuer"), &[&tenant.tenant_id]).await?;
    let schema = "Is the schema the one that its version makes, with nothing changed by hand?";
    Ok(vec![
        Check::seen("object_prefix", objects, object_prefix(on, tenant, objects).await)?,
        issuer(&row)?,
        cache_keys(),
        Check::seen("schema", schema, drift(on, tenant, &row, schema).await)?,
    ])
}

async fn object_prefix(on: &Isolation, tenant: &Tenant, asked: &str) -> Result<Check, DbError> {
    let prefix = format!("{}/", tenant.tenant_id);
    let directory = on.tenants.directory(tenant).await?;
    let organizations = &directory.all()[..directory.all().len().min(MOST_ORGANIZATIONS)];
    let (mut recorded, mut outside) = (0_i64, 0_i64);
    for organization in organizations {
        let grant = looking(tenant, *organization);
        let row = on.db.alone(&grant).one(sql!("isolation/object_keys"), &[&vec![*organization], &prefix]).await?;
        recorded += row.try_get::<_, i64>("recorded")?;
        outside += row.try_get::<_, i64>("outside")?;
    }
    let mut faults = vec![];
    if outside > 0 {
        faults.push(format!("{outside} recorded keys are outside of the prefix"));
    }
    let listed = listed(on.objects.as_ref(), &prefix).await;
    if let Err(error) = &listed {
        tracing::warn!(%error, "objects could not be listed for an isolation report");
        faults.push("the object store could not be asked".to_owned());
    }
    let (count, bytes) = listed.unwrap_or_default();
    let evidence = json!({
        "prefix": prefix, "organizations": organizations.len(), "of_organizations": directory.all().len(),
        "recorded_keys": recorded, "recorded_outside": outside,
        "listed_objects": count, "listed_bytes": bytes, "listed_all": count < MOST_OBJECTS,
    });
    Ok(Check::of("object_prefix", asked, &faults, format!("all {recorded} recorded keys do"), evidence))
}

/// How many objects lie below the prefix, and their bytes.
async fn listed(objects: &dyn ObjectStore, prefix: &str) -> object_store::Result<(usize, u64)> {
    let mut found = objects.list(Some(&Path::from(prefix))).take(MOST_OBJECTS);
    let (mut count, mut bytes) = (0, 0);
    while let Some(object) = found.next().await.transpose()? {
        count += 1;
        bytes += object.size;
    }
    Ok((count, bytes))
}

/// Counts keys in one organization; nothing else is asked under it.
#[allow(
    clippy::disallowed_methods,
    reason = "whoever may read how the tenant stands reads two numbers, of every organization"
)]
fn looking(tenant: &Tenant, organization: OrganizationId) -> Grant {
    Grant::system(
        tenant.tenant_id,
        tenant.root_organization_id,
        organization,
        "isolation-report",
        Permission::ReadTenant,
    )
}

fn issuer(row: &Row) -> Result<Check, DbError> {
    let mut faults = vec![];
    for (column, what) in [("same_issuer", "issuer"), ("same_slug", "slug"), ("same_root", "root organization")] {
        if row.try_get(column)? {
            faults.push(format!("another tenant has this one's {what}"));
        }
    }
    let evidence = json!({ "issuer": row.try_get::<_, String>("issuer")?, "compared": "byte for byte", "keys": "those that this issuer publishes" });
    let asked = "Do tokens of the tenant's issuer alone open it, and no other tenant?";
    Ok(Check::of("issuer", asked, &faults, "the issuer is this tenant's alone", evidence))
}

/// What the code says of itself; a test keeps the list whole.
fn cache_keys() -> Check {
    let asked = "By what are things of different tenants told apart that a process keeps in memory?";
    let right = "every cache is keyed by the tenant, its issuer or its schema, or holds nothing of a tenant's";
    Check::of("cache_keys", asked, &[], right, json!(CACHES))
}

async fn drift(on: &Isolation, tenant: &Tenant, row: &Row, asked: &str) -> Result<Check, DbError> {
    let (version, concurrent): (i32, i32) = (row.try_get("schema_version")?, row.try_get("concurrent_version")?);
    let is = fingerprint(&on.db.platform_alone(), tenant.tenant_id).await?;
    let should = expected_fingerprint(version, concurrent);
    let faults: Vec<String> = match (&is, should) {
        (None, _) => vec!["there is no schema".to_owned()],
        (Some(_), None) => vec![format!("this server does not know version {version}")],
        (Some(is), Some(should)) if is != should => vec!["it is not".to_owned()],
        (Some(_), Some(_)) => vec![],
    };
    let evidence: Value =
        json!({ "version": version, "concurrent_version": concurrent, "fingerprint": is, "expected": should });
    Ok(Check::of("schema", asked, &faults, format!("it is, at version {version}"), evidence))
}
