//! Rows of `agents`: one function per query file.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::model::{Agent, Profile};
use crate::{
    foundation::ids::{AgentId, OrganizationId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::Listing,
        identity::MemberStatus,
    },
    sql,
};

pub(super) async fn insert(tx: &TenantTx<'_>, new: &Agent) -> Result<(), DbError> {
    let Profile { user_id, external_id, display_name } = &new.profile;
    tx.execute(
        sql!("identity/insert_agent"),
        &[&new.agent_id, &new.organization_id, user_id, external_id, display_name, &new.created_at],
    )
    .await?;
    Ok(())
}

pub(super) async fn find(on: &impl InTenant, id: AgentId) -> Result<Option<Agent>, DbError> {
    on.opt(sql!("identity/find_agent"), &[&id, &on.organizations()]).await?.as_ref().map(agent).transpose()
}

pub(super) async fn list(
    on: &impl InTenant,
    organizations: &[OrganizationId],
    listing: &Listing,
) -> Result<Vec<Agent>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("identity/list_agents"), &[&organizations, &at, &id, &most]).await?;
    rows.iter().map(agent).collect()
}

/// Writes profile and status over the revision that `agent` has; `false` when it has another by now.
pub(super) async fn update(tx: &TenantTx<'_>, agent: &Agent, now: DateTime<Utc>) -> Result<bool, DbError> {
    let Profile { user_id, external_id, display_name } = &agent.profile;
    let organizations = tx.organizations();
    let changed = tx
        .execute(
            sql!("identity/update_agent"),
            &[
                &agent.agent_id,
                &organizations,
                &agent.revision,
                user_id,
                external_id,
                display_name,
                &agent.status.name(),
                &now,
            ],
        )
        .await?;
    Ok(changed == 1)
}

fn agent(row: &Row) -> Result<Agent, DbError> {
    Ok(Agent {
        agent_id: row.try_get("agent_id")?,
        organization_id: row.try_get("organization_id")?,
        profile: Profile {
            user_id: row.try_get("user_id")?,
            external_id: row.try_get("external_id")?,
            display_name: row.try_get("display_name")?,
        },
        status: MemberStatus::parse(row.try_get("status")?),
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
