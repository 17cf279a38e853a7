//! A tenant as operators see it, and what may be asked for. No I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    foundation::ids::{OrganizationId, TenantId},
    platform::{
        http::ETag,
        identity::users::model::Profile,
        tenancy::{InvalidField, TenantStatus, check_text, quotas::Quotas},
    },
};

/// Words that would mislead in addresses, realms and logs.
const RESERVED: &[&str] = &[
    "admin",
    "all",
    "api",
    "default",
    "new",
    "none",
    "null",
    "operator",
    "operators",
    "platform",
    "plumbline",
    "plumbline-operators",
    "postgres",
    "public",
    "root",
    "system",
    "tenant",
    "tenants",
    "www",
];
const MOST_ISSUER_CHARS: usize = 500;
const MOST_NAME_CHARS: usize = 200;
const MOST_REASON_CHARS: usize = 2_000;
/// Days for which a leaving tenant's data is kept at most.
pub const MOST_GRACE_DAYS: u16 = 3_650;
/// Days for which a leaving tenant's data is kept when nobody says otherwise.
pub const GRACE_DAYS: u16 = 30;

/// One row of the tenants' table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    /// Its id, which also names its schema and its objects.
    pub tenant_id: TenantId,
    /// Short name, unique among tenants that are not destroyed.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Where it stands.
    pub status: TenantStatus,
    /// Why it is suspended.
    pub status_reason: Option<String>,
    /// The OIDC issuer whose tokens are the tenant's.
    pub issuer: String,
    /// The organization that tenant-wide rows belong to.
    pub root_organization_id: OrganizationId,
    /// The newest migration that its schema has seen.
    pub schema_version: i32,
    /// Counts its changes.
    pub revision: i32,
    /// Why it must not be destroyed.
    pub legal_hold: Option<String>,
    /// When a leaving tenant's grace period ends. None once its destruction has begun.
    pub leaves_at: Option<DateTime<Utc>>,
    /// When the last of its data was destroyed.
    pub destroyed_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

impl TenantRecord {
    /// Tells this revision from every other.
    pub fn etag(&self) -> ETag {
        ETag::of(self.tenant_id.0, self.revision)
    }

    /// Whether there is no way back any more.
    pub fn is_being_destroyed(&self) -> bool {
        self.status == TenantStatus::Leaving && self.leaves_at.is_none()
    }
}

/// A tenant to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantWanted {
    /// Short name: 2 to 40 lower-case letters, digits and hyphens.
    pub slug: String,
    /// Name for people, 1 to 200 characters.
    pub name: String,
    /// The OIDC issuer, exactly as its tokens name it.
    pub issuer: String,
    /// Whose user is made at once.
    pub admin: Option<FirstAdmin>,
    /// What it may use; no limits when absent.
    pub quotas: Option<Quotas>,
}

/// Whoever administers a new tenant. The role itself comes from the issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstAdmin {
    /// The stable name at the issuer (`sub`).
    pub subject: String,
    /// Name for people.
    pub display_name: String,
    /// Where mail reaches them.
    pub email: Option<String>,
}

impl TenantWanted {
    /// `operator_issuer` is whose tokens make operators: it is no tenant's.
    ///
    /// # Errors
    /// [`InvalidField`] with the first value that is not allowed.
    pub fn check(&self, operator_issuer: Option<&str>) -> Result<(), InvalidField> {
        check_slug(&self.slug)?;
        check_name(&self.name)?;
        check_issuer(&self.issuer, operator_issuer)?;
        let Some(FirstAdmin { subject, display_name, email }) = &self.admin else { return Ok(()) };
        Profile { subject: Some(subject.clone()), display_name: display_name.clone(), email: email.clone() }.check()
    }
}

/// # Errors
/// [`InvalidField`] unless it is `[a-z][a-z0-9-]*[a-z0-9]` of 2 to 40 characters, no reserved word and nothing that reads as an id: commands
/// name tenants by either.
pub fn check_slug(slug: &str) -> Result<(), InvalidField> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = slug.starts_with(|c: char| c.is_ascii_lowercase());
    let message = if !((2..=40).contains(&slug.len()) && starts && slug.chars().all(inner) && !slug.ends_with('-')) {
        "must be 2 to 40 lower-case letters, digits and hyphens, beginning with a letter, not ending with a hyphen"
    } else if RESERVED.contains(&slug) {
        "is a reserved word"
    } else if Uuid::try_parse(slug).is_ok() {
        "must not look like an id"
    } else {
        return Ok(());
    };
    Err(InvalidField { field: "slug", message })
}

/// # Errors
/// [`InvalidField`] for a blank name, one of more than 200 characters, or one with control characters.
pub fn check_name(name: &str) -> Result<(), InvalidField> {
    check_text("name", name, MOST_NAME_CHARS)
}

/// # Errors
/// [`InvalidField`] for a reason that is blank or longer than 2,000 characters.
pub fn check_reason(reason: &str) -> Result<(), InvalidField> {
    check_text("reason", reason, MOST_REASON_CHARS)
}

/// The issuer exactly as given: tokens name it byte for byte, and so does its discovery document.
///
/// # Errors
/// [`InvalidField`] for what is no http or https URL, and for the operators' own issuer.
pub fn check_issuer(issuer: &str, operator_issuer: Option<&str>) -> Result<(), InvalidField> {
    let refused = |message| Err(InvalidField { field: "issuer", message });
    if operator_issuer == Some(issuer) {
        return refused("is the operators' own, and no tenant's");
    }
    let plain =
        issuer.chars().count() <= MOST_ISSUER_CHARS && !issuer.contains(|c: char| c.is_control() || c.is_whitespace());
    let sound = url::Url::parse(issuer).is_ok_and(|url| {
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && bare && url.fragment().is_none()
    });
    if plain && sound {
        Ok(())
    } else {
        refused("must be an http or https URL of at most 500 characters, without user, password, query or fragment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_words() {
        for good in ["ab", "acme", "a1", "northlight-energy", &"a".repeat(40)] {
            assert_eq!(check_slug(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a",
            "Acme",
            "1acme",
            "-acme",
            "acme-",
            "ac me",
            "acme_1",
            "äcme",
            "acme\n",
            "acme\0",
            "аcme", // a Cyrillic letter
            "../etc",
            "a/b",
            "a%2fb",
            "x'; drop schema platform cascade; --",
            "\"platform\"",
            "t_0",
            "plumbline",
            "platform",
            "a1a2a3a4-0000-7000-8000-000000000000",
            &"a".repeat(41),
            &"a".repeat(300),
        ] {
            assert!(check_slug(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn issuers_are_urls_and_not_the_operators() {
        let operators = Some("https://id.example/realms/operators");
        assert_eq!(check_issuer("https://Id.example/realms/acme/", operators), Ok(()));
        assert!(check_issuer("https://id.example/realms/operators", operators).is_err());
        for bad in ["", "id.example", "ftp://id.example", "mailto:a@b.example", " https://id.example", "https://"] {
            assert!(check_issuer(bad, None).is_err(), "{bad:?}");
        }
        assert!(check_issuer(&format!("https://id.example/{}", "a".repeat(500)), None).is_err());
    }
}
