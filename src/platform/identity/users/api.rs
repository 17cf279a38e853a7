//! `/api/users`: a handler asks for a grant, calls one operation, and answers with a view.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
    types::MaybeUndefined,
};

use super::{
    UserError, Users,
    model::{Profile, User},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{OrganizationId, UserId},
    },
    platform::{
        http::{
            Created, Cursor, Fresh, IdempotencyKey, IfMatch, IfNoneMatch, Kind, Limit, Listing, Once, Page, Position,
            Problem, Refusal, Tagged, etag::stale,
        },
        identity::MemberStatus,
    },
};

#[derive(Tags)]
enum Tag {
    /// The logins of a tenant.
    Users,
}

/// The operations on users.
pub struct UsersApi {
    /// What they work on.
    pub users: Users,
}

#[OpenApi(prefix_path = "/api/users", tag = "Tag::Users")]
impl UsersApi {
    /// Create a user
    ///
    /// Whoever signs in with the subject is this user. Roles and organizations come with the token, not from here.
    #[oai(path = "/", method = "post", operation_id = "create_user")]
    async fn create_user(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<NewUserBody>,
    ) -> Result<Created<UserView>, Refusal> {
        let grant = caller.may(Permission::ManageUsers)?;
        let keyed = key.0.request("create_user").with(&new.0);
        let NewUserBody { organization_id, subject, display_name, email } = new.0;
        let Once { value: made, replayed } =
            self.users.create(&grant, &keyed, organization_id, Profile { subject, display_name, email }).await?;
        Ok(Created::of(replayed, format!("/api/users/{}", made.user_id), made.etag(), made.into()))
    }

    /// List users
    ///
    /// Those of the organizations that the caller reaches, or of one of them, newest first.
    #[oai(path = "/", method = "get", operation_id = "list_users")]
    async fn list_users(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<UserView>>, Refusal> {
        let grant = caller.may(Permission::ReadUsers)?;
        let listing = Listing::new("list_users", &organization_id.0, limit.0, &cursor.0)?;
        let found = self.users.list(&grant, organization_id.0, &listing).await?;
        Ok(Json(listing.page(found, |user| Position::new(user.created_at, user.user_id.0), UserView::from)))
    }

    /// Get a user
    ///
    /// 404 also for one of an organization that the caller does not belong to.
    #[oai(path = "/:user_id", method = "get", operation_id = "get_user")]
    async fn get_user(
        &self,
        caller: Caller,
        user_id: Path<UserId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<UserView>, Refusal> {
        let grant = caller.may(Permission::ReadUsers)?;
        let found = self.users.get(&grant, user_id.0).await?;
        Ok(known.answer(found.etag(), || found.into()))
    }

    /// Change a user
    ///
    /// Send `If-Match` with the `ETag` of what was read. Fields that are absent stay; `null` empties one.
    #[oai(path = "/:user_id", method = "patch", operation_id = "update_user")]
    async fn update_user(
        &self,
        caller: Caller,
        user_id: Path<UserId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        change: Json<UserChangeBody>,
    ) -> Result<Tagged<UserView>, Refusal> {
        let grant = caller.may(Permission::ManageUsers)?;
        expected.required()?;
        let changed = self.users.update(&grant, user_id.0, &expected.0, |profile| change.0.apply(profile)).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }

    /// Deactivate a user
    ///
    /// The user's tokens are refused: here at once, by other servers within 30 seconds. Doing it again changes nothing.
    #[oai(path = "/:user_id/deactivate", method = "post", operation_id = "deactivate_user")]
    async fn deactivate_user(&self, caller: Caller, user_id: Path<UserId>) -> Result<Tagged<UserView>, Refusal> {
        let grant = caller.may(Permission::ManageUsers)?;
        let changed = self.users.deactivate(&grant, user_id.0).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }
}

/// A user to be made.
#[derive(Object)]
#[oai(rename = "NewUser", deny_unknown_fields)]
struct NewUserBody {
    /// The organization that keeps the user.
    organization_id: OrganizationId,
    /// The stable name at the tenant's issuer (`sub`).
    #[oai(validator(min_length = 1, max_length = 255))]
    subject: Option<String>,
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: String,
    /// Where mail reaches the user.
    #[oai(validator(min_length = 3, max_length = 320))]
    email: Option<String>,
}

/// What can be changed of a user; absent fields stay.
#[derive(Object)]
#[oai(rename = "UserChange", deny_unknown_fields)]
struct UserChangeBody {
    /// The stable name at the tenant's issuer (`sub`).
    subject: MaybeUndefined<String>,
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
    /// Where mail reaches the user.
    email: MaybeUndefined<String>,
}

impl UserChangeBody {
    fn apply(self, profile: &mut Profile) {
        if !self.subject.is_undefined() {
            profile.subject = self.subject.take();
        }
        if let Some(display_name) = self.display_name {
            profile.display_name = display_name;
        }
        if !self.email.is_undefined() {
            profile.email = self.email.take();
        }
    }
}

/// A user as the API shows it.
#[derive(Object)]
#[oai(rename = "User")]
struct UserView {
    /// Its id.
    user_id: UserId,
    /// The organization that keeps the user.
    organization_id: OrganizationId,
    /// The stable name at the tenant's issuer (`sub`).
    #[oai(nullable)]
    subject: Option<String>,
    /// Name for people.
    display_name: String,
    /// Where mail reaches the user.
    #[oai(nullable)]
    email: Option<String>,
    /// Whether the user may come in.
    status: MemberStatus,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User { user_id, organization_id, profile, status, revision: _, created_at, updated_at } = user;
        let Profile { subject, display_name, email } = profile;
        Self { user_id, organization_id, subject, display_name, email, status, created_at, updated_at }
    }
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        match error {
            UserError::NotFound => Refusal::not_found("user"),
            UserError::NoOrganization => Refusal::invalid("organization_id", "no such organization"),
            UserError::SubjectTaken => {
                Problem::new(Kind::Conflict, "the subject is taken").field("subject", "is taken").into()
            }
            UserError::Stale => stale(),
            UserError::Invalid(invalid) => Refusal::invalid(invalid.field, invalid.message),
            UserError::Key(error) => error.into(),
            UserError::Db(error) => error.into(),
        }
    }
}
