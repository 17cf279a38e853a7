//! Rows of `users`: one function per query file.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::model::{Profile, User};
use crate::{
    foundation::ids::{OrganizationId, UserId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::Listing,
        identity::MemberStatus,
    },
    sql,
};

pub(super) async fn insert(tx: &TenantTx<'_>, new: &User) -> Result<(), DbError> {
    let Profile { subject, display_name, email } = &new.profile;
    tx.execute(
        sql!("identity/insert_user"),
        &[&new.user_id, &new.organization_id, subject, display_name, email, &new.created_at],
    )
    .await?;
    Ok(())
}

/// For agents too: whom they may be linked to.
pub(in crate::platform::identity) async fn find(on: &impl InTenant, id: UserId) -> Result<Option<User>, DbError> {
    on.opt(sql!("identity/find_user"), &[&id, &on.organizations()]).await?.as_ref().map(user).transpose()
}

pub(super) async fn list(
    on: &impl InTenant,
    organizations: &[OrganizationId],
    listing: &Listing,
) -> Result<Vec<User>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("identity/list_users"), &[&organizations, &at, &id, &most]).await?;
    rows.iter().map(user).collect()
}

/// Writes profile and status over the revision that `user` has; `false` when it has another by now.
pub(super) async fn update(tx: &TenantTx<'_>, user: &User, now: DateTime<Utc>) -> Result<bool, DbError> {
    let Profile { subject, display_name, email } = &user.profile;
    let organizations = tx.organizations();
    let changed = tx
        .execute(
            sql!("identity/update_user"),
            &[&user.user_id, &organizations, &user.revision, subject, display_name, email, &user.status.name(), &now],
        )
        .await?;
    Ok(changed == 1)
}

fn user(row: &Row) -> Result<User, DbError> {
    Ok(User {
        user_id: row.try_get("user_id")?,
        organization_id: row.try_get("organization_id")?,
        profile: Profile {
            subject: row.try_get("subject")?,
            display_name: row.try_get("display_name")?,
            email: row.try_get("email")?,
        },
        status: MemberStatus::parse(row.try_get("status")?),
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
