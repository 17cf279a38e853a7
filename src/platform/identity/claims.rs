//! What an access token says of its holder, and what that means in the tenant. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    foundation::{access::Role, ids::OrganizationId},
    platform::tenancy::Directory,
};

/// The claims that Plumbline reads. Lists of names are read leniently: issuers shape them differently, and what does not fit names nothing.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) exp: f64,
    pub(super) nbf: Option<f64>,
    pub(super) iat: Option<f64>,
    pub(super) typ: Option<String>,
    /// ID tokens carry these hashes of what came with them, logout tokens carry events; access tokens carry neither.
    at_hash: Option<Value>,
    c_hash: Option<Value>,
    events: Option<Value>,
    #[serde(default)]
    realm_access: Value,
    #[serde(default)]
    roles: Value,
    #[serde(default)]
    groups: Value,
    #[serde(default)]
    organizations: Value,
}

impl Claims {
    /// Whether this is an access token, as far as claims tell.
    pub(super) fn is_access_token(&self) -> bool {
        self.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("Bearer"))
            && self.at_hash.is_none()
            && self.c_hash.is_none()
            && self.events.is_none()
    }

    /// The roles that are Plumbline's. A tenant governs its own issuer, so its tokens never make a platform operator.
    pub(super) fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = names(&self.realm_access["roles"])
            .chain(names(&self.roles))
            .filter_map(Role::parse)
            .filter(|role| *role != Role::PlatformOperator)
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// Whether the token makes its holder an operator; asked of tokens of the operators' issuer alone.
    pub(super) fn is_operator(&self) -> bool {
        names(&self.realm_access["roles"])
            .chain(names(&self.roles))
            .any(|name| Role::parse(name) == Some(Role::PlatformOperator))
    }

    /// The organizations that the token names.
    pub(super) fn organizations(&self, directory: &Directory) -> Vec<OrganizationId> {
        let by_group = names(&self.groups)
            .filter_map(|group| group.strip_prefix("/organizations/"))
            .filter_map(|slug| directory.by_slug(slug));
        let mut organizations: Vec<OrganizationId> =
            by_group.chain(names(&self.organizations).filter_map(|name| directory.by_name(name))).collect();
        organizations.sort_unstable();
        organizations.dedup();
        organizations
    }
}

/// The strings of a list, or the one string that stands in its place.
fn names(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value.as_str().into_iter().chain(list.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::platform::tenancy::{DirectoryEntry, OrganizationStatus};

    fn claims(more: Value) -> Claims {
        let mut all = json!({"iss": "i", "sub": "s", "exp": 1});
        all.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        serde_json::from_value(all).expect("claims")
    }

    #[test]
    fn roles_come_from_both_places_and_foreign_ones_are_ignored() {
        let both =
            claims(json!({"realm_access": {"roles": ["coach", "offline_access"]}, "roles": ["evaluator", "coach", 7]}));
        assert_eq!(both.roles(), [Role::Evaluator, Role::Coach]);
        assert_eq!(claims(json!({"roles": "auditor"})).roles(), [Role::Auditor]);
        assert_eq!(claims(json!({"roles": {"auditor": {}}, "realm_access": ["auditor"]})).roles(), []);
    }

    #[test]
    fn a_tenants_issuer_makes_no_platform_operator() {
        let operator = claims(json!({"roles": ["platform_operator"]}));
        assert_eq!(operator.roles(), []);
        assert!(operator.is_operator());
        assert!(!claims(json!({"roles": ["tenant_admin"]})).is_operator());
    }

    #[test]
    fn organizations_are_named_by_group_by_slug_and_by_id() {
        let (sales, support, old) = (OrganizationId::new(), OrganizationId::new(), OrganizationId::new());
        let entry =
            |organization_id, slug: &str, status| DirectoryEntry { organization_id, slug: slug.to_owned(), status };
        let directory = Directory::new([
            entry(sales, "sales", OrganizationStatus::Active),
            entry(support, "support", OrganizationStatus::Active),
            entry(old, "old", OrganizationStatus::Deactivated),
        ]);
        let named = claims(
            json!({"groups": ["/organizations/sales", "/organizations/sales/night", "/organizations/nowhere", "support"]}),
        );
        assert_eq!(named.organizations(&directory), [sales]);
        let listed = claims(json!({"organizations": ["support", sales, old, "old", "support"]}));
        assert_eq!(listed.organizations(&directory), [sales, support]);
        assert_eq!(claims(json!({})).organizations(&directory), []);
    }

    #[test]
    fn id_and_logout_tokens_are_told_apart() {
        assert!(claims(json!({})).is_access_token());
        assert!(claims(json!({"typ": "Bearer"})).is_access_token());
        assert!(!claims(json!({"typ": "ID"})).is_access_token());
        assert!(!claims(json!({"typ": "Refresh"})).is_access_token());
        assert!(!claims(json!({"at_hash": "x"})).is_access_token());
        assert!(!claims(json!({"events": {}})).is_access_token());
    }
}
