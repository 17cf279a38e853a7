//! Rows of `plugin_versions`, `plugin_bindings` and `plugin_policies`: one function per query file.

use chrono::{DateTime, Utc};
use postgres_types::ToSql;
use tokio_postgres::Row;

use super::model::{
    BindingMode, BindingRecord, Ended, EndedBecause, PluginPolicy, PluginVersion, PluginWorld, RollbackRules, Use,
};
use crate::{
    foundation::ids::{BindingId, OrganizationId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::Listing,
    },
    sql,
};

/// What versions a list holds.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct VersionFilter {
    /// For this alone.
    pub world: Option<PluginWorld>,
    /// Called so.
    pub name: Option<String>,
}

/// What bindings a list holds.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct BindingFilter {
    /// Of this organization alone.
    pub organization_id: Option<OrganizationId>,
    /// Of plugins for this alone.
    pub world: Option<PluginWorld>,
    /// Of this mode alone.
    pub mode: Option<BindingMode>,
    /// Of this version alone.
    pub digest: Option<String>,
    /// Without those that have ended.
    pub current: bool,
}

pub(super) async fn find_version(on: &impl InTenant, digest: &str) -> Result<Option<PluginVersion>, DbError> {
    let row = on.opt(sql!("plugins/find_version"), &[&digest, &on.root(), &on.organizations()]).await?;
    row.as_ref().map(plugin_version).transpose()
}

pub(super) async fn list_versions(
    on: &impl InTenant,
    filter: &VersionFilter,
    listing: &Listing,
) -> Result<Vec<PluginVersion>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let (root, organizations) = (on.root(), on.organizations());
    let rows = on
        .all(sql!("plugins/list_versions"), &[&root, &organizations, &filter.world, &filter.name, &at, &id, &most])
        .await?;
    rows.iter().map(plugin_version).collect()
}

/// Whether the version is new.
pub(super) async fn insert_version(tx: &TenantTx<'_>, new: &PluginVersion) -> Result<bool, DbError> {
    let row: [&(dyn ToSql + Sync); 13] = [
        &new.digest,
        &tx.root(),
        &new.name,
        &new.version,
        &new.world,
        &new.summary,
        &new.size_bytes,
        &new.object_key,
        &new.settings_schema,
        &new.manifest,
        &new.report,
        &new.uploaded_by,
        &new.created_at,
    ];
    Ok(tx.execute(sql!("plugins/insert_version"), &row).await? == 1)
}

pub(super) async fn insert_binding(tx: &TenantTx<'_>, new: &BindingRecord) -> Result<(), DbError> {
    let of = &new.of;
    let row: [&(dyn ToSql + Sync); 14] = [
        &new.binding_id,
        &of.organization_id,
        &of.digest,
        &new.world,
        &of.mode,
        &of.canary_share,
        &of.settings,
        &of.failure_policy,
        &of.rollback.most_faults,
        &of.rollback.most_drift,
        &of.rollback.least_runs,
        &new.replaces,
        &new.created_by,
        &new.created_at,
    ];
    tx.execute(sql!("plugins/insert_binding"), &row).await?;
    Ok(())
}

/// Ends a binding; `false` when it has ended already.
pub(super) async fn end_binding(tx: &TenantTx<'_>, id: BindingId, ended: &Ended) -> Result<bool, DbError> {
    let row: [&(dyn ToSql + Sync); 5] = [&id, &tx.organizations(), &ended.at, &ended.by, &ended.because];
    Ok(tx.execute(sql!("plugins/end_binding"), &row).await? == 1)
}

/// Ends what a new binding takes the place of, and tells what that was: the active one, or what runs beside it.
pub(super) async fn end_place(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    world: PluginWorld,
    mode: BindingMode,
    now: DateTime<Utc>,
) -> Result<Option<BindingId>, DbError> {
    let (active, by) = (mode == BindingMode::Active, tx.grant().actor());
    let row = tx.opt(sql!("plugins/end_place"), &[&organization, &world, &active, &now, &by]).await?;
    row.map(|row| Ok(row.try_get("binding_id")?)).transpose()
}

pub(super) async fn find_binding(on: &impl InTenant, id: BindingId) -> Result<Option<BindingRecord>, DbError> {
    let row = on.opt(sql!("plugins/find_binding"), &[&id, &on.organizations(), &with_root(on)]).await?;
    row.as_ref().map(binding).transpose()
}

