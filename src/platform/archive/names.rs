//! What a new tenant may be called.

use crate::platform::tenancy::{InvalidField, check_text};

/// # Errors
/// [`InvalidField`] unless it is `[a-z][a-z0-9-]*[a-z0-9]` of 2 to 40 characters.
pub fn check_slug(slug: &str) -> Result<(), InvalidField> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = slug.starts_with(|c: char| c.is_ascii_lowercase());
    if (2..=40).contains(&slug.len()) && starts && slug.chars().all(inner) && !slug.ends_with('-') {
        return Ok(());
    }
    let message =
        "must be 2 to 40 lower-case letters, digits and hyphens, beginning with a letter, not ending with a hyphen";
    Err(InvalidField { field: "slug", message })
}

/// # Errors
/// [`InvalidField`] for a blank name, one of more than 200 characters, or one with control characters.
pub fn check_name(name: &str) -> Result<(), InvalidField> {
    check_text("name", name, 200)
}

/// # Errors
/// [`InvalidField`] for what is no http or https URL, and for the operators' own issuer.
pub fn check_issuer(issuer: &str, operator_issuer: Option<&str>) -> Result<(), InvalidField> {
    let refused = |message| Err(InvalidField { field: "issuer", message });
    if operator_issuer == Some(issuer) {
        return refused("is the operators' own, and no tenant's");
    }
    let plain = issuer.chars().count() <= 500 && !issuer.contains(|c: char| c.is_control() || c.is_whitespace());
    let sound = url::Url::parse(issuer).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if plain && sound { Ok(()) } else { refused("must be an http or https URL of at most 500 characters") }
}
