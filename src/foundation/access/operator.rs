//! People who run Plumbline. They see how tenants stand and never what their calls say.

use std::sync::Arc;

use super::{Caller, Denied, Grant, Permission, Role};
use crate::foundation::ids::TenantId;

/// Somebody who runs Plumbline, proved by a token of the operators' issuer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operator(Arc<str>);

impl Operator {
    /// Only for code that has just checked a credential (`platform/identity`); clippy refuses it elsewhere.
    ///
    /// `subject` is the stable name of the credential's holder at the operators' issuer.
    pub fn proved(subject: &str) -> Self {
        Self(subject.into())
    }

    /// Leave to do one thing to the platform.
    ///
    /// # Errors
    /// [`Denied`] when operators do not hold the permission.
    pub fn may(&self, permission: Permission) -> Result<OperatorGrant, Denied> {
        if Role::PlatformOperator.may(permission) {
            Ok(OperatorGrant { actor: format!("operator:{}", self.0), permission })
        } else {
            Err(Denied(permission))
        }
    }
}

/// Leave to do one thing to the platform's own tables. No tenant's schema is within its reach.
#[derive(Clone, Debug)]
pub struct OperatorGrant {
    actor: String,
    permission: Permission,
}

impl OperatorGrant {
    /// Leave for work that runs with the owner's credential already: the operator's process and the command line; clippy refuses it elsewhere.
    ///
    /// `who` names the work in audit events: `operation:<id>` or `command-line:<login>`.
    pub fn system(who: &str, permission: Permission) -> Self {
        Self { actor: who.to_owned(), permission }
    }

    /// Who acts, as audit events name it.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// What was allowed.
    pub fn permission(&self) -> Permission {
        self.permission
    }
}

/// Whoever a bearer token proved: one of a tenant's people, or an operator.
#[derive(Clone, Debug)]
pub enum Principal {
    /// One of a tenant's people.
    Caller(Caller),
    /// Somebody who runs Plumbline.
    Operator(Operator),
}

/// Leave to do one thing about one tenant, from inside or from outside.
#[derive(Clone, Debug)]
pub enum TenantGrant {
    /// From inside the tenant.
    Member(Grant),
    /// From outside.
    Operator(OperatorGrant),
}

/// Why somebody may not do a thing about a tenant.
#[derive(Debug, thiserror::Error)]
pub enum TenantDenied {
    /// The tenant is not the caller's own, who may not learn whether it exists.
    #[error("no such tenant")]
    NotFound,
    /// No role allows it.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl Principal {
    /// Leave that operators alone can have.
    ///
    /// # Errors
    /// [`Denied`] for everybody else.
    pub fn operator(&self, permission: Permission) -> Result<OperatorGrant, Denied> {
        match self {
            Principal::Operator(operator) => operator.may(permission),
            Principal::Caller(_) => Err(Denied(permission)),
        }
    }

    /// Leave to do one thing about one tenant. A tenant's people have it about their own alone.
    ///
    /// # Errors
    /// [`TenantDenied`].
    pub fn about(&self, tenant: TenantId, permission: Permission) -> Result<TenantGrant, TenantDenied> {
        match self {
            Principal::Operator(operator) => Ok(TenantGrant::Operator(operator.may(permission)?)),
            Principal::Caller(caller) => {
                let grant = caller.may(permission)?;
                if grant.tenant() == tenant { Ok(TenantGrant::Member(grant)) } else { Err(TenantDenied::NotFound) }
            }
        }
    }
}

impl TenantGrant {
    /// Who acts, as audit events name it.
    pub fn actor(&self) -> &str {
        match self {
            TenantGrant::Member(grant) => grant.actor(),
            TenantGrant::Operator(grant) => grant.actor(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the constructor is what is tested")]
    fn operators_see_no_calls() {
        let operator = Operator::proved("olga");
        assert_eq!(operator.may(Permission::ManageTenants).expect("operators do").actor(), "operator:olga");
        for permission in [Permission::ReadCalls, Permission::DownloadArchives, Permission::ReadAudit] {
            assert!(operator.may(permission).is_err(), "{permission:?}");
        }
    }
}
