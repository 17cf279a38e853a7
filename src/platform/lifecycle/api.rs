//! `/api/tenants`: operators make tenants, look after them and let them go; a tenant's own people see how theirs stands.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
    types::Any,
};

use super::{
    Certificate, Lifecycle, LifecycleError, Requested, TenantChange,
    model::{FirstAdmin, GRACE_DAYS, TenantRecord, TenantWanted},
};
use crate::{
    foundation::{
        access::{Permission, Principal, TenantGrant},
        ids::{OrganizationId, TenantId},
    },
    platform::{
        http::{
            Accepted, Cursor, Fresh, IdempotencyKey, IfMatch, IfNoneMatch, Kind, Limit, Listing, Once, Page, Position,
            Problem, Refusal, Tagged, etag::stale,
        },
        operations::api::OperationView,
        tenancy::{
            TenantStatus,
            quotas::{Quotas, api::QuotasView},
        },
    },
};

#[derive(Tags)]
enum Tag {
    /// Customer companies: made, suspended, resumed, held and destroyed by operators.
    Tenants,
}

/// The operations on tenants.
pub struct TenantsApi {
    /// What they work on.
    pub lifecycle: Lifecycle,
}

#[OpenApi(prefix_path = "/api/tenants", tag = "Tag::Tenants")]
impl TenantsApi {
    /// Create a tenant
    ///
    /// For operators. Its row is there at once, in status `provisioning`; the operation makes schema, organization, object prefix and first
    /// admin, and proves the issuer. A slug or an issuer that another tenant has is a 409 whose `resource_id` names that tenant. The same
    /// request with the same `Idempotency-Key` is answered with the operation that it began.
    #[oai(path = "/", method = "post", operation_id = "create_tenant")]
    async fn create_tenant(
        &self,
        principal: Principal,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<NewTenantBody>,
    ) -> Result<Accepted<TenantOperationView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        let keyed = key.0.request("create_tenant").with(&new.0);
        Ok(accepted(self.lifecycle.provision(&grant, &keyed, new.0.into()).await?))
    }

    /// List tenants
    ///
    /// For operators. Newest first.
    #[oai(path = "/", method = "get", operation_id = "list_tenants")]
    async fn list_tenants(
        &self,
        principal: Principal,
        status: Query<Option<TenantStatus>>,
        /// Tenants whose slug begins so.
        #[oai(validator(max_length = 40))]
        slug_prefix: Query<Option<String>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<TenantView>>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        let listing = Listing::new("list_tenants", &(status.0, &slug_prefix.0), limit.0, &cursor.0)?;
        let found = self.lifecycle.list(&grant, status.0, slug_prefix.0.as_deref(), &listing).await?;
        let position = |one: &TenantRecord| Position::new(one.created_at, one.tenant_id.0);
        Ok(Json(listing.page(found, position, TenantView::from)))
    }

    /// Get a tenant
    ///
    /// For operators, and for the tenant's own people; to others it is 404. Why a hold is on is told to operators alone.
    #[oai(path = "/:tenant_id", method = "get", operation_id = "get_tenant")]
    async fn get_tenant(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<TenantView>, Refusal> {
        let grant = principal.about(tenant_id.0, Permission::ReadTenant)?;
        let found = self.lifecycle.get(tenant_id.0).await?;
        Ok(known.answer(found.etag(), || match grant {
            TenantGrant::Operator(_) => found.into(),
            TenantGrant::Member(_) => TenantView { legal_hold: None, ..found.into() },
        }))
    }

    /// Change a tenant
    ///
    /// For operators. Send `If-Match` with the `ETag` of what was read. Another issuer counts within seconds: tokens of the one before prove
    /// nothing then. The slug stays.
    #[oai(path = "/:tenant_id", method = "patch", operation_id = "update_tenant")]
    async fn update_tenant(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        change: Json<TenantChangeBody>,
    ) -> Result<Tagged<TenantView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        expected.required()?;
        let change = TenantChange { name: change.0.name, issuer: change.0.issuer };
        Ok(tagged(self.lifecycle.update(&grant, tenant_id.0, &expected.0, change).await?))
    }

    /// Suspend a tenant
    ///
    /// For operators. Within seconds every server answers its people 403 `tenant-suspended`; its jobs and transcriptions wait; uploads that
    /// are on their way come to their end, and the calls wait too. Nothing is lost. A suspended tenant stays as it is.
    #[oai(path = "/:tenant_id/suspend", method = "post", operation_id = "suspend_tenant")]
    async fn suspend_tenant(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        why: Json<ReasonBody>,
    ) -> Result<Tagged<TenantView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        Ok(tagged(self.lifecycle.suspend(&grant, tenant_id.0, &why.0.reason).await?))
    }

    /// Resume a tenant
    ///
    /// For operators. A suspended tenant is served again within seconds, and its jobs go on. An active one stays as it is.
    #[oai(path = "/:tenant_id/resume", method = "post", operation_id = "resume_tenant")]
    async fn resume_tenant(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
    ) -> Result<Tagged<TenantView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        Ok(tagged(self.lifecycle.resume(&grant, tenant_id.0).await?))
    }

    /// Put a tenant under legal hold
    ///
    /// For operators. It is not destroyed until the hold is lifted, even when its grace period ends meanwhile.
    #[oai(path = "/:tenant_id/legal-hold", method = "put", operation_id = "set_legal_hold")]
    async fn set_legal_hold(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        why: Json<ReasonBody>,
    ) -> Result<Tagged<TenantView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        Ok(tagged(self.lifecycle.hold(&grant, tenant_id.0, &why.0.reason).await?))
    }

    /// Lift a tenant's legal hold
    ///
    /// For operators. Nothing happens when there is none.
    #[oai(path = "/:tenant_id/legal-hold", method = "delete", operation_id = "lift_legal_hold")]
    async fn lift_legal_hold(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
    ) -> Result<Tagged<TenantView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        Ok(tagged(self.lifecycle.release(&grant, tenant_id.0).await?))
    }

    /// Off-board a tenant
    ///
    /// For operators. It is not served from now on, and all of its data is destroyed when its grace period is over; until then the operation
    /// can be called off, and the tenant is what it was before. Under legal hold it is 409 `legal-hold`, now and at the end of the period.
    #[oai(path = "/:tenant_id/off-board", method = "post", operation_id = "off_board_tenant")]
    async fn off_board_tenant(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        how: Json<OffBoardBody>,
    ) -> Result<Accepted<TenantOperationView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        let keyed = key.0.request("off_board_tenant").with(&tenant_id.0).with(&how.0);
        let grace_days = how.0.grace_days.unwrap_or(GRACE_DAYS);
        Ok(accepted(self.lifecycle.off_board(&grant, &keyed, tenant_id.0, grace_days).await?))
    }

    /// Get a destroyed tenant's certificate
    ///
    /// For operators. What was destroyed, when, and how that was verified; 404 while there is none. `digest` is SHA-256 of the document's
    /// canonical JSON: keys sorted, no white space.
    #[oai(path = "/:tenant_id/certificate", method = "get", operation_id = "get_certificate")]
    async fn get_certificate(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
    ) -> Result<Json<CertificateView>, Refusal> {
        match principal.about(tenant_id.0, Permission::ReadTenant)? {
            TenantGrant::Operator(grant) => Ok(Json(self.lifecycle.certificate(&grant, tenant_id.0).await?.into())),
            TenantGrant::Member(_) => Err(LifecycleError::NotFound.into()), // who can still ask has none
        }
    }
}

