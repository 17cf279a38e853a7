//! Who may do what. Pure: a [`Grant`] is proof, checked by the compiler, that someone was asked.

mod matrix;
mod operator;

use std::sync::Arc;

pub use self::{
    matrix::{Permission, Role},
    operator::{Operator, OperatorGrant, Principal, TenantDenied, TenantGrant},
};
use crate::foundation::ids::{AgentId, OrganizationId, TenantId, UserId};

/// What row security lets a transaction see: the database role that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every row of the caller's organizations.
    Member,
    /// The caller's own calls alone.
    Agent,
    /// Who belongs to the tenant: its organizations, users and agents, to find out who is calling. Reads only.
    Directory,
}

impl Scope {
    /// The database role's name.
    pub fn role(self) -> &'static str {
        match self {
            Scope::Member => "plumbline_member",
            Scope::Agent => "plumbline_agent",
            Scope::Directory => "plumbline_directory",
        }
    }
}

/// Somebody whose credential was proved. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Identity>);

/// What a credential proved; made by `platform/identity` alone.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The tenant whose issuer signed the credential.
    pub tenant: TenantId,
    /// The tenant's root organization, to which its tenant-wide rows belong.
    pub root: OrganizationId,
    /// Stable name of the credential's holder at the issuer (`sub`).
    pub subject: String,
    /// The tenant's user with that subject, if it has one.
    pub user: Option<UserId>,
    /// The agent that the user is, if it is one.
    pub agent: Option<AgentId>,
    /// The caller's roles.
    pub roles: Vec<Role>,
    /// The organizations that the credential names; the root is not among them unless the caller belongs to it.
    pub organizations: Vec<OrganizationId>,
    /// All active organizations of the tenant, when some role reaches every one; else empty. They count for that role's permissions alone.
    pub every_organization: Vec<OrganizationId>,
}

/// No role of the caller holds the permission.
#[derive(Debug, thiserror::Error)]
#[error("needs the permission {}", .0.name())]
pub struct Denied(pub Permission);

impl Caller {
    /// Only for code that has just checked a credential (`platform/identity`); clippy refuses it elsewhere.
    pub fn proved(identity: Identity) -> Self {
        Self(Arc::new(identity))
    }

    /// Leave to do one thing.
    ///
    /// # Errors
    /// [`Denied`] when no role of the caller holds the permission, or only the role agent does and no agent is linked to the caller:
    /// there are no own calls to see then.
    pub fn may(&self, permission: Permission) -> Result<Grant, Denied> {
        let own_calls_only = !self.0.roles.iter().any(|role| *role != Role::Agent && role.may(permission));
        if own_calls_only && !(self.0.agent.is_some() && self.0.roles.iter().any(|role| role.may(permission))) {
            return Err(Denied(permission));
        }
        Ok(Grant {
            tenant: self.0.tenant,
            root: self.0.root,
            organizations: self.organizations_for(permission).to_vec(),
            scope: if own_calls_only { Scope::Agent } else { Scope::Member },
            agent: self.0.agent,
            actor: format!("user:{}", self.0.subject),
            permission,
        })
    }

    /// A role that reaches every organization does so for what it itself may do: an auditor who administers one organization reads all
    /// of them and changes the one.
    fn organizations_for(&self, permission: Permission) -> &[OrganizationId] {
        if self.0.roles.iter().any(|role| role.reaches_every_organization() && role.may(permission)) {
            &self.0.every_organization
        } else {
            &self.0.organizations
        }
    }

    /// What the credential proved.
    pub fn identity(&self) -> &Identity {
        &self.0
    }
}

/// Leave to do one thing in one tenant, for one set of organizations. [`Caller::may`] and [`Grant::system`] alone make one.
#[derive(Clone, Debug)]
pub struct Grant {
    tenant: TenantId,
    root: OrganizationId,
    organizations: Vec<OrganizationId>,
    scope: Scope,
    agent: Option<AgentId>,
    actor: String,
    permission: Permission,
}

impl Grant {
    /// Leave for the system's own work in one organization; clippy refuses it outside jobs and provisioning.
    ///
    /// `job` names the work in audit events.
    pub fn system(
        tenant: TenantId,
        root: OrganizationId,
        organization: OrganizationId,
        job: &str,
        permission: Permission,
    ) -> Self {
        Self {
            tenant,
            root,
            organizations: vec![organization],
            scope: Scope::Member,
            agent: None,
            actor: format!("job:{job}"),
            permission,
        }
    }

    /// Leave to look up who belongs to a tenant, before anybody is proved; clippy refuses it outside `platform/identity`.
    pub fn directory(tenant: TenantId, root: OrganizationId, organizations: Vec<OrganizationId>) -> Self {
        Self {
            tenant,
            root,
            organizations,
            scope: Scope::Directory,
            agent: None,
            actor: "system:directory".to_owned(),
            permission: Permission::ReadUsers,
        }
    }

    /// The tenant in whose schema the work happens.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The organization that tenant-wide rows belong to.
    pub fn root(&self) -> OrganizationId {
        self.root
    }

    /// The organizations whose rows may be seen, without the root.
    pub fn organizations(&self) -> &[OrganizationId] {
        &self.organizations
    }

    /// Whether rows of the organization may be seen.
    pub fn reaches(&self, organization: OrganizationId) -> bool {
        self.organizations.contains(&organization)
    }

    /// What row security lets the work see.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The agent whose calls alone may be seen under [`Scope::Agent`].
    pub fn agent(&self) -> Option<AgentId> {
        self.agent
    }

    /// Who acts, as audit events name it: `user:<subject>` or `job:<kind>`.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// What was allowed.
    pub fn permission(&self) -> Permission {
        self.permission
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the constructor is what is tested")]
    fn caller(roles: &[Role], agent: Option<AgentId>) -> Caller {
        Caller::proved(Identity {
            tenant: TenantId::new(),
            root: OrganizationId::new(),
            subject: "s".to_owned(),
            user: None,
            agent,
            roles: roles.to_vec(),
            organizations: vec![OrganizationId(uuid::Uuid::from_u128(1))],
            every_organization: (1..=2).map(|n| OrganizationId(uuid::Uuid::from_u128(n))).collect(),
        })
    }

    #[test]
    fn every_organization_is_reached_only_for_what_the_role_that_reaches_it_may_do() {
        let reached =
            |roles: &[Role], permission| caller(roles, None).may(permission).expect("allowed").organizations().len();
        let both = [Role::OrganizationAdmin, Role::Auditor];
        assert_eq!(reached(&both, Permission::ReadCalls), 2);
        assert_eq!(reached(&both, Permission::ManageAgents), 1);
        assert_eq!(reached(&both, Permission::UploadCalls), 1);
        assert_eq!(reached(&[Role::OrganizationAdmin], Permission::ReadCalls), 1);
        assert_eq!(reached(&[Role::TenantAdmin, Role::Coach], Permission::ManageAgents), 2);
    }

    #[test]
    fn an_agent_sees_own_calls_and_nothing_without_being_linked() {
        let linked =
            caller(&[Role::Agent], Some(AgentId::new())).may(Permission::ReadCalls).expect("agents read calls");
        assert_eq!(linked.scope(), Scope::Agent);
        assert!(linked.agent().is_some());
        assert!(caller(&[Role::Agent], None).may(Permission::ReadCalls).is_err());
        let both =
            caller(&[Role::Agent, Role::Evaluator], None).may(Permission::ReadCalls).expect("evaluators read calls");
        assert_eq!(both.scope(), Scope::Member);
    }
}