/// What the organization uses in a world now; none where that is the built-in one.
pub(super) async fn find_active(
    on: &impl InTenant,
    organization: OrganizationId,
    world: PluginWorld,
) -> Result<Option<BindingRecord>, DbError> {
    let all = with_root(on);
    let row = on.opt(sql!("plugins/find_active"), &[&organization, &on.organizations(), &world, &all]).await?;
    row.as_ref().map(binding).transpose()
}

pub(super) async fn list_bindings(
    on: &impl InTenant,
    filter: &BindingFilter,
    listing: &Listing,
) -> Result<Vec<BindingRecord>, DbError> {
    let organizations = only(on, filter.organization_id);
    let (at, id, most, all) = (listing.after_at(), listing.after_id(), listing.fetch(), with_root(on));
    let row: [&(dyn ToSql + Sync); 9] =
        [&organizations, &filter.world, &filter.mode, &filter.digest, &filter.current, &at, &id, &most, &all];
    on.all(sql!("plugins/list_bindings"), &row).await?.iter().map(binding).collect()
}

pub(super) async fn find_policy(on: &impl InTenant, organization_id: OrganizationId) -> Result<PluginPolicy, DbError> {
    let row = on.opt(sql!("plugins/find_policy"), &[&organization_id, &on.organizations()]).await?;
    let Some(row) = row else {
        return Ok(PluginPolicy { organization_id, backtest_calls: None, revision: 0, updated: None });
    };
    Ok(PluginPolicy {
        organization_id,
        backtest_calls: row.try_get("backtest_calls")?,
        revision: row.try_get("revision")?,
        updated: Some((row.try_get("updated_by")?, row.try_get("updated_at")?)),
    })
}

/// Sets a policy over revision `expected`; its new revision, none when another is there.
pub(super) async fn set_policy(
    tx: &TenantTx<'_>,
    organization: OrganizationId,
    backtest_calls: Option<i32>,
    expected: i32,
    now: DateTime<Utc>,
) -> Result<Option<i32>, DbError> {
    let by = tx.grant().actor();
    let row = tx.opt(sql!("plugins/set_policy"), &[&organization, &backtest_calls, &expected, &by, &now]).await?;
    row.map(|row| Ok(row.try_get("revision")?)).transpose()
}

/// The most calls that the version scored without a fault under the settings in one finished back-test.
pub(super) async fn most_backtested(
    on: &impl InTenant,
    organization: OrganizationId,
    digest: &str,
    settings_digest: &str,
) -> Result<i32, DbError> {
    let row = on.one(sql!("plugins/most_backtested"), &[&organization, &digest, &settings_digest]).await?;
    Ok(row.try_get("calls")?)
}

/// The organizations that the work reaches, or one of them.
pub(super) fn only(on: &impl InTenant, only: Option<OrganizationId>) -> Vec<OrganizationId> {
    on.organizations().iter().copied().filter(|one| only.is_none_or(|only| only == *one)).collect()
}

/// Whose versions there are: the tenant's, which are its root's.
fn with_root(on: &impl InTenant) -> Vec<OrganizationId> {
    on.organizations().iter().copied().chain([on.root()]).collect()
}

fn plugin_version(row: &Row) -> Result<PluginVersion, DbError> {
    Ok(PluginVersion {
        digest: row.try_get("digest")?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        world: row.try_get("world")?,
        summary: row.try_get("summary")?,
        size_bytes: row.try_get("size_bytes")?,
        object_key: row.try_get("object_key")?,
        settings_schema: row.try_get("settings_schema")?,
        manifest: row.try_get("manifest")?,
        report: row.try_get("report")?,
        uploaded_by: row.try_get("uploaded_by")?,
        created_at: row.try_get("created_at")?,
        is_bound: row.try_get("is_bound")?,
    })
}

fn binding(row: &Row) -> Result<BindingRecord, DbError> {
    let because: Option<EndedBecause> = row.try_get("ended_because")?;
    let (at, by): (Option<DateTime<Utc>>, _) = (row.try_get("ended_at")?, row.try_get("ended_by")?);
    Ok(BindingRecord {
        binding_id: row.try_get("binding_id")?,
        of: Use {
            organization_id: row.try_get("organization_id")?,
            digest: row.try_get("digest")?,
            mode: row.try_get("mode")?,
            canary_share: row.try_get("canary_share")?,
            settings: row.try_get("settings")?,
            failure_policy: row.try_get("failure_policy")?,
            rollback: RollbackRules {
                most_faults: row.try_get("most_faults")?,
                most_drift: row.try_get("most_drift")?,
                least_runs: row.try_get("least_runs")?,
            },
        },
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        world: row.try_get("world")?,
        replaces: row.try_get("replaces")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        ended: at.map(|at| Ended { at, by, because }),
    })
}