fn tagged(tenant: TenantRecord) -> Tagged<TenantView> {
    Tagged::of(tenant.etag(), tenant.into())
}

fn accepted(once: Once<Requested>) -> Accepted<TenantOperationView> {
    let Once { value: Requested { tenant, operation }, replayed } = once;
    let location = format!("/api/operations/{}", operation.operation_id);
    Accepted::of(replayed, location, TenantOperationView { tenant: tenant.into(), operation: operation.into() })
}

impl From<LifecycleError> for Refusal {
    fn from(error: LifecycleError) -> Self {
        match error {
            LifecycleError::NotFound => Refusal::not_found("tenant"),
            LifecycleError::Taken { field, by } => {
                let problem = Problem::new(Kind::Conflict, error.to_string()).field(field, "is taken");
                match by {
                    Some(tenant) => problem.resource(tenant.0).into(),
                    None => problem.into(),
                }
            }
            LifecycleError::IllegalState(_) => Refusal::new(Kind::IllegalState, error.to_string()),
            LifecycleError::LegalHold => Refusal::new(Kind::LegalHold, error.to_string()),
            LifecycleError::Open(operation) => {
                Problem::new(Kind::OperationOpen, "the tenant is leaving already").resource(operation.0).into()
            }
            LifecycleError::Stale => stale(),
            LifecycleError::Invalid(invalid) => Refusal::invalid(invalid.field, invalid.message),
            LifecycleError::Key(error) => error.into(),
            LifecycleError::Db(error) => error.into(),
        }
    }
}

