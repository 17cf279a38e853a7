//! The user. No I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    foundation::ids::{OrganizationId, UserId},
    platform::{
        identity::MemberStatus,
        tenancy::{InvalidField, check_text},
    },
};

/// A login of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub user_id: UserId,
    /// The organization that keeps the user: one of the tenant's, or its root.
    pub organization_id: OrganizationId,
    /// What the user can be told.
    pub profile: Profile,
    /// Whether the user may come in.
    pub status: MemberStatus,
    /// Counts its changes.
    pub revision: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What can be changed of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The stable name at the issuer (`sub`); without one nobody signs in as this user.
    pub subject: Option<String>,
    /// Name for people, 1 to 200 characters.
    pub display_name: String,
    /// Where mail reaches the user.
    pub email: Option<String>,
}

impl Profile {
    /// # Errors
    /// [`InvalidField`] with the first value that is not allowed.
    pub fn check(&self) -> Result<(), InvalidField> {
        check_text("display_name", &self.display_name, 200)?;
        if let Some(subject) = &self.subject {
            check_text("subject", subject, 255)?;
        }
        match &self.email {
            Some(email) => check_email(email),
            None => Ok(()),
        }
    }
}

/// Something before an @ and something after it: more is known only when mail arrives.
fn check_email(email: &str) -> Result<(), InvalidField> {
    check_text("email", email, 320)?;
    let parts = email.rsplit_once('@');
    let sound = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if sound && !email.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(InvalidField { field: "email", message: "must be an e-mail address" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_checked() {
        let profile = |email: &str| Profile {
            subject: Some("248289761001".to_owned()),
            display_name: "Ann Lee".to_owned(),
            email: Some(email.to_owned()),
        };
        assert_eq!(profile("ann@example.com").check(), Ok(()));
        for bad in ["ann", "@example.com", "ann@", "an n@example.com", ""] {
            assert!(profile(bad).check().is_err(), "{bad:?}");
        }
        assert!(Profile { subject: Some(String::new()), ..profile("a@b") }.check().is_err());
        assert!(Profile { display_name: "a\u{0}".to_owned(), ..profile("a@b") }.check().is_err());
    }
}
