//! The extractor: an operation that takes a [`Caller`] demands a bearer token, and documents that it does.

use std::sync::Arc;

use poem::{Request, RequestBody, Result, http::header::AUTHORIZATION};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{AuthError, Authenticator};
use crate::{
    foundation::access::{Caller, Principal},
    platform::{
        http::{Kind, Problem, Refusal, record_tenant},
        tenancy::Unserved,
    },
};

/// Seconds until a migration or an issuer's restart is likely to be over.
const RETRY_AFTER_S: u32 = 10;
const SCHEME: &str = "bearerJwt";

/// The server's [`Authenticator`] is found in the request's data, as `Arc<Authenticator>`.
impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(SCHEME, scheme());
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let (authenticator, token) = credential(request)?;
        let caller = authenticator.authenticate(token).await.map_err(answered)?;
        record_tenant(caller.identity().tenant);
        Ok(caller)
    }
}

/// Tenants' people and operators bring the same kind of token.
impl<'a> ApiExtractor<'a> for Principal {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(SCHEME, scheme());
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let (authenticator, token) = credential(request)?;
        let principal = authenticator.principal(token).await.map_err(answered)?;
        if let Principal::Caller(caller) = &principal {
            record_tenant(caller.identity().tenant);
        }
        Ok(principal)
    }
}

fn scheme() -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "http",
        description: Some(
            "An access token (JWT) of the tenant's OpenID Connect issuer, or of the operators', made for this API's audience.",
        ),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some("JWT"),
        flows: None,
        openid_connect_url: None,
    }
}

/// The one bearer token that the request brings, and who can check it.
fn credential(request: &Request) -> Result<(&Authenticator, &str)> {
    let Some(authenticator) = request.data::<Arc<Authenticator>>() else {
        tracing::error!("the server has no authenticator");
        return Err(poem::Error::from_response(Refusal::new(Kind::Internal, "the request failed").response()));
    };
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(answered(AuthError::Missing));
    };
    match header.to_str().ok().and_then(|header| header.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => Ok((authenticator, token.trim())),
        _ => Err(answered(AuthError::Refused)),
    }
}

fn answered(error: AuthError) -> poem::Error {
    poem::Error::from_response(Refusal::from(error).response())
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing | AuthError::Refused => {
                Refusal::new(Kind::Unauthorized, "send a valid access token as Authorization: Bearer <token>")
            }
            AuthError::Deactivated => Refusal::new(Kind::UserDeactivated, "the user is deactivated"),
            AuthError::AgentNotLinked => Refusal::new(Kind::AgentNotLinked, "no active agent is linked to the user"),
            AuthError::OperatorInTenant => {
                Refusal::new(Kind::Forbidden, "operators work on tenants from outside: /api/tenants, /api/operations")
            }
            AuthError::NotAnOperator => Refusal::new(Kind::Forbidden, "needs the role platform_operator"),
            AuthError::Unserved(Unserved::Suspended) => Refusal::new(Kind::TenantSuspended, "the tenant is suspended"),
            AuthError::Unserved(Unserved::Leaving) => Refusal::new(Kind::TenantLeaving, "the tenant is leaving"),
            AuthError::Unserved(Unserved::NotReady) => later(Kind::TenantNotReady, "the tenant is being prepared"),
            AuthError::IssuerUnavailable => later(Kind::IssuerUnavailable, "the issuer cannot be reached"),
            AuthError::Db(error) => error.into(),
        }
    }
}

fn later(kind: Kind, detail: &str) -> Refusal {
    Problem::new(kind, detail).retry_after(RETRY_AFTER_S).into()
}