/// A tenant to be made.
#[derive(Object)]
#[oai(rename = "NewTenant", deny_unknown_fields)]
struct NewTenantBody {
    /// Short name, unique among tenants: 2 to 40 lower-case letters, digits and hyphens. It never changes.
    #[oai(validator(max_length = 40, pattern = "^[a-z][a-z0-9-]*[a-z0-9]$"))]
    slug: String,
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
    /// The OpenID Connect issuer whose tokens are the tenant's, exactly as its tokens name it.
    #[oai(validator(min_length = 1, max_length = 500))]
    issuer: String,
    /// Who administers it: a user is made at once. The role `tenant_admin` itself comes with the issuer's tokens.
    admin: Option<FirstAdminBody>,
    /// What it may use; no limits when absent.
    quotas: Option<QuotasView>,
}

/// Who administers a new tenant.
#[derive(Object)]
#[oai(rename = "FirstAdmin", deny_unknown_fields)]
struct FirstAdminBody {
    /// The stable name at the issuer (`sub`).
    #[oai(validator(min_length = 1, max_length = 255))]
    subject: String,
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: String,
    /// Where mail reaches them.
    #[oai(validator(min_length = 3, max_length = 320))]
    email: Option<String>,
}

impl From<NewTenantBody> for TenantWanted {
    fn from(body: NewTenantBody) -> Self {
        let NewTenantBody { slug, name, issuer, admin, quotas } = body;
        let admin = admin.map(|admin| FirstAdmin {
            subject: admin.subject,
            display_name: admin.display_name,
            email: admin.email,
        });
        Self { slug, name, issuer, admin, quotas: quotas.map(Quotas::from) }
    }
}

/// What can be changed of a tenant; what is absent stays.
#[derive(Object)]
#[oai(rename = "TenantChange", deny_unknown_fields)]
struct TenantChangeBody {
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// The OpenID Connect issuer.
    #[oai(validator(min_length = 1, max_length = 500))]
    issuer: Option<String>,
}

/// Why something is done to a tenant.
#[derive(Object)]
#[oai(rename = "Reason", deny_unknown_fields)]
struct ReasonBody {
    /// For people; kept in the audit log.
    #[oai(validator(min_length = 1, max_length = 2000))]
    reason: String,
}

/// How a tenant leaves.
#[derive(Object)]
#[oai(rename = "OffBoarding", deny_unknown_fields)]
struct OffBoardBody {
    /// Days until its data is destroyed: 30 unless it is said, 0 for at once.
    #[oai(validator(maximum(value = "3650")))]
    grace_days: Option<u16>,
}

/// A tenant as the API shows it.
#[derive(Debug, Object)]
#[oai(rename = "Tenant")]
pub struct TenantView {
    /// Its id.
    tenant_id: TenantId,
    /// Short name.
    slug: String,
    /// Name for people.
    name: String,
    /// Where it stands.
    status: TenantStatus,
    /// Why it is suspended.
    status_reason: Option<String>,
    /// The OpenID Connect issuer whose tokens are the tenant's.
    issuer: String,
    /// The organization that tenant-wide things belong to.
    root_organization_id: OrganizationId,
    /// The newest migration that its schema has seen.
    schema_version: i32,
    /// Whether it must not be destroyed.
    under_legal_hold: bool,
    /// Why not; for operators alone.
    legal_hold: Option<String>,
    /// When a leaving tenant's grace period ends; absent once its destruction has begun.
    leaves_at: Option<DateTime<Utc>>,
    /// When the last of its data was destroyed.
    destroyed_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
}

impl From<TenantRecord> for TenantView {
    fn from(tenant: TenantRecord) -> Self {
        Self {
            tenant_id: tenant.tenant_id,
            slug: tenant.slug,
            name: tenant.name,
            status: tenant.status,
            status_reason: tenant.status_reason,
            issuer: tenant.issuer,
            root_organization_id: tenant.root_organization_id,
            schema_version: tenant.schema_version,
            under_legal_hold: tenant.legal_hold.is_some(),
            legal_hold: tenant.legal_hold,
            leaves_at: tenant.leaves_at,
            destroyed_at: tenant.destroyed_at,
            created_at: tenant.created_at,
        }
    }
}

/// A long request and the tenant that it is about.
#[derive(Debug, Object)]
#[oai(rename = "TenantOperation")]
pub struct TenantOperationView {
    /// The tenant as it is now.
    tenant: TenantView,
    /// What is done to it; `Location` names it.
    operation: OperationView,
}

/// What was destroyed of a tenant.
#[derive(Debug, Object)]
#[oai(rename = "Certificate")]
pub struct CertificateView {
    /// What was destroyed with counts, when, by whom, how each was verified, and what is not covered.
    document: Any<serde_json::Value>,
    /// SHA-256 of the document's canonical JSON, hex.
    digest: String,
    /// When it was written.
    issued_at: DateTime<Utc>,
}

impl From<Certificate> for CertificateView {
    fn from(certificate: Certificate) -> Self {
        let Certificate { document, digest, issued_at } = certificate;
        Self { document: Any(document), digest, issued_at }
    }
}
