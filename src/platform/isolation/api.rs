//! `/api/tenants/{tenant_id}/isolation-report`.

use poem_openapi::{OpenApi, Tags, param::Path, payload::Json};

use super::{Isolation, Report};
use crate::{
    foundation::{
        access::{Permission, Principal},
        ids::TenantId,
    },
    platform::http::Refusal,
};

#[derive(Tags)]
enum Tag {
    /// Proof that a tenant's walls stand.
    Isolation,
}

/// The operations on a tenant's walls.
pub struct IsolationApi {
    /// What the checks work with.
    pub isolation: Isolation,
}

#[OpenApi(prefix_path = "/api/tenants", tag = "Tag::Isolation")]
impl IsolationApi {
    /// Check a tenant's isolation
    ///
    /// Looks at the tenant's walls and tries them, now: row security, policies, owners, grants, foreign keys, reads and writes from outside,
    /// objects, the issuer, caches, and the schema against its version. Each with what was asked, what was found and the evidence. For
    /// auditors of the tenant, and for operators. 404 for another's tenant.
    #[oai(path = "/:tenant_id/isolation-report", method = "get", operation_id = "get_isolation_report")]
    async fn get_isolation_report(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
    ) -> Result<Json<Report>, Refusal> {
        principal.about(tenant_id.0, Permission::ReadTenant)?;
        let tenant = self.isolation.tenants.by_id(tenant_id.0).await?;
        let tenant = tenant.filter(|tenant| tenant.exists()).ok_or_else(|| Refusal::not_found("tenant"))?;
        Ok(Json(self.isolation.report(&tenant).await?))
    }
}
