//! `/api/fleet`: how the tenants' schemas stand, for operators.

use std::sync::Arc;

use poem_openapi::{OpenApi, Tags, param::Query, payload::Json};

use super::{StatusFilter, TenantState, status};
use crate::{
    foundation::{
        access::{Permission, Principal},
        ids::TenantId,
    },
    platform::{
        db::{Db, TenantMigrations},
        http::{Cursor, Limit, Listing, Page, Position, Refusal},
    },
};

#[derive(Tags)]
enum Tag {
    /// All tenants' schemas: versions, drift and failed migrations.
    Fleet,
}

/// The operations on the fleet.
pub struct FleetApi {
    /// The door to data.
    pub db: Arc<Db>,
}

#[OpenApi(prefix_path = "/api/fleet", tag = "Tag::Fleet")]
impl FleetApi {
    /// List the tenants' schemas
    ///
    /// Newest tenant first: the version of each schema beside this server's, whether somebody changed it by hand, and why its last migration
    /// failed. Operators alone.
    #[oai(path = "/", method = "get", operation_id = "list_fleet")]
    async fn list_fleet(
        &self,
        principal: Principal,
        filter: Query<Option<StatusFilter>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<TenantState>>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        let filter = filter.0.unwrap_or(StatusFilter::All);
        let listing = Listing::new("list_fleet", &filter, limit.0, &cursor.0)?;
        let after = listing.after().map(|after| (after.at, TenantId(after.id)));
        let most = usize::try_from(listing.fetch()).unwrap_or_default();
        let on = self.db.operator_alone(&grant);
        let found = status(&on, TenantMigrations::embedded(), filter, after, most).await?;
        let position = |one: &TenantState| Position::new(one.created_at, one.tenant_id.0);
        Ok(Json(listing.page(found, position, |tenant| tenant)))
    }
}
