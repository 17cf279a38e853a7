//! From a bearer token to a caller: the tenant by its issuer, the issuer's key, the token's claims, and whom they mean in the tenant.

use std::sync::Arc;

use super::{
    claims::Claims,
    keys::{IssuerKeys, KeysError},
    members::{MemberStatus, Members},
    token::{Refused, Stated, TokenRules, is_bounded},
    verified::{Verified, VerifiedTokens},
};
use crate::{
    foundation::{
        access::{Caller, Identity, Operator, Principal, Role},
        clock::Clock,
    },
    platform::{
        db::{DbError, newest_tenant_version},
        tenancy::{Tenant, Tenants, Unserved},
    },
};

/// Why nobody was proved.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No credential was sent.
    #[error("no bearer token")]
    Missing,
    /// The token proves nothing. All reasons look the same from outside, so that nobody learns which tenants exist.
    #[error("the token proves nothing")]
    Refused,
    /// The token is good, and its holder's user was deactivated.
    #[error("the user is deactivated")]
    Deactivated,
    /// The token is good, the role agent is its holder's only one, and no agent is linked to the user.
    #[error("no agent is linked to the user")]
    AgentNotLinked,
    /// The token is an operator's, and what was asked for is a tenant's.
    #[error("operators are nobody in a tenant")]
    OperatorInTenant,
    /// The token is good and of the operators' issuer, and its holder is no operator.
    #[error("not an operator")]
    NotAnOperator,
    /// The token is good, and its tenant is not served now.
    #[error(transparent)]
    Unserved(#[from] Unserved),
    /// The issuer's keys are not known and cannot be read now.
    #[error("the issuer's keys cannot be read")]
    IssuerUnavailable,
    /// PostgreSQL could not tell.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Proves callers. One per server, shared behind an `Arc`.
pub struct Authenticator {
    tenants: Arc<Tenants>,
    members: Arc<Members>,
    keys: IssuerKeys,
    verified: VerifiedTokens,
    rules: TokenRules,
    operator_issuer: Option<String>,
    clock: Clock,
}

impl Authenticator {
    /// Of tokens of the tenants' issuers that fulfil the rules.
    pub fn new(
        tenants: Arc<Tenants>,
        members: Arc<Members>,
        keys: IssuerKeys,
        rules: TokenRules,
        clock: Clock,
    ) -> Self {
        Self { tenants, members, keys, verified: VerifiedTokens::new(), rules, operator_issuer: None, clock }
    }

    /// Also knows operators: by the tokens of this issuer, compared byte for byte. It is no tenant's, whatever the tenants' table says.
    #[must_use]
    pub fn with_operators(mut self, issuer: Option<String>) -> Self {
        self.operator_issuer = issuer;
        self
    }

    /// Which of a tenant's people holds the token.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(&self, token: &str) -> Result<Caller, AuthError> {
        match self.principal(token).await? {
            Principal::Caller(caller) => Ok(caller),
            Principal::Operator(_) => Err(AuthError::OperatorInTenant),
        }
    }

    /// Who holds the token: one of a tenant's people, or an operator.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn principal(&self, token: &str) -> Result<Principal, AuthError> {
        let shown = self.shown(token).await?;
        if self.operator_issuer.as_ref().is_some_and(|issuer| *issuer == shown.stated.issuer) {
            return self.operator(shown).await.map(Principal::Operator);
        }
        let Some(tenant) = self.tenants.by_issuer(&shown.stated.issuer).await? else {
            tracing::debug!("token refused: its issuer is no tenant's");
            return Err(AuthError::Refused);
        };
        let verified = self.verify(shown).await?;
        self.caller(&tenant, &verified.claims).await.map(Principal::Caller)
    }

    /// What the token states, read now or known from before.
    async fn shown<'a>(&self, token: &'a str) -> Result<Shown<'a>, AuthError> {
        is_bounded(token).map_err(refused)?;
        let digest = VerifiedTokens::digest(token);
        let known = self.verified.find(&digest).await;
        let stated = match &known {
            Some(known) => known.stated.clone(),
            None => Arc::new(Stated::read(token).map_err(refused)?),
        };
        Ok(Shown { token, digest, stated, known })
    }

    /// A signature is checked once. That the issuer still publishes the key, and what time it is, is asked every time.
    async fn verify(&self, shown: Shown<'_>) -> Result<Arc<Verified>, AuthError> {
        let Shown { token, digest, stated, known } = shown;
        let key = self.keys.find(&stated.issuer, &stated.kid, stated.algorithm).await.map_err(unproved)?;
        let now = self.clock.now();
        if let Some(known) = known.filter(|known| known.is_by(&key)) {
            known.check_times(&self.rules, now).map_err(refused)?;
            return Ok(known);
        }
        let claims = stated.verify(token, &key.key, &self.rules, now).map_err(refused)?;
        Ok(self.verified.keep(digest, token.len(), stated, claims, key).await)
    }

    async fn operator(&self, shown: Shown<'_>) -> Result<Operator, AuthError> {
        let verified = self.verify(shown).await?;
        if !verified.claims.is_operator() {
            return Err(AuthError::NotAnOperator);
        }
        #[allow(clippy::disallowed_methods, reason = "the credential was checked just above")]
        Ok(Operator::proved(&verified.claims.sub))
    }

    async fn caller(&self, tenant: &Tenant, claims: &Claims) -> Result<Caller, AuthError> {
        // From here on the tenant's issuer vouches for the holder, who may learn how the tenant stands.
        tenant.serve(newest_tenant_version())?;
        let directory = self.tenants.directory(tenant).await?;
        let member = self.members.find(tenant, directory.all(), &claims.sub).await?;
        if member.is_some_and(|member| member.status == MemberStatus::Deactivated) {
            return Err(AuthError::Deactivated);
        }
        let roles = claims.roles();
        let agent = member.and_then(|member| member.agent_id);
        if roles == [Role::Agent] && agent.is_none() {
            return Err(AuthError::AgentNotLinked);
        }
        let organizations = claims.organizations(&directory);
        let reaches_every = roles.iter().any(|role| role.reaches_every_organization());
        let every_organization = if reaches_every { directory.active().to_vec() } else { Vec::new() };
        #[allow(clippy::disallowed_methods, reason = "the credential was checked just above")]
        let caller = Caller::proved(Identity {
            tenant: tenant.tenant_id,
            root: tenant.root_organization_id,
            subject: claims.sub.clone(),
            user: member.map(|member| member.user_id),
            agent,
            roles,
            organizations,
            every_organization,
        });
        Ok(caller)
    }
}

/// A token that somebody showed, and what is known of it.
struct Shown<'a> {
    token: &'a str,
    digest: [u8; 32],
    stated: Arc<Stated>,
    known: Option<Arc<Verified>>,
}

fn refused(reason: Refused) -> AuthError {
    tracing::debug!(%reason, "token refused");
    AuthError::Refused
}

fn unproved(reason: KeysError) -> AuthError {
    tracing::debug!(%reason, "token refused");
    match reason {
        KeysError::Unavailable => AuthError::IssuerUnavailable,
        KeysError::UnknownKey | KeysError::Development => AuthError::Refused,
    }
}
