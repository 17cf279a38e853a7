//! From a bearer token to a caller: the tenant by its issuer, the issuer's key, the token's claims, and whom they mean in the tenant.

use std::sync::Arc;

use super::{
    keys::{IssuerKeys, KeysError},
    members::{MemberStatus, Members},
    token::{Refused, Stated, TokenRules, is_bounded},
    verified::{Verified, VerifiedTokens},
};
use crate::{
    foundation::{
        access::{Caller, Identity, Role},
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
        Self { tenants, members, keys, verified: VerifiedTokens::new(), rules, clock }
    }

    /// Who holds the token.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(&self, token: &str) -> Result<Caller, AuthError> {
        let (tenant, token) = self.prove(token).await?;
        let claims = &token.claims;
        // From here on the tenant's issuer vouches for the holder, who may learn how the tenant stands.
        tenant.serve(newest_tenant_version())?;
        let directory = self.tenants.directory(&tenant).await?;
        let member = self.members.find(&tenant, directory.all(), &claims.sub).await?;
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

    /// The token, and the tenant whose issuer made it. A signature is checked once; all else of a token, and that the issuer still
    /// publishes the key, every time.
    async fn prove(&self, token: &str) -> Result<(Arc<Tenant>, Arc<Verified>), AuthError> {
        is_bounded(token).map_err(refused)?;
        let digest = VerifiedTokens::digest(token);
        let known = self.verified.find(&digest).await;
        let stated = match &known {
            Some(known) => known.stated.clone(),
            None => Arc::new(Stated::read(token).map_err(refused)?),
        };
        let Some(tenant) = self.tenants.by_issuer(&stated.issuer).await? else {
            tracing::debug!("token refused: its issuer is no tenant's");
            return Err(AuthError::Refused);
        };
        let key = self.keys.find(&tenant.issuer, &stated.kid, stated.algorithm).await.map_err(unproved)?;
        let now = self.clock.now();
        if let Some(known) = known.filter(|known| known.is_by(&key)) {
            known.check_times(&self.rules, now).map_err(refused)?;
            return Ok((tenant, known));
        }
        let claims = stated.verify(token, &key.key, &self.rules, now).map_err(refused)?;
        Ok((tenant, self.verified.keep(digest, token.len(), stated, claims, key).await))
    }
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
