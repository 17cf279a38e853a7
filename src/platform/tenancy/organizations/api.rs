//! `/api/organizations`: a handler asks for a grant, calls one operation, and answers with a view.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
};

use super::{
    OrganizationError, Organizations,
    model::{NewOrganization, Organization},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::OrganizationId,
    },
    platform::{
        http::{
            Created, Cursor, Fresh, IdempotencyKey, IfMatch, IfNoneMatch, Kind, Limit, Listing, Once, Page, Position,
            Problem, Refusal, Tagged, etag::stale,
        },
        tenancy::OrganizationStatus,
    },
};

#[derive(Tags)]
enum Tag {
    /// Units inside a tenant, which own calls, scorecards and plugin bindings.
    Organizations,
}

/// The operations on organizations.
pub struct OrganizationsApi {
    /// What they work on.
    pub organizations: Organizations,
}

#[OpenApi(prefix_path = "/api/organizations", tag = "Tag::Organizations")]
impl OrganizationsApi {
    /// Create an organization
    ///
    /// Tenant admins reach it from the next request on; others when their tokens name it.
    #[oai(path = "/", method = "post", operation_id = "create_organization")]
    async fn create_organization(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<NewOrganizationBody>,
    ) -> Result<Created<OrganizationView>, Refusal> {
        let grant = caller.may(Permission::ManageOrganizations)?;
        let keyed = key.0.request("create_organization").with(&new.0);
        let new = NewOrganization { slug: new.0.slug, name: new.0.name };
        let Once { value: made, replayed } = self.organizations.create(&grant, &keyed, new).await?;
        Ok(Created::of(replayed, format!("/api/organizations/{}", made.organization_id), made.etag(), made.into()))
    }

    /// List organizations
    ///
    /// Those that the caller reaches, newest first.
    #[oai(path = "/", method = "get", operation_id = "list_organizations")]
    async fn list_organizations(
        &self,
        caller: Caller,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<OrganizationView>>, Refusal> {
        let grant = caller.may(Permission::ReadOrganizations)?;
        let listing = Listing::new("list_organizations", &(), limit.0, &cursor.0)?;
        let found = self.organizations.list(&grant, &listing).await?;
        let position = |one: &Organization| Position::new(one.created_at, one.organization_id.0);
        Ok(Json(listing.page(found, position, OrganizationView::from)))
    }

    /// Get an organization
    ///
    /// 404 also for one that the caller does not belong to.
    #[oai(path = "/:organization_id", method = "get", operation_id = "get_organization")]
    async fn get_organization(
        &self,
        caller: Caller,
        organization_id: Path<OrganizationId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<OrganizationView>, Refusal> {
        let grant = caller.may(Permission::ReadOrganizations)?;
        let found = self.organizations.get(&grant, organization_id.0).await?;
        Ok(known.answer(found.etag(), || found.into()))
    }

    /// Rename an organization
    ///
    /// Send `If-Match` with the `ETag` of what was read. The slug stays: tokens name it.
    #[oai(path = "/:organization_id", method = "patch", operation_id = "update_organization")]
    async fn update_organization(
        &self,
        caller: Caller,
        organization_id: Path<OrganizationId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        change: Json<OrganizationChangeBody>,
    ) -> Result<Tagged<OrganizationView>, Refusal> {
        let grant = caller.may(Permission::ManageOrganizations)?;
        expected.required()?;
        let changed = self.organizations.rename(&grant, organization_id.0, &expected.0, change.0.name).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }

    /// Deactivate an organization
    ///
    /// Nobody reaches it any more; what it holds is kept. The root organization stays active.
    #[oai(path = "/:organization_id/deactivate", method = "post", operation_id = "deactivate_organization")]
    async fn deactivate_organization(
        &self,
        caller: Caller,
        organization_id: Path<OrganizationId>,
    ) -> Result<Tagged<OrganizationView>, Refusal> {
        let grant = caller.may(Permission::ManageOrganizations)?;
        let changed = self.organizations.deactivate(&grant, organization_id.0).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }
}

/// An organization to be made.
#[derive(Object)]
#[oai(rename = "NewOrganization", deny_unknown_fields)]
struct NewOrganizationBody {
    /// Short name, unique in the tenant; tokens name it, so it never changes. Must not look like an id.
    #[oai(validator(max_length = 63, pattern = "^[a-z][a-z0-9-]*$"))]
    slug: String,
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
}

/// What can be changed of an organization.
#[derive(Object)]
#[oai(rename = "OrganizationChange", deny_unknown_fields)]
struct OrganizationChangeBody {
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
}

/// An organization as the API shows it.
#[derive(Object)]
#[oai(rename = "Organization")]
struct OrganizationView {
    /// Its id.
    organization_id: OrganizationId,
    /// Short name, unique in the tenant.
    slug: String,
    /// Name for people.
    name: String,
    /// Whether it takes part.
    status: OrganizationStatus,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> Self {
        let Organization { organization_id, slug, name, status, revision: _, created_at, updated_at } = organization;
        Self { organization_id, slug, name, status, created_at, updated_at }
    }
}

impl From<OrganizationError> for Refusal {
    fn from(error: OrganizationError) -> Self {
        match error {
            OrganizationError::NotFound => Refusal::not_found("organization"),
            OrganizationError::SlugTaken => {
                Problem::new(Kind::Conflict, "the slug is taken").field("slug", "is taken").into()
            }
            OrganizationError::Stale => stale(),
            OrganizationError::Root => Refusal::new(Kind::IllegalState, "the root organization stays active"),
            OrganizationError::Invalid(invalid) => Refusal::invalid(invalid.field, invalid.message),
            OrganizationError::Key(error) => error.into(),
            OrganizationError::Db(error) => error.into(),
        }
    }
}
