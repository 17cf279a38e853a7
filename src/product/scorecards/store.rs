//! Rows of `scorecards` and `scorecard_versions`: one function per query file.

use chrono::{DateTime, Utc};
use tokio_postgres::{Row, types::Json};

use super::model::{Definition, Scorecard, ScorecardVersion};
use crate::{
    foundation::ids::{OrganizationId, ScorecardId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::Listing,
    },
    sql,
};

pub(super) async fn insert(tx: &TenantTx<'_>, new: &Scorecard) -> Result<(), DbError> {
    let draft = new.draft.as_ref().map(Json);
    tx.execute(
        sql!("scorecards/insert"),
        &[&new.scorecard_id, &new.organization_id, &new.name, &draft, &new.created_at],
    )
    .await?;
    Ok(())
}

pub(super) async fn find(on: &impl InTenant, id: ScorecardId) -> Result<Option<Scorecard>, DbError> {
    on.opt(sql!("scorecards/find"), &[&id, &on.organizations()]).await?.as_ref().map(scorecard).transpose()
}

/// Whether a plugin scores the organization's calls.
pub(super) async fn has_scorer(on: &impl InTenant, organization: OrganizationId) -> Result<bool, DbError> {
    let row = on.one(sql!("scorecards/has_scorer"), &[&organization, &on.organizations()]).await?;
    Ok(row.try_get("has_scorer")?)
}

pub(super) async fn list(
    on: &impl InTenant,
    organizations: &[OrganizationId],
    listing: &Listing,
) -> Result<Vec<Scorecard>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("scorecards/list"), &[&organizations, &at, &id, &most]).await?;
    rows.iter().map(scorecard).collect()
}

/// Writes the draft over revision `expected`; `false` when the scorecard has another by now.
pub(super) async fn update_draft(
    tx: &TenantTx<'_>,
    id: ScorecardId,
    expected: i32,
    draft: &Definition,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            sql!("scorecards/update_draft"),
            &[&id, &tx.organizations(), &expected, &draft.name, &Json(draft), &now],
        )
        .await?;
    Ok(changed == 1)
}

/// Retires revision `expected` or brings it back; `false` when the scorecard has another by now.
pub(super) async fn set_retired(
    tx: &TenantTx<'_>,
    id: ScorecardId,
    expected: i32,
    retired_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let query = sql!("scorecards/set_retired");
    Ok(tx.execute(query, &[&id, &tx.organizations(), &expected, &retired_at, &now]).await? == 1)
}

/// Makes the draft of revision `expected` a version; `false` when the scorecard has another revision by now.
pub(super) async fn publish(tx: &TenantTx<'_>, new: &ScorecardVersion, expected: i32) -> Result<bool, DbError> {
    let written = tx
        .execute(
            sql!("scorecards/publish"),
            &[
                &new.scorecard_id,
                &tx.organizations(),
                &expected,
                &new.scorecard_version_id,
                &new.version,
                &Json(&new.definition),
                &new.digest,
                &new.published_at,
                &new.published_by,
            ],
        )
        .await?;
    Ok(written == 1)
}

/// The version of that number; the newest without one.
pub(super) async fn find_version(
    on: &impl InTenant,
    id: ScorecardId,
    version: Option<i32>,
) -> Result<Option<ScorecardVersion>, DbError> {
    let row = on.opt(sql!("scorecards/find_version"), &[&id, &on.organizations(), &version]).await?;
    row.as_ref().map(scorecard_version).transpose()
}

pub(super) async fn list_versions(
    on: &impl InTenant,
    id: ScorecardId,
    listing: &Listing,
) -> Result<Vec<ScorecardVersion>, DbError> {
    let (at, after, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("scorecards/list_versions"), &[&id, &on.organizations(), &at, &after, &most]).await?;
    rows.iter().map(scorecard_version).collect()
}

fn scorecard(row: &Row) -> Result<Scorecard, DbError> {
    Ok(Scorecard {
        scorecard_id: row.try_get("scorecard_id")?,
        organization_id: row.try_get("organization_id")?,
        name: row.try_get("name")?,
        draft: row.try_get::<_, Option<Json<Definition>>>("draft")?.map(|Json(draft)| draft),
        published_version: row.try_get("published_version")?,
        retired_at: row.try_get("retired_at")?,
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn scorecard_version(row: &Row) -> Result<ScorecardVersion, DbError> {
    let Json(definition) = row.try_get("definition")?;
    Ok(ScorecardVersion {
        scorecard_version_id: row.try_get("scorecard_version_id")?,
        scorecard_id: row.try_get("scorecard_id")?,
        organization_id: row.try_get("organization_id")?,
        version: row.try_get("version")?,
        definition,
        digest: row.try_get("digest")?,
        published_at: row.try_get("published_at")?,
        published_by: row.try_get("published_by")?,
    })
}
