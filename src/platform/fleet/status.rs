//! How the fleet stands: versions, drift and last errors, and what a run would do.

use chrono::{DateTime, Utc};

use super::{
    model::{Drift, FleetError, MigrationPlan, PlannedStep, StatusFilter, TenantState},
    store,
};
use crate::{
    foundation::ids::TenantId,
    platform::db::{DbError, Owner, Statements, Step, TenantMigrations, schema_name},
};

/// Schemas whose catalogs are read in one query.
const AT_ONCE: i64 = 50;

/// `sql/baseline/fingerprints.txt`: a line for every version and concurrent step, with the digest of the catalog that they make.
const FINGERPRINTS: &str = include_str!("../../../sql/baseline/fingerprints.txt");

/// The fingerprint of a schema that is as its version says; `None` when this build does not know the version.
pub fn expected_fingerprint(schema_version: i32, concurrent_version: i32) -> Option<&'static str> {
    FINGERPRINTS.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut words = line.split_whitespace();
        let known = (words.next()?.parse().ok()?, words.next()?.parse().ok()?) == (schema_version, concurrent_version);
        words.next().filter(|_| known)
    })
}

/// The fingerprint of one tenant's schema as it is; `None` when there is no schema.
///
/// # Errors
/// [`DbError`].
pub async fn fingerprint(on: &impl Statements, tenant: TenantId) -> Result<Option<String>, DbError> {
    let schema = schema_name(tenant);
    Ok(store::fingerprints(on, std::slice::from_ref(&schema)).await?.remove(&schema))
}

/// Up to `most` tenants, newest first, behind a position. Drift is looked for in few queries, and pg_catalog is everybody's to read: any
/// role that may read `platform.tenants` will do. For drifted ones alone it goes through the fleet until enough are found.
///
/// # Errors
/// [`DbError`].
pub async fn status(
    on: &impl Statements,
    set: &TenantMigrations,
    filter: StatusFilter,
    after: Option<(DateTime<Utc>, TenantId)>,
    most: usize,
) -> Result<Vec<TenantState>, DbError> {
    let mut found = Vec::new();
    let mut after = after;
    while found.len() < most {
        let missing = i64::try_from(most - found.len()).unwrap_or(AT_ONCE);
        let limit = if filter == StatusFilter::Drifted { AT_ONCE } else { missing.min(AT_ONCE) };
        let mut page = store::page(on, set, filter, after, limit).await?;
        compare(on, &mut page).await?;
        let last = page.last().map(|tenant| (tenant.created_at, tenant.tenant_id));
        let whole = i64::try_from(page.len()).is_ok_and(|read| read == limit);
        if filter == StatusFilter::Drifted {
            page.retain(|tenant| matches!(tenant.drift, Drift::Drifted | Drift::Missing));
        }
        found.append(&mut page);
        after = last;
        if !whole {
            break;
        }
    }
    found.truncate(most);
    Ok(found)
}

/// Reads the catalogs of all of them at once.
async fn compare(on: &impl Statements, tenants: &mut [TenantState]) -> Result<(), DbError> {
    if tenants.is_empty() {
        return Ok(());
    }
    let schemas: Vec<String> = tenants.iter().map(|tenant| schema_name(tenant.tenant_id)).collect();
    let mut fingerprints = store::fingerprints(on, &schemas).await?;
    for (tenant, schema) in tenants.iter_mut().zip(schemas) {
        tenant.fingerprint = fingerprints.remove(&schema);
        let expected = expected_fingerprint(tenant.schema_version, tenant.concurrent_version);
        tenant.drift = match (&tenant.fingerprint, expected) {
            (None, _) if tenant.schema_version == 0 => Drift::None, // its provisioning has not come so far
            (None, _) => Drift::Missing,
            (Some(_), None) => Drift::Unknown,
            (Some(is), Some(should)) if is == should => Drift::None,
            (Some(_), Some(_)) => Drift::Drifted,
        };
    }
    Ok(())
}

/// What [`super::migrate`] would do now. Changes nothing.
///
/// # Errors
/// [`FleetError`]; also when refinery finds the platform's history divergent.
pub async fn plan(owner: &Owner, set: &TenantMigrations) -> Result<MigrationPlan, FleetError> {
    let platform = owner.pending_platform_migrations().await?;
    let platform = platform.into_iter().map(|step| planned(step, false, 1)).collect();
    let counted = if owner.is_migrated().await? { store::versions(owner).await? } else { Vec::new() };
    let below = |version: i32, of: fn(&(i32, i32, i64)) -> i32| -> i64 {
        counted.iter().filter(|row| of(row) < version).map(|row| row.2).sum()
    };
    let transactional = set.steps_after(0).map(|step| planned(step, false, below(step.version, |row| row.0)));
    let concurrent = set.concurrent_after(0).map(|step| planned(step, true, below(step.version, |row| row.1)));
    let tenants = transactional.chain(concurrent).filter(|step| step.tenants > 0).collect();
    Ok(MigrationPlan { platform, tenants })
}

fn planned(step: Step<'_>, concurrent: bool, tenants: i64) -> PlannedStep {
    PlannedStep { version: step.version, name: step.name.to_owned(), concurrent, tenants, sql: step.sql.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_this_build_has_a_fingerprint() {
        let set = TenantMigrations::embedded();
        for step in set.steps_after(0) {
            assert!(expected_fingerprint(step.version, 0).is_some_and(|digest| digest.len() == 64), "{}", step.version);
        }
        assert!(expected_fingerprint(set.newest(), set.newest_concurrent()).is_some());
        assert_eq!(expected_fingerprint(set.newest() + 1, 0), None);
    }
}
