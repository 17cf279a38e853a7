//! Who asks.

use std::collections::BTreeSet;

use plumbline::foundation::access::{Permission, Role};
use uuid::Uuid;

use super::things::Owner;

/// Somebody with a credential, or without.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// For reports.
    pub name: String,
    pub token: Option<String>,
    /// `None` for those who belong to no tenant.
    pub tenant: Option<Uuid>,
    /// As audit events name it.
    pub actor: String,
    /// The organizations that the caller reaches.
    pub organizations: BTreeSet<Uuid>,
    /// Those among them in which the caller may change anything at all.
    pub changes: BTreeSet<Uuid>,
    /// The tenant's root organization, to which tenant-wide rows belong.
    pub root: Option<Uuid>,
    /// Who sees own calls alone.
    pub agent: Option<Uuid>,
    pub roles: Vec<Role>,
    /// Who brings the secret of a piece of work and no token.
    pub provider: bool,
}

impl Caller {
    /// Whether something of this owner's may be shown to the caller.
    pub fn sees(&self, owner: &Owner) -> bool {
        if let Some(actor) = &owner.actor {
            return owner.tenant == self.tenant && *actor == self.actor;
        }
        let operator = self.tenant.is_none() && self.roles.contains(&Role::PlatformOperator);
        if operator {
            return owner.organization.is_none();
        }
        self.tenant.is_some()
            && owner.tenant == self.tenant
            && owner.organization.is_none_or(|organization| self.organizations.contains(&organization))
            && self.agent.is_none_or(|agent| owner.agent.is_none_or(|owner| owner == agent))
    }

    /// Whether some role of the caller holds one of the permissions.
    pub fn may_any(&self, permissions: &[Permission]) -> bool {
        self.roles.iter().any(|role| permissions.iter().any(|permission| role.may(*permission)))
    }
}
