//! The organization. No I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    foundation::ids::OrganizationId,
    platform::tenancy::{InvalidField, OrganizationStatus, check_text},
};

const MOST_NAME_CHARS: usize = 200;
const MOST_SLUG_CHARS: usize = 63;

/// A unit inside a tenant, which owns calls, scorecards and plugin bindings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub organization_id: OrganizationId,
    /// Short name, unique in the tenant; tokens name it.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Whether it takes part.
    pub status: OrganizationStatus,
    /// Counts its changes.
    pub revision: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// An organization to be made.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    /// `[a-z][a-z0-9-]*`, at most 63 characters, and not an id: tokens may name organizations by either.
    pub slug: String,
    /// 1 to 200 characters.
    pub name: String,
}

impl NewOrganization {
    /// # Errors
    /// [`InvalidField`] with the first value that is not allowed.
    pub fn check(&self) -> Result<(), InvalidField> {
        let plain = self.slug.starts_with(|c: char| c.is_ascii_lowercase())
            && self.slug.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !plain || self.slug.len() > MOST_SLUG_CHARS || Uuid::try_parse(&self.slug).is_ok() {
            let message = "must be a lower-case letter and then lower-case letters, digits and hyphens, 63 at most, and not an id";
            return Err(InvalidField { field: "slug", message });
        }
        check_name(&self.name)
    }
}

/// # Errors
/// [`InvalidField`] when it is blank, too long or unprintable.
pub fn check_name(name: &str) -> Result<(), InvalidField> {
    check_text("name", name, MOST_NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_and_never_look_like_ids() {
        let check = |slug: &str| NewOrganization { slug: slug.to_owned(), name: "Sales".to_owned() }.check();
        assert_eq!(check("sales-emea-2"), Ok(()));
        for bad in ["", "2nd", "Sales", "sales emea", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", &"a".repeat(64)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
